"""The albedo of the ground of each place, as closed-form functions of world coordinates.

Patterns are sums of a few smooth waves. Each wave fades where a pixel is wider than half its length, which prevents
flicker. Arguments: x and y in meters and `wide`, the width of a pixel on the ground in meters, all (V, h, W); `draws`
(n, V, 1, 1) random numbers. Results (3, V, h, W) are linear light (gamma 2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lumora.world.render.body_parts import rgb
from lumora.world.render.sky import hashed
from lumora.world.scene import Place, Vector

GROUND_TONE: dict[Place, Vector] = {
    "meadow": rgb(0.45, 0.60, 0.26),
    "desert": rgb(0.88, 0.72, 0.48),
    "snow": rgb(0.88, 0.92, 0.97),
    "beach": rgb(0.90, 0.81, 0.62),
    "street": rgb(0.40, 0.41, 0.44),
    "room": rgb(0.66, 0.50, 0.36),
}
"""The mean color, which lights bodies from below and is reflected by metal."""

CURB, SHORE = 3.2, 3.6
"""y in meters of the curb and of the water line."""


def albedo(place: Place, x: Tensor, y: Tensor, wide: Tensor, draws: Tensor) -> Tensor:
    return _PLACES[place](x, y, wide, draws * (2 * math.pi))


def _wave(phase: Tensor, length: float, wide: Tensor) -> Tensor:
    """sin(phase) with a wavelength of `length` meters, faded where pixels are too wide for it."""
    return torch.sin(phase) * (2 - 4 * wide / length).clamp(0, 1)


def _blend(a: Vector, b: Vector, share: Tensor) -> Tensor:
    return torch.stack([share * (to - at) + at for at, to in zip(a, b, strict=True)])


def _over(color: Tensor, above: Vector, share: Tensor) -> Tensor:
    return color + (color.new_tensor(above).view(3, 1, 1, 1) - color) * share


def _cover(distance: Tensor, wide: Tensor) -> Tensor:
    return (0.5 - distance / wide).clamp(0, 1)


def _meadow(x: Tensor, y: Tensor, wide: Tensor, p: Tensor) -> Tensor:
    warp = torch.sin(0.5 * x + 0.35 * y + p[0])
    patch = _wave(0.9 * x - 0.5 * y + 1.4 * warp + p[1], 6.0, wide) + 0.6 * _wave(2.2 * y + 1.1 * x + p[2], 2.6, wide)
    tuft = _wave(5.5 * x + 2 * warp + p[3], 1.1, wide) * _wave(4.7 * y + 1.3 * x + p[0], 1.3, wide)
    color = _blend(rgb(0.33, 0.53, 0.20), rgb(0.56, 0.68, 0.30), (0.5 + 0.22 * patch + 0.22 * tuft).clamp(0, 1))
    column, row = (x * 1.25).floor(), (y * 1.25).floor()
    u = x * 1.25 - column - 0.3 - 0.4 * hashed(column, row, 1)
    v = y * 1.25 - row - 0.3 - 0.4 * hashed(column, row, 2)
    kind = hashed(column, row, 3)
    flower = (1.4 - (u * u + v * v).sqrt() * 9).clamp(0, 1) * (kind > 0.62) * (1.6 - 12 * wide).clamp(0, 1)
    return _over(_over(color, rgb(0.96, 0.94, 0.86), 0.8 * flower), rgb(0.98, 0.86, 0.35), 0.8 * flower * (kind > 0.85))


def _desert(x: Tensor, y: Tensor, wide: Tensor, p: Tensor) -> Tensor:
    dune = _wave(0.55 * y + 0.2 * x + 0.9 * torch.sin(0.3 * x + p[0]) + p[1], 10.0, wide)
    bend = 0.7 * torch.sin(0.8 * x + p[2]) + 0.35 * torch.sin(2.1 * x + 0.7 * y + p[3])
    ripple = _wave(6.5 * y + 1.5 * x + 2 * bend, 0.95, wide)
    return _blend(rgb(0.78, 0.60, 0.38), rgb(0.95, 0.81, 0.57), (0.52 + 0.22 * dune + 0.16 * ripple).clamp(0, 1))


def _snow(x: Tensor, y: Tensor, wide: Tensor, p: Tensor) -> Tensor:
    warp = torch.sin(0.4 * x + p[0])
    drift = _wave(0.8 * y + 0.35 * x + 1.2 * warp + p[1], 7.0, wide)
    soft = _wave(1.9 * x - 1.1 * y + warp + p[2], 2.9, wide) * _wave(2.6 * y + p[3], 2.4, wide)
    return _blend(rgb(0.76, 0.83, 0.93), rgb(0.97, 0.98, 1.0), (0.55 + 0.25 * drift + 0.20 * soft).clamp(0, 1))


def _beach(x: Tensor, y: Tensor, wide: Tensor, p: Tensor) -> Tensor:
    """Sand, wet sand, a line of foam, and the sea, which is greener in shallow water."""
    dip = _wave(1.1 * y + 0.4 * x + 1.3 * torch.sin(0.6 * x + p[0]), 5.5, wide)
    soft = _wave(3.1 * x + p[1], 2.0, wide) * _wave(3.7 * y + p[2], 1.7, wide)
    color = _blend(rgb(0.80, 0.70, 0.50), rgb(0.96, 0.89, 0.72), (0.55 + 0.2 * dip + 0.16 * soft).clamp(0, 1))
    out = y - SHORE - 0.35 * torch.sin(0.7 * x + p[3]) - 0.15 * torch.sin(1.9 * x + p[0])
    color = color * (1 - 0.32 * ((out + 0.9) * 2).clamp(0, 1))
    deep = (out / 14).clamp(0, 1).sqrt()
    swell = _wave(2.4 * out + 0.5 * torch.sin(0.8 * x + p[1]), 2.6, wide) * 0.10
    sea = _blend(rgb(0.30, 0.70, 0.72), rgb(0.08, 0.36, 0.60), (deep + swell).clamp(0, 1))
    color = color + (sea - color) * _cover(-out, wide)
    surf = (out - 1.5 - 0.3 * torch.sin(1.1 * x + p[2])).abs() - 0.10
    foam = torch.maximum(_cover(out.abs() - 0.16, wide), 0.6 * _cover(surf, wide))
    return _over(color, rgb(0.97, 0.98, 0.98), foam)


def _street(x: Tensor, y: Tensor, wide: Tensor, p: Tensor) -> Tensor:
    """A road along x with a dashed line, a curb, and slabs."""
    worn = _wave(1.3 * x + torch.sin(0.9 * y + p[0]) + p[1], 4.8, wide) * _wave(1.7 * y + p[2], 3.6, wide)
    color = _blend(rgb(0.34, 0.35, 0.38), rgb(0.46, 0.47, 0.50), (0.5 + 0.4 * worn).clamp(0, 1))
    dash = _cover((torch.frac(x / 3 + 64).sub(0.5).abs() - 0.28) * 3, wide)
    color = _over(color, rgb(0.88, 0.87, 0.80), 0.9 * _cover((y + 1.7).abs() - 0.09, wide) * dash)
    color = _over(color, rgb(0.80, 0.79, 0.74), 0.8 * _cover((y - CURB + 0.5).abs() - 0.06, wide))
    seam = _cover(torch.frac(x / 1.5 + 64).sub(0.5).abs() * 1.5 - 0.03, wide) * (2 - 8 * wide).clamp(0, 1)
    slabs = _blend(rgb(0.62, 0.60, 0.58), rgb(0.50, 0.48, 0.47), 0.7 * seam)
    color = color + (slabs - color) * _cover(CURB - y, wide)
    return _over(color, rgb(0.74, 0.73, 0.71), _cover((y - CURB - 0.12).abs() - 0.12, wide))


def _room(x: Tensor, y: Tensor, wide: Tensor, p: Tensor) -> Tensor:
    """Floor boards along x."""
    plank = y / 0.5 + 64
    row = plank.floor()
    tone = hashed(row, (x / 2.6 + 7 * hashed(row, row, 8) + 64).floor(), 9)
    grain = _wave(3.5 * x + 9 * tone + 2.5 * torch.sin(3 * y), 1.8, wide)
    share = 0.5 + (0.55 * (tone - 0.5) + 0.10 * grain) * (2 - 4 * wide).clamp(0, 1)
    color = _blend(rgb(0.58, 0.42, 0.28), rgb(0.76, 0.59, 0.42), share.clamp(0, 1))
    seam = _cover((plank - row - 0.5).abs().neg() * 0.5 + 0.235, wide) * (2 - 8 * wide).clamp(0, 1)
    return color * (1 - 0.35 * seam)


_PLACES = {"meadow": _meadow, "desert": _desert, "snow": _snow, "beach": _beach, "street": _street, "room": _room}
