"""Everything except the subjects: sky and ground outdoors, houses in the street, walls and floor of the room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lumora.world.render import ground
from lumora.world.render.body_parts import rgb
from lumora.world.render.cameras import Cameras
from lumora.world.render.lighting import Lights
from lumora.world.render.sky import hashed, paint_sky
from lumora.world.scene import PLACES, Place, Scene
from lumora.world.trajectory import Trajectory

HOUSES = 9.0
"""Meters from the middle of the street to the fronts of the houses."""


@dataclass(frozen=True)
class Backdrop:
    color: Tensor
    """(3, V, H, W) linear light."""
    depth: Tensor
    """(V, H, W) depth in meters; infinite in the sky."""
    floor: Tensor
    """(V, H, W) whether the pixel shows the ground z = 0."""


def paint_backdrop(cameras: Cameras, clip: Tensor, scenes: Sequence[Scene], lights: Lights, rooms: Tensor) -> Backdrop:
    """The backdrop of V views; `clip` (V,) is the scene of each, `rooms` (3, C) half width, half depth and height."""
    views, shape = len(clip), (len(clip), cameras.height, cameras.width)
    place = torch.tensor([PLACES.index(s.place) for s in scenes], device=clip.device)[clip]
    present = place.unique().tolist()
    if len(present) == 1:
        return _paint(PLACES[present[0]], cameras, lights.select(clip, 2), rooms[:, clip].view(3, views, 1, 1))
    color = torch.empty((3, *shape), device=clip.device)
    depth, floor = torch.empty(shape, device=clip.device), torch.empty(shape, dtype=torch.bool, device=clip.device)
    for number in present:
        index = (place == number).nonzero()[:, 0]
        which = clip[index]
        room = rooms[:, which].view(3, -1, 1, 1)
        part = _paint(PLACES[number], cameras.select(index), lights.select(which, 2), room)
        color[:, index], depth[index], floor[index] = part.color, part.depth, part.floor
    return Backdrop(color, depth, floor)


def room_sizes(scenes: Sequence[Scene], trajectories: Sequence[Trajectory]) -> np.ndarray:
    """(3, C): half width, half depth and height of rooms that contain the camera and the subjects at all times."""
    sizes = []
    for trajectory in trajectories:
        inside = np.concatenate([trajectory.positions.reshape(-1, 3), trajectory.camera_positions])
        reach = np.abs(inside).max(0)
        sizes.append([max(4.2, reach[0] + 0.9), max(4.2, reach[1] + 0.9), max(3.4, reach[2] + 0.6)])
    return np.array(sizes).T


def _paint(place: Place, cameras: Cameras, lights: Lights, room: Tensor) -> Backdrop:
    return _indoors(cameras, lights, room) if place == "room" else _outdoors(place, cameras, lights)


def _outdoors(place: Place, cameras: Cameras, lights: Lights) -> Backdrop:
    first, last = cameras.horizon_rows()
    views, focal = len(cameras.focal), cameras.focal.view(-1, 1, 1)
    shape = (views, cameras.height, cameras.width)
    color = torch.empty((3, *shape), device=focal.device)
    depth = torch.full(shape, float("inf"), device=focal.device)
    if last > 0:
        color[:, :, :last] = paint_sky(cameras.grid(0, last), place, lights, focal)
    if first < cameras.height:
        direction = cameras.grid(first, cameras.height)
        lit, far = _paint_ground(place, cameras, direction, lights, focal)
        below = (direction[2] < -1e-6).expand_as(far)
        color[:, :, first:] = torch.where(below, lit, color[:, :, first:])
        depth[:, first:] = torch.where(below, far, depth[:, first:])
    floor = depth < float("inf")
    if place == "street" and last > 0:
        _build_houses(cameras, lights, color, depth, floor)
    return Backdrop(color, depth, floor)


def _paint_ground(
    place: Place, cameras: Cameras, direction: Tensor, lights: Lights, focal: Tensor
) -> tuple[Tensor, Tensor]:
    """The ground's light (3, V, h, W) with haze, and its depth (V, h, W)."""
    origin = cameras.origin.view(3, -1, 1, 1)
    far = origin[2] / (-direction[2]).clamp(min=1e-6) + 0 * direction[0]
    near = far.clamp(max=400.0)  # Beyond this distance haze covers everything.
    wide = near / focal * torch.rsqrt((-direction[2]).clamp(min=1e-3))
    x, y = origin[0] + near * direction[0], origin[1] + near * direction[1]
    surface = ground.albedo(place, x, y, wide, lights.draws[16:20])
    lit = surface * (lights.above + lights.key * lights.toward[2])
    haze = 0.65 * (1 - torch.exp(-0.015 * lights.haze * (near - 8).clamp(min=0)))
    return lit + (lights.horizon - lit) * haze, far


