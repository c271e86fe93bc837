"""The pixels of what is given: fitted to the video, drafted between given frames, and put back where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from lumora.generate.timeline import Given, Take
from lumora.video import Fit, Video


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

    def put_back(self, take: Take, shown: UInt8[np.ndarray, "T h w 3"]) -> None:
        """Kept frames into `shown`, which has all of the take's, pixel by pixel."""
        for frame in take.kept():
            shown[frame] = self.frames[frame]
