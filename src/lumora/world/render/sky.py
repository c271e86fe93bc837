"""The sky: gradient, sun or moon, clouds, stars, and silhouettes on the horizon of each place."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lumora.world.render.body_parts import rgb
from lumora.world.render.lighting import Lights
from lumora.world.scene import Place, Vector

_TURN = 2 * math.pi

RIDGES: dict[Place, tuple[tuple[str, float, float, Vector], ...]] = {
    "meadow": (("hills", 0.050, 0.55, rgb(0.36, 0.55, 0.50)), ("hills", 0.026, 0.25, rgb(0.34, 0.56, 0.30))),
    "desert": (("dunes", 0.060, 0.50, rgb(0.80, 0.62, 0.46)), ("dunes", 0.030, 0.22, rgb(0.88, 0.70, 0.46))),
    "snow": (("peaks", 0.120, 0.45, rgb(0.66, 0.74, 0.88)), ("hills", 0.022, 0.25, rgb(0.86, 0.90, 0.97))),
    "beach": (("hills", 0.018, 0.60, rgb(0.36, 0.50, 0.52)),),
    "street": (("towers", 0.150, 0.55, rgb(0.50, 0.54, 0.62)), ("towers", 0.085, 0.25, rgb(0.46, 0.44, 0.48))),
    "room": (),
}
"""Silhouettes from far to near: form, height in radians, share of haze, color."""


def paint_sky(direction: Tensor, place: Place, lights: Lights, focal: Tensor) -> Tensor:
    """Light (3, V, h, W) of the sky in `direction` (3, V, h, W); `focal` (V, 1, 1) in pixels is for antialiasing."""
    x, y, z = direction / direction.square().sum(0).sqrt()
    azimuth = torch.atan2(x, y)
    color = lights.sky(z)
    if bool((lights.stars > 0).any()):
        color = color + lights.stars * _stars(azimuth, z, focal, lights.draws[3])
    away = 1 - (x * lights.disc_toward[0] + y * lights.disc_toward[1] + z * lights.disc_toward[2])
    color = color + lights.glow * torch.exp(-away * 14) * lights.disc
    angle = (2 * away).clamp(min=0).sqrt()
    disc = ((0.055 - angle) * focal + 0.5).clamp(0, 1) * (lights.disc.amax(0) > 0)
    color = color + (lights.disc - color) * disc
    share = _clouds(azimuth, z, lights)
    color = color + (lights.cloud * (0.86 + 0.14 * share) - color) * (share * 0.9)
    for number, (form, height, haze, albedo) in enumerate(RIDGES[place]):
        ridge = _FORMS[form](azimuth, lights.draws[4 + 4 * number : 8 + 4 * number]) * height
        cover = ((ridge - z) * focal + 0.5).clamp(0, 1)
        lit = _column(albedo, color) * (lights.above + 0.55 * lights.key)
        color = color + (lit + (lights.horizon - lit) * haze - color) * cover
    return color


def _column(value: Vector, like: Tensor) -> Tensor:
    return like.new_tensor(value).view(3, *(1,) * (like.dim() - 1))


def _clouds(azimuth: Tensor, z: Tensor, lights: Lights) -> Tensor:
    """Share of clouds (…), from a few distorted waves."""
    p = lights.draws[12:16] * _TURN
    warp = torch.sin(5 * azimuth + 19 * z + p[0])
    heap = torch.sin(7 * azimuth + 1.3 * warp + p[1]) + 0.8 * torch.sin(30 * z + 1.1 * warp + p[2])
    heap = heap + 0.45 * torch.sin(17 * azimuth - 24 * z + 1.5 * warp + p[3])
    share = ((heap - 2.2 * (0.62 - lights.clouds)) * 0.9).clamp(0, 1)
    return share * share * (3 - 2 * share) * (0.35 + 5 * z).clamp(0, 1)


def _stars(azimuth: Tensor, z: Tensor, focal: Tensor, draw: Tensor) -> Tensor:
    """At most one star in each cell of a grid, at least a pixel large."""
    u, v = azimuth * (90 / _TURN) + (1000 * draw).floor(), z * 15
    column, row = u.floor(), v.floor()
    bright = hashed(column, row, 5)
    du, dv = u - column - 0.1 - 0.8 * hashed(column, row, 6), v - row - 0.1 - 0.8 * hashed(column, row, 7)
    angle = ((du * (_TURN / 90)).square() + (dv / 15).square()).sqrt()
    return (bright * 1.3 - 0.4).clamp(0, 0.8) * (1.25 - angle * focal).clamp(0, 1) * (12 * z).clamp(0, 1)


def hashed(column: Tensor, row: Tensor, salt: int) -> Tensor:
    """A pseudorandom number in [0, 1) for each integer cell, equal on all devices."""
    n = column.long() * 73856093 + row.long() * 19349663 + salt * 83492791
    n = (n ^ (n >> 13)) * 1274126177
    return ((n ^ (n >> 16)) & 0xFFFF).float() / 65536


def _hills(azimuth: Tensor, draws: Tensor) -> Tensor:
    p = draws * _TURN
    wave = torch.sin(3 * azimuth + p[0]) + 0.7 * torch.sin(8 * azimuth + p[1]) + 0.3 * torch.sin(19 * azimuth + p[2])
    return 0.62 + 0.19 * wave


def _dunes(azimuth: Tensor, draws: Tensor) -> Tensor:
    """Smooth dunes with sharp crests."""
    p = draws * _TURN
    long = torch.sin(6 * azimuth + p[0] + 0.6 * torch.sin(6 * azimuth + p[0]))
    return 0.35 + 0.45 * (1 - long.abs()) + 0.15 * torch.sin(4 * azimuth + p[1])


def _peaks(azimuth: Tensor, draws: Tensor) -> Tensor:
    height = torch.zeros_like(azimuth)
    for number, (count, size) in enumerate(((9, 0.55), (20, 0.30), (47, 0.12))):
        height = height + size * (2 * torch.frac(azimuth / _TURN * count + 8 + draws[number]) - 1).abs()
    return height


def _towers(azimuth: Tensor, draws: Tensor) -> Tensor:
    cell = (azimuth / _TURN * 96 + 40 * draws[0]).floor()
    return 0.35 + 0.65 * hashed(cell, cell * 0 + (draws[1] * 1000).floor(), 3)


_FORMS = {"hills": _hills, "dunes": _dunes, "peaks": _peaks, "towers": _towers}
