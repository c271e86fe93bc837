"""The visible primitive at every pixel.

A primitive is tested only in the pixels of its screen bounds. The candidates, which are (primitive, pixel) pairs, of
all frames of all clips are processed together, one shape at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from lumora.world.render import primitives
from lumora.world.render.cameras import Cameras
from lumora.world.render.primitive_tables import PrimitiveTable
from lumora.world.render.primitives import INF
from lumora.world.render.vectors import at

_NEAR = 0.05
_CORNERS = tuple((x, y, z) for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0))


@dataclass(frozen=True)
class Rays:
    """Camera rays in the unit space of each primitive: origin (3, P); direction = forward + x·right + y·up (9, P)."""

    origin: Tensor
    basis: Tensor

    @classmethod
    def of(cls, table: PrimitiveTable) -> Rays:
        cameras = table.cameras.select(table.frame)
        origin = _turn(table.to_unit, cameras.origin - table.centre)
        basis = [_turn(table.to_unit, v) for v in (cameras.forward, cameras.right, cameras.up)]
        return cls(origin, torch.cat(basis))

    def direction(self, prim: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """(3, J) for image-plane points (J,) and primitives `prim` (J,)."""
        basis = at(self.basis, prim)
        return basis[0:3] + x * basis[3:6] + y * basis[6:9]


@dataclass(frozen=True)
class Candidates:
    """Primitive and pixel of each candidate, (J,) each, sorted by primitive and so by shape."""

    prim: Tensor
    column: Tensor
    row: Tensor

    def keep(self, index: Tensor) -> Candidates:
        return Candidates(at(self.prim, index), at(self.column, index), at(self.row, index))


@dataclass(frozen=True)
class Hits:
    """Samples that hit a primitive, (K,) each: primitive, position in the image, depth, and index of the sample."""

    prim: Tensor
    column: Tensor
    row: Tensor
    depth: Tensor
    slot: Tensor

    def keep(self, index: Tensor) -> Hits:
        return Hits(*(at(v, index) for v in (self.prim, self.column, self.row, self.depth, self.slot)))


def screen_candidates(table: PrimitiveTable) -> Candidates:
    """Candidates for all pixels that each primitive may cover."""
    return candidates_in(table.cameras.select(table.frame), corners(table))


def corners(table: PrimitiveTable) -> Tensor:
    """(3, P, 8) corners of the unit cubes of all primitives in world space."""
    signs = table.centre.new_tensor(_CORNERS).T  # (3, 8)
    return table.centre[..., None] + torch.einsum("ijp,jc->ipc", table.to_world, signs)


def candidates_in(cameras: Cameras, points: Tensor) -> Candidates:
    """Candidates for the bounding rectangles of the projected `points` (3, P, n); whole images if a point is behind."""
    column, row, depth = cameras.project(points)
    behind = depth.amin(1) < _NEAR
    invisible = depth.amax(1) < _NEAR
    bounds = []
    for position, size in ((column, cameras.width), (row, cameras.height)):
        low = torch.where(behind, 0, position.amin(1).clamp(-1, size + 1).floor().long()).clamp(0, size)
        high = torch.where(behind, size, position.amax(1).clamp(-1, size + 1).ceil().long()).clamp(0, size)
        bounds.append((low, torch.where(invisible, low, high)))
    (left, right), (top, bottom) = bounds
    wide = right - left
    count = wide * (bottom - top)
    prim = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
    offset = torch.arange(len(prim), device=count.device) - at(count.cumsum(0) - count, prim)
    wide = at(wide, prim)
    down = torch.div(offset, wide, rounding_mode="floor")
    return Candidates(prim, at(left, prim) + offset - down * wide, at(top, prim) + down)


def solve(table: PrimitiveTable, prim: Tensor, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Enter and exit (J,) of rays in unit space; `prim` must be sorted."""
    k = at(table.k, prim)
    ends = torch.tensor((0, *table.shape_counts), device=prim.device).cumsum(0)
    cuts = torch.searchsorted(prim, ends).tolist()
    enter, leave = torch.empty_like(k), torch.empty_like(k)
    for shape, (a, b) in enumerate(pairwise(cuts)):
        if b > a:
            enter[a:b], leave[a:b] = primitives.intersect(shape, origin[:, a:b], direction[:, a:b], k[a:b])
    return enter, leave


def cast_rays(
    table: PrimitiveTable, rays: Rays, candidates: Candidates, column: Tensor, row: Tensor, slot: Tensor, slots: int
) -> Hits:
    """The nearest primitive of each of `slots` samples; candidate j is a ray through (column, row)[j] for slot[j]."""
    x, y = table.cameras.plane(column, row, at(table.cameras.focal, at(table.frame, candidates.prim)))
    depth, _ = solve(table, candidates.prim, at(rays.origin, candidates.prim), rays.direction(candidates.prim, x, y))
    found = ((depth > _NEAR) & (depth < INF)).nonzero()[:, 0]
    depth, slot, prim = at(depth, found), at(slot, found), at(candidates.prim, found)
    nearest = torch.full((slots,), INF, device=depth.device).scatter_reduce_(0, slot, depth, "amin")
    first = (depth == at(nearest, slot)).nonzero()[:, 0]
    # Of several primitives at the same depth the last one in the table is taken, on every device.
    owner = torch.full((slots,), -1, dtype=torch.int32, device=depth.device)
    owner = owner.scatter_reduce_(0, slot[first], prim[first].int(), "amax")
    first = first[at(owner, at(slot, first)) == at(prim, first)]
    where = at(found, first)
    return Hits(at(prim, first), at(column, where), at(row, where), at(depth, first), at(slot, first))


def _turn(matrix: Tensor, v: Tensor) -> Tensor:
    """Matrices (3, 3, P) times vectors (3, P)."""
    return (matrix * v).sum(1)
