"""The pixels of what is given: fitted to the video, drafted between given frames, and put back where they lie."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import uniform_filter

from lumora.backends.lumora.segments import Condition, Segment
from lumora.media.video import ResizeMode, Video

FADE = 4
"""Frames after which nothing is left of the detail that kept frames lend to made ones."""
AROUND = 5
"""Pixels across the squares in which a made frame is compared with a kept one."""
UNCHANGED, CHANGED = 6.0, 16.0
"""Mean difference in grey levels up to which a place has not changed, and from which it has, in a kept frame and a made
one as both were decoded: a network that makes what stands still anew is off by that much."""


@dataclass(frozen=True)
class ConditionFrames:
    """The given frames of a take, (h, w, 3) each, by number."""

    frames: Mapping[int, UInt8[np.ndarray, "h w 3"]]
    indices: Sequence[int]
    """The same numbers, ascending."""

    @classmethod
    def from_segment(
        cls, take: Segment, given: Sequence[Condition], height: int, width: int, fit: ResizeMode
    ) -> ConditionFrames:
        """Only what is on the time line is fitted."""
        frames: dict[int, np.ndarray] = {}
        for number, thing in enumerate(given):
            mine = {
                frame: place.frame_index
                for frame, place in take.frame_sources.items()
                if place.condition_index == number
            }
            used = sorted(set(mine.values()))
            if used:
                fitted = Video(thing.video.frames[used], thing.video.fps).resize(height, width, fit).frames
                frames |= {frame: fitted[used.index(picture)] for frame, picture in mine.items()}
        return cls(frames, sorted(frames))

    def draft_frame(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """The given frame; else the nearest two, cross-faded, or the first or last one, held."""
        if frame in self.frames:
            return self.frames[frame]
        place = int(np.searchsorted(self.indices, frame))
        before, after = self.indices[max(0, place - 1)], self.indices[min(place, len(self.indices) - 1)]
        share = (frame - before) / (after - before) if after > before else 0.0
        mixed = (1 - share) * self.frames[before] + share * self.frames[after].astype(np.float64)
        return mixed.round().astype(np.uint8)

    def restore_kept_frames(self, take: Segment, decoded: UInt8[np.ndarray, "T h w 3"]) -> None:
        """Kept frames into `decoded`, which has all of the take's, pixel by pixel.

        A codec loses detail, which would be seen to vanish where kept frames end. So frames nearby get back what the
        kept ones lost, less with every frame. Where a made frame is as the kept one before or behind it, but for noise,
        the kept one's pixels stay, so that what stands still does not flicker.
        """
        kept = sorted(take.kept_frames())
        for frame in range(take.grid_offset, take.num_frames):
            near = [] if frame in take.frame_sources else _near(frame, kept)
            if near:
                seen = decoded[frame].astype(np.float32)
                given = np.stack([self.frames[k].astype(np.float32) for k in near])
                as_decoded = decoded[near].astype(np.float32)
                lent = seen + np.einsum("n,nhwc->hwc", _lent(frame, near), given - as_decoded)
                stays = _shares(frame, near)[:, None, None, None] * _unchanged(seen, as_decoded)
                decoded[frame] = (lent + (stays * (given - lent)).sum(axis=0)).round().clip(0, 255)
        for frame in kept:
            decoded[frame] = self.frames[frame]


def _near(frame: int, kept: Sequence[int]) -> list[int]:
    """The nearest kept frames before and behind."""
    place = bisect_left(kept, frame)
    return list(kept[max(0, place - 1) : place + 1])


def _shares(frame: int, near: Sequence[int]) -> Float[np.ndarray, " n"]:
    """The nearer of these frames the more, 1 in all."""
    nearness = 1 / np.abs(np.array(near) - frame)
    return nearness / nearness.sum()


def _lent(frame: int, near: Sequence[int]) -> Float[np.ndarray, " n"]:
    """How much of what these frames lost is lent: less with distance, and nothing from more than FADE away."""
    distance = np.abs(np.array(near) - frame)
    nearness = (1 / distance) * (distance <= FADE)
    return nearness / max(nearness.sum(), 1e-9) * (1 - distance / (FADE + 1))


def _unchanged(made: Float[np.ndarray, "h w 3"], kept: Float[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n h w 1"]:
    """From 1 where a made frame is as the kept ones, to 0 where it is not."""
    apart = uniform_filter(np.abs(made - kept).mean(axis=-1), AROUND, mode="nearest", axes=(1, 2))
    share = ((apart - UNCHANGED) / (CHANGED - UNCHANGED)).clip(0, 1)
    return (1 - share**2 * (3 - 2 * share))[..., None]
