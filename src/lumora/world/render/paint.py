"""Patterns on primitives: antialiased closed-form functions of the surface point in unit space.

A pattern takes points p (3, J), two colors a and b (3, J), the width w of a pixel in unit space (J,), the index of the
emotion (J,) and the shape parameter k (J,); it returns the albedo (3, J) as linear light (gamma 2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lumora.world.render import faces
from lumora.world.render.primitives import bitten_wall
from lumora.world.render.vectors import at

(PLAIN, BALL, INSET, PLANKS, BAND, HOOPS, BELT, SEGMENTS, CHIPS, CHEST, SWEATER, HATBAND, EAR) = range(13)
FACE_HIGH, FACE_SCREEN, FACE_BILL, FACE_CAT = range(13, 17)

_CHIPS = (
    (0.05, 0.02, 0.15), (-0.45, 0.40, 0.15), (-0.52, -0.28, 0.14), (0.48, -0.42, 0.15), (0.40, 0.30, 0.13),
    (0.02, -0.66, 0.14), (-0.05, 0.62, 0.13), (-0.78, 0.05, 0.10), (0.76, -0.02, 0.10),
)  # fmt: skip
_POLE = (0.48, -0.36, 0.80)


def albedo(kind: Tensor, p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    """The albedo (3, J), where sample j has pattern kind[j]."""
    color = a.clone()
    for number in kind.unique().tolist():
        if number == PLAIN:
            continue
        index = (kind == number).nonzero()[:, 0]
        selected = (at(v, index) for v in (p, a, b, w, emotion, k))
        color[:, index] = _PATTERNS[number](*selected)
    return color


def cover(distance: Tensor, w: Tensor) -> Tensor:
    """The share of a pixel of width w inside an edge at signed `distance`, which is negative inside."""
    return (0.5 - distance / w).clamp(0, 1)


def _ball(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    """A belt and two caps about a tilted axis, which make rolling visible."""
    along = p[0] * _POLE[0] + p[1] * _POLE[1] + p[2] * _POLE[2]
    return a + (b - a) * torch.maximum(cover(along.abs() - 0.17, w), cover(0.90 - along.abs(), w))


def _face_coordinates(p: Tensor) -> tuple[Tensor, Tensor]:
    """Two coordinates on the box face of each point."""
    size = p.abs()
    on_x, on_z = size[0] >= size.amax(0), size[2] >= size.amax(0)
    return torch.where(on_x, p[1], p[0]), torch.where(on_z & ~on_x, p[1], p[2])


def _inset(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    u, v = _face_coordinates(p)
    rim = torch.maximum(u.abs(), v.abs())
    dot = cover((u * u + v * v).sqrt() - 0.3, w)
    return (a + (b - a) * dot) * (1 - 0.45 * cover(0.80 - rim, w))


def _planks(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    u, v = _face_coordinates(p)
    frame = cover(0.76 - torch.maximum(u.abs(), v.abs()), w)
    brace = cover((u - v).abs() - 0.26, 1.4 * w) * (1 - frame)
    gap = cover(((v * 2.6 + 0.5).frac().abs() - 0.5).abs() * 0.38 - 0.05, w) * (1 - frame) * (1 - brace)
    groove = cover((torch.maximum(u.abs(), v.abs()) - 0.74).abs() - 0.04, w)
    tone = 0.72 + 0.35 * torch.maximum(frame, brace)
    return a * (tone * (1 - 0.6 * torch.maximum(gap, groove)))


def _band(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    """A dashed belt and a dot on the lids, which make rotation visible."""
    side = p[2].abs() < 0.9995
    wedge = torch.sin(3 * torch.atan2(p[1], p[0])) / 3
    belt = cover(p[2].abs() - 0.3, w) * cover(-wedge, w)
    lid = cover(((p[0] - 0.4).square() + p[1].square()).sqrt() - 0.3, w)
    return a + (b - a) * torch.where(side, belt, lid)


def _hoops(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    hoop = torch.maximum(cover((p[2] + 0.25).abs() - 0.15, w), cover((p[2] - 0.4).abs() - 0.10, w))
    return a + (b - a) * hoop * (p[2] > -0.999)


def _belt(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    return a + (b - a) * cover((p[2] + 0.25 * p[0]).abs() - 0.13, w)


def _segments(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    return a + (b - a) * cover((0.72 - torch.sin(4 * torch.atan2(p[1], p[0]))) / 4, w)


def _chips(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    """Chips on both sides, a dark rim, and a pale color where it is bitten."""
    x, y = p[0], p[1]
    nearest = torch.stack([((x - cx).square() + (y - cy).square()).sqrt() - r for cx, cy, r in _CHIPS]).amin(0)
    top = p[2].abs() > 0.9995
    chip = cover(nearest, w) * top
    rim = cover(0.86 - (x * x + y * y).sqrt(), w + 0.1)
    baked = a * (1 - 0.3 * rim)
    crumb = a + (b - a) * 0.55
    color = torch.where(bitten_wall(p, k), crumb, baked)
    return color * (1 - 0.80 * chip)


def _chest(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    front = (p[1] < -0.999).float()
    u, v = p[0], p[2]
    plate = cover(torch.maximum(u.abs() - 0.62, (v - 0.05).abs() - 0.5), w) * front
    lamp = cover(((u - 0.3).square() + (v - 0.1).square()).sqrt() - 0.2, w) * front
    color = a + (b - a) * 0.8 * plate
    return color + (color.new_tensor([0.7, 0.05, 0.05]).view(3, 1) - color) * lamp


def _sweater(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    """Buttons on the front and a hem of snow."""
    front = (p[1] < 0).float()
    u = p[0].square()
    gap = torch.minimum((u + (p[2] - 0.42).square()).sqrt(), (u + (p[2] + 0.08).square()).sqrt()) - 0.11
    snow = torch.maximum(cover(gap, w) * front, cover(p[2] + 0.62, w))
    return a + (b - a) * snow


def _hatband(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    return a + (b - a) * cover((p[2] + 0.55).abs() - 0.28, w) * (p[2] < 0.999)


def _ear(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    inner = cover(p[0].abs() - 0.24 * (1 - p[2]), w) * (p[1] < 0) * cover(p[2] - 0.5, w)
    return a + (b - a) * inner


def _face_high(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    """A face between scarf and hat."""
    return faces.draw(a, p[0] * 1.1, p[2] * 1.15 - 0.14, w, emotion, p[1] < 0)


def _face_screen(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    front = p[1] < -0.999
    u, v = p[0], p[2]
    corner = ((u.abs() - 0.66).clamp(min=0).square() + (v.abs() - 0.66).clamp(min=0).square()).sqrt()
    base = a + (b - a) * cover(corner - 0.2, w) * front
    return faces.draw(base, u * 1.12, v * 1.12, 1.12 * w, emotion, front)


def _face_bill(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    return faces.draw(a, p[0] * 1.1, p[2] * 1.1 - 0.12, w, emotion, p[1] < 0, mouth=False)


def _face_cat(p: Tensor, a: Tensor, b: Tensor, w: Tensor, emotion: Tensor, k: Tensor) -> Tensor:
    front = p[1] < 0
    u, v = p[0] * 1.05, p[2] * 1.1
    muzzle = cover(((u / 0.62).square() + ((v + 0.48) / 0.44).square()).sqrt() - 1, 2 * w) * front
    base = a + (b - a) * muzzle
    nose = cover(torch.maximum(u.abs() * 1.2 + (v + 0.16).abs() - 0.13, -0.02 - v - 0.3), w) * front
    drawn = faces.draw(base, u, v, w, emotion, front)
    return drawn + (drawn.new_tensor([0.85, 0.25, 0.32]).view(3, 1) - drawn) * nose


_PATTERNS = {
    BALL: _ball, INSET: _inset, PLANKS: _planks, BAND: _band, HOOPS: _hoops, BELT: _belt, SEGMENTS: _segments,
    CHIPS: _chips, CHEST: _chest, SWEATER: _sweater, HATBAND: _hatband, EAR: _ear,
    FACE_HIGH: _face_high, FACE_SCREEN: _face_screen, FACE_BILL: _face_bill, FACE_CAT: _face_cat,
}  # fmt: skip
