"""Clips: the scene, what happened, pictures, facts and captions of one number; and films, which are clips in a row."""

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


@dataclass(frozen=True)
class FilmClip:
    """A film: of each shot the scene, what happened, and its facts; the pictures of all; and what can be said of it."""

    scenes: tuple[Scene, ...]
    trajectories: tuple[Trajectory, ...]
    frames: UInt8[Tensor, "t h w 3"]
    facts: tuple[tuple[Fact, ...], ...]
    scripts: dict[Length, Script]

    @property
    def cuts(self) -> tuple[int, ...]:
        """The frames at which shots begin, but for the first."""
        lengths = [len(trajectory.times) for trajectory in self.trajectories]
        return tuple(accumulate(lengths[:-1]))

    def visibility(self) -> Float[np.ndarray, "t n"]:
        """The share of each of the cast that shows in each frame."""
        aspect = self.frames.shape[2] / self.frames.shape[1]
        pairs = zip(self.scenes, self.trajectories, strict=True)
        return np.concatenate([visibility(scene, trajectory, aspect) for scene, trajectory in pairs])


def make_scene(preset: str, seed: int, index: int, shape: VideoShape) -> tuple[Scene, Trajectory]:
    """Scene `index` of a seed, moved but not yet drawn; rendering goes best in batches of these.

    Raises ValueError as `sample_scene` and `simulate` do.
    """
    seconds = (shape.num_frames - 1) / shape.fps if shape.num_frames > 1 else PICTURE_SECONDS
    scene = sample_scene(preset, seed, index, seconds, shape.width / shape.height)
    return scene, simulate(scene, shape.fps, shape.num_frames)


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
    facts = facts_of(scene, trajectory, shape.width / shape.height)
    return Clip(scene, trajectory, frames, facts, make_captions(facts, seed, index))


def has_films(preset: str) -> bool:
    """Whether clips of this preset of the world may have cuts."""
    return preset in PRESETS and len(PRESETS[preset].shots) > 1


def make_shots(preset: str, seed: int, index: int, shape: VideoShape) -> list[tuple[Scene, Trajectory]]:
    """The shots of film `index` of a seed, moved but not yet drawn. Raises ValueError as `sample_film` does."""
    shots = sample_film(preset, seed, index, shape).shots
    return [(scene, simulate(scene, shape.fps, round(scene.seconds * shape.fps))) for scene in shots]


def make_scripts(facts: tuple[tuple[Fact, ...], ...], seed: int, index: int) -> dict[Length, Script]:
    """Of film `index` of a seed at every length, each from draws of its own."""
    return {
        length: script(facts, length, np.random.default_rng([seed, index, _CAPTION_STREAM, number]))
        for number, length in enumerate(LENGTHS)
    }


def make_film(preset: str, seed: int, index: int, shape: VideoShape) -> FilmClip:
    """Film `index` of a seed, the same whatever was made before it. Raises ValueError as `sample_film` does."""
    scenes, trajectories = zip(*make_shots(preset, seed, index, shape), strict=True)
    pairs = list(zip(scenes, trajectories, strict=True))
    frames = torch.cat([render([s], [t], shape.height, shape.width).frames[0] for s, t in pairs])
    facts = tuple(facts_of(scene, trajectory, shape.width / shape.height) for scene, trajectory in pairs)
    return FilmClip(scenes, trajectories, frames, facts, make_scripts(facts, seed, index))
