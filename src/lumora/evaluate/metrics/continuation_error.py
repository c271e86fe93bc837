"""Physics: the model continues real clips, and the result is compared with what really happens.

The simulator's own continuation is the truth. Objects are followed by the color tracker; its error on the real clip is
the floor, and two rules without physics are baselines: the object stays where it is, or moves on at constant velocity
(after "How far is video generation from world model", arXiv:2411.02385).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lumora.evaluate.evaluation_data import EvaluationData
from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.color_tables import ColorTables
from lumora.evaluate.instruments.color_tracker import track_colors
from lumora.evaluate.metric import MetricResult
from lumora.evaluate.metrics.collisions import CollisionClip, held_out_collisions, momentum_errors
from lumora.evaluate.metrics.estimates import Estimate, EstimateColumns, estimate, mean
from lumora.evaluate.metrics.kinematics import Path2D, kinematic_errors
from lumora.evaluate.metrics.metric_table import Curve, MetricTable, Plot
from lumora.evaluate.metrics.proportions import Proportion, pooled
from lumora.evaluate.sampling import continuation_request, given_frames
from lumora.evaluate.suites.continuations import DOMAINS, ContinuationClip, Domain, held_out_continuations
from lumora.world.scene import Verb


@dataclass(frozen=True)
class PositionError:
    """Distance from the true position in each frame after the given ones."""

    seconds: Float[np.ndarray, " t"]
    """Since the last given frame."""
    distance: tuple[Estimate, ...]
    """Mean distance in frame widths, of the clips in which the object is found."""
    found: tuple[Proportion, ...]
    """The clips in which the object is found, of those in which it is in sight."""


@dataclass(frozen=True)
class ContinuationErrors:
    """Errors of continued clips."""

    positions: dict[str, PositionError]
    """`generated`, `floor` (the tracker on real clips), `static` and `constant velocity`, in the usual domain."""
    kinematics: dict[Domain, EstimateColumns]
    """Errors of position, velocity, landing time and bounce height in each domain."""
    momentum: EstimateColumns
    """Errors of the momentum around a collision; empty if the world has no collisions."""


def continuation_error(data: EvaluationData) -> MetricResult:
    errors = measure_continuations(data)
    if errors is None:
        return MetricResult(())
    tables = [_position_table(errors.positions), _found_table(errors.positions)]
    tables += [
        MetricTable(
            f"Errors of motion, {domain} clips",
            "Position in frame widths, velocity in frame widths per second, landing time in seconds, bounce height in "
            "frame heights; the floor is the instrument's own error.",
            columns,
        )
        for domain, columns in errors.kinematics.items()
    ]
    if errors.momentum:
        tables.append(
            MetricTable(
                "Error of momentum around a collision",
                "Error of the momentum of both objects together, over the true one before they meet.",
                errors.momentum,
            )
        )
    return MetricResult(tuple(tables))


def measure_continuations(data: EvaluationData) -> ContinuationErrors | None:
    """Continues `plan.physics` held-out clips of the usual domain, and a quarter of that in each other domain and of
    collisions.

    None for a model whose clips are no longer than what is given.
    """
    shape, plan = data.shape, data.plan
    given = given_frames(data.config.codec.temporal_compression)
    if shape.num_frames <= given:
        return None
    quarter = max(1, plan.physics // 4)
    clips: dict[Domain, list[ContinuationClip]] = {
        domain: held_out_continuations(plan.preset, plan.physics if domain == "usual" else quarter, shape, domain)
        for domain in DOMAINS
    }
    collisions = held_out_collisions(plan.preset, quarter, shape, given)
    requests = [
        continuation_request(clip.prompt, clip.frames, data.config, seed, plan.steps, plan.guidance_scale)
        for some in (*clips.values(), collisions)
        for seed, clip in enumerate(some)
    ]
    videos = iter(data.make_videos(requests))
    videos_by_domain = {domain: [next(videos) for _ in some] for domain, some in clips.items()}
    tables = data.color_tables
    return ContinuationErrors(
        position_errors(tables, clips["usual"], videos_by_domain["usual"], given, shape.fps),
        {d: _kinematics(tables, some, videos_by_domain[d], given, shape.fps) for d, some in clips.items()},
        _momentum(tables, collisions, [next(videos) for _ in collisions]),
    )


def position_errors(
    tables: ColorTables, clips: Sequence[ContinuationClip], videos: Sequence[Frames], given: int, fps: float
) -> dict[str, PositionError]:
    truths = [clip.positions for clip in clips]
    paths = {
        "generated": _tracked_paths(tables, clips, videos),
        "floor": _tracked_paths(tables, clips, [clip.frames for clip in clips]),
        "static": [static_path(truth, given) for truth in truths],
        "constant velocity": [constant_velocity_path(truth, given) for truth in truths],
    }
    return {name: position_error(some, truths, given, fps) for name, some in paths.items()}


def position_error(paths: Sequence[Path2D], truths: Sequence[Path2D], given: int, fps: float) -> PositionError:
    """The distance of paths from the true ones, frame by frame, after the given frames."""
    distance = np.linalg.norm(np.stack(paths) - np.stack(truths), axis=-1)[:, given:]
    visible = ~np.isnan(np.stack(truths)[:, given:, 0])
    found = visible & ~np.isnan(distance)
    frames = range(distance.shape[1])
    return PositionError(
        (1 + np.arange(len(frames))) / fps,
        tuple(estimate(mean, distance[found[:, t], t]) for t in frames),
        tuple(Proportion(int(found[:, t].sum()), int(visible[:, t].sum())) for t in frames),
    )


def static_path(truth: Path2D, given: int) -> Path2D:
    """The path of an object that stays where it was last seen in the given frames."""
    known = truth[:given][~np.isnan(truth[:given, 0])]
    return np.concatenate([truth[:given], np.repeat(known[-1:], len(truth) - given, axis=0)])


def constant_velocity_path(truth: Path2D, given: int) -> Path2D:
    """The path of an object that keeps its velocity between the last two given frames in which it is seen."""
    known = np.flatnonzero(~np.isnan(truth[:given, 0]))
    last, before = known[-1], known[-2]
    velocity = (truth[last] - truth[before]) / (last - before)
    steps = np.arange(given, len(truth))[:, None] - last
    return np.concatenate([truth[:given], truth[last] + steps * velocity])


def _tracked_paths(tables: ColorTables, clips: Sequence[ContinuationClip], videos: Sequence[Frames]) -> list[Path2D]:
    """Where the color tracker finds the moving object of each clip."""
    pairs = zip(videos, clips, strict=True)
    return [track_colors(tables, frames).tracks[clip.color].centers for frames, clip in pairs]


def _kinematics(
    tables: ColorTables, clips: Sequence[ContinuationClip], videos: Sequence[Frames], given: int, fps: float
) -> EstimateColumns:
    generated = _tracked_paths(tables, clips, videos)
    floor = _tracked_paths(tables, clips, [clip.frames for clip in clips])
    verbs: list[Verb] = [clip.verb for clip in clips]
    return kinematic_errors(generated, floor, [clip.positions for clip in clips], verbs, given, fps)


def _momentum(tables: ColorTables, clips: Sequence[CollisionClip], videos: Sequence[Frames]) -> EstimateColumns:
    if not clips:
        return {}
    generated = [track_colors(tables, frames).tracks for frames in videos]
    floor = [track_colors(tables, clip.frames).tracks for clip in clips]
    return momentum_errors(clips, generated, floor)


def _position_table(errors: dict[str, PositionError]) -> MetricTable:
    curves = [
        Curve(
            name,
            error.seconds.tolist(),
            [figure.value for figure in error.distance],
            [figure.low for figure in error.distance],
            [figure.high for figure in error.distance],
        )
        for name, error in errors.items()
    ]
    return MetricTable(
        "Distance from the true position",
        "Mean distance of the moving object from its true position, in frame widths, after the last given frame. The "
        "floor is the tracker's error on the real clips; the other columns are baselines without physics.",
        {
            name: {f"{s:.3f} s": figure for s, figure in zip(error.seconds, error.distance, strict=True)}
            for name, error in errors.items()
        },
        plot=Plot("seconds after the last given frame", "distance in frame widths", curves),
    )


def _found_table(errors: dict[str, PositionError]) -> MetricTable:
    return MetricTable(
        "Moving object found",
        "Frames in which the object is found, of those in which it should be in sight.",
        {name: {"found": pooled(error.found)} for name, error in errors.items()},
    )
