"""The model under evaluation: its configuration, requests that continue real clips, and its codec.

Videos are sampled by `lumora.service.batch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from einops import rearrange

from lumora.backends.lumora.weights import DEFAULT_FOLDER, read_config
from lumora.config import ModelConfig
from lumora.evaluate.frames import Frames
from lumora.media.video import Video
from lumora.request import Condition, Request
from lumora.service.batch import backend_for

GIVEN_LATENT_FRAMES = 2
"""Latent frames of a clip that is continued: the first frame, and the frames of a second one, which show the speed."""
INSTRUMENTS = DEFAULT_FOLDER
"""The folder of the trained instruments that come with lumora."""


def model_config(model: Path | None = None) -> ModelConfig:
    """The configuration of the model in the folder `model` (None: the one that comes with lumora)."""
    return read_config(model)


def given_frames(temporal_compression: int) -> int:
    """Number of frames of a continued clip that are given to the model."""
    return 1 + temporal_compression * (GIVEN_LATENT_FRAMES - 1)


def continuation_request(
    prompt: str, frames: Frames, config: ModelConfig, seed: int, steps: int | None, guidance_scale: float | None
) -> Request:
    """A request for a clip of the model's own shape that begins with the first of these frames."""
    shape = config.shape
    beginning = Condition(Video(frames[: given_frames(config.codec.temporal_compression)], shape.fps))
    return Request(
        prompt,
        seconds=(shape.num_frames - 1) / shape.fps,
        size=shape.resolution,
        fps=shape.fps,
        seed=seed,
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        conditions=(beginning,),
    )


@torch.inference_mode()
def through_codec(clips: Sequence[Frames], model: Path | None = None) -> list[Frames]:
    """The clips after encoding and decoding by the model's codec: the upper bound of its quality."""
    pipeline = backend_for(model).pipeline
    decoded = []
    for clip in clips:
        pixels = rearrange(torch.from_numpy(clip).to(pipeline.device), "t h w c -> 1 c t h w") / 127.5 - 1
        video = pipeline.codec.decode(pipeline.codec.encode(pixels), size=clip.shape[1:3], clamp=True)
        decoded.append(rearrange((127.5 * (video + 1)).round().byte(), "1 c t h w -> t h w c").cpu().numpy())
    return decoded
