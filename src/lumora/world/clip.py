"""Clips and films of the world: scenes, trajectories, frames, facts and captions of one index.

A film is a clip of several shots with hard cuts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lumora.config import VideoShape
from lumora.world.caption import LENGTHS, Caption, Length, caption
from lumora.world.facts import Fact, facts_of
from lumora.world.physics import simulate
from lumora.world.render import render
from lumora.world.sample import PRESETS, sample_scene
from lumora.world.sample.multi_shot_scenes import sample_film
from lumora.world.scene import Scene
from lumora.world.script import Script, script
from lumora.world.trajectory import Trajectory
from lumora.world.visibility import visibility

PICTURE_SECONDS = 2.0
"""Length of the clip of which a still image is the first frame."""
_CAPTION_STREAM = 1
"""Number of the random stream of captions, which differs from that of scenes."""


@dataclass(frozen=True)
class Clip:
    scene: Scene
    trajectory: Trajectory
    frames: UInt8[Tensor, "t h w 3"]
    facts: tuple[Fact, ...]
    captions: dict[Length, Caption]


@dataclass(frozen=True)
class FilmClip:
    """A film: scene, trajectory and facts of each shot, all frames, and captions."""

    scenes: tuple[Scene, ...]
    trajectories: tuple[Trajectory, ...]
    frames: UInt8[Tensor, "t h w 3"]
    facts: tuple[tuple[Fact, ...], ...]
    scripts: dict[Length, Script]

    @property
    def cuts(self) -> tuple[int, ...]:
        """The first frame of each shot except the first one."""
        lengths = [len(trajectory.times) for trajectory in self.trajectories]
        return tuple(accumulate(lengths[:-1]))

    def visibility(self) -> Float[np.ndarray, "t n"]:
        """The visible share of each subject in each frame."""
        aspect = self.frames.shape[2] / self.frames.shape[1]
        pairs = zip(self.scenes, self.trajectories, strict=True)
        return np.concatenate([visibility(scene, trajectory, aspect) for scene, trajectory in pairs])


def make_scene(preset: str, seed: int, index: int, shape: VideoShape) -> tuple[Scene, Trajectory]:
    """Scene `index` of a seed and its trajectory, not rendered, so that callers can render in batches.

    Raises ValueError as `sample_scene` and `simulate` do.
    """
    seconds = (shape.num_frames - 1) / shape.fps if shape.num_frames > 1 else PICTURE_SECONDS
    scene = sample_scene(preset, seed, index, seconds, shape.width / shape.height)
    return scene, simulate(scene, shape.fps, shape.num_frames)


def make_captions(facts: tuple[Fact, ...], seed: int, index: int) -> dict[Length, Caption]:
    """Captions of clip `index` of a seed, one of each length, each with its own random stream."""
    return {
        length: caption(facts, length, np.random.default_rng([seed, index, _CAPTION_STREAM, number]))
        for number, length in enumerate(LENGTHS)
    }


def make_clip(preset: str, seed: int, index: int, shape: VideoShape) -> Clip:
    """Clip `index` of a seed, which depends on no other clip. Raises ValueError as `make_scene` does."""
    scene, trajectory = make_scene(preset, seed, index, shape)
    frames = render([scene], [trajectory], shape.height, shape.width).frames[0]
    facts = facts_of(scene, trajectory, shape.width / shape.height)
    return Clip(scene, trajectory, frames, facts, make_captions(facts, seed, index))


def has_films(preset: str) -> bool:
    """Whether clips of this preset can have several shots."""
    return preset in PRESETS and len(PRESETS[preset].shots) > 1


def make_shots(preset: str, seed: int, index: int, shape: VideoShape) -> list[tuple[Scene, Trajectory]]:
    """Scene and trajectory of each shot of film `index` of a seed. Raises ValueError as `sample_film` does."""
    shots = sample_film(preset, seed, index, shape).shots
    return [(scene, simulate(scene, shape.fps, round(scene.seconds * shape.fps))) for scene in shots]


def make_scripts(facts: tuple[tuple[Fact, ...], ...], seed: int, index: int) -> dict[Length, Script]:
    """Captions of film `index` of a seed, one of each length, each with its own random stream."""
    return {
        length: script(facts, length, np.random.default_rng([seed, index, _CAPTION_STREAM, number]))
        for number, length in enumerate(LENGTHS)
    }


def make_film(preset: str, seed: int, index: int, shape: VideoShape) -> FilmClip:
    """Film `index` of a seed, which depends on no other film. Raises ValueError as `sample_film` does."""
    scenes, trajectories = zip(*make_shots(preset, seed, index, shape), strict=True)
    pairs = list(zip(scenes, trajectories, strict=True))
    frames = torch.cat([render([s], [t], shape.height, shape.width).frames[0] for s, t in pairs])
    facts = tuple(facts_of(scene, trajectory, shape.width / shape.height) for scene, trajectory in pairs)
    return FilmClip(scenes, trajectories, frames, facts, make_scripts(facts, seed, index))
