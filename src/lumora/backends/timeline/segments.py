"""The time line of a request: segments, and for every frame whether it is given or generated.

A segment is a run of frames that the codec encodes as one clip. Its latent frame 0 holds one frame, every other latent
frame holds `temporal_compression` frames. Given frames rarely fill latent frames, so the grid of latent frames is
placed where most of them do: frames that are given before the grid begins are copied to the output and not encoded; a
frame that is given last is repeated to fill its latent frame. No pixels are touched in this module.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
from jaxtyping import Float

from lumora.request.conditions import Condition, Shot, edited_caption

LOOP_SECONDS = 1.0
"""How much of the beginning of a loop is a condition at its end, so that the motion continues across the seam."""


@dataclass(frozen=True)
class LatentGrid:
    """Which frames of a segment each latent frame holds."""

    offset: int
    """Frames before the first latent frame; all of them are given."""
    stride: int
    """Frames in a latent frame, except the first one, which holds one (the codec's temporal compression)."""
    num_latents: int

    @classmethod
    def covering(cls, num_frames: int, offset: int, stride: int) -> LatentGrid:
        """The smallest grid that holds the frames from `offset` up to `num_frames`."""
        return cls(offset, stride, 1 + max(0, math.ceil((num_frames - offset - 1) / stride)))

    @property
    def stop(self) -> int:
        """The frame after the last one that the grid holds."""
        return self.offset + 1 + self.stride * (self.num_latents - 1)

    def frames_of(self, latent: int) -> range:
        last = self.offset + self.stride * latent
        return range(max(self.offset, last - self.stride + 1), last + 1)


@dataclass(frozen=True)
class FrameSource:
    """A given frame: frame `frame_index` of the condition number `condition_index` of the request."""

    condition_index: int
    frame_index: int
    strength: float
    time: float
    """Its exact time in frames of the segment; it is shown at the nearest frame."""


@dataclass(frozen=True)
class Segment:
    """A run of frames that is sampled and decoded as one clip. Frames are numbered from its first one."""

    first_frame: int
    """Number of its first frame in the video."""
    num_frames: int
    """Frames that are shown; the latent frames may hold some more."""
    grid: LatentGrid
    frame_sources: dict[int, FrameSource]
    """Given frames by number; some may lie behind the shown ones."""
    shot_ends: tuple[tuple[str, int], ...]
    """The prompt of each shot and the latent frame at which the shot ends."""
    source_caption: str = ""
    """What the edited condition shows."""
    multi_shot: bool = False
    """True if its shots are separated by hard cuts and are sampled together, each with its own prompt."""
    dropped_frames: frozenset[int] = frozenset()
    """Frames at the ends of such shots that latent frames hold beyond what was asked for."""

    @property
    def num_latents(self) -> int:
        return self.grid.num_latents

    @property
    def num_decoded_frames(self) -> int:
        """The shown frames and those behind them that latent frames hold."""
        return max(self.num_frames, self.grid.stop)

    def strength(self, frame: int) -> float:
        """0 if the frame is kept, 1 if nothing is given, between for an edit."""
        source = self.frame_sources.get(frame)
        return 1.0 if source is None else source.strength

    def frame_strengths(self) -> Float[np.ndarray, " T"]:
        """Strength of each frame of the grid, T = 1 + stride · (num_latents − 1)."""
        return np.array([self.strength(frame) for frame in range(self.grid.offset, self.grid.stop)], float)

    def kept_frames(self) -> dict[int, FrameSource]:
        """Given frames that stay as they are."""
        return {frame: source for frame, source in self.frame_sources.items() if source.strength == 0}

    def partially_kept(self, latent: int) -> set[int]:
        """The kept frames of a latent frame; empty if all of its frames are kept."""
        frames = self.grid.frames_of(latent)
        kept = {frame for frame in frames if self.strength(frame) == 0}
        return kept if len(kept) < len(frames) else set()

    def is_edited(self, latent: int) -> bool:
        """Whether every frame of this latent frame is given and at least one is edited."""
        return 0 < max(self.strength(frame) for frame in self.grid.frames_of(latent)) < 1

    def prompts_for(self, latents: range, shot: int) -> list[tuple[str, int]]:
        """Prompts of some latent frames, which are sampled as part of `shot`, each with its number of latent frames."""
        if not self.multi_shot:
            return [(self.shot_ends[shot][0], len(latents))]
        begins = [0, *(end for _, end in self.shot_ends)]
        prompts = [
            (prompt, min(end, latents.stop) - max(begin, latents.start))
            for begin, (prompt, end) in zip(begins, self.shot_ends, strict=False)
        ]
        return [(prompt, count) for prompt, count in prompts if count > 0]


def make_segments(
    shots: Sequence[Shot],
    conditions: Sequence[Condition],
    fps: float,
    temporal_compression: int,
    loop: bool = False,
    multi_shot: bool = False,
) -> list[Segment]:
    """The segments of all shots: one for each run of shots without a hard cut, or, if `multi_shot`, one for all shots.

    A segment has as many frames as its latent frames hold, so it may end up to temporal_compression / 2 frames earlier
    or later than asked for; these errors do not add up. It has exactly the number of frames asked for if its last
    frame is given. A multi-shot segment drops what latent frames hold beyond the end of a shot, so it cuts exactly.
    """
    segments: list[Segment] = []
    first_frame, end_frame, shot_starts = 0, 0.0, []
    runs = [list(shots)] if multi_shot else _runs_without_cuts(shots)
    for index, run in enumerate(runs):
        durations = [shot.seconds for shot in run]
        shot_starts += [first_frame + fps * start for start in accumulate(durations[:-1], initial=0.0)]
        end_frame += sum(durations)
        layout = _ConditionLayout(conditions, fps, shot_starts, first_frame, is_last=index == len(runs) - 1)
        if multi_shot:
            segment = _make_multi_shot_segment(run, layout, temporal_compression)
        else:
            segment = _make_segment(run, layout, temporal_compression, end_frame * fps - first_frame, loop)
        segments.append(segment)
        first_frame += segment.num_frames
    return segments


def _runs_without_cuts(shots: Sequence[Shot]) -> list[list[Shot]]:
    runs: list[list[Shot]] = []
    for shot in shots:
        if shot.hard_cut or not runs:
            runs.append([])
        runs[-1].append(shot)
    return runs


@dataclass(frozen=True)
class _ConditionLayout:
    """Conditions on the frames of one segment."""

    conditions: Sequence[Condition]
    fps: float
    shot_starts: Sequence[float]
    """Frames at which the shots of this segment and of those before it begin."""
    first_frame: int
    is_last: bool

    @property
    def num_tail_frames(self) -> int:
        """Number of given frames that end with the segment."""
        at_end = (c for c in self.conditions if c.start == "end" and self.is_last)
        return max((condition.num_frames_at(self.fps) for condition in at_end), default=0)

    def sources(self, num_frames: int) -> dict[int, FrameSource]:
        """The given frames of a segment with so many frames; later conditions replace earlier ones."""
        sources: dict[int, FrameSource] = {}
        for index, condition in enumerate(self.conditions):
            nearest: dict[int, tuple[float, int, float]] = {}
            for picture, time in enumerate(self._times(condition, num_frames).tolist()):
                if picture not in condition.masked_frames:
                    distance = round(abs(time - round(time)), 6)  # if two are as near, the earlier one is used
                    candidate = (distance, picture, time)
                    nearest[round(time)] = min(nearest.get(round(time), (math.inf, 0, time)), candidate)
            sources |= {
                frame: FrameSource(index, picture, condition.strength, time)
                for frame, (_, picture, time) in nearest.items()
                if 0 <= frame < num_frames
            }
        return sources

    def source_caption(self, sources: dict[int, FrameSource]) -> str:
        """The caption of the first edited condition among these frames."""
        shown = (self.conditions[source.condition_index] for _, source in sorted(sources.items()))
        return next((condition.source_prompt for condition in shown if condition.is_edited), "")

    def _times(self, condition: Condition, num_frames: int) -> Float[np.ndarray, " n"]:
        """Times of the condition's frames, in frames of the segment; empty if it belongs to a later segment."""
        times = np.arange(len(condition.video.frames)) * (self.fps / condition.video.fps)
        if condition.start == "end":
            return num_frames - 1 - times[::-1] if self.is_last else times[:0]
        if condition.shot_index >= len(self.shot_starts):
            return times[:0]
        return self.shot_starts[condition.shot_index] + condition.start * self.fps - self.first_frame + times


def _make_segment(
    shots: list[Shot], layout: _ConditionLayout, stride: int, wanted_frames: float, loop: bool
) -> Segment:
    """A segment without cuts of about `wanted_frames` frames."""
    rounded, num_tail = max(1, round(wanted_frames)), layout.num_tail_frames
    sources = layout.sources(rounded)
    from_start = {f: s for f, s in sources.items() if layout.conditions[s.condition_index].start != "end"}
    offset = _grid_offset(from_start, rounded, stride)
    if num_tail:
        num_frames = max(num_tail, _nearest_congruent(wanted_frames, num_tail + offset + 1, stride))
    elif rounded - 1 in sources:
        num_frames = rounded
    else:
        num_frames = _nearest_congruent(wanted_frames, offset + 1, stride)
    sources = layout.sources(num_frames)
    grid = LatentGrid.covering(num_frames, offset, stride)
    if loop:
        repeated = min(
            _num_leading_kept(sources, num_frames), stride * max(1, round(LOOP_SECONDS * layout.fps / stride))
        )
        sources |= {num_frames + frame: sources[frame] for frame in range(repeated)}
        grid = LatentGrid.covering(num_frames + repeated, offset, stride)
    last_given = max(sources, default=-1)
    if last_given >= num_frames - 1:  # repeat the last given frame to fill its latent frame
        sources |= dict.fromkeys(range(last_given + 1, grid.stop), sources[last_given])
    caption = layout.source_caption(sources)
    shots = [replace(shot, prompt=edited_caption(caption, shot.prompt)) for shot in shots]
    ends = _shot_ends(shots, grid.num_latents, layout.fps / stride)
    return Segment(layout.first_frame, num_frames, grid, sources, ends, caption)


def _make_multi_shot_segment(shots: list[Shot], layout: _ConditionLayout, stride: int) -> Segment:
    """All shots in one segment; conditions lie in the first one. Every shot has latent frames of its own."""
    ends = [round(layout.fps * seconds) for seconds in accumulate(shot.seconds for shot in shots)]
    first_length, *other_lengths = (max(1, end - begin) for begin, end in pairwise((0, *ends)))
    sources = layout.sources(first_length)
    offset = _grid_offset(sources, first_length, stride)
    first_latents = 1 + math.ceil((first_length - offset - 1) / stride)
    latent_ends = list(accumulate([first_latents, *(math.ceil(length / stride) for length in other_lengths)]))
    caption = layout.source_caption(sources)
    prompts = [edited_caption(caption, shots[0].prompt), *(shot.prompt for shot in shots[1:])]
    grid = LatentGrid(offset, stride, latent_ends[-1])
    frame_ends = [grid.frames_of(end - 1).stop for end in latent_ends]
    shot_spans = zip((0, *frame_ends), (first_length, *other_lengths), frame_ends, strict=False)
    dropped = {frame for begin, length, end in shot_spans for frame in range(begin + length, end)}
    if first_length - 1 in sources:  # repeat the last given frame to fill its latent frame
        sources |= dict.fromkeys(range(first_length, frame_ends[0]), sources[first_length - 1])
    return Segment(
        layout.first_frame,
        grid.stop,
        grid,
        sources,
        tuple(zip(prompts, latent_ends, strict=True)),
        caption,
        multi_shot=True,
        dropped_frames=frozenset(dropped),
    )


def _grid_offset(sources: dict[int, FrameSource], num_frames: int, stride: int) -> int:
    """Frames before the grid such that a latent frame ends where the frames kept at the beginning end."""
    leading = _num_leading_kept(sources, num_frames)
    return (leading - 1) % stride if leading else 0


def _num_leading_kept(sources: dict[int, FrameSource], num_frames: int) -> int:
    """Number of kept frames before the first frame that is not kept."""
    return next((f for f in range(num_frames) if f not in sources or sources[f].strength > 0), num_frames)


def _nearest_congruent(wanted: float, remainder: int, modulus: int) -> int:
    """The positive number nearest to `wanted` that is congruent to `remainder`."""
    least = (remainder - 1) % modulus + 1
    return least + modulus * max(0, math.floor((wanted - least) / modulus + 0.5))


def _shot_ends(shots: list[Shot], num_latents: int, latents_per_second: float) -> tuple[tuple[str, int], ...]:
    """Each shot's prompt and the latent frame at which it ends, rounded down; every shot has at least one latent frame
    if there are enough."""
    ends: list[tuple[str, int]] = []
    end, seconds = 0, 0.0
    for num_following, shot in zip(reversed(range(len(shots))), shots, strict=True):
        seconds += shot.seconds
        wanted = 1 + round(seconds * latents_per_second - 0.5) if num_following else num_latents
        end = min(max(wanted, end + 1), max(end, num_latents - num_following))
        ends.append((shot.prompt, end))
    return tuple(ends)
