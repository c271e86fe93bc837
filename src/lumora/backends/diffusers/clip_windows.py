"""The windows of a segment: calls of a pipeline in the order in which they are made, each of which continues frames
that are given or were made before. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from lumora.backends.diffusers.families import BOTH, FIRST, LAST, NOTHING, Family
from lumora.backends.timeline.segments import Segment

CONTEXT_STEPS = 2
"""Given frames that a window sees before what it makes, in units of the frame step, where any frames can be given."""
EDIT_OVERLAP_SECONDS = 0.5
"""How long two windows of an edit are cross-faded."""


class CannotMake(ValueError):
    """The model cannot be given these frames. `needs` says what another model would have to do."""

    def __init__(self, message: str, needs: str) -> None:
        super().__init__(message)
        self.needs = needs


@dataclass(frozen=True)
class ClipWindow:
    """One call of a pipeline. Frames are numbered from the first one of the segment."""

    start: int
    num_frames: int
    """Frames of the call: 1 + n · frame_step."""
    given: dict[int, int]
    """What it is given: the frame of the call, and the frame of the segment that is shown there."""
    targets: dict[int, int]
    """What is kept of it: the frame of the segment, and the frame of the call that it shows."""
    prompt: str
    strength: float | None = None
    """Of an edit: how much of the given frames is noised."""
    blend: range = field(default_factory=lambda: range(0))
    """Frames of the segment that are cross-faded with those of the window before."""


def plan_windows_of(segment: Segment, family: Family, max_frames: int, fps: float) -> list[ClipWindow]:
    """The windows of a segment whose grid has one frame each. Raises CannotMake for what the family cannot be given."""
    edited = [frame for frame in range(segment.num_frames) if 0 < segment.strength(frame) < 1]
    if edited:
        return _edit_windows(segment, family, max_frames, fps)
    known = set(segment.kept_frames())
    windows: list[ClipWindow] = []
    while missing := sorted(set(range(segment.num_frames)) - known):
        window = _next_window(segment, missing[0], known, family, max_frames)
        windows.append(window)
        known |= set(window.targets)
    return windows


def _next_window(segment: Segment, first: int, known: set[int], family: Family, max_frames: int) -> ClipWindow:
    end = max(segment.num_frames, max(known, default=0) + 1)
    shot_end, prompt = _shot_at(segment, first)
    stop = next((frame for frame in range(first, end) if frame in known), end)
    after = stop if stop in known else None
    stop = min(stop, shot_end)
    after = after if stop == after else None
    if family.any_frames:
        return _window_with_context(first, shot_end, known, family, max_frames, prompt)
    before = first - 1 if first else None
    if before is not None and after is not None:
        return _window_between(before, after, family, max_frames, prompt)
    if after is not None:
        _require(family, LAST, "lead up to a given frame", "last_image")
        return _backward_window(after, family, max_frames, prompt)
    if before is not None:
        _require(family, FIRST, *_continuing(segment, max_frames))
        return _forward_window(before, stop, before, family, max_frames, prompt)
    if NOTHING not in family.accepts:
        both = "two images, the first and the last frame" if FIRST not in family.accepts else "a first image"
        raise CannotMake(f"This model starts from {both}; give one to every shot", "text")
    return _forward_window(0, stop, None, family, max_frames, prompt)


def _window_between(before: int, after: int, family: Family, max_frames: int, prompt: str) -> ClipWindow:
    """From a frame to a later one. If they are too far apart, a part that only follows the first."""
    _require(family, BOTH, "make what lies between given frames", "connect")
    length = after - before + 1
    if length > max_frames:
        _require(family, FIRST, "fill a gap that is longer than one window", "infill")
        # The last window keeps at least half a window to reach the later frame.
        stop = min(before + max_frames, after - max_frames // 2)
        return _forward_window(before, stop, before, family, max_frames, prompt)
    num_frames = _grid(length, family.frame_step)
    # Both ends are given, so the frames between are the nearest ones of a call that may be longer.
    scale = (num_frames - 1) / (length - 1)
    targets = {before + n: round(n * scale) for n in range(1, length - 1)}
    return ClipWindow(before, num_frames, {0: before, num_frames - 1: after}, targets, prompt)


def _backward_window(after: int, family: Family, max_frames: int, prompt: str) -> ClipWindow:
    num_frames = min(_grid(after + 1, family.frame_step), max_frames)
    start = after - num_frames + 1
    targets = {frame: frame - start for frame in range(max(0, start), after)}
    return ClipWindow(start, num_frames, {num_frames - 1: after}, targets, prompt)


def _forward_window(
    start: int, stop: int, before: int | None, family: Family, max_frames: int, prompt: str
) -> ClipWindow:
    num_frames = min(_grid(stop - start, family.frame_step), max_frames)
    made = range(start, min(stop, start + num_frames))
    targets = {frame: frame - start for frame in made if frame != before}
    return ClipWindow(start, num_frames, {} if before is None else {0: before}, targets, prompt)


def _window_with_context(
    first: int, shot_end: int, known: set[int], family: Family, max_frames: int, prompt: str
) -> ClipWindow:
    """A window that sees all known frames in it: some before what it makes and, if there are any, some after."""
    step = family.frame_step
    context = 1 + CONTEXT_STEPS * step
    before = 0
    while before < min(context, max_frames // 2) and first - before - 1 in known:
        before += 1
    before -= (before - 1) % step if before else 0  # the context fills latent frames
    start = first - before
    stop = min(shot_end, start + max_frames)
    stop = 1 + max(frame for frame in range(first, stop) if frame not in known)
    after = max((frame for frame in range(stop, stop + context) if frame in known), default=stop - 1)
    num_frames = min(_grid(max(stop, after + 1) - start, step), max_frames)
    frames = range(start, start + num_frames)
    given = {frame - start: frame for frame in frames if frame in known}
    targets = {frame: frame - start for frame in frames if frame not in known and frame < stop}
    return ClipWindow(start, num_frames, given, targets, prompt)


def _edit_windows(segment: Segment, family: Family, max_frames: int, fps: float) -> list[ClipWindow]:
    if not family.edits:
        raise CannotMake("This model does not edit clips", "edit")
    if any(segment.strength(frame) == 1 for frame in range(segment.num_frames)):
        raise CannotMake("This model edits whole clips and makes no new frames beside them", "infill")
    strength = max(segment.strength(frame) for frame in range(segment.num_frames))
    step, total = family.frame_step, segment.num_frames
    overlap = min(max(1, round(EDIT_OVERLAP_SECONDS * fps)), max_frames // 2)
    windows: list[ClipWindow] = []
    start = 0
    while True:
        num_frames = min(_grid(total - start, step), max_frames)
        stop = min(total, start + num_frames)
        frames = range(start, stop)
        targets = {frame: frame - start for frame in frames if segment.strength(frame) > 0}
        blend = range(start, min(start + overlap, stop)) if windows else range(0)
        given = {n: min(start + n, total - 1) for n in range(num_frames)}
        prompt = _shot_at(segment, start)[1]
        windows.append(ClipWindow(start, num_frames, given, targets, prompt, strength, blend))
        if stop == total:
            return windows
        start = stop - overlap


def _shot_at(segment: Segment, frame: int) -> tuple[int, str]:
    """The frame at which the shot of a frame ends, and its prompt."""
    for prompt, end in segment.shot_ends:
        if frame < end:
            return end, prompt
    return segment.num_frames, segment.shot_ends[-1][0]


def _require(family: Family, given: frozenset, what: str, needs: str) -> None:
    if given not in family.accepts:
        raise CannotMake(f"This model cannot {what}", needs)


def _continuing(segment: Segment, max_frames: int) -> tuple[str, str]:
    """What a model cannot do that does not continue frames, and the task that needs it."""
    match len(segment.kept_frames()):
        case 0:
            return f"make more than {max_frames} frames at a time, because it cannot continue frames", "extend"
        case 1:
            return "begin with an image", "image"
    return "continue a clip", "extend"


def _grid(num_frames: int, step: int) -> int:
    """The smallest number 1 + n · step that is not smaller."""
    return 1 + step * -(-max(0, num_frames - 1) // step)


def nearest_length(num_frames: int, leading: int, trailing: int, step: int) -> int:
    """The length nearest to `num_frames` of a segment with so many given frames at its beginning and its end, such that
    what is made between fills windows exactly."""
    if not leading and not trailing:
        return 1 + step * max(1, round((num_frames - 1) / step)) if num_frames > 1 else 1
    # A window that is given a frame at one end makes n · step frames; one with both ends given, one less.
    fixed = leading + trailing - (1 if leading and trailing else 0)
    return fixed + step * max(1, round((num_frames - fixed) / step))
