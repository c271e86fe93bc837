"""Estimates the camera's path from the pixels of a video, without training.

The background of a scene is a level ground below a horizon, and infinitely far above it. Its optical flow is a linear
function of the camera's rotation and translation (Longuet-Higgins and Prazdny, Proc. R. Soc. B 208, 1980) once the
horizon is known. Each frame is aligned with the next one (Lucas and Kanade, IJCAI 1981; robust weights of Geman and
McClure), with objects masked out, for several heights of the horizon; the one with the lowest cost is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage
from torch import Tensor

from lumora.world.scene import Camera, CameraMove

PITCHES = (0.1, 0.25, 0.4)
"""Camera pitches in mid-clip that are tried, in radians below the horizontal."""
PYRAMID = ((2, 6), (1, 4))
"""Downsampling factor and number of Gauss-Newton steps of each level, coarse first."""
OUTLIER = 5.0
"""Difference in gray levels from which on a pixel counts as an outlier."""
MASK_MARGIN = 9
"""Side in pixels of the square by which the mask of objects is dilated, for outlines and shadows."""
STIFFNESS = (2.5e1, 2.5e1, 2.5, 2.5)
"""Regularization per pixel of right, up, aside and ahead, so that a frame without texture gives no motion."""
MIN_AMOUNTS: dict[str, float] = {"right": 0.3, "up": 0.22, "ahead": 0.9}
"""The smallest amounts of the world's moves in two seconds: radians, and camera heights."""
MOVES: dict[CameraMove, tuple[str, int]] = {
    "pan right": ("right", 1), "pan left": ("right", -1), "tilt up": ("up", 1), "tilt down": ("up", -1),
    "move in": ("ahead", 1), "move out": ("ahead", -1),
}  # fmt: skip
"""The component of a path that is a move's amount, and its sign. The amount of an orbit is its rotation."""


@dataclass(frozen=True)
class CameraPath:
    """Rotation and translation of a camera since the first of T frames.

    Lengths are in units of the camera's height above the ground, because a video has no absolute scale.
    """

    right: Float[np.ndarray, " t"]
    """Rotation to the right about the vertical, in radians."""
    up: Float[np.ndarray, " t"]
    """Rotation upwards, in radians."""
    aside: Float[np.ndarray, " t"]
    """Translation to the right."""
    ahead: Float[np.ndarray, " t"]
    """Translation along the view direction."""
    pitch: Float[np.ndarray, " t"]
    """Assumed pitch below the horizontal, in radians."""

    @property
    def move(self) -> CameraMove:
        """The name of the move; less than half of the smallest amount of each move is `static`."""
        amounts = {part: float(getattr(self, part)[-1]) for part in MIN_AMOUNTS}
        part = max(MIN_AMOUNTS, key=lambda p: abs(amounts[p]) / MIN_AMOUNTS[p])
        if abs(amounts[part]) < MIN_AMOUNTS[part] / 2:
            return "static"
        # An orbit translates to one side and rotates to the other.
        if part == "right" and -self.aside[-1] * np.sign(amounts[part]) > 1.2 * abs(amounts[part]):
            return "orbit"
        return next(move for move, (p, sign) in MOVES.items() if p == part and sign * amounts[part] > 0)

    def background_shift(self, points: Float[np.ndarray, "t 2"], aspect: float) -> Float[np.ndarray, "t 2"]:
        """The accumulated shift since the first frame of the background at `points` (column, row, as shares of a frame
        of width / height = `aspect`), as shares too; frames in which a point is NaN add no shift."""
        scale = 2 * math.tan(Camera.field_of_view / 2) / min(aspect, 1.0) * np.array([aspect, 1.0])
        x, y = torch.from_numpy(np.nan_to_num(points[:-1] - 0.5) * scale).float().unbind(-1)
        steps = torch.from_numpy(np.diff([self.right, self.up, self.aside, self.ahead])).float()
        basis = _basis(x[:, None, None], y[:, None, None], torch.from_numpy(self.pitch[:-1]).float())
        moved = einsum(basis[:, 0, 0], steps, "t c i, i t -> t c").numpy() / scale
        return np.concatenate([np.zeros((1, 2)), np.cumsum(moved * ~np.isnan(points[:-1]), axis=0)])


