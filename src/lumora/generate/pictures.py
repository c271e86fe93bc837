"""The pixels of what is given: fitted to the video, drafted between given frames, and put back where they lie."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

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
        for frame in range(take.offset, take.shown):
            near = [] if frame in take.places else _near(frame, kept)
            if near:
                lost = np.stack([self.frames[k] - decoded[k].astype(np.float32) for k in near])
                lent = np.einsum("n,nhwc->hwc", _shares(frame, near), lost)
                decoded[frame] = (decoded[frame] + lent).round().clip(0, 255)
        for frame in kept:
            decoded[frame] = self.frames[frame]


def _near(frame: int, kept: Sequence[int]) -> list[int]:
    """The nearest kept frames before and behind, of those that are near enough to lend detail."""
    place = bisect_left(kept, frame)
    return [k for k in kept[max(0, place - 1) : place + 1] if abs(k - frame) <= FADE]


def _shares(frame: int, near: Sequence[int]) -> Float[np.ndarray, " n"]:
    """How much of what these frames lost is lent: of each the more the nearer it is, and less with distance."""
    distance = np.abs(np.array(near) - frame)
    return (1 / distance) / (1 / distance).sum() * (1 - distance / (FADE + 1))
