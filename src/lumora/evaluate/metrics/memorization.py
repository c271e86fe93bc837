"""Memorization: are videos nearer to clips of the training set than to unseen clips?

Each clip of a seed can be rendered alone, so the training set is not needed: among the first scenes of the training
seed, the one that fits each prompt best is rendered again. Scenes of an unseen seed that fit as well give the expected
distance to a clip that was not memorized (after Meehan, Chaudhuri and Dasgupta, "A non-parametric test to detect
data-copying in generative models", arXiv:2004.05675).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lumora.config import VideoShape
from lumora.evaluate.evaluation_data import EvaluationData, timed
from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.features import ClipFeatures, clip_features
from lumora.evaluate.metric import MetricResult
from lumora.evaluate.metrics.estimates import Estimate, estimate, mean, ratio
from lumora.evaluate.metrics.image_quality import layout_distances
from lumora.evaluate.metrics.metric_table import MetricTable
from lumora.evaluate.metrics.proportions import Proportion
from lumora.evaluate.suites.held_out import HELD_OUT_SEED
from lumora.parallel import run_jobs
from lumora.world.clip import make_scene
from lumora.world.render import render
from lumora.world.sample import held_out, sample_scene
from lumora.world.scene import Scene

TRAINING_SEED, UNSEEN_SEED = 0, HELD_OUT_SEED + 1
NUM_SCENES = 1_000
"""Scenes of each seed that are searched."""


@dataclass(frozen=True)
class Memorization:
    """Distances of videos to clips of the training set."""

    distance: dict[str, Estimate]
    """Of `generated` and `real` clips to the nearest training clip; `ratio` is the first over the second."""
    nearer: dict[str, Proportion]
    """How many are nearer to a training clip than to any unseen one: about half if nothing is memorized."""


def memorization(data: EvaluationData) -> MetricResult:
    """Of the first videos."""
    scenes = [case.scene for case in data.cases[: data.plan.memorization] if case.scene is not None]
    with timed("searching the training set", 2 * len(scenes)):
        clips = similar_clips(data.plan.preset, scenes, data.shape, data.workers)
    training, unseen = (clip_features(data.probe, some) for some in clips)
    count = len(scenes)
    found = compare_with_training(data.features[:count], data.real_features[:count], training, unseen)
    return MetricResult(
        (
            MetricTable(
                "Distance to the nearest training clip",
                "In clip features; real clips are held out. A ratio far below 1 means memorization.",
                {"distance": found.distance},
            ),
            MetricTable(
                "Videos nearer to a training clip than to any unseen one",
                "About half if nothing is memorized.",
                {"nearer": found.nearer},
            ),
        )
    )


def compare_with_training(
    generated: ClipFeatures, real: ClipFeatures, training: ClipFeatures, unseen: ClipFeatures
) -> Memorization:
    """Compares videos and real clips of the same prompts with equal numbers of training clips and unseen clips."""
    clips = {"generated": generated, "real": real}
    to_training = {name: layout_distances(features, training).min(axis=1) for name, features in clips.items()}
    to_unseen = {name: layout_distances(features, unseen).min(axis=1) for name, features in clips.items()}
    distance = {name: estimate(mean, values) for name, values in to_training.items()}
    distance["ratio"] = estimate(ratio, to_training["generated"], to_training["real"])
    nearer = {n: Proportion(int((to_training[n] < to_unseen[n]).sum()), len(to_unseen[n])) for n in clips}
    return Memorization(distance, nearer)


@dataclass(frozen=True)
class _SceneSearch:
    preset: str
    scenes: Sequence[Scene]
    shape: VideoShape
    seed: int


def similar_clips(preset: str, scenes: Sequence[Scene], shape: VideoShape, workers: int = 0) -> list[list[Frames]]:
    """For each scene the most similar training clip, rendered again; and the most similar unseen clip."""
    searches = [_SceneSearch(preset, scenes, shape, seed) for seed in (TRAINING_SEED, UNSEEN_SEED)]
    return run_jobs(_render_similar, searches, min(workers, 2), lambda search: len(search.scenes))


def _render_similar(search: _SceneSearch) -> list[Frames]:
    preset, shape, seed = search.preset, search.shape, search.seed
    seconds, aspect = (shape.num_frames - 1) / shape.fps, shape.width / shape.height
    scenes = [(i, sample_scene(preset, seed, i, seconds, aspect)) for i in range(NUM_SCENES)]
    # Held-out combinations are never in the training set, so they are left out of both seeds.
    candidates = [(index, _traits(scene)) for index, scene in scenes if not any(map(held_out, scene.subjects))]
    clips = []
    for wanted in map(_traits, search.scenes):
        index, _ = max(candidates, key=lambda item: len(item[1] & wanted) - 0.1 * len(item[1] - wanted))
        scene, trajectory = make_scene(preset, seed, index, shape)
        clips.append(render([scene], [trajectory], shape.height, shape.width).frames[0].numpy())
    return clips


def _traits(scene: Scene) -> frozenset[tuple[str, ...]]:
    """Properties that make scenes similar."""
    subjects = [(s.kind, s.color, s.motion.verb, str(s.motion.direction)) for s in scene.subjects]
    pairs = [(a, b) for subject in subjects for n, a in enumerate(subject) for b in subject[n + 1 :]]
    return frozenset([("place", scene.place), ("light", scene.light), ("camera", scene.camera.move), *subjects, *pairs])
