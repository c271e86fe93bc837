"""Shading of subjects, and their shadows on the ground."""

from __future__ import annotations

import torch
from torch import Tensor

from lumora.world.render import paint, primitives
from lumora.world.render.lighting import Lights
from lumora.world.render.primitive_tables import PrimitiveTable
from lumora.world.render.primitives import INF
from lumora.world.render.ray_casting import Candidates, Hits, Rays, candidates_in, corners, solve
from lumora.world.render.vectors import at, dot, normalize
from lumora.world.scene import MATERIALS

_SHINY, _METAL = MATERIALS.index("shiny"), MATERIALS.index("metal")
_REACH = 2.5
"""Radius in half extents of the ambient occlusion of a subject on the ground."""


def local_points(table: PrimitiveTable, hits: Hits) -> tuple[Tensor, Tensor, Tensor]:
    """(unit-space points, world points, unit view rays), each (3, K)."""
    cameras = table.cameras.select(at(table.frame, hits.prim))
    x, y = cameras.plane(hits.column, hits.row, cameras.focal)
    ray = cameras.forward + x * cameras.right + y * cameras.up
    world = cameras.origin + hits.depth * ray
    local = (at(table.to_unit, hits.prim) * (world - at(table.centre, hits.prim))).sum(1)
    return local, world, normalize(ray)


def normals(table: PrimitiveTable, prim: Tensor, local: Tensor) -> Tensor:
    """Outward unit normals (3, K) in world space."""
    gradient = torch.empty_like(local)
    shape = torch.bucketize(prim, torch.tensor(table.shape_counts, device=prim.device).cumsum(0), right=True)
    for number in shape.unique().tolist():
        index = (shape == number).nonzero()[:, 0]
        gradient[:, index] = primitives.normal(number, at(local, index), at(table.k, at(prim, index)))
    return normalize((at(table.to_unit, prim) * gradient[:, None]).sum(0))


def shade(
    table: PrimitiveTable, lights: Lights, ground: Tensor, hits: Hits, points: tuple[Tensor, Tensor, Tensor]
) -> Tensor:
    """The light (3, K) from each hit towards the camera; `ground` (3, C) is the color of each clip's ground."""
    local, world, ray = points
    prim, part, frame = hits.prim, at(table.part, hits.prim), at(table.frame, hits.prim)
    clip = at(table.clip, frame)
    light = lights.select(clip, 0)
    normal = normals(table, prim, local)
    facing = (-dot(normal, ray)).clamp(0.05, 1)
    wide = hits.depth / at(table.cameras.focal, frame) * at(table.to_unit.square().sum((0, 1)).div(3).sqrt(), prim)
    wide = wide * facing.clamp(min=0.4).reciprocal()
    tones, emotion, k = at(table.color, part), at(table.emotion, part), at(table.k, prim)
    surface = paint.albedo(at(table.paint, part), local, tones, at(table.second, part), wide, emotion, k)
    open_sky, lit = _occlusion(table, prim, frame, world, normal, light.toward)
    bounce = light.below * (0.4 + 1.2 * at(ground, clip))
    ambient = bounce + (light.above - bounce) * (0.5 + 0.5 * normal[2])
    incidence = dot(normal, light.toward)
    key = light.key * (lit * (incidence * 0.9 + 0.1).clamp(min=0))
    diffuse = surface * (ambient * open_sky + key)

    mirror = ray + 2 * facing * normal
    ground_light = at(ground, clip) * (light.above + light.key * light.toward[2])
    above = (mirror[2] * 5 + 0.5).clamp(0, 1)
    reflected = ground_light + (light.sky(mirror[2]) * 1.1 - ground_light) * above
    half = normalize(light.toward - ray)
    gleam = dot(normal, half).clamp(min=0) * (lit * (incidence > 0))
    glint = light.key.amax(0) + 0.25

    material = at(table.material, part)
    fresnel = 0.06 + 0.55 * (1 - facing).pow(4)
    shiny = diffuse * (1 - 0.5 * fresnel) + fresnel * reflected * open_sky + 1.1 * glint * gleam.pow(70)
    tint = 0.04 + 0.92 * surface
    metal = 0.45 * diffuse + tint * (0.62 * reflected * open_sky + 1.1 * glint * gleam.pow(22))
    color = torch.where(material == _SHINY, shiny, torch.where(material == _METAL, metal, diffuse))
    haze = 1 - torch.exp(-0.01 * light.haze * (hits.depth - 8).clamp(min=0))
    return color + (light.horizon - color) * haze


