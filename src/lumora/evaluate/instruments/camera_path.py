"""The camera's path, estimated from a video's pixels without any learning.

The background of a scene is a level ground below a horizon, and what is far above it. How such a picture moves is a
linear function of how the camera turns and goes (Longuet-Higgins and Prazdny, Proc. R. Soc. B 208, 1980), once it is
known where the horizon is. So each frame is aligned with the next one (Lucas and Kanade, IJCAI 1981; weights of Geman
and McClure) with things cut out, for some heights of the horizon, of which the one that explains most is kept.
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
"""Radians below the level, in mid-clip, that are tried for the camera's view."""
ROUNDS = ((2, 6), (1, 4))
"""How many times smaller the pictures are, and steps of Gauss and Newton then; coarse first."""
OUTLIER = 5.0
"""Grey levels from which on a difference tells of something else than the camera."""
AROUND = 9
"""Pixels (a side of a square) around a thing that are cut out with it, for its outline and some of its shadow."""
STIFFNESS = (2.5e1, 2.5e1, 2.5, 2.5)
"""What a pixel of mean contrast adds to the cost of unit turns and ways, so that a bare picture stands still."""
LEAST: dict[str, float] = {"right": 0.3, "up": 0.22, "ahead": 0.9}
"""The least amounts that the world's moves have in two seconds: radians, and heights of the camera."""
MOVES: dict[CameraMove, tuple[str, int]] = {
    "pan right": ("right", 1), "pan left": ("right", -1), "tilt up": ("up", 1), "tilt down": ("up", -1),
    "move in": ("ahead", 1), "move out": ("ahead", -1),
}  # fmt: skip
"""The part of a path that is a move's amount, and its sign. An orbit is an amount of turning, to either side."""


@dataclass(frozen=True)
class CameraPath:
    """How a camera has turned and gone since the first frame, T frames.

    Lengths are in heights of the camera above the ground: a video has no metres.
    """

    right: Float[np.ndarray, " t"]
    """Radians turned to the right about the vertical."""
    up: Float[np.ndarray, " t"]
    """Radians turned up."""
    aside: Float[np.ndarray, " t"]
    """Gone to the right."""
    ahead: Float[np.ndarray, " t"]
    """Gone to where it looks."""
    pitch: Float[np.ndarray, " t"]
    """Radians that it looks down, as it was taken to be."""

    @property
    def move(self) -> CameraMove:
        """What a viewer would call it; at least half of the world's least amounts is a move."""
        amounts = {part: float(getattr(self, part)[-1]) for part in LEAST}
        part = max(LEAST, key=lambda p: abs(amounts[p]) / LEAST[p])
        if abs(amounts[part]) < LEAST[part] / 2:
            return "static"
        # An orbit goes to one side and turns to the other.
        if part == "right" and -self.aside[-1] * np.sign(amounts[part]) > 1.2 * abs(amounts[part]):
            return "orbit"
        return next(move for move, (p, sign) in MOVES.items() if p == part and sign * amounts[part] > 0)

    def carries(self, places: Float[np.ndarray, "t 2"], aspect: float) -> Float[np.ndarray, "t 2"]:
        """How far a point of the ground that is at `places` (column, row, as shares of a picture of width / height =
        `aspect`) is carried along since the first frame, as shares too; where it is out of sight it stays."""
        scale = 2 * math.tan(Camera.field_of_view / 2) / min(aspect, 1.0) * np.array([aspect, 1.0])
        x, y = torch.from_numpy(np.nan_to_num(places[:-1] - 0.5) * scale).float().unbind(-1)
        steps = torch.from_numpy(np.diff([self.right, self.up, self.aside, self.ahead])).float()
        basis = _basis(x[:, None, None], y[:, None, None], torch.from_numpy(self.pitch[:-1]).float())
        moved = einsum(basis[:, 0, 0], steps, "t c i, i t -> t c").numpy() / scale
        return np.concatenate([np.zeros((1, 2)), np.cumsum(moved * ~np.isnan(places[:-1]), axis=0)])


