"""From scenes to pictures: the steps of rendering, in order."""

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
from lumora.world.render.primitive_tables import Stage, set_stage
from lumora.world.render.primitives import BOX, CONE, COOKIE, CYLINDER
from lumora.world.render.ray_casting import Hits, Jobs, Rays, cast, screen_jobs
from lumora.world.render.shading import ground_shade, local_points, shade
from lumora.world.render.style_effects import stylise
from lumora.world.render.vectors import at
from lumora.world.scene import Scene
from lumora.world.trajectory import Trajectory

_PIXELS_AT_ONCE = {"cpu": 600_000, "cuda": 24_000_000}
"""Enough to keep the device busy, few enough to stay in the cache of a CPU and the memory of a GPU."""


@dataclass(frozen=True)
class Rendering:
    frames: UInt8[Tensor, "b t h w 3"]
    subject: Int8[Tensor, "b t h w"]
    """Index of the subject that is seen at a pixel's centre, or −1."""
    depth: Float16[Tensor, "b t h w"]
    """Metres along the viewing axis; infinite in the sky."""


@torch.no_grad()
def render(
    scenes: Sequence[Scene],
    trajectories: Sequence[Trajectory],
    height: int,
    width: int,
    device: str | torch.device = "cpu",
    samples: int = 4,
) -> Rendering:
    """Draw B clips of T frames each. `samples` rays are cast in every pixel that shows an edge, one in the others.

    Raises ValueError if there are no scenes, their numbers or lengths differ, or the size or `samples` is not positive.
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
    limit = max(1, _PIXELS_AT_ONCE["cpu" if device.type == "cpu" else "cuda"] // (height * width))
    clips = max(1, limit // frames)
    batches = []
    for first in range(0, len(scenes), clips):
        some = slice(first, first + clips)
        pieces = [
            _draw(
                scenes[some],
                [_excerpt(t, at, at + limit) for t in trajectories[some]],
                rooms[:, some],
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
    """(frames, subject, depth) of clips that are drawn together."""
    stage = set_stage(scenes, trajectories, height, width, device)
    lights = Lights.of(list(scenes), device)
    tones = torch.tensor([GROUND_TONE[scene.place] for scene in scenes], device=device).T
    view, views = _distinct_views(stage, trajectories)
    inside = torch.from_numpy(rooms.astype(np.float32)).to(device)
    backdrop = paint_backdrop(stage.cameras.select(views), stage.clip[views], scenes, lights, inside)

    rays = Rays.of(stage)
    far, floor = backdrop.depth.index_select(0, view), backdrop.floor.index_select(0, view)
    color = backdrop.color.index_select(1, view)
    color = _tone(_darken(color, stage, lights, *ground_shade(stage, rays, lights, far, floor)))

    jobs = screen_jobs(stage)
    slot = (at(stage.frame, jobs.prim) * height + jobs.row) * width + jobs.column
    hits = cast(stage, rays, jobs, jobs.column + 0.5, jobs.row + 0.5, slot, far.numel())
    points = local_points(stage, hits)
    surface = torch.full((far.numel(),), -1, device=device)
    surface[hits.slot] = hits.prim * 8 + _facet(stage, hits, points[0])
    edge = _edges(surface.view_as(far)).view(-1)

    flat = color.view(3, -1)
    plain = (~at(edge, hits.slot)).nonzero()[:, 0] if samples > 1 else torch.arange(len(hits.prim), device=device)
    some = hits.keep(plain)
    seen = (at(points[0], plain), at(points[1], plain), at(points[2], plain))
    flat[:, some.slot] = _tone(shade(stage, lights, tones, some, seen))
    if samples > 1:
        _smooth_edges(stage, rays, lights, tones, jobs, slot, edge, flat, samples)

    subject = torch.full((far.numel(),), -1, dtype=torch.int8, device=device)
    subject[hits.slot] = at(stage.subject, hits.prim).to(torch.int8)
    depth = far.reshape(-1).clone()
    depth[hits.slot] = hits.depth
    shape = (len(scenes), -1, height, width)
    times = np.concatenate([t.times for t in trajectories]).tolist()
    stylise(color.sqrt_(), surface.view_as(far), subject.view_as(far), scenes, stage.clip, times)
    frames = color.mul_(255).add_(0.5).to(torch.uint8).permute(1, 2, 3, 0).contiguous()
    return frames.view(*shape, 3), subject.view(shape), depth.half().view(shape)


def _tone(color: Tensor) -> Tensor:
    return color.clamp(0, 1)


def _distinct_views(stage: Stage, trajectories: Sequence[Trajectory]) -> tuple[Tensor, Tensor]:
    """(the view of each frame (F,), a frame of each view (V,)): a backdrop serves while the camera stands still."""
    poses = np.concatenate([np.concatenate([t.camera_positions, t.camera_targets], 1) for t in trajectories])
    clips = stage.clip.cpu().numpy()
    changed = (np.diff(poses, axis=0) != 0).any(1) | (np.diff(clips) != 0)
    view = np.concatenate([[0], np.cumsum(changed)])
    first = np.concatenate([[0], 1 + np.nonzero(changed)[0]])
    return torch.from_numpy(view).to(stage.clip.device), torch.from_numpy(first).to(stage.clip.device)


def _darken(color: Tensor, stage: Stage, lights: Lights, key: Tensor, sky: Tensor) -> Tensor:
    """Ground light (3, F, H, W) without the shares `key` and `sky` (F, H, W) that the subjects take away."""
    light = lights.select(stage.clip, 2)
    full = light.above + light.key * light.toward[2]
    from_sky = light.above / full
    return color * (1 - sky * from_sky - (1 - from_sky) * key * (1 - 0.1 * sky))


def _facet(stage: Stage, hits: Hits, local: Tensor) -> Tensor:
    """A number (K,) that differs between the faces of one primitive, so that their common edge is smoothed as well."""
    ends = torch.tensor(stage.shape_counts, device=local.device).cumsum(0)
    shape = torch.bucketize(hits.prim, ends, right=True)
    size = local.abs()
    box = torch.where(size[0] >= size.amax(0), 0, torch.where(size[1] >= size.amax(0), 1, 2))
    lid = (size[2] > 0.9995).long()
    lids = (shape == CYLINDER) | (shape == CONE) | (shape == COOKIE)
    return torch.where(shape == BOX, box, torch.where(lids, lid, 0))


def _edges(surface: Tensor) -> Tensor:
    """Pixels (F, H, W) that see another surface than a neighbour at the side, above or below."""
    edge = torch.zeros_like(surface, dtype=torch.bool)
    across, down = surface[:, :, 1:] != surface[:, :, :-1], surface[:, 1:] != surface[:, :-1]
    edge[:, :, 1:] |= across
    edge[:, :, :-1] |= across
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    return edge


def _smooth_edges(
    stage: Stage,
    rays: Rays,
    lights: Lights,
    tones: Tensor,
    jobs: Jobs,
    slot: Tensor,
    edge: Tensor,
    flat: Tensor,
    samples: int,
) -> None:
    """Replace the colours of `edge` pixels in `flat` (3, F·H·W) by means of `samples` rays each."""
    device = flat.device
    pixel = edge.nonzero()[:, 0]
    number = torch.full((edge.numel(),), -1, device=device)
    number[pixel] = torch.arange(len(pixel), device=device)
    again = at(edge, slot).nonzero()[:, 0]
    offset = _offsets(samples, device)
    sub = jobs.keep(again.repeat_interleave(samples))
    which = torch.arange(samples, device=device).repeat(len(again))
    place = at(number, at(slot, again)).repeat_interleave(samples) * samples + which
    column, row = sub.column + at(offset[0], which), sub.row + at(offset[1], which)
    hits = cast(stage, rays, sub, column, row, place, len(pixel) * samples)
    fine = flat[:, pixel].repeat_interleave(samples, 1)
    fine[:, hits.slot] = _tone(shade(stage, lights, tones, hits, local_points(stage, hits)))
    flat[:, pixel] = fine.view(3, -1, samples).mean(2)


def _offsets(samples: int, device: torch.device) -> Tensor:
    """(2, samples) places in a pixel: Hammersley's points, moved so that their mean is the pixel's centre."""
    across = [(n + 0.5) / samples for n in range(samples)]
    down = [sum((n >> bit & 1) / 2 ** (bit + 1) for bit in range(n.bit_length())) for n in range(samples)]
    points = torch.tensor([across, down], device=device)
    return points + 0.5 - points.mean(1, keepdim=True)
