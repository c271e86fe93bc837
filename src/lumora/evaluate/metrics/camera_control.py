"""Does the camera do what it was asked for: the move, its side, its amount?

No caption tells an amount; what is expected is that of the real clip whose caption it is. The same instrument on real
clips, whose path the world knows, shows how far it can be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lumora.config import VideoShape
from lumora.evaluate.instruments.camera_path import MOVES, CameraPath, true_path
from lumora.evaluate.metrics.estimates import Table, estimate, mean
from lumora.evaluate.metrics.proportions import Proportion, joined
from lumora.evaluate.suites.held_out import Case
from lumora.world.facts import value_of
from lumora.world.physics import camera_path
from lumora.world.scene import CAMERA_MOVES, CameraMove


@dataclass(frozen=True)
class CameraControl:
    """By column (`model`, `real`) and move, of the prompts that tell a move."""

    moves: dict[str, dict[str, Proportion]] = field(default_factory=dict)
    """How often the move that was asked for is what is seen."""
    sides: dict[str, dict[str, Proportion]] = field(default_factory=dict)
    """How often the camera goes to the side that was asked for, however little."""
    amounts: Table = field(default_factory=dict)
    """Mean amount, as a share of the true one."""
    errors: Table = field(default_factory=dict)
    """Mean error of the amount, without its sign, as a share of the true one."""


def camera_control(
    cases: Sequence[Case], shape: VideoShape, paths: Mapping[str, Sequence[CameraPath]]
) -> CameraControl:
    """Of the paths that were found in each column's videos of these cases, which all have a scene."""
    found, times = CameraControl(), np.arange(shape.num_frames) / shape.fps
    asked = [value_of(case.stated, "camera") for case in cases]
    for name, column in paths.items():
        moves, sides, amounts, errors = {}, {}, {}, {}
        for move in CAMERA_MOVES:
            clips = [n for n, value in enumerate(asked) if value == move]
            if not clips or move == "follow":
                continue
            moves[move] = Proportion(sum(column[n].move == move for n in clips), len(clips))
            if move != "static":
                true = np.array([amount(_truth(cases[n], times), move) for n in clips])
                share = np.array([amount(column[n], move) for n in clips]) / true
                sides[move] = Proportion(int((share > 0).sum()), len(clips))
                amounts[move], errors[move] = estimate(mean, share), estimate(mean, np.abs(share - 1))
        found.moves[name] = moves | {"total": joined(moves.values())}
        found.sides[name] = sides | {"total": joined(sides.values())}
        found.amounts[name], found.errors[name] = amounts, errors
    return found


def amount(path: CameraPath, move: CameraMove) -> float:
    """How far a path goes in the way of a move, in radians or heights of the camera; negative if it goes the other way.

    An orbit may go to either side; it is one as far as the camera turns against the way that it goes."""
    if move == "orbit":
        return float(-np.sign(path.aside[-1]) * path.right[-1])
    part, sign = MOVES[move]
    return sign * float(getattr(path, part)[-1])


def _truth(case: Case, times: np.ndarray) -> CameraPath:
    assert case.scene is not None
    return true_path(*camera_path(case.scene.camera, times))
