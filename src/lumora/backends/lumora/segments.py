"""What lies where: shots and given things become takes, and every frame of a take is given or is to be made.

A take is a run of frames without a cut, and a clip of its own for the codec: its latent frame 0 is one picture, each
further one `time` pictures. Given frames rarely fill latent frames, so the grid of latent frames is laid where most of
them do: frames that are given before it begins are shown, not read; one that is given last is read as if it stayed.
No pixels are touched in here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Literal

import numpy as np
from jaxtyping import Float

from lumora.media.video import Video

LOOP_SECONDS = 1.0
"""How much of a loop's beginning is seen from its end, so that things come back as fast as they left."""


@dataclass(frozen=True)
class Shot:
    """What is seen, and for how long."""

    prompt: str
    seconds: float
    hard_cut: bool = True
    """Whether it begins with a hard cut; otherwise it goes on from the shot before."""


@dataclass(frozen=True)
class Condition:
    """A picture or video that is there already, and where on the time line it lies.

    Each of its pictures lies at the frame of the time line that is nearest in time; of several the nearest, so a video
    of more frames a second is thinned out, and one of fewer leaves frames to be made between its own.
    """

    video: Video
    start: float | Literal["end"] = 0.0
    """Seconds after the shot's beginning; "end": it ends when all ends."""
    strength: float = 0.0
    """0 keeps it, 1 ignores it; between, it is edited: noised the further the stronger, and made again by other words
    (FlowEdit, arXiv:2412.08629)."""
    shot_index: int = 0
    """In which shot it begins, counted from 0."""
    mask_span: tuple[float, float] | None = None
    """Seconds of it between which it is missing, and made."""
    source_prompt: str = ""
    """What it shows, if that is known; where it is edited, the shot's own prompt then says what changes."""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"A strength lies between 0, to keep what is given, and 1, not at {self.strength:g}.")
        if self.start != "end" and not 0 <= self.start < math.inf:
            raise ValueError(f"A given picture or video begins 0 or more seconds after the start, not {self.start:g}.")
        if self.mask_span is not None and not 0 <= self.mask_span[0] <= self.mask_span[1] <= self.video.seconds + 1e-6:
            raise ValueError(
                f"A gap lies within the {self.video.seconds:g} seconds of what is given, and not from {self.mask_span[0]:g} "
                f"to {self.mask_span[1]:g}."
            )

    @property
    def is_edited(self) -> bool:
        """Whether it is neither kept nor ignored."""
        return 0 < self.strength < 1

    @property
    def masked_frames(self) -> range:
        """Its pictures in the gap."""
        begins, ends = self.mask_span or (0.0, 0.0)
        return range(round(begins * self.video.fps), round(ends * self.video.fps))

    def num_frames_at(self, fps: float) -> int:
        """How many frames of a time line it reaches over."""
        return 1 + round((len(self.video.frames) - 1) * fps / self.video.fps)


@dataclass(frozen=True)
class FrameSource:
    """A given picture: number `picture` of the request's given thing of number `given`."""

    condition_index: int
    frame_index: int
    strength: float
    time: float
    """Where in time it lies, in frames of the take; it is shown in the nearest one."""


