"""Rendering of scenes and trajectories to frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float16, Int8, UInt8
from torch import Tensor

from lumora.world.render.backdrop import paint_backdrop, room_sizes
from lumora.world.render.ground import GROUND_TONE
from lumora.world.render.lighting import Lights
from lumora.world.render.primitive_tables import PrimitiveTable, build_primitive_table
from lumora.world.render.primitives import BOX, CONE, COOKIE, CYLINDER
from lumora.world.render.ray_casting import Candidates, Hits, Rays, cast_rays, screen_candidates
from lumora.world.render.shading import ground_occlusion, local_points, shade
from lumora.world.render.style_effects import apply_style
from lumora.world.render.vectors import at
from lumora.world.scene import Scene
from lumora.world.trajectory import Trajectory

_MAX_PIXELS = {"cpu": 600_000, "cuda": 24_000_000}
"""Pixels rendered at once: enough to use the device fully, few enough for the cache of a CPU or the memory of a GPU."""


@dataclass(frozen=True)
class Rendering:
    frames: UInt8[Tensor, "b t h w 3"]
    subject: Int8[Tensor, "b t h w"]
    """Index of the subject at the center of the pixel, or −1."""
    depth: Float16[Tensor, "b t h w"]
    """Depth in meters; infinite in the sky."""


@torch.no_grad()
def render(
    scenes: Sequence[Scene],
    trajectories: Sequence[Trajectory],
    height: int,
    width: int,
    device: str | torch.device = "cpu",
    samples: int = 4,
) -> Rendering:
    """Renders B clips of T frames. Pixels on edges get `samples` rays, others one.

    Raises ValueError if there are no scenes, if the numbers of scenes and trajectories or the lengths differ, or if the
    size or `samples` is not positive.
    """
    if not scenes or len(scenes) != len(trajectories):
        raise ValueError(
            f"Give one trajectory for each of at least one scene, not {len(trajectories)} for {len(scenes)}."
        )
    if len({len(t.times) for t in trajectories}) > 1:
        raise ValueError(
            "All clips of one call must have the same number of frames; render the others in another call."
        )
    if min(height, width, samples) < 1:
        raise ValueError(f"Height, width and samples must be positive, not {height}, {width} and {samples}.")
    device = torch.device(device)
    rooms = room_sizes(scenes, trajectories)
    frames = len(trajectories[0].times)
    limit = max(1, _MAX_PIXELS["cpu" if device.type == "cpu" else "cuda"] // (height * width))
    clips = max(1, limit // frames)
    batches = []
    for first in range(0, len(scenes), clips):
        selected = slice(first, first + clips)
        pieces = [
            _draw(
                scenes[selected],
                [_excerpt(t, at, at + limit) for t in trajectories[selected]],
                rooms[:, selected],
                height,
                width,
                device,
                samples,
            )
            for at in range(0, frames, limit)
        ]
        batches.append([torch.cat(parts, 1) for parts in zip(*pieces, strict=True)])
    return Rendering(*(torch.cat(parts) for parts in zip(*batches, strict=True)))


def _excerpt(trajectory: Trajectory, first: int, last: int) -> Trajectory:
    names = ("times", "positions", "rotations", "velocities", "bites", "gait", "camera_positions", "camera_targets")
    return replace(trajectory, **{name: getattr(trajectory, name)[first:last] for name in names})


def _draw(
    scenes: Sequence[Scene],
    trajectories: Sequence[Trajectory],
    rooms: np.ndarray,
    height: int,
    width: int,
    device: torch.device,
    samples: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """(frames, subject, depth) of clips that are rendered together."""
    table = build_primitive_table(scenes, trajectories, height, width, device)
    lights = Lights.of(list(scenes), device)
    tones = torch.tensor([GROUND_TONE[scene.place] for scene in scenes], device=device).T
    view, views = _distinct_views(table, trajectories)
    inside = torch.from_numpy(rooms.astype(np.float32)).to(device)
    backdrop = paint_backdrop(table.cameras.select(views), table.clip[views], scenes, lights, inside)

    rays = Rays.of(table)
    far, floor = backdrop.depth.index_select(0, view), backdrop.floor.index_select(0, view)
    color = backdrop.color.index_select(1, view)
    color = _tone(_darken(color, table, lights, *ground_occlusion(table, rays, lights, far, floor)))

    candidates = screen_candidates(table)
    slot = (at(table.frame, candidates.prim) * height + candidates.row) * width + candidates.column
    hits = cast_rays(table, rays, candidates, candidates.column + 0.5, candidates.row + 0.5, slot, far.numel())
    points = local_points(table, hits)
    surface = torch.full((far.numel(),), -1, device=device)
    surface[hits.slot] = hits.prim * 8 + _facet(table, hits, points[0])
    edge = _edges(surface.view_as(far)).view(-1)

    flat = color.view(3, -1)
    inner = (~at(edge, hits.slot)).nonzero()[:, 0] if samples > 1 else torch.arange(len(hits.prim), device=device)
    inner_hits = hits.keep(inner)
    inner_points = (at(points[0], inner), at(points[1], inner), at(points[2], inner))
    flat[:, inner_hits.slot] = _tone(shade(table, lights, tones, inner_hits, inner_points))
    if samples > 1:
        _smooth_edges(table, rays, lights, tones, candidates, slot, edge, flat, samples)

    subject = torch.full((far.numel(),), -1, dtype=torch.int8, device=device)
    subject[hits.slot] = at(table.subject, hits.prim).to(torch.int8)
    depth = far.reshape(-1).clone()
    depth[hits.slot] = hits.depth
    shape = (len(scenes), -1, height, width)
    times = np.concatenate([t.times for t in trajectories]).tolist()
    apply_style(color.sqrt_(), surface.view_as(far), subject.view_as(far), scenes, table.clip, times)
    frames = color.mul_(255).add_(0.5).to(torch.uint8).permute(1, 2, 3, 0).contiguous()
    return frames.view(*shape, 3), subject.view(shape), depth.half().view(shape)


def _tone(color: Tensor) -> Tensor:
    return color.clamp(0, 1)


def _distinct_views(table: PrimitiveTable, trajectories: Sequence[Trajectory]) -> tuple[Tensor, Tensor]:
    """The view of each frame (F,), and a frame of each view (V,). Frames with the same camera share a backdrop."""
    poses = np.concatenate([np.concatenate([t.camera_positions, t.camera_targets], 1) for t in trajectories])
    clips = table.clip.cpu().numpy()
    changed = (np.diff(poses, axis=0) != 0).any(1) | (np.diff(clips) != 0)
    view = np.concatenate([[0], np.cumsum(changed)])
    first = np.concatenate([[0], 1 + np.nonzero(changed)[0]])
    return torch.from_numpy(view).to(table.clip.device), torch.from_numpy(first).to(table.clip.device)


def _darken(color: Tensor, table: PrimitiveTable, lights: Lights, key: Tensor, sky: Tensor) -> Tensor:
    """Ground light (3, F, H, W) without the shares `key` and `sky` (F, H, W) that subjects block."""
    light = lights.select(table.clip, 2)
    full = light.above + light.key * light.toward[2]
    from_sky = light.above / full
    return color * (1 - sky * from_sky - (1 - from_sky) * key * (1 - 0.1 * sky))


def _facet(table: PrimitiveTable, hits: Hits, local: Tensor) -> Tensor:
    """A number (K,) for each face of a primitive, so that the edges between its faces are antialiased too."""
    ends = torch.tensor(table.shape_counts, device=local.device).cumsum(0)
    shape = torch.bucketize(hits.prim, ends, right=True)
    size = local.abs()
    box = torch.where(size[0] >= size.amax(0), 0, torch.where(size[1] >= size.amax(0), 1, 2))
    lid = (size[2] > 0.9995).long()
    lids = (shape == CYLINDER) | (shape == CONE) | (shape == COOKIE)
    return torch.where(shape == BOX, box, torch.where(lids, lid, 0))


def _edges(surface: Tensor) -> Tensor:
    """Pixels (F, H, W) whose surface differs from that of a horizontal or vertical neighbor."""
    edge = torch.zeros_like(surface, dtype=torch.bool)
    across, down = surface[:, :, 1:] != surface[:, :, :-1], surface[:, 1:] != surface[:, :-1]
    edge[:, :, 1:] |= across
    edge[:, :, :-1] |= across
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    return edge


def _smooth_edges(
    table: PrimitiveTable,
    rays: Rays,
    lights: Lights,
    tones: Tensor,
    candidates: Candidates,
    slot: Tensor,
    edge: Tensor,
    flat: Tensor,
    samples: int,
) -> None:
    """Replaces the colors of `edge` pixels in `flat` (3, F·H·W) by the mean of `samples` rays each."""
    device = flat.device
    pixel = edge.nonzero()[:, 0]
    number = torch.full((edge.numel(),), -1, device=device)
    number[pixel] = torch.arange(len(pixel), device=device)
    repeated = at(edge, slot).nonzero()[:, 0]
    offset = _offsets(samples, device)
    sub = candidates.keep(repeated.repeat_interleave(samples))
    which = torch.arange(samples, device=device).repeat(len(repeated))
    sub_slot = at(number, at(slot, repeated)).repeat_interleave(samples) * samples + which
    column, row = sub.column + at(offset[0], which), sub.row + at(offset[1], which)
    hits = cast_rays(table, rays, sub, column, row, sub_slot, len(pixel) * samples)
    fine = flat[:, pixel].repeat_interleave(samples, 1)
    fine[:, hits.slot] = _tone(shade(table, lights, tones, hits, local_points(table, hits)))
    flat[:, pixel] = fine.view(3, -1, samples).mean(2)


def _offsets(samples: int, device: torch.device) -> Tensor:
    """(2, samples) positions in a pixel: the Hammersley sequence, shifted so that the mean is the pixel's center."""
    across = [(n + 0.5) / samples for n in range(samples)]
    down = [sum((n >> bit & 1) / 2 ** (bit + 1) for bit in range(n.bit_length())) for n in range(samples)]
    points = torch.tensor([across, down], device=device)
    return points + 0.5 - points.mean(1, keepdim=True)