def _occlusion(
    table: PrimitiveTable, prim: Tensor, frame: Tensor, world: Tensor, normal: Tensor, toward: Tensor
) -> tuple[Tensor, Tensor]:
    """Shares (K,) of sky and key light not blocked by the ground and other subjects, which are taken as spheres."""
    own = at(table.subject, prim)
    radius = at(table.bounding_spheres[3].reshape(-1), frame * table.bounding_spheres.shape[2] + own)
    near_ground = (1 - world[2] / (0.9 * radius)).clamp(0, 1)
    sky = 1 - 0.5 * near_ground * (0.75 - 0.25 * normal[2])
    lit = torch.ones_like(sky)
    for other in range(table.bounding_spheres.shape[2]):
        if table.bounding_spheres.shape[2] == 1:
            break
        x, y, z, r = at(table.bounding_spheres[:, :, other], frame)
        offset = torch.stack([x - world[0], y - world[1], z - world[2]])
        square = dot(offset, offset).clamp(min=1e-4)
        counts = (own != other) & (r > 0)
        along = dot(offset, toward)
        miss = (square - along * along).clamp(min=0).sqrt()
        soft = 0.12 * r + 0.12 * along.abs()
        shadow = ((0.88 * r - miss) / soft + 0.5).clamp(0, 1) * (along > 0)
        lit = torch.where(counts, lit * (1 - shadow), lit)
        cosine = (dot(offset, normal) / square.sqrt()).clamp(min=0)
        sky = torch.where(counts, sky * (1 - 0.7 * cosine * (r * r / square).clamp(max=1)), sky)
    return sky, lit


def ground_occlusion(
    table: PrimitiveTable, rays: Rays, lights: Lights, depth: Tensor, floor: Tensor
) -> tuple[Tensor, Tensor]:
    """Shares of key light and sky blocked on the ground, each (F, H, W); `depth` and `floor` are the backdrop's."""
    key = _cast_shadows(table, rays, lights, depth, floor)
    return key, _ambient_occlusion(table, depth, floor)


def _cast_shadows(table: PrimitiveTable, rays: Rays, lights: Lights, depth: Tensor, floor: Tensor) -> Tensor:
    """Shadows by the length of the light's path through a body, weaker with its distance, which gives a penumbra."""
    dark = torch.zeros(depth.numel(), device=depth.device)
    if len(table.part) == 0:
        return dark.view_as(depth)
    toward = at(lights.toward, at(table.clip, table.frame))
    points = corners(table)
    drop = points[2].clamp(min=0) / toward[2, :, None]
    cameras = table.cameras.select(table.frame)
    candidates, place = _on_floor(candidates_in(cameras, points - drop * toward[..., None]), table.frame, depth, floor)
    x, y = cameras.plane(candidates.column + 0.5, candidates.row + 0.5, at(cameras.focal, candidates.prim))
    origin = at(rays.origin, candidates.prim) + at(depth.view(-1), place) * rays.direction(candidates.prim, x, y)
    upward = at((table.to_unit * toward).sum(1), candidates.prim)
    enter, leave = solve(table, candidates.prim, origin, upward)
    found = ((enter < INF) & (leave > 0)).nonzero()[:, 0]
    enter, leave = at(enter, found).clamp(min=0), at(leave, found)
    opacity = ((leave - enter) / (0.10 + 0.35 * enter)).clamp(0, 1)
    opacity = opacity * (2 - opacity)
    return dark.scatter_reduce_(0, at(place, found), opacity, "amax").view_as(depth)


def _ambient_occlusion(table: PrimitiveTable, depth: Tensor, floor: Tensor) -> Tensor:
    """Ambient occlusion of the ground by subjects: a sphere of radius r at distance d and height z blocks the share
    (z/d)(r/d)² of the sky (Quilez, "sphere ambient occlusion")."""
    hidden = torch.zeros(depth.numel(), device=depth.device)
    frames, count = table.bounding_spheres.shape[1:]
    x, y, z, r = table.bounding_spheres.reshape(4, frames * count)
    frame = torch.arange(frames, device=depth.device).repeat_interleave(count)
    signs = r.new_tensor([(-1, -1), (-1, 1), (1, -1), (1, 1)]).T * _REACH
    points = torch.stack(
        [x[:, None] + r[:, None] * signs[0], y[:, None] + r[:, None] * signs[1], (0 * r)[:, None].expand(-1, 4)]
    )
    cameras = table.cameras.select(frame)
    candidates, place = _on_floor(candidates_in(cameras, points), frame, depth, floor)
    prim, far = candidates.prim, at(depth.view(-1), place)
    views = cameras.select(prim)
    px, py = views.plane(candidates.column + 0.5, candidates.row + 0.5, views.focal)
    dx = views.origin[0] + far * (views.forward[0] + px * views.right[0] + py * views.up[0]) - at(x, prim)
    dy = views.origin[1] + far * (views.forward[1] + px * views.right[1] + py * views.up[1]) - at(y, prim)
    flat = dx * dx + dy * dy
    height, radius = at(z, prim).clamp(min=0.01), at(r, prim)
    square = flat + height * height
    share = height * radius * radius * square.pow(-1.5)
    edge = (1 - flat.sqrt() / (_REACH * radius)).mul(3).clamp(0, 1)
    return hidden.scatter_reduce_(0, place, (share * edge).clamp(0, 0.85), "amax").view_as(depth)


def _on_floor(candidates: Candidates, frame: Tensor, depth: Tensor, floor: Tensor) -> tuple[Candidates, Tensor]:
    """The candidates whose pixel shows the floor, and the indices of these pixels in (F·H·W)."""
    height, width = depth.shape[1:]
    place = (at(frame, candidates.prim) * height + candidates.row) * width + candidates.column
    keep = at(floor.reshape(-1), place).nonzero()[:, 0]
    return candidates.keep(keep), at(place, keep)