@dataclass(frozen=True)
class Segment:
    """Frames between two cuts, numbered from the take's first, and the latent frames that they are made of."""

    first_frame: int
    """The video's frame that is its first."""
    num_frames: int
    """How many frames it shows; latent frames may hold some more."""
    grid_offset: int
    """Frames before the first latent frame; all of them are given."""
    frame_sources: dict[int, FrameSource]
    """The given frames; also some that lie behind the shown ones."""
    shot_ends: tuple[tuple[str, int], ...]
    """Prompts, and the latent frames at which they end."""
    temporal_compression: int
    source_caption: str = ""
    """What is said of what is edited, as it was."""
    multi_shot: bool = False
    """Whether there are hard cuts between its shots, which are made at once, each of its own words."""
    dropped_frames: frozenset[int] = frozenset()
    """Frames at the ends of such shots that latent frames hold beyond what was asked for."""

    @property
    def num_latents(self) -> int:
        """How many latent frames it has."""
        return self.shot_ends[-1][1]

    def frames_of_latent(self, latent: int) -> range:
        """The frames that this latent frame holds."""
        last = self.grid_offset + self.temporal_compression * latent
        return range(max(self.grid_offset, last - self.temporal_compression + 1), last + 1)

    def partially_kept(self, latent: int) -> set[int]:
        """The frames of this latent frame that are kept, if they aren't all."""
        frames = self.frames_of_latent(latent)
        kept = {frame for frame in frames if frame in self.frame_sources and self.frame_sources[frame].strength == 0}
        return kept if len(kept) < len(frames) else set()

    def is_edited(self, latent: int) -> bool:
        """Whether this latent frame edits what is given of all its frames."""
        strengths = [
            self.frame_sources[frame].strength if frame in self.frame_sources else 1
            for frame in self.frames_of_latent(latent)
        ]
        return 0 < max(strengths) < 1

    @property
    def num_decoded_frames(self) -> int:
        """How many frames it has: the shown ones, and those behind them that its latent frames hold besides."""
        return max(self.num_frames, self.frames_of_latent(self.num_latents - 1).stop)

    def prompts_for(self, frames: range, shot: int) -> list[tuple[str, int]]:
        """The prompts of some of its latent frames, made as part of `shot`, and of how many of them each speaks."""
        if not self.multi_shot:
            return [(self.shot_ends[shot][0], len(frames))]
        begins = [0, *(end for _, end in self.shot_ends)]
        shown = [
            (prompt, min(end, frames.stop) - max(begin, frames.start))
            for begin, (prompt, end) in zip(begins, self.shot_ends, strict=False)
        ]
        return [(prompt, count) for prompt, count in shown if count > 0]

    def frame_strengths(self) -> Float[np.ndarray, " T"]:
        """Of the 1 + time · (t − 1) frames that its latent frames hold: 0 where kept, 1 where nothing is given."""
        held = range(self.grid_offset, self.frames_of_latent(self.num_latents - 1).stop)
        return np.array([self.frame_sources[f].strength if f in self.frame_sources else 1 for f in held], float)

    def kept_frames(self) -> dict[int, FrameSource]:
        """The given frames that stay as they are."""
        return {frame: place for frame, place in self.frame_sources.items() if place.strength == 0}


def edited_caption(prompt: str, change: str) -> str:
    """What a clip of this prompt shows when it is edited: "a red ball rolls, now at night"."""
    return ", ".join(part for part in (prompt.rstrip(" ."), change) if part.strip())


def make_segments(
    shots: Sequence[Shot],
    given: Sequence[Condition],
    fps: float,
    time: int,
    loop: bool = False,
    together: bool = False,
) -> list[Segment]:
    """The time line of all shots, cut where they cut; or, for a model that has learnt cuts, all of them `together` in
    one take, which leaves out what latent frames hold beyond the end of each shot: so it cuts where it was asked to.

    Any other take has as many frames as its latent frames hold, so it ends up to time / 2 frames from where it was
    asked to; these errors don't add up. It has exactly as many as were asked for where its last frame is given.
    """
    made: list[Segment] = []
    begins, asked, starts = 0, 0.0, []
    scenes = [list(shots)] if together else _scenes(shots)
    for number, scene in enumerate(scenes):
        starts += [begins + fps * before for before in accumulate((shot.seconds for shot in scene[:-1]), initial=0.0)]
        asked += sum(shot.seconds for shot in scene)
        laid = _ConditionLayout(given, fps, starts, begins, last=number == len(scenes) - 1)
        made.append(
            _make_multi_shot_segment(scene, laid, time)
            if together
            else _make_segment(scene, laid, time, asked * fps - begins, loop)
        )
        begins += made[-1].num_frames
    return made


def _scenes(shots: Sequence[Shot]) -> list[list[Shot]]:
    """Shots in groups that go on without a cut."""
    scenes: list[list[Shot]] = []
    for shot in shots:
        if shot.hard_cut or not scenes:
            scenes.append([])
        scenes[-1].append(shot)
    return scenes


@dataclass(frozen=True)
class _ConditionLayout:
    """Given things on the frames of one take."""

    given: Sequence[Condition]
    fps: float
    starts: Sequence[float]
    """The frames at which the shots begin, of this take and those before."""
    begins: int
    """The take's first frame."""
    last: bool

    @property
    def tail(self) -> int:
        """How many frames are given that end with the take."""
        return max(
            (thing.num_frames_at(self.fps) for thing in self.given if thing.start == "end" and self.last), default=0
        )

    def places(self, frames: int) -> dict[int, FrameSource]:
        """The given pictures by frame, of a take of so many; later things lie on top."""
        places: dict[int, FrameSource] = {}
        for number, thing in enumerate(self.given):
            nearest: dict[int, tuple[float, int, float]] = {}
            for picture, at in enumerate(self._frames_of(thing, frames).tolist()):
                if picture not in thing.masked_frames:
                    apart = round(abs(at - round(at)), 6)  # of two that are as near, the earlier
                    nearest[round(at)] = min(nearest.get(round(at), (math.inf, 0, at)), (apart, picture, at))
            places |= {
                f: FrameSource(number, p, thing.strength, at) for f, (_, p, at) in nearest.items() if 0 <= f < frames
            }
        return places

    def source(self, places: dict[int, FrameSource]) -> str:
        """What is said of the first of these that is edited."""
        shown = (self.given[place.condition_index] for _, place in sorted(places.items()))
        return next((thing.source_prompt for thing in shown if thing.is_edited), "")

    def _frames_of(self, thing: Condition, frames: int) -> Float[np.ndarray, " n"]:
        """Where in time its pictures lie, in frames of the take; none if it begins later or ends with a later take."""
        apart = np.arange(len(thing.video.frames)) * (self.fps / thing.video.fps)
        if thing.start == "end":
            return frames - 1 - apart[::-1] if self.last else apart[:0]
        if thing.shot_index >= len(self.starts):
            return apart[:0]
        return self.starts[thing.shot_index] + thing.start * self.fps - self.begins + apart