def path_of(frames: UInt8[np.ndarray, "t h w 3"], things: Bool[np.ndarray, "t h w"]) -> CameraPath:
    """From a video and where in it things hide the background; a picture alone has a path that goes nowhere.

    The view is taken to be the world's, 0.8 radians across the shorter side.
    """
    if len(frames) == 1:
        return CameraPath(*np.zeros((4, 1)), pitch=np.full(1, PITCHES[len(PITCHES) // 2]))
    grey = torch.from_numpy(frames.mean(axis=-1, dtype=np.float32))
    known = torch.from_numpy(~np.asarray(ndimage.binary_dilation(things, np.ones((1, AROUND, AROUND))), bool))
    pitches, costs = torch.tensor(PITCHES), torch.zeros(len(PITCHES))
    steps = torch.zeros(len(PITCHES), len(grey) - 1, 4)
    for smaller, rounds in ROUNDS:
        pairs = _Pairs.of(grey, known, smaller)
        for _ in range(rounds):
            steps, costs = pairs.improved(steps, pitches)
        best = [int(costs.argmin())]
        steps, pitches = steps[best], pitches[best]
    parts = torch.cat([torch.zeros(4, 1), steps[0].T.cumsum(1)], dim=1).double().numpy()
    pitch = float(pitches[0]) - parts[1] + parts[1][len(grey) // 2]
    return CameraPath(*parts, pitch=pitch)


def true_path(positions: Float[np.ndarray, "t 3"], targets: Float[np.ndarray, "t 3"]) -> CameraPath:
    """What `path_of` would find if it made no mistake, of a camera at these positions that looks at these targets."""
    view = targets - positions
    view = view / np.linalg.norm(view, axis=-1, keepdims=True)
    right = np.cross(view, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    step = np.diff(positions, axis=0) / positions[:-1, 2:]
    heading, rise = np.unwrap(np.arctan2(view[:, 0], view[:, 1])), np.arcsin(view[:, 2])
    aside, ahead = ((step * axis[:-1]).sum(axis=-1).cumsum() for axis in (right, view))
    return CameraPath(heading - heading[0], rise - rise[0], np.append(0.0, aside), np.append(0.0, ahead), -rise)


@dataclass(frozen=True)
class _Pairs:
    """P pairs of frames that follow one another, smoothed, at one scale."""

    first: Float[Tensor, "p h w"]
    second: Float[Tensor, "p h w"]
    gradient: Float[Tensor, "p h w 2"]
    """Of the first ones, across and down, for a unit of the plane at distance 1 from the eye."""
    known: Float[Tensor, "p h w"]
    """1 where both show the background."""
    x: Float[Tensor, "h w"]
    y: Float[Tensor, "h w"]
    """Where pixels are in that plane, right and down from the middle."""

    @classmethod
    def of(cls, grey: Float[Tensor, "t h w"], known: Bool[Tensor, "t h w"], smaller: int) -> _Pairs:
        grey = F.avg_pool2d(grey[:, None], smaller)
        clear = F.avg_pool2d(known[:, None].float(), smaller)[:, 0] == 1
        smooth = F.avg_pool2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
        height, width = smooth.shape[1:]
        focal = min(height, width) / 2 / math.tan(Camera.field_of_view / 2)
        down, across = torch.gradient(smooth[:-1], dim=(1, 2))
        y, x = (((torch.arange(n) + 0.5 - n / 2) / focal) for n in (height, width))
        return cls(
            smooth[:-1], smooth[1:], focal * torch.stack([across, down], dim=-1), (clear[:-1] & clear[1:]).float(),
            x.expand(height, width), y[:, None].expand(height, width),
        )  # fmt: skip

    def improved(
        self, steps: Float[Tensor, "k p 4"], pitches: Float[Tensor, " k"]
    ) -> tuple[Float[Tensor, "k p 4"], Float[Tensor, " k"]]:
        """The steps of the camera between each pair, corrected once, for K pitches in mid-clip; and what the steps as
        they were have left unexplained."""
        up = steps[..., 1].cumsum(1)
        pitch = pitches[:, None] - up + up[:, up.shape[1] // 2, None]
        basis = rearrange(_basis(self.x, self.y, pitch.flatten()), "(k p) h w c i -> k p h w c i", k=len(pitches))
        flow = einsum(basis, steps, "k p h w c i, k p i -> k p h w c")
        apart, inside = self._apart(flow)
        weight = self.known * inside
        trust = weight * (OUTLIER**2 / (OUTLIER**2 + apart**2)) ** 2
        slope = einsum(self.gradient, basis, "p h w c, k p h w c i -> k p h w i")
        pull = slope * trust[..., None]
        prior = apart[0, 0].numel() * torch.tensor(STIFFNESS)
        curvature = einsum(pull, slope, "k p h w i, k p h w j -> k p i j") + prior.diag()
        correction = torch.linalg.solve(curvature, einsum(pull, apart, "k p h w i, k p h w -> k p i") + prior * steps)
        cost = weight * apart**2 / (OUTLIER**2 + apart**2)
        return steps - correction, cost.sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1)

    def _apart(self, flow: Float[Tensor, "k p h w 2"]) -> tuple[Float[Tensor, "k p h w"], Bool[Tensor, "k p h w"]]:
        """How much lighter the second pictures are where the flow leads, and whether it leads out of the picture."""
        # The outermost pixels' outer borders are at ±1 for `grid_sample`.
        border = torch.stack([self.x[0, -1], self.y[-1, 0]]) * (1 + 1 / (torch.tensor([*self.x.shape[::-1]]) - 1))
        led = (torch.stack([self.x, self.y], dim=-1) + flow) / border
        source = self.second.expand(len(flow), -1, -1, -1).flatten(0, 1)[:, None]
        seen = F.grid_sample(source, led.flatten(0, 1), padding_mode="border", align_corners=False)
        return seen.view(flow.shape[:-1]) - self.first, (led.abs() < 1).all(dim=-1)


def _basis(
    x: Float[Tensor, "*#n h w"], y: Float[Tensor, "*#n h w"], pitch: Float[Tensor, " n"]
) -> Float[Tensor, "n h w 2 4"]:
    """How places in the picture move, across and down, while the camera turns right, turns up, goes aside and ahead.

    Unit steps: radians, and heights of the camera. Above the horizon everything is infinitely far.
    """
    cos, sin = pitch.cos()[:, None, None], pitch.sin()[:, None, None]
    near = (cos * y + sin).clamp(min=0)  # heights of the camera over the distance along its axis
    x, y, still = x.expand_as(near), y.expand_as(near), torch.zeros_like(near)
    across = torch.stack([sin * y - cos * (1 + x * x), x * y, -near, x * near], dim=-1)
    down = torch.stack([-cos * x * y - sin * x, 1 + y * y, still, y * near], dim=-1)
    return torch.stack([across, down], dim=-2)
