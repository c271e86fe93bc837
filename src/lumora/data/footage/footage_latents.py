"""Encodes an ingested dataset for the training of a transformer, each clip in about its own aspect ratio.

A clip is resized to the nearest of a few shapes of about as many pixels as the model was trained on, resampled to the
model's frame rate, and cut into windows of the model's length; a picture is a window of one frame.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lumora.atomic_io import atomic_write
from lumora.config import ModelConfig, VideoShape
from lumora.data.captions import captions_from_text
from lumora.data.footage.tar_shards import FootageSample, extracted_clip, read_shard, shard_paths
from lumora.data.latent_cache import Encoders, latent_path, write_latents
from lumora.data.shards import ClipRecord, DatasetConfig, claim_folder
from lumora.media.video import Video
from lumora.terminal import warn

ASPECT_RATIOS = (1.0, 4 / 3, 3 / 4, 5 / 3, 3 / 5, 16 / 9, 9 / 16)
SIZE_STEP = 16
ORIGINAL_CAPTIONS = 0.05
"""Share of the clips with a written caption that are trained with the original one (DALL·E 3, section 3.2)."""
SHAPES_PER_SHARD = 1_000
"""Room in the numbers of the latent shards for the shapes of one shard of clips."""


def encode_footage(dataset: Path, out: Path, model: ModelConfig, codec: Path, device: str = "cpu") -> int:
    """Writes the latents of an ingested dataset by the codec in the file `codec`, and returns the number of windows.

    Shards that are finished are kept. Raises ValueError if `dataset` is none, or if a clip has no caption.
    """
    claim_folder(out, DatasetConfig(str(dataset.resolve()), 0, footage_shapes(model.shape), 0))
    encoders, total = Encoders.load(model.codec, codec, device), 0
    for number, path in enumerate(shard_paths(dataset)):
        finished = out / f"encoded-{number:05}.json"
        if not finished.exists():
            windows = _encode_shard(path, out, number * SHAPES_PER_SHARD, model, encoders)
            with atomic_write(finished) as part:
                part.write_text(json.dumps({"windows": windows}))
        total += json.loads(finished.read_text())["windows"]
        warn(f"{path.name}: {total} windows so far")
    return total


def _encode_shard(path: Path, out: Path, first_number: int, model: ModelConfig, encoders: Encoders) -> int:
    windows: dict[VideoShape, list[tuple[UInt8[np.ndarray, "t h w 3"], str]]] = defaultdict(list)
    for sample in read_shard(path):
        text = training_caption(sample)
        for frames in footage_windows(sample, model.shape, model.codec.temporal_compression):
            height, width = frames.shape[1:3]
            windows[VideoShape(len(frames), height, width, model.shape.fps)].append((frames, text))
    for number, shape in enumerate(sorted(windows, key=lambda s: (s.num_frames, s.height, s.width)), first_number):
        pixels = np.stack([frames for frames, _ in windows[shape]])
        records = [ClipRecord(index, shape) for index in range(len(pixels))]
        captions = [captions_from_text(text) for _, text in windows[shape]]
        write_latents(latent_path(out, number), pixels, records, captions, encoders)
    return sum(map(len, windows.values()))


def training_caption(sample: FootageSample) -> str:
    """The written caption, or for some of the clips that have both, always the same ones, the original caption.

    Raises ValueError if there is none.
    """
    texts = [text for text in (sample.recaption, sample.caption) if text.strip()]
    if not texts:
        raise ValueError(f"{sample.clip.source} has no caption; write captions with `lumora data caption`.")
    draw = np.random.default_rng(list(sample.key.encode())).random()
    return texts[-1] if draw < ORIGINAL_CAPTIONS else texts[0]


def footage_windows(
    sample: FootageSample, trained: VideoShape, frame_step: int, size_step: int = SIZE_STEP
) -> Iterator[UInt8[np.ndarray, "t h w 3"]]:
    """Consecutive windows of 1 + n · `frame_step` frames of a clip, for a model that was trained on `trained`.

    The last one is shorter, and left out where it would be a single frame.
    """
    shape = nearest_shape(sample.clip.width / sample.clip.height, trained, size_step)
    with extracted_clip(sample) as file:
        video = Video.load(file, size=(shape.height, shape.width))
    frames = video.frames if len(video.frames) == 1 else video.resample_fps(shape.fps).frames
    for begin in range(0, len(frames), shape.num_frames):
        length = min(shape.num_frames, len(frames) - begin)
        length = 1 + (length - 1) // frame_step * frame_step
        if length > 1 or begin == 0:
            yield frames[begin : begin + length]


def footage_shapes(shape: VideoShape, size_step: int = SIZE_STEP) -> tuple[VideoShape, ...]:
    """Shapes of the aspect ratios of footage, each of about as many pixels as `shape`. Sides are multiples of
    `size_step` pixels."""
    pixels = shape.height * shape.width
    sides = {
        tuple(size_step * max(1, round(math.sqrt(pixels * r) / size_step)) for r in (1 / ratio, ratio))
        for ratio in ASPECT_RATIOS
    }
    return tuple(VideoShape(shape.num_frames, height, width, shape.fps) for height, width in sorted(sides))


def nearest_shape(aspect_ratio: float, shape: VideoShape, size_step: int = SIZE_STEP) -> VideoShape:
    """The one of `footage_shapes` that is nearest to an aspect ratio (width by height)."""
    return min(footage_shapes(shape, size_step), key=lambda s: abs(math.log(s.resolution.aspect_ratio / aspect_ratio)))
