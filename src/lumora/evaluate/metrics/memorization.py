"""Does a model make videos, or does it remember them? Its videos are held against clips that it was trained on.

Clip n of a seed can be made alone, so nobody needs the training set: of the first scenes of the training seed, the one
that fits each prompt best is made again. As many that fit as well, of a seed that no training has seen, say how near
an unseen clip is (after Meehan, Chaudhuri and Dasgupta, "A non-parametric test to detect data-copying in generative
models", arXiv:2004.05675).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from lumora.config import VideoShape
from lumora.evaluate.instruments.features import Features
from lumora.evaluate.metrics.estimates import Estimate, estimate, mean, ratio
from lumora.evaluate.metrics.image_quality import distances
from lumora.evaluate.metrics.proportions import Proportion
from lumora.evaluate.suites.held_out import HELD_OUT_SEED
from lumora.parallel import run_jobs
from lumora.world.clip import make_scene
from lumora.world.render import render
from lumora.world.sample import held_out, sample_scene
from lumora.world.scene import Scene

TRAINING_SEED, UNSEEN_SEED = 0, HELD_OUT_SEED + 1
SEARCHED = 1_000
"""Scenes of each seed among which one is looked for."""


@dataclass(frozen=True)
class Memorization:
    """How near videos are to clips that the model was trained on."""

    distance: dict[str, Estimate]
    """Of `model` and `real` clips to the nearest training clip; `ratio` is the first over the second."""
    nearer: dict[str, Proportion]
    """How many are nearer to a training clip than to any unseen one: half of them, where nothing is copied."""


def memorization(made: Features, real: Features, trained: Features, unseen: Features) -> Memorization:
    """Of videos and real clips of the same prompts, and of as many training clips as unseen ones."""
    nearest = {name: distances(clips, trained).min(axis=1) for name, clips in (("model", made), ("real", real))}
    other = {name: distances(clips, unseen).min(axis=1) for name, clips in (("model", made), ("real", real))}
    figures = {name: estimate(mean, values) for name, values in nearest.items()}
    figures["ratio"] = estimate(ratio, nearest["model"], nearest["real"])
    return Memorization(figures, {n: Proportion(int((nearest[n] < other[n]).sum()), len(other[n])) for n in other})


@dataclass(frozen=True)
class _Search:
    preset: str
    scenes: Sequence[Scene]
    shape: VideoShape
    seed: int


def alike_clips(
    preset: str, scenes: Sequence[Scene], shape: VideoShape, workers: int = 0
) -> list[list[UInt8[np.ndarray, "t h w 3"]]]:
    """For each scene the training clip that is most like it, drawn anew; and as many of the unseen ones."""
    searches = [_Search(preset, scenes, shape, seed) for seed in (TRAINING_SEED, UNSEEN_SEED)]
    return run_jobs(_draw_alike, searches, min(workers, 2), lambda search: len(search.scenes))


def _draw_alike(search: _Search) -> list[UInt8[np.ndarray, "t h w 3"]]:
    preset, shape, seed = search.preset, search.shape, search.seed
    seconds, aspect = (shape.num_frames - 1) / shape.fps, shape.width / shape.height
    found = [(i, sample_scene(preset, seed, i, seconds, aspect)) for i in range(SEARCHED)]
    # Trainings leave some combinations out: those would tell the seeds apart.
    known = [(index, _traits(scene)) for index, scene in found if not any(map(held_out, scene.subjects))]
    clips = []
    for wanted in map(_traits, search.scenes):
        index, _ = max(known, key=lambda item: len(item[1] & wanted) - 0.1 * len(item[1] - wanted))
        scene, trajectory = make_scene(preset, seed, index, shape)
        clips.append(render([scene], [trajectory], shape.height, shape.width).frames[0].numpy())
    return clips


def _traits(scene: Scene) -> frozenset[tuple[str, ...]]:
    """What makes scenes look alike."""
    things = [(s.kind, s.color, s.motion.verb, str(s.motion.direction)) for s in scene.subjects]
    pairs = [(a, b) for thing in things for n, a in enumerate(thing) for b in thing[n + 1 :]]
    return frozenset([("place", scene.place), ("light", scene.light), ("camera", scene.camera.move), *things, *pairs])
