"""From a request to the windows that a pipeline of diffusers is called for: sizes, limits and warnings. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lumora.backends.base import Capabilities, Plan, Task
from lumora.backends.diffusers.catalog import CatalogEntry, models_for
from lumora.backends.diffusers.clip_windows import CannotMake, ClipWindow, nearest_length, plan_windows_of
from lumora.backends.diffusers.families import Family
from lumora.backends.timeline.segments import Segment, make_segments
from lumora.config import Resolution
from lumora.request.conditions import Shot
from lumora.request.spec import Request, check_range

MIN_SIDE, MAX_SIDE = 16, 2048
"""Of what can be asked for; smaller sides than a model makes are rounded up."""
MAX_SECONDS = 60.0
MAX_INFERENCE_STEPS = 200
MAX_SHOTS = 60
MAX_FPS = 60.0


@dataclass(frozen=True)
class DiffusersPlan(Plan):
    segments: tuple[Segment, ...]
    windows: tuple[tuple[ClipWindow, ...], ...]
    """Of each segment, in the order in which they are made."""

    @property
    def num_windows(self) -> int:
        return sum(map(len, self.windows))


def capabilities(entry: CatalogEntry) -> Capabilities:
    family = entry.calls
    seconds = entry.num_frames / entry.fps
    return Capabilities(
        tasks=family.tasks,
        size=entry.resolution,
        size_step=family.size_step,
        aspect_step=family.size_step,
        min_side=family.size_step,
        max_side=MAX_SIDE,
        fps=entry.fps,
        max_fps=MAX_FPS if family.any_fps else entry.fps,
        seconds=seconds,
        max_seconds=MAX_SECONDS,
        frame_step=family.frame_step,
        num_inference_steps=entry.num_inference_steps,
        max_inference_steps=MAX_INFERENCE_STEPS,
        max_shots=MAX_SHOTS,
        license=entry.license,
        shows_people=True,
    )


def prepare(request: Request, entry: CatalogEntry) -> DiffusersPlan:
    """Decides what the request leaves open and plans its windows. A plan's request gives the same plan again.

    Raises ValueError, in one sentence, for what the model cannot make; it names a model that can.
    """
    limits, family = capabilities(entry), entry.calls
    size = limits.nearest_size(request.size or limits.size, min(limits.min_side, MIN_SIDE))
    seconds = limits.seconds if request.seconds is None else request.seconds
    steps = limits.num_inference_steps if request.num_inference_steps is None else request.num_inference_steps
    fps = _fps(request, limits)
    check_range("steps", steps, 1, limits.max_inference_steps)
    steps = len(entry.noise_levels) or steps
    resolved = replace(request, size=size, fps=fps, seconds=seconds, num_inference_steps=steps)
    resolved = _with_rounded_shots(resolved, fps, family, limits)
    segments = _segments(resolved, fps)
    try:
        windows = tuple(tuple(plan_windows_of(s, family, entry.num_frames, fps)) for s in segments)
    except CannotMake as error:
        raise ValueError(_with_alternative(error, entry)) from None
    warnings = tuple(_warnings(request, resolved, entry, max(segment.num_frames for segment in segments)))
    num_frames = sum(segment.num_frames for segment in segments)
    return DiffusersPlan(resolved, size, fps, num_frames, warnings, segments, windows)


def guidance_scale(request: Request, entry: CatalogEntry) -> float:
    return entry.guidance_scale if request.guidance_scale is None else request.guidance_scale


def _fps(request: Request, limits: Capabilities) -> float:
    if request.fps is None:
        return limits.fps
    check_range("frames a second", request.fps, 1, MAX_FPS)
    return request.fps if limits.max_fps > limits.fps else limits.fps


def _segments(request: Request, fps: float) -> tuple[Segment, ...]:
    """Runs of shots without a cut, frame by frame."""
    return tuple(make_segments(request.shots(request.seconds or 0.0), request.conditions, fps, 1, request.loop))


def _with_rounded_shots(request: Request, fps: float, family: Family, limits: Capabilities) -> Request:
    """The request with durations that windows fill exactly, unless a clip decides how long it is."""
    shots = list(request.shots(request.seconds or 0.0))
    limits.check_shots(shots)
    index, cuts = -1, [n for n, shot in enumerate(shots) if n and shot.hard_cut]
    for last, segment in zip([n - 1 for n in [*cuts, len(shots)]], _segments(request, fps), strict=True):
        before, index = index + 1, last
        others = sum(shot.seconds for shot in shots[before:last])
        num_frames = _rounded_frames(segment, request, family.frame_step)
        shots[last] = Shot(shots[last].prompt, max(0.0, num_frames / fps - others), shots[last].hard_cut)
    first, *following = shots
    return replace(request, seconds=first.seconds, next_shots=tuple(following))


def _rounded_frames(segment: Segment, request: Request, step: int) -> int:
    """The frames of a segment, rounded unless a clip or the times of keyframes decide about them."""
    total, sources = segment.num_frames, segment.frame_sources
    given = sorted(frame for frame in sources if frame < total)
    if len(given) == total or any(0 < source.strength < 1 for source in sources.values()):
        return total
    leading = next(frame for frame in range(total) if frame not in sources)
    trailing = next(n for n in range(total) if total - 1 - n not in sources)
    has_fixed_end = trailing > 0 and request.conditions[sources[total - 1].condition_index].start != "end"
    if has_fixed_end or len(given) > leading + trailing:
        return total
    if request.loop:  # its beginning follows its end
        return nearest_length(total + 1, leading, 1, step) - 1
    return nearest_length(total, leading, trailing, step)


def _with_alternative(error: CannotMake, entry: CatalogEntry) -> str:
    task: Task = error.needs  # type: ignore[assignment]
    others = [name for name in models_for(task) if name != entry.name]
    return f"{error}; `--model {others[0]}` can." if others else f"{error}."


def _warnings(request: Request, resolved: Request, entry: CatalogEntry, longest: int) -> Iterator[str]:
    """`longest`: frames of the longest run of shots without a cut."""
    family, fps = entry.calls, resolved.fps or entry.fps
    if request.size is not None and request.size != resolved.size:
        step = family.size_step
        yield f"This model makes sizes in steps of {step} pixels, so {request.size} becomes {resolved.size}."
    if request.fps is not None and request.fps != fps:
        yield f"This model makes {fps:g} frames a second, not {request.fps:g}."
    asked, made = (sum(shot.seconds for shot in asking.shots(asking.seconds or 0.0)) for asking in (request, resolved))
    if request.seconds is not None and asked > 0 and abs(asked - made) * fps > 0.51:
        yield f"This model makes frames in steps of {family.frame_step}, so {asked:g} seconds become {made:.4g}."
    if longest > entry.num_frames:
        yield (
            f"This model was trained on {entry.num_frames / fps:.2g} seconds at a time; a longer shot is made in "
            "windows, and what leaves the picture is forgotten."
        )
    if resolved.size and not 0.4 < _pixels(resolved.size) / _pixels(entry.resolution) < 2.3:
        yield f"This model was trained on pictures of about {entry.size} pixels; {resolved.size} will look worse."
    if request.num_inference_steps not in (None, resolved.num_inference_steps):
        yield f"This model was distilled to {resolved.num_inference_steps} steps; it makes no other number."
    if request.negative_prompt and guidance_scale(request, entry) <= 1:
        yield "The negative prompt has no effect at a guidance scale of 1."


def _pixels(size: Resolution) -> int:
    return size.width * size.height
