"""What is asked for: everything that decides a video, and the sentences for what can't be made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lumora.config import ModelConfig
from lumora.video import Video

MAX_PROMPT = 2_000
"""Characters; what is past some 128 tokens of it is not read."""
MIN_SIDE, MAX_SIDE = 32, 1024
MAX_SECONDS = 60
MAX_FPS = 60
MAX_STEPS = 1_000
MAX_TOKENS = 65_536
"""Latent positions after patching of one clip: attention takes their square in time, so more would never end."""


@dataclass(frozen=True)
class Request:
    """One video to make. The same request makes the same pixels. Raises ValueError, in a sentence, for a bad one."""

    prompt: str
    seconds: float = 2.0
    """0 asks for a picture, a video of one frame."""
    width: int | None = None
    height: int | None = None
    """Pixels; None is what the model makes best."""
    fps: float = 8.0
    seed: int = 0
    steps: int = 30
    guidance: float = 4.0
    """How far to lean to the prompt: 1 samples the model as it is, 0 ignores the prompt."""
    beginning: Video | None = None
    """A picture, or frames at the rate of this request, to begin with; scaled and cropped to width × height. Of frames,
    1 + time · n are kept, as many as the codec's latent frames hold whole."""

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise ValueError("The prompt is empty; say what the video shall show.")
        if len(self.prompt) > MAX_PROMPT:
            raise ValueError(f"The prompt has {len(self.prompt):,} characters; use at most {MAX_PROMPT:,}.")
        _check_range("seconds", self.seconds, 0, MAX_SECONDS)
        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None:
                _check_range(name, side, MIN_SIDE, MAX_SIDE)
        _check_range("frames a second", self.fps, 1, MAX_FPS)
        _check_range("steps", self.steps, 1, MAX_STEPS)
        _check_range("guidance", self.guidance, 0, 100)
        _check_range("seed", self.seed, 0, 2**63 - 1)

    def size(self, config: ModelConfig) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height or config.shape.height, self.width or config.shape.width

    def frames(self, config: ModelConfig) -> int:
        """How many frames the clip has: the number nearest to seconds × fps that the codec can make, 1 + time · k."""
        time = config.codec.time
        return 1 + time * max(0, math.floor((self.seconds * self.fps - 1) / time + 0.5))

    def latent_size(self, config: ModelConfig) -> tuple[int, int, int]:
        """(t, h, w) of the clip's latent."""
        codec, (height, width) = config.codec, self.size(config)
        return 1 + (self.frames(config) - 1) // codec.time, height // codec.space, width // codec.space

    def check(self, config: ModelConfig) -> None:
        """Raises ValueError, in a sentence, where the request is fine but a model of this `config` can't make it."""
        space, (height, width) = config.codec.space, self.size(config)
        if width % space or height % space:
            raise ValueError(
                f"This model makes sizes in steps of {space} pixels, so not {width}x{height}; "
                f"the nearest is {_nearest(width, space)}x{_nearest(height, space)}."
            )
        patches = (math.ceil(n / p) for n, p in zip(self.latent_size(config), config.transformer.patch, strict=True))
        tokens = math.prod(patches)
        if tokens > MAX_TOKENS:
            raise ValueError(
                f"{self.seconds:g} seconds of {width}x{height} at {self.fps:g} frames a second are "
                f"{tokens:,} tokens, and {MAX_TOKENS:,} is the most; ask for a shorter, smaller or slower clip."
            )


def _nearest(side: int, step: int) -> int:
    least, most = math.ceil(MIN_SIDE / step), MAX_SIDE // step
    return step * min(max(round(side / step), least), most)


def _check_range(name: str, value: float | int, least: int, most: int) -> None:
    if not least <= value <= most:  # false for NaN too
        raise ValueError(f"{name[:1].upper() + name[1:]} must lie between {least:,} and {most:,}, not {value:,}.")
