"""Which primitive every pixel sees.

A primitive is tried only in the pixels of its screen bounds: a job is one (primitive, pixel) pair, and the jobs of all
frames of all clips are worked off together, one shape at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from lumora.world.render import primitives
from lumora.world.render.cameras import Cameras
from lumora.world.render.primitive_tables import Stage
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
    def of(cls, stage: Stage) -> Rays:
        cameras = stage.cameras.select(stage.frame)
        origin = _turn(stage.to_unit, cameras.origin - stage.centre)
        basis = [_turn(stage.to_unit, v) for v in (cameras.forward, cameras.right, cameras.up)]
        return cls(origin, torch.cat(basis))

    def direction(self, prim: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """(3, J) for image-plane points (J,) and primitives `prim` (J,)."""
        basis = at(self.basis, prim)
        return basis[0:3] + x * basis[3:6] + y * basis[6:9]


@dataclass(frozen=True)
class Jobs:
    """(J,) each: primitive and pixel; sorted by primitive, hence by shape."""

    prim: Tensor
    column: Tensor
    row: Tensor

    def keep(self, index: Tensor) -> Jobs:
        return Jobs(at(self.prim, index), at(self.column, index), at(self.row, index))


@dataclass(frozen=True)
class Hits:
    """(K,) each: samples that see a primitive, where they are in the picture, and the slot that each one fills."""

    prim: Tensor
    column: Tensor
    row: Tensor
    depth: Tensor
    slot: Tensor

    def keep(self, index: Tensor) -> Hits:
        return Hits(*(at(v, index) for v in (self.prim, self.column, self.row, self.depth, self.slot)))


def screen_jobs(stage: Stage) -> Jobs:
    """All pixels that each primitive might cover."""
    return jobs_in(stage.cameras.select(stage.frame), corners(stage))


def corners(stage: Stage) -> Tensor:
    """(3, P, 8) world corners of the unit cubes around all primitives."""
    signs = stage.centre.new_tensor(_CORNERS).T  # (3, 8)
    return stage.centre[..., None] + torch.einsum("ijp,jc->ipc", stage.to_world, signs)


def jobs_in(cameras: Cameras, points: Tensor) -> Jobs:
    """Jobs for the pixel rectangles around the projections of `points` (3, P, n), whole pictures if one is behind."""
    column, row, depth = cameras.project(points)
    behind = depth.amin(1) < _NEAR
    gone = depth.amax(1) < _NEAR
    bounds = []
    for position, size in ((column, cameras.width), (row, cameras.height)):
        low = torch.where(behind, 0, position.amin(1).clamp(-1, size + 1).floor().long()).clamp(0, size)
        high = torch.where(behind, size, position.amax(1).clamp(-1, size + 1).ceil().long()).clamp(0, size)
        bounds.append((low, torch.where(gone, low, high)))
    (left, right), (top, bottom) = bounds
    wide = right - left
    count = wide * (bottom - top)
    prim = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
    place = torch.arange(len(prim), device=count.device) - at(count.cumsum(0) - count, prim)
    wide = at(wide, prim)
    down = torch.div(place, wide, rounding_mode="floor")
    return Jobs(prim, at(left, prim) + place - down * wide, at(top, prim) + down)


def solve(stage: Stage, prim: Tensor, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Enter and exit (J,) of rays in unit space; `prim` must be sorted."""
    k = at(stage.k, prim)
    ends = torch.tensor((0, *stage.shape_counts), device=prim.device).cumsum(0)
    cuts = torch.searchsorted(prim, ends).tolist()
    enter, leave = torch.empty_like(k), torch.empty_like(k)
    for shape, (a, b) in enumerate(pairwise(cuts)):
        if b > a:
            enter[a:b], leave[a:b] = primitives.intersect(shape, origin[:, a:b], direction[:, a:b], k[a:b])
    return enter, leave


def cast(stage: Stage, rays: Rays, jobs: Jobs, column: Tensor, row: Tensor, slot: Tensor, slots: int) -> Hits:
    """The nearest primitive in each of `slots` slots; job j tries a ray through (column, row)[j] pixels for slot[j]."""
    x, y = stage.cameras.plane(column, row, at(stage.cameras.focal, at(stage.frame, jobs.prim)))
    depth, _ = solve(stage, jobs.prim, at(rays.origin, jobs.prim), rays.direction(jobs.prim, x, y))
    found = ((depth > _NEAR) & (depth < INF)).nonzero()[:, 0]
    depth, slot, prim = at(depth, found), at(slot, found), at(jobs.prim, found)
    nearest = torch.full((slots,), INF, device=depth.device).scatter_reduce_(0, slot, depth, "amin")
    first = (depth == at(nearest, slot)).nonzero()[:, 0]
    # Of several at the very same depth the last one in the table is seen, on every device.
    owner = torch.full((slots,), -1, dtype=torch.int32, device=depth.device)
    owner = owner.scatter_reduce_(0, slot[first], prim[first].int(), "amax")
    first = first[at(owner, at(slot, first)) == at(prim, first)]
    where = at(found, first)
    return Hits(at(prim, first), at(column, where), at(row, where), at(depth, first), at(slot, first))


def _turn(matrix: Tensor, v: Tensor) -> Tensor:
    """Matrices (3, 3, P) times vectors (3, P)."""
    return (matrix * v).sum(1)
