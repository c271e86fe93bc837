"""Captions for the clips of a dataset, by a captioner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from lumora.chat_completions import ChatEndpoint, complete
from lumora.config import Resolution
from lumora.data.footage.tar_shards import FootageSample, extracted_clip, read_shard, rewrite_shard, shard_paths
from lumora.media.video import Video

INSTRUCTIONS = (
    "You describe videos for the training of a text-to-video model. You see frames of one clip, in order. Write one "
    "paragraph of plain English: the subjects and their looks, what they do and in which order, the place, the light, "
    "the style, and how the camera moves. State only what you see. Answer with the paragraph alone, at most 120 words."
)
MAX_SIDE = 512
"""Pixels of the longer side of the frames that a model is sent."""


@runtime_checkable
class VideoCaptioner(Protocol):
    def caption(self, frames: UInt8[np.ndarray, "t h w 3"], fps: float) -> str:
        """A paragraph about a video or, of one frame, a picture."""
        ...


@dataclass(frozen=True)
class ChatCaptioner:
    """A vision-language model behind an OpenAI-compatible address, such as vLLM, Ollama or `transformers serve`."""

    endpoint: ChatEndpoint
    num_frames: int = 8
    """The most frames of a clip that it is sent."""
    instructions: str = INSTRUCTIONS

    def caption(self, frames: UInt8[np.ndarray, "t h w 3"], fps: float) -> str:
        """Raises ValueError, in one sentence, if the model does not answer."""
        task, pictures = captioning_task(frames, fps, self.num_frames)
        return " ".join(complete(self.endpoint, self.instructions, task, pictures).split())


def captioning_task(
    frames: UInt8[np.ndarray, "t h w 3"], fps: float, num_frames: int
) -> tuple[str, list[UInt8[np.ndarray, "h w 3"]]]:
    """What a vision-language model is asked, and the frames that it is shown: `num_frames` at most, evenly spaced from
    the first to the last."""
    count = min(num_frames, len(frames))
    chosen = frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]
    what = "a picture" if len(frames) == 1 else f"{count} frames of a clip of {len(frames) / fps:.1f} seconds"
    return f"These are {what}. Describe it.", list(chosen)


def load_clip(path: Path) -> Video:
    """A clip at a size that captioners can use."""
    first = Video.load(path, max_frames=1).frames
    height, width = first.shape[1:3]
    size = Resolution(width, height).within(MAX_SIDE)
    return Video.load(path, size=(size.height, size.width))


def caption_dataset(
    dataset: Path,
    captioner: VideoCaptioner,
    replace_existing: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> int:
    """Writes a caption for each clip of an ingested dataset that has none by a captioner; returns how many.

    The captions that came with the footage stay beside it. Shards are replaced one by one, so that an interrupted
    command continues with the shard that it was at. Raises ValueError as the captioner does.
    """
    paths, written = shard_paths(dataset), 0

    def described(sample: FootageSample) -> FootageSample:
        if sample.recaption and not replace_existing:
            return sample
        nonlocal written
        written += 1
        return replace(sample, recaption=_caption(captioner, sample))

    for number, path in enumerate(paths):
        if replace_existing or any(not sample.recaption for sample in read_shard(path)):
            rewrite_shard(path, described)
        progress("Captioning the shards", number + 1, len(paths))
    return written


def _caption(captioner: VideoCaptioner, sample: FootageSample) -> str:
    with extracted_clip(sample) as path:
        video = load_clip(path)
    return captioner.caption(video.frames, video.fps)
