"""The videos that a model makes of many requests, some at a time and in several processes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8

from lumora.backends.lumora.pipeline import Pipeline
from lumora.backends.lumora.segments import Condition
from lumora.config import ModelConfig
from lumora.media.video import Video
from lumora.parallel import run_batches
from lumora.request.spec import Request

TOGETHER = 10
"""Videos that are made at once."""
GIVEN = 2
"""Latent frames of a clip to be gone on with: a picture and the frames of one more, so that speed can be seen."""


def given_frames(time: int) -> int:
    """Frames of such a clip that are given, to a model whose latent frames hold `time` each, but the first one."""
    return 1 + time * (GIVEN - 1)


def begun(
    prompt: str,
    frames: UInt8[np.ndarray, "t h w 3"],
    config: ModelConfig,
    seed: int,
    steps: int,
    guidance: float | None,
) -> Request:
    """For a clip of the model's own shape that begins as `frames` do."""
    shape = config.shape
    start = Condition(Video(frames[: given_frames(config.codec.temporal_compression)], shape.fps))
    how = (shape.width, shape.height, shape.fps, seed, steps, guidance)
    return Request(prompt, (shape.num_frames - 1) / shape.fps, *how, conditions=(start,))


def make_videos(
    requests: Sequence[Request], weights: Path | None = None, workers: int = 0, together: int = TOGETHER
) -> list[UInt8[np.ndarray, "t h w 3"]]:
    """Frames for requests, so many `together`, which agree in all but prompt, seed and what is given, by the model in
    the folder `weights` (None: the one that comes with lumora)."""
    return run_batches(partial(_make, weights), requests, together, workers)


def _make(weights: Path | None, requests: Sequence[Request]) -> list[UInt8[np.ndarray, "t h w 3"]]:
    return [video.frames for video in pipeline_of(weights).generate_batch(requests)]


@torch.inference_mode()
def through_codec(
    videos: Sequence[UInt8[np.ndarray, "t h w 3"]], weights: Path | None = None
) -> list[UInt8[np.ndarray, "t h w 3"]]:
    """Each as a model's codec gives it back: better than that no video of the model can look."""
    codec, device = pipeline_of(weights).codec, pipeline_of(weights).text_encoder.device
    made = []
    for frames in videos:
        pixels = rearrange(torch.from_numpy(frames).to(device), "t h w c -> 1 c t h w") / 127.5 - 1
        back = codec.decode(codec.encode(pixels), size=frames.shape[1:3], clamp=True)
        made.append(rearrange((127.5 * (back + 1)).round().byte(), "1 c t h w -> t h w c").cpu().numpy())
    return made


@lru_cache(1)
def pipeline_of(weights: Path | None) -> Pipeline:
    """The model in the folder `weights`, loaded once in each process."""
    return Pipeline.from_pretrained(weights)