def _make_segment(scene: list[Shot], laid: _ConditionLayout, time: int, wish: float, loop: bool) -> Segment:
    asked, tail = max(1, round(wish)), laid.tail
    places = laid.places(asked)
    offset = _offset({f: p for f, p in places.items() if laid.given[p.condition_index].start != "end"}, asked, time)
    if tail:
        shown = max(tail, _nearest(wish, tail + offset + 1, time))
    elif asked - 1 in places:
        shown = asked
    else:
        shown = _nearest(wish, offset + 1, time)
    places = laid.places(shown)
    latents = 1 + max(0, math.ceil((shown - offset - 1) / time))
    if loop:
        again = min(_num_leading_kept(places, shown), time * max(1, round(LOOP_SECONDS * laid.fps / time)))
        places |= {shown + f: places[f] for f in range(again)}
        latents = 1 + math.ceil((shown + again - offset - 1) / time)
    last = max(places, default=-1)
    if last >= shown - 1:  # what is given last stays, to fill its latent frame
        places |= dict.fromkeys(range(last + 1, offset + time * (latents - 1) + 1), places[last])
    source = laid.source(places)
    scene = [replace(shot, prompt=edited_caption(source, shot.prompt)) for shot in scene]
    return Segment(laid.begins, shown, offset, places, _ends(scene, latents, laid.fps / time), time, source)


def _make_multi_shot_segment(scene: list[Shot], laid: _ConditionLayout, time: int) -> Segment:
    """All shots in one take; what is given lies in the first. Each has the latent frames that hold it whole."""
    asked = [round(laid.fps * seconds) for seconds in accumulate(shot.seconds for shot in scene)]
    first, *rest = (max(1, end - begin) for begin, end in pairwise((0, *asked)))
    places = laid.places(first)
    offset = _offset(places, first, time)
    latents = accumulate([1 + math.ceil((first - offset - 1) / time), *(math.ceil(length / time) for length in rest)])
    source = laid.source(places)
    prompts = [edited_caption(source, scene[0].prompt), *(shot.prompt for shot in scene[1:])]
    shots = tuple(zip(prompts, latents, strict=True))
    held = [offset + 1 + time * (end - 1) for _, end in shots]  # frames, with those of the shots before
    spans = zip((0, *held), (first, *rest), held, strict=False)
    left_out = {frame for begin, length, end in spans for frame in range(begin + length, end)}
    if first - 1 in places:  # what is given last stays, to fill its latent frame
        places |= dict.fromkeys(range(first, held[0]), places[first - 1])
    return Segment(laid.begins, held[-1], offset, places, shots, time, source, True, frozenset(left_out))


def _offset(places: dict[int, FrameSource], frames: int, time: int) -> int:
    """Frames before the grid of latent frames, such that one of them ends with what is kept at the beginning."""
    leading = _num_leading_kept(places, frames)
    return (leading - 1) % time if leading else 0


def _num_leading_kept(places: dict[int, FrameSource], frames: int) -> int:
    """How many frames are kept before the first one that isn't."""
    return next((f for f in range(frames) if f not in places or places[f].strength > 0), frames)


def _nearest(wish: float, rest: int, time: int) -> int:
    """The positive number nearest to `wish` that is `rest` but for multiples of `time`."""
    least = (rest - 1) % time + 1
    return least + time * max(0, math.floor((wish - least) / time + 0.5))


def _ends(scene: list[Shot], latents: int, rate: float) -> tuple[tuple[str, int], ...]:
    """Each shot's prompt and the latent frame at which it ends, in the middle of one at the latest; all shots have at
    least one if there are enough."""
    ends: list[tuple[str, int]] = []
    end, seconds = 0, 0.0
    for following, shot in zip(reversed(range(len(scene))), scene, strict=True):
        seconds += shot.seconds
        wish = 1 + round(seconds * rate - 0.5) if following else latents
        end = min(max(wish, end + 1), max(end, latents - following))
        ends.append((shot.prompt, end))
    return tuple(ends)
