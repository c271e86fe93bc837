"""Camera control: does the camera make the move that the prompt states, to the right side, by the right amount?

Captions state no amounts; the expected amount is that of the real clip of the same prompt. The same estimate on real
clips, whose true path is known, shows the error of the instrument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lumora.config import VideoShape
from lumora.evaluate.evaluation_data import EvaluationData
from lumora.evaluate.instruments.camera_path import MOVES, CameraPath, true_path
from lumora.evaluate.metric import MetricResult
from lumora.evaluate.metrics.estimates import EstimateColumns, estimate, mean
from lumora.evaluate.metrics.metric_table import MetricTable
from lumora.evaluate.metrics.proportions import Proportion, ProportionColumns, pooled
from lumora.evaluate.suites.held_out import EvaluationCase
from lumora.world.facts import value_of
from lumora.world.physics import camera_path
from lumora.world.scene import CAMERA_MOVES, CameraMove


@dataclass(frozen=True)
class CameraControl:
    """Figures by column and move, of the prompts that state a move."""

    moves: ProportionColumns = field(default_factory=dict)
    """How often the stated move is seen."""
    sides: ProportionColumns = field(default_factory=dict)
    """How often the camera moves to the stated side, by any amount."""
    amounts: EstimateColumns = field(default_factory=dict)
    """Mean amount over the true one."""
    errors: EstimateColumns = field(default_factory=dict)
    """Mean absolute error of the amount over the true one."""


def camera_control(data: EvaluationData) -> MetricResult:
    paths = {
        "generated": [reading.path for reading in data.color_readings],
        "real clips": [reading.path for reading in data.real_color_readings],
    }
    found = compare_camera_paths(data.cases, data.shape, paths)
    if not found.moves["generated"]["total"].count:
        return MetricResult(())
    return MetricResult(
        (
            MetricTable(
                "Camera moves as requested",
                "How often the camera path, estimated from the pixels, is the move that the prompt states.",
                found.moves,
            ),
            MetricTable(
                "Camera moves to the requested side", "How often it goes to that side, by any amount.", found.sides
            ),
            MetricTable("Amount of the camera move", "The amount over that of the real clip.", found.amounts),
            MetricTable("Error of the amount", "The absolute error over the amount of the real clip.", found.errors),
        )
    )


def compare_camera_paths(
    cases: Sequence[EvaluationCase], shape: VideoShape, paths: Mapping[str, Sequence[CameraPath]]
) -> CameraControl:
    """Compares the estimated paths of each column's videos with the scenes of the cases."""
    found, times = CameraControl(), np.arange(shape.num_frames) / shape.fps
    stated = [value_of(case.stated, "camera") for case in cases]
    for name, column in paths.items():
        moves, sides, amounts, errors = {}, {}, {}, {}
        for move in CAMERA_MOVES:
            clips = [n for n, value in enumerate(stated) if value == move]
            if not clips or move == "follow":
                continue
            moves[move] = Proportion(sum(column[n].move == move for n in clips), len(clips))
            if move != "static":
                true = np.array([move_amount(_true_path(cases[n], times), move) for n in clips])
                relative = np.array([move_amount(column[n], move) for n in clips]) / true
                sides[move] = Proportion(int((relative > 0).sum()), len(clips))
                amounts[move], errors[move] = estimate(mean, relative), estimate(mean, np.abs(relative - 1))
        found.moves[name] = moves | {"total": pooled(moves.values())}
        found.sides[name] = sides | {"total": pooled(sides.values())}
        found.amounts[name], found.errors[name] = amounts, errors
    return found


def move_amount(path: CameraPath, move: CameraMove) -> float:
    """The amount of a move in a path, in radians or camera heights; negative if the camera moves the other way.

    An orbit may go to either side; its amount is the rotation against the direction of the translation."""
    if move == "orbit":
        return float(-np.sign(path.aside[-1]) * path.right[-1])
    component, sign = MOVES[move]
    return sign * float(getattr(path, component)[-1])


def _true_path(case: EvaluationCase, times: np.ndarray) -> CameraPath:
    assert case.scene is not None
    return true_path(*camera_path(case.scene.camera, times))
