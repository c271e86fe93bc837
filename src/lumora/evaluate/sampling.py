"""Requests that continue real clips, and real clips through the codec of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8

from lumora.config import ModelConfig
from lumora.media.video import Video
from lumora.request import Condition, Request
from lumora.service.batch import backend_for

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
    return Request(
        prompt,
        (shape.num_frames - 1) / shape.fps,
        size=shape.resolution,
        fps=shape.fps,
        seed=seed,
        num_inference_steps=steps,
        guidance_scale=guidance,
        conditions=(start,),
    )


@torch.inference_mode()
def through_codec(
    videos: Sequence[UInt8[np.ndarray, "t h w 3"]], weights: Path | None = None
) -> list[UInt8[np.ndarray, "t h w 3"]]:
    """Each as a model's codec gives it back: better than that no video of the model can look."""
    pipeline = backend_for(weights).pipeline
    codec, device = pipeline.codec, pipeline.device
    made = []
    for frames in videos:
        pixels = rearrange(torch.from_numpy(frames).to(device), "t h w c -> 1 c t h w") / 127.5 - 1
        back = codec.decode(codec.encode(pixels), size=frames.shape[1:3], clamp=True)
        made.append(rearrange((127.5 * (back + 1)).round().byte(), "1 c t h w -> t h w c").cpu().numpy())
    return made
