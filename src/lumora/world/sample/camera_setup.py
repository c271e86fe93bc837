"""The camera: a place to stand, and a move whose middle is that place, so that what is in view stays in view."""

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
"""Of a move over the usual two seconds: radians, or metres."""
REACH = (1.4, 1.6)
"""Of a glance, in radians: even from a wide picture all are gone."""
DOLLIES: tuple[CameraMove, ...] = ("move in", "move out")
"""Those in metres."""
USUAL_SECONDS = 2.0


def draw_camera(
    rng: np.random.Generator, move: CameraMove, seconds: float, height: float, distance: float, near: float = 1.0
) -> Camera:
    """A camera on the near side, `distance` metres from a point near (0, 0, `height`), that makes `move` in a clip.

    `near` < 1 is lower over the ground, so that the horizon stays in the picture, and goes as much less far in or out.
    """
    side, rise = rng.uniform(-0.12, 0.12), near * rng.uniform(1.2, 1.8)
    target = (rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), height + rng.uniform(-0.05, 0.05))
    reach = math.sqrt(max(distance**2 - (rise - target[2]) ** 2, 1.0))
    position = (target[0] + reach * math.sin(side), target[1] - reach * math.cos(side), rise)
    return moved(rng, Camera(position, target), move, seconds, near)


def moved(rng: np.random.Generator, middle: Camera, move: CameraMove, seconds: float, near: float = 1.0) -> Camera:
    """The camera that passes `middle` half way through its move. Long clips have longer moves, but slower ones."""
    if move in GLANCES:
        reach = rng.uniform(*REACH)
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
    # Backing off from a low camera must not end in the ground.
    return replace(camera, position=(x, y, max(z, 0.5)), target=tuple(targets[0].tolist()))


def seen_from(camera: Camera, turn: float, farther: float) -> Camera:
    """The camera, moves and all, turned by `turn` radians around the middle of the stage and so much farther off."""
    cos, sin = math.cos(turn), math.sin(turn)

    def turned(x: float, y: float) -> tuple[float, float]:
        return cos * x - sin * y, sin * x + cos * y

    (tx, ty, tz), position = camera.target, camera.position
    x, y, z = (t + farther * (p - t) for p, t in zip(position, camera.target, strict=True))
    return replace(camera, position=(*turned(x, y), max(z, 0.5)), target=(*turned(tx, ty), tz))