def _build_houses(cameras: Cameras, lights: Lights, color: Tensor, depth: Tensor, floor: Tensor) -> None:
    """Paints the fronts of houses on both sides over the sky, in place; some windows are lit at night."""
    direction, focal = cameras.grid(0, cameras.height), cameras.focal.view(-1, 1, 1)
    origin = cameras.origin.view(3, -1, 1, 1)
    behind = torch.minimum(origin[1] - 1.0, origin[1].new_tensor(-HOUSES))
    facing = direction[1].abs().clamp(min=1e-4)
    far = torch.where(direction[1] > 0, HOUSES - origin[1], origin[1] - behind) / facing
    x, z = origin[0] + far * direction[0], origin[2] + far * direction[2]
    wide = far / focal
    house = torch.floor(x / 3.4 + 40 * lights.draws[4])
    across = x / 3.4 + 40 * lights.draws[4] - house
    height = 3.2 + 3.6 * hashed(house, house, 11)
    hue = hashed(house, house, 12)
    warm, cool = color.new_tensor(rgb(0.68, 0.50, 0.42)), color.new_tensor(rgb(0.56, 0.60, 0.64))
    wall = warm.view(3, 1, 1, 1) + (cool - warm).view(3, 1, 1, 1) * hue
    storey = torch.frac(z / 1.5 + 0.25)
    pane = torch.maximum((torch.frac(across * 2) - 0.5).abs() * 1.7 - 0.42, (storey - 0.5).abs() * 1.5 - 0.42)
    window = (0.5 - pane / wide).clamp(0, 1) * (z > 0.3) * (2 - 3 * wide).clamp(0, 1)
    lamp = lights.stars * (hashed(house * 2 + torch.floor(across * 2), torch.floor(z / 1.5 + 0.25), 13) > 0.55)
    glass = color.new_tensor(rgb(0.30, 0.38, 0.46)).view(3, 1, 1, 1)
    lit = wall * (lights.above + 0.45 * lights.key)
    lit = lit + (glass * (lights.above + 0.5 * lights.key) - lit) * window
    lit = lit + (color.new_tensor(rgb(0.90, 0.74, 0.48)).view(3, 1, 1, 1) * 0.6 - lit) * (window * lamp)
    lit = lit * (1 - 0.3 * ((across - 0.5).abs() > 0.485))
    lit = lit + (lights.horizon - lit) * (1 - torch.exp(-0.012 * lights.haze * far))
    cover = ((height - z) / wide + 0.5).clamp(0, 1) * (far < depth) * (z > 0)
    color += (lit - color) * cover
    depth.copy_(torch.where(cover > 0.5, far, depth))
    floor &= cover <= 0


def _indoors(cameras: Cameras, lights: Lights, room: Tensor) -> Backdrop:
    """The inside of a box: floor boards, walls with skirting and a window, and a ceiling."""
    direction, origin = cameras.grid(0, cameras.height), cameras.origin.view(3, -1, 1, 1)
    step = 1 / torch.where(direction.abs() < 1e-6, 1e-6, direction)
    tx = (torch.where(step[0] > 0, room[0], -room[0]) - origin[0]) * step[0]
    ty = (torch.where(step[1] > 0, room[1], -room[1]) - origin[1]) * step[1]
    tz = (torch.where(step[2] > 0, room[2], torch.zeros_like(room[2])) - origin[2]) * step[2]
    depth = torch.minimum(torch.minimum(tx, ty), tz)
    x, y, z = origin + depth * direction
    wide = depth / cameras.focal.view(-1, 1, 1)
    boards = ground.albedo("room", x, y, wide * (-step[2]).clamp(1, 100).sqrt(), lights.draws[16:20])
    floor, ceiling = (tz <= depth) & (step[2] < 0), (tz <= depth) & (step[2] > 0)
    along = torch.where(ty <= depth, x, y)
    back = (ty <= depth) & (step[1] > 0)
    light = lights.above * 0.75 + lights.below * 0.45 + lights.key * 0.42
    walls = _walls(along, z, wide, back, lights, light)
    side = torch.where(ty <= depth, 1.0, 0.88)
    near_corner = (
        1 - 0.16 * torch.exp(-2.2 * z.clamp(min=0)) - 0.10 * torch.exp(-1.5 * (room[0] - x.abs()).clamp(min=0))
    )
    color = torch.where(floor, boards * (lights.above + lights.key * lights.toward[2]), walls * side * near_corner)
    color = torch.where(ceiling, light * 0.86, color)
    return Backdrop(color, depth, floor)


def _walls(u: Tensor, z: Tensor, wide: Tensor, back: Tensor, lights: Lights, light: Tensor) -> Tensor:
    """Light (3, V, H, W) of the walls at u meters along them and z meters up."""
    hue = lights.draws[5]
    warm, cool = u.new_tensor(rgb(0.87, 0.80, 0.68)), u.new_tensor(rgb(0.68, 0.78, 0.80))
    paint = warm.view(3, 1, 1, 1) + (cool - warm).view(3, 1, 1, 1) * hue
    stripe = torch.sin(u * 4.2) * (2 - 4 * wide / 1.5).clamp(0, 1)
    color = paint * (0.93 + 0.05 * stripe) * light
    white = 0.82 * light

    def cover(distance: Tensor) -> Tensor:
        return (0.5 - distance / wide).clamp(0, 1)

    color = color + (white - color) * cover(z - 0.22)
    color = color * (1 - 0.35 * cover((z - 0.24).abs() - 0.03))
    middle = (lights.draws[6] - 0.5) * 3.0
    frame = torch.maximum((u - middle).abs() - 1.15, (z - 2.05).abs() - 0.85)
    pane = torch.maximum(frame + 0.12, torch.minimum(0.05 - (u - middle).abs(), u * 0 + 0.0))
    bars = torch.minimum((u - middle).abs() - 0.05, (z - 2.05).abs() - 0.04)
    outside = lights.sky((z - 1.2).clamp(min=0) * 0.35)
    color = color + (white * 1.08 - color) * (cover(frame) * back)
    return color + (outside - color) * (cover(pane) * (1 - cover(bars)) * back)
