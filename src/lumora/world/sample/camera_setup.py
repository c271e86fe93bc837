"""Random cameras whose position is the middle of their move, so that what is in view stays in view."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lumora.world.physics.camera_motion import camera_path
from lumora.world.scene import GLANCES, Camera, CameraMove

AMOUNTS: dict[CameraMove, tuple[float, float]] = {
    "pan left": (0.3, 0.5),
    "pan right": (0.3, 0.5),
    "tilt up": (0.22, 0.36),
    "tilt down": (0.22, 0.36),
    "move in": (1.5, 2.1),
    "move out": (1.5, 2.1),
    "orbit": (0.6, 0.85),
}
"""Range of each move over two seconds, in radians or meters."""
GLANCE_ANGLES = (1.4, 1.6)
"""Range of the angle of a glance in radians, large enough that no subject is in view."""
DOLLIES: tuple[CameraMove, ...] = ("move in", "move out")
"""Moves whose amount is in meters."""
USUAL_SECONDS = 2.0


def draw_camera(
    rng: np.random.Generator, move: CameraMove, seconds: float, height: float, distance: float, near: float = 1.0
) -> Camera:
    """A camera at negative y, `distance` meters from a point near (0, 0, `height`), with this move.

    `near` < 1 scales its height, so that the horizon stays in the picture, and the distance of moves in and out.
    """
    side, rise = rng.uniform(-0.12, 0.12), near * rng.uniform(1.2, 1.8)
    target = (rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), height + rng.uniform(-0.05, 0.05))
    reach = math.sqrt(max(distance**2 - (rise - target[2]) ** 2, 1.0))
    position = (target[0] + reach * math.sin(side), target[1] - reach * math.cos(side), rise)
    return with_move(rng, Camera(position, target), move, seconds, near)


def with_move(rng: np.random.Generator, middle: Camera, move: CameraMove, seconds: float, near: float = 1.0) -> Camera:
    """The camera with this move that is at `middle` half way. Longer clips have longer but slower moves."""
    if move in GLANCES:
        reach = rng.uniform(*GLANCE_ANGLES)
        return replace(middle, move=move, reach=reach, speed=2 * reach / max(seconds, 1e-6))
    if move not in AMOUNTS:
        return replace(middle, move=move)
    least, most = (amount * (near if move in DOLLIES else 1.0) for amount in AMOUNTS[move])
    speed = rng.uniform(least, most) / USUAL_SECONDS * math.sqrt(USUAL_SECONDS / max(seconds, USUAL_SECONDS))
    if move != "orbit":
        speed = min(speed, most / max(seconds, 1e-6))
    elif rng.random() < 0.5:
        speed = -speed
    camera = replace(middle, move=move, speed=speed)
    positions, targets = camera_path(camera, np.array([-seconds / 2]))
    x, y, z = positions[0].tolist()
    # A low camera that moves back must stay above the ground.
    return replace(camera, position=(x, y, max(z, 0.5)), target=tuple(targets[0].tolist()))


def moved_camera(camera: Camera, turn: float, farther: float) -> Camera:
    """The camera and its move rotated by `turn` radians about the z axis, at `farther` times the distance."""
    cos, sin = math.cos(turn), math.sin(turn)

    def rotated(x: float, y: float) -> tuple[float, float]:
        return cos * x - sin * y, sin * x + cos * y

    (tx, ty, tz), position = camera.target, camera.position
    x, y, z = (t + farther * (p - t) for p, t in zip(position, camera.target, strict=True))
    return replace(camera, position=(*rotated(x, y), max(z, 0.5)), target=(*rotated(tx, ty), tz))
