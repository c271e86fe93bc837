"""Upright pinhole cameras, batched over frames.

Vectors have their components on the first axis, (3, …), so that each component is contiguous.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lumora.world.render.vectors import at, normalize


@dataclass(frozen=True)
class Cameras:
    """F cameras of one image size. The ray through image-plane point (x, y) is forward + x·right + y·up. It is not
    normalized, so its parameter is the depth in meters."""

    origin: Tensor
    forward: Tensor
    right: Tensor
    up: Tensor
    """(3, F) each."""
    focal: Tensor
    """(F,) pixels."""
    height: int
    width: int

    @classmethod
    def look_at(cls, origin: Tensor, target: Tensor, field_of_view: Tensor, height: int, width: int) -> Cameras:
        """Cameras at `origin` (3, F) facing `target` (3, F); `field_of_view` (F,) radians across the shorter side."""
        forward = normalize(target - origin)
        vertical = forward.new_tensor([0.0, 0.0, 1.0]).view(3, 1).expand_as(forward)
        right = torch.linalg.cross(forward, vertical, dim=0)
        steep = right.square().sum(0) < 1e-8  # Straight up or down: any horizontal direction is valid.
        right[0] = torch.where(steep, torch.ones_like(right[0]), right[0])
        right = normalize(right)
        focal = 0.5 * min(height, width) / torch.tan(0.5 * field_of_view)
        return cls(origin, forward, right, torch.linalg.cross(right, forward, dim=0), focal, height, width)

    def select(self, index: Tensor) -> Cameras:
        """The cameras at `index` (K,)."""
        origin, forward, right, up = (at(v, index) for v in (self.origin, self.forward, self.right, self.up))
        return Cameras(origin, forward, right, up, at(self.focal, index), self.height, self.width)

    def plane(self, column: Tensor, row: Tensor, focal: Tensor) -> tuple[Tensor, Tensor]:
        """Image-plane coordinates of positions in pixels; the center of a pixel is its index + ½, rows count
        downwards."""
        return (column - 0.5 * self.width) / focal, (0.5 * self.height - row) / focal

    def grid(self, first_row: int, last_row: int) -> Tensor:
        """Ray directions (3, F, rows, W) through the centers of the pixels of rows first_row … last_row − 1."""
        device = self.origin.device
        rows = torch.arange(first_row, last_row, device=device).view(1, -1, 1) + 0.5
        columns = torch.arange(self.width, device=device).view(1, 1, -1) + 0.5
        x, y = self.plane(columns, rows, self.focal.view(-1, 1, 1))
        forward, right, up = (v.view(3, -1, 1, 1) for v in (self.forward, self.right, self.up))
        return forward + y * up + x * right

    def horizon_rows(self) -> tuple[int, int]:
        """(first, last): in all cameras rows before `first` show no ground, and rows from `last` on only ground.

        Upright cameras have level horizons, so whole rows can be skipped for the sky or the ground.
        """
        slope = self.up[2].clamp(min=1e-3)
        row = 0.5 * self.height + self.focal * self.forward[2] / slope
        first, last = math.floor(float(row.min())) - 1, math.ceil(float(row.max())) + 1
        return min(max(first, 0), self.height), min(max(last, 0), self.height)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(column, row, depth) in pixels and meters of `points` (3, F, …), one camera for each index of axis 1."""
        shape = (3, -1) + (1,) * (points.dim() - 2)
        offset = points - self.origin.view(shape)
        depth = (offset * self.forward.view(shape)).sum(0)
        scale = self.focal.view(shape[1:]) / depth.clamp(min=1e-3)
        column = 0.5 * self.width + scale * (offset * self.right.view(shape)).sum(0)
        row = 0.5 * self.height - scale * (offset * self.up.view(shape)).sum(0)
        return column, row, depth
