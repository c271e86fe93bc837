"""The pixels of what is given: fitted to the video, drafted between given frames, and put back where they lie."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from lumora.generate.timeline import Given, Take
from lumora.video import Fit, Video

FADE = 4
"""Frames after which nothing is left of the detail that kept frames lend to made ones."""


@dataclass(frozen=True)
class Pictures:
    """The given frames of a take, (h, w, 3) each, by number."""

    frames: Mapping[int, UInt8[np.ndarray, "h w 3"]]
    numbers: Sequence[int]
    """The same numbers, ascending."""

    @classmethod
    def of(cls, take: Take, given: Sequence[Given], height: int, width: int, fit: Fit) -> Pictures:
        """Only what is on the time line is fitted."""
        frames: dict[int, np.ndarray] = {}
        for number, thing in enumerate(given):
            mine = {frame: place.picture for frame, place in take.places.items() if place.given == number}
            used = sorted(set(mine.values()))
            if used:
                fitted = Video(thing.video.frames[used], thing.video.fps).fitted(height, width, fit).frames
                frames |= {frame: fitted[used.index(picture)] for frame, picture in mine.items()}
        return cls(frames, sorted(frames))

    def drafted(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """The given frame; else the nearest two, cross-faded, or the first or last one, held."""
        if frame in self.frames:
            return self.frames[frame]
        place = int(np.searchsorted(self.numbers, frame))
        before, after = self.numbers[max(0, place - 1)], self.numbers[min(place, len(self.numbers) - 1)]
        share = (frame - before) / (after - before) if after > before else 0.0
        mixed = (1 - share) * self.frames[before] + share * self.frames[after].astype(np.float64)
        return mixed.round().astype(np.uint8)

    def put_back(self, take: Take, decoded: UInt8[np.ndarray, "T h w 3"]) -> None:
        """Kept frames into `decoded`, which has all of the take's, pixel by pixel.

        A codec loses detail, which would be seen to vanish where kept frames end. So frames nearby get back what the
        kept ones lost, less with every frame.
        """
        kept = sorted(take.kept())
        lost = {f: self.frames[f] - decoded[f].astype(np.float32) for f in kept if f >= take.offset}
        for frame in range(take.offset, take.shown):
            if frame not in take.places:
                decoded[frame] = (decoded[frame] + _faded(frame, kept, lost)).round().clip(0, 255)
        for frame in kept:
            decoded[frame] = self.frames[frame]


def _faded(frame: int, kept: Sequence[int], lost: Mapping[int, np.ndarray]) -> np.ndarray | float:
    """What the nearest kept frames before and behind lost: of each as much as it is nearer, and fading with distance."""
    place = bisect_left(kept, frame)
    around = [k for k in kept[max(0, place - 1) : place + 1] if k in lost and abs(k - frame) <= FADE]
    nearness = [1 / abs(k - frame) for k in around]
    fades = [n / sum(nearness) * (1 - abs(k - frame) / (FADE + 1)) for k, n in zip(around, nearness, strict=True)]
    return sum(fade * lost[k] for k, fade in zip(around, fades, strict=True))
