"""Faces whose emotions are distinguishable on a head of 12 pixels.

u points to the right of the picture and v up on the front of the head, both from about −1 to 1. Features are few and
large; edges are antialiased over the width of a pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lumora.world.scene import EMOTIONS

# One column for each of EMOTIONS (happy, sad, angry, surprised).
_EYE_WIDTH = (0.21, 0.20, 0.22, 0.27)
_EYE_HEIGHT = (0.28, 0.24, 0.21, 0.37)
_PUPIL = (0.13, 0.12, 0.12, 0.11)
_GAZE = (0.02, -0.07, -0.05, 0.02)
_BROW_INNER = (0.66, 0.74, 0.30, 0.86)
_BROW_OUTER = (0.64, 0.44, 0.72, 0.80)
_BROW_ARCH = (0.16, 0.0, 0.0, 0.14)
_EYE_X, _EYE_Y = 0.40, 0.20
NEUTRAL = EMOTIONS.index("happy")
"""Emotion of the faces of characters without one."""


def draw(skin: Tensor, u: Tensor, v: Tensor, w: Tensor, emotion: Tensor, front: Tensor, mouth: bool = True) -> Tensor:
    """`skin` (3, J) with a face painted over it where `front` (J,); characters with a bill have no mouth."""
    ink = torch.where(skin.amax(0) < 0.16, 0.75, 0.008).expand_as(skin)  # Light lines on a dark face.
    a = u.abs()
    on = front.to(u.dtype)
    look = {name: torch.tensor(row, device=u.device)[emotion] for name, row in _LOOK.items()}

    eye = (a - _EYE_X, v - _EYE_Y)
    rim = 0.6 * _ellipse(*eye, look["wide"] + 0.07, look["tall"] + 0.07, w)  # Makes white eyes visible on white skin.
    color = _over(skin, _tone(skin, 0.02, 0.02, 0.03), on * rim)
    color = _over(color, _tone(skin, 0.93, 0.94, 0.96), on * _ellipse(*eye, look["wide"], look["tall"], w))
    pupil = _ellipse(a - _EYE_X + 0.03, v - _EYE_Y - look["gaze"], look["pupil"], 1.2 * look["pupil"], w)
    color = _over(color, _tone(skin, 0.01, 0.01, 0.015), on * pupil)
    slant = (a - 0.40) / 0.26
    brow_height = (
        0.5 * (look["inner"] + look["outer"])
        + 0.5 * slant * (look["outer"] - look["inner"])
        + look["arch"] * (0.5 - slant * slant)
    )
    brow = torch.maximum((v - brow_height).abs() - 0.075, (a - 0.40).abs() - 0.28)
    color = _over(color, ink, on * _cover(brow, w))
    tear = _ellipse(u - 0.50, v + 0.26, 0.11, 0.22, w) * (emotion == EMOTIONS.index("sad"))
    color = _over(color, _tone(color, 0.10, 0.45, 0.90), on * tear)
    return _mouth(color, ink, u, v, w, emotion, on) if mouth else color


def _mouth(color: Tensor, ink: Tensor, u: Tensor, v: Tensor, w: Tensor, emotion: Tensor, on: Tensor) -> Tensor:
    def only(name: str) -> Tensor:
        return on * (emotion == EMOTIONS.index(name))

    lips = _tone(color, 0.30, 0.01, 0.02)
    grin = _ellipse(u, v + 0.24, 0.48, 0.50, w) * _cover(v + 0.24, w)
    color = _over(color, lips, only("happy") * grin)
    color = _over(color, _tone(color, 0.95, 0.95, 0.95), only("happy") * grin * _cover(-0.38 - v, w))

    arch = _cover(_radial(u, v + 0.80, 0.36, 0.34).sub(1).abs().mul(0.34) - 0.075, w) * _cover(-0.74 - v, w)
    color = _over(color, ink, only("sad") * arch)

    snarl = torch.maximum(u.abs() - 0.42, (v + 0.54).abs() - 0.21)
    teeth = _cover(snarl + 0.11, w)
    gaps = _cover(((u * 4).frac().abs() - 0.5).abs() / 4 - 0.02, w) * (1 - w / 0.08).clamp(min=0)
    color = _over(color, _tone(color, 0.03, 0.003, 0.003), only("angry") * _cover(snarl, w))
    color = _over(color, _tone(color, 0.95, 0.95, 0.92), only("angry") * teeth * (1 - 0.7 * gaps))

    gasp = _ellipse(u, v + 0.54, 0.23, 0.31, w)
    return _over(color, lips * 0.5, only("surprised") * gasp)


_LOOK = {
    "wide": _EYE_WIDTH, "tall": _EYE_HEIGHT, "pupil": _PUPIL, "gaze": _GAZE, "inner": _BROW_INNER, "outer": _BROW_OUTER,
    "arch": _BROW_ARCH,
}  # fmt: skip


def _tone(like: Tensor, red: float, green: float, blue: float) -> Tensor:
    return like.new_tensor([red, green, blue]).view(3, 1)


def _over(below: Tensor, above: Tensor, share: Tensor) -> Tensor:
    return below + (above - below) * share


def _cover(distance: Tensor, w: Tensor) -> Tensor:
    return (0.5 - distance / w).clamp(0, 1)


def _radial(x: Tensor, y: Tensor, width: Tensor | float, height: Tensor | float) -> Tensor:
    return ((x / width).square() + (y / height).square()).sqrt()


def _ellipse(x: Tensor, y: Tensor, width: Tensor | float, height: Tensor | float, w: Tensor) -> Tensor:
    """Coverage of an ellipse of the given half axes."""
    return _cover((_radial(x, y, width, height) - 1) * (width * height) ** 0.5, w)
