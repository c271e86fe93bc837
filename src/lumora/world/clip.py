"""Clips: the scene, what happened, pictures, facts and captions of one number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from lumora.config import VideoShape
from lumora.world.caption import LENGTHS, Caption, Length, caption
from lumora.world.facts import Fact, facts_of
from lumora.world.physics import simulate
from lumora.world.render import render
from lumora.world.sample import sample_scene
from lumora.world.scene import Scene
from lumora.world.trajectory import Trajectory

PICTURE_SECONDS = 2.0
"""A picture is the beginning of a clip of this length."""
_CAPTION_STREAM = 1
"""Keeps the draws of captions apart from those of scenes."""


@dataclass(frozen=True)
class Clip:
    scene: Scene
    trajectory: Trajectory
    frames: UInt8[Tensor, "t h w 3"]
    facts: tuple[Fact, ...]
    captions: dict[Length, Caption]


def make_scene(preset: str, seed: int, index: int, shape: VideoShape) -> tuple[Scene, Trajectory]:
    """Scene `index` of a seed, moved but not yet drawn; rendering goes best in batches of these.

    Raises ValueError as `sample_scene` and `simulate` do.
    """
    seconds = (shape.frames - 1) / shape.fps if shape.frames > 1 else PICTURE_SECONDS
    scene = sample_scene(preset, seed, index, seconds, shape.width / shape.height)
    return scene, simulate(scene, shape.fps, shape.frames)


def make_captions(facts: tuple[Fact, ...], seed: int, index: int) -> dict[Length, Caption]:
    """Captions of clip `index` of a seed at every length, each from draws of its own."""
    return {
        length: caption(facts, length, np.random.default_rng([seed, index, _CAPTION_STREAM, number]))
        for number, length in enumerate(LENGTHS)
    }


def make_clip(preset: str, seed: int, index: int, shape: VideoShape) -> Clip:
    """Clip `index` of a seed, the same whatever was made before it. Raises ValueError as `make_scene` does."""
    scene, trajectory = make_scene(preset, seed, index, shape)
    frames = render([scene], [trajectory], shape.height, shape.width).frames[0]
    facts = facts_of(scene, trajectory)
    return Clip(scene, trajectory, frames, facts, make_captions(facts, seed, index))
