"""Position and target of the camera in each frame."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from lumora.world.scene import Camera

_UP = np.array([0.0, 0.0, 1.0])


def camera_path(
    camera: Camera, times: Float[np.ndarray, " t"], followed: Float[np.ndarray, "t 3"] | None = None
) -> tuple[Float[np.ndarray, "t 3"], Float[np.ndarray, "t 3"]]:
    """Positions and targets at `times` in seconds; `followed` has the centers of the subject that a camera follows.

    Raises ValueError if the camera follows and `followed` is None.
    """
    position, target = np.array(camera.position), np.array(camera.target)
    view = target - position
    still = np.zeros((len(times), 1))
    amount = camera.speed * times
    match camera.move:
        case "static":
            return position + still, target + still
        case "pan left" | "pan right":
            turn = amount if camera.move == "pan left" else -amount
            return position + still, position + _rotated(view, _UP, turn)
        case "glance left" | "glance right":
            # Turns away and back smoothly with mean angular velocity `speed`, then stays.
            phase = np.minimum(amount / (2 * max(camera.reach, 1e-9)), 1.0)
            turn = camera.reach * np.sin(np.pi * phase) ** 2
            return position + still, position + _rotated(view, _UP, turn if camera.move == "glance left" else -turn)
        case "tilt up" | "tilt down":
            side = np.array([view[1], -view[0], 0.0])
            turn = amount if camera.move == "tilt up" else -amount
            return position + still, position + _rotated(view, side / np.linalg.norm(side), turn)
        case "move in" | "move out":
            step = amount if camera.move == "move in" else -amount
            shift = step[:, None] * view / np.linalg.norm(view)
            # The target moves too, so that the camera never reaches it.
            return position + shift, target + shift
        case "orbit":
            return target - _rotated(view, _UP, amount), target + still
        case "follow":
            if followed is None:
                raise ValueError("A following camera needs the path of the subject that it follows.")
            # Vertical motion is ignored: a camera that moves up and down with its subject would hide that it jumps.
            shift = (followed - followed[:1]) * np.array([1.0, 1.0, 0.0])
            return position + shift, target + shift


def _rotated(
    vector: Float[np.ndarray, " 3"], axis: Float[np.ndarray, " 3"], angles: Float[np.ndarray, " t"]
) -> Float[np.ndarray, "t 3"]:
    """`vector` rotated counterclockwise about the unit `axis` (Rodrigues' formula)."""
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    return cos * vector + sin * np.cross(axis, vector) + (1 - cos) * axis * (axis @ vector)