def estimate_camera_path(frames: UInt8[np.ndarray, "t h w 3"], foreground: Bool[np.ndarray, "t h w"]) -> CameraPath:
    """The path from a video and the mask of the objects that hide the background; a single frame gives no motion.

    The field of view is assumed to be that of the world, 0.8 radians across the shorter side.
    """
    if len(frames) == 1:
        return CameraPath(*np.zeros((4, 1)), pitch=np.full(1, PITCHES[len(PITCHES) // 2]))
    gray = torch.from_numpy(frames.mean(axis=-1, dtype=np.float32))
    known = torch.from_numpy(
        ~np.asarray(ndimage.binary_dilation(foreground, np.ones((1, MASK_MARGIN, MASK_MARGIN))), bool)
    )
    pitches, costs = torch.tensor(PITCHES), torch.zeros(len(PITCHES))
    steps = torch.zeros(len(PITCHES), len(gray) - 1, 4)
    for factor, num_steps in PYRAMID:
        pairs = _FramePairs.of(gray, known, factor)
        for _ in range(num_steps):
            steps, costs = pairs.gauss_newton_step(steps, pitches)
        best = [int(costs.argmin())]
        steps, pitches = steps[best], pitches[best]
    parts = torch.cat([torch.zeros(4, 1), steps[0].T.cumsum(1)], dim=1).double().numpy()
    pitch = float(pitches[0]) - parts[1] + parts[1][len(gray) // 2]
    return CameraPath(*parts, pitch=pitch)


def true_path(positions: Float[np.ndarray, "t 3"], targets: Float[np.ndarray, "t 3"]) -> CameraPath:
    """The exact path of a camera at these positions that looks at these targets."""
    view = targets - positions
    view = view / np.linalg.norm(view, axis=-1, keepdims=True)
    right = np.cross(view, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    step = np.diff(positions, axis=0) / positions[:-1, 2:]
    heading, rise = np.unwrap(np.arctan2(view[:, 0], view[:, 1])), np.arcsin(view[:, 2])
    aside, ahead = ((step * axis[:-1]).sum(axis=-1).cumsum() for axis in (right, view))
    return CameraPath(heading - heading[0], rise - rise[0], np.append(0.0, aside), np.append(0.0, ahead), -rise)


@dataclass(frozen=True)
class _FramePairs:
    """P pairs of neighboring frames, smoothed, at one level of the pyramid."""

    first: Float[Tensor, "p h w"]
    second: Float[Tensor, "p h w"]
    gradient: Float[Tensor, "p h w 2"]
    """Image gradient of the first frames, across and down, per unit of the plane at distance 1 from the camera."""
    known: Float[Tensor, "p h w"]
    """1 where both frames show the background."""
    x: Float[Tensor, "h w"]
    y: Float[Tensor, "h w"]
    """Coordinates of the pixels in that plane, right and down from the center."""

    @classmethod
    def of(cls, gray: Float[Tensor, "t h w"], known: Bool[Tensor, "t h w"], factor: int) -> _FramePairs:
        gray = F.avg_pool2d(gray[:, None], factor)
        clear = F.avg_pool2d(known[:, None].float(), factor)[:, 0] == 1
        smooth = F.avg_pool2d(F.pad(gray, (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
        height, width = smooth.shape[1:]
        focal = min(height, width) / 2 / math.tan(Camera.field_of_view / 2)
        down, across = torch.gradient(smooth[:-1], dim=(1, 2))
        y, x = (((torch.arange(n) + 0.5 - n / 2) / focal) for n in (height, width))
        return cls(
            smooth[:-1], smooth[1:], focal * torch.stack([across, down], dim=-1), (clear[:-1] & clear[1:]).float(),
            x.expand(height, width), y[:, None].expand(height, width),
        )  # fmt: skip

    def gauss_newton_step(
        self, steps: Float[Tensor, "k p 4"], pitches: Float[Tensor, " k"]
    ) -> tuple[Float[Tensor, "k p 4"], Float[Tensor, " k"]]:
        """The camera motion between each pair after one correction, for K pitches in mid-clip; and the cost of the
        motion before the correction."""
        up = steps[..., 1].cumsum(1)
        pitch = pitches[:, None] - up + up[:, up.shape[1] // 2, None]
        basis = rearrange(_basis(self.x, self.y, pitch.flatten()), "(k p) h w c i -> k p h w c i", k=len(pitches))
        flow = einsum(basis, steps, "k p h w c i, k p i -> k p h w c")
        residual, inside = self._residual(flow)
        weight = self.known * inside
        robust = weight * (OUTLIER**2 / (OUTLIER**2 + residual**2)) ** 2
        jacobian = einsum(self.gradient, basis, "p h w c, k p h w c i -> k p h w i")
        weighted = jacobian * robust[..., None]
        prior = residual[0, 0].numel() * torch.tensor(STIFFNESS)
        hessian = einsum(weighted, jacobian, "k p h w i, k p h w j -> k p i j") + prior.diag()
        gradient = einsum(weighted, residual, "k p h w i, k p h w -> k p i") + prior * steps
        correction = torch.linalg.solve(hessian, gradient)
        cost = weight * residual**2 / (OUTLIER**2 + residual**2)
        return steps - correction, cost.sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1)

    def _residual(self, flow: Float[Tensor, "k p h w 2"]) -> tuple[Float[Tensor, "k p h w"], Bool[Tensor, "k p h w"]]:
        """The second frames, warped by the flow, minus the first ones; and whether the flow stays inside the frame."""
        # For `grid_sample` the outer borders of the outermost pixels are at ±1.
        border = torch.stack([self.x[0, -1], self.y[-1, 0]]) * (1 + 1 / (torch.tensor([*self.x.shape[::-1]]) - 1))
        target = (torch.stack([self.x, self.y], dim=-1) + flow) / border
        source = self.second.expand(len(flow), -1, -1, -1).flatten(0, 1)[:, None]
        warped = F.grid_sample(source, target.flatten(0, 1), padding_mode="border", align_corners=False)
        return warped.view(flow.shape[:-1]) - self.first, (target.abs() < 1).all(dim=-1)


def _basis(
    x: Float[Tensor, "*#n h w"], y: Float[Tensor, "*#n h w"], pitch: Float[Tensor, " n"]
) -> Float[Tensor, "n h w 2 4"]:
    """Optical flow, across and down, per unit of rotation right, rotation up, translation aside and ahead.

    Units are radians and camera heights. Everything above the horizon is infinitely far.
    """
    cos, sin = pitch.cos()[:, None, None], pitch.sin()[:, None, None]
    inverse_depth = (cos * y + sin).clamp(min=0)  # camera heights over the distance along the optical axis
    x, y, zero = x.expand_as(inverse_depth), y.expand_as(inverse_depth), torch.zeros_like(inverse_depth)
    across = torch.stack([sin * y - cos * (1 + x * x), x * y, -inverse_depth, x * inverse_depth], dim=-1)
    down = torch.stack([-cos * x * y - sin * x, 1 + y * y, zero, y * inverse_depth], dim=-1)
    return torch.stack([across, down], dim=-2)
