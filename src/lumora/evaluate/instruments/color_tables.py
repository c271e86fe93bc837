"""Color histograms of backgrounds and objects, and what they say about the pixels of a clip.

The tables count how often each pixel color occurs in each place and light, and on objects of each color in each light
(histogram backprojection: Swain and Ballard, IJCV 1991). They tell where a clip takes place (naive Bayes) and which
pixels belong to an object of some color.

python -m lumora.evaluate.instruments.color_tables --shards data/simple/frames --out tables.npz
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy import ndimage

from lumora.evaluate.instruments.labeled_clips import LabeledClip, ShardedClips
from lumora.terminal import warn
from lumora.world.facts import subjects_of, value_of
from lumora.world.scene import COLORS, LIGHTS, PLACES

BINS = 16
"""Bins of each of red, green and blue."""
BLUR = 0.6
"""Standard deviation, in bins, of the blur of the histograms."""
MIN_COUNT = 1e-3
"""Added to each bin, so that no color is impossible."""


@dataclass(frozen=True)
class ColorTables:
    """Histograms of pixel colors, as counts."""

    backgrounds: Float[np.ndarray, "places lights bins"]
    subjects: Float[np.ndarray, "lights colors bins"]

    @classmethod
    def count(cls, clips: Iterable[LabeledClip]) -> ColorTables:
        """Counts segmented clips. Raises ValueError for a clip without segmentation."""
        backgrounds = np.zeros((len(PLACES), len(LIGHTS), BINS**3), np.float32)
        subjects = np.zeros((len(LIGHTS), len(COLORS), BINS**3), np.float32)
        for clip in clips:
            if clip.subject is None:
                raise ValueError("These clips have no segmentation; render new ones with `lumora world render`.")
            place = PLACES.index(str(value_of(clip.facts, "place")))
            light = LIGHTS.index(str(value_of(clip.facts, "light")))
            bins, subject = color_bins(clip.pixels.numpy()), clip.subject.numpy()
            backgrounds[place, light] += np.bincount(bins[subject < 0], minlength=BINS**3)
            for number in subjects_of(clip.facts):
                color = COLORS.index(str(value_of(clip.facts, "color", number)))
                subjects[light, color] += np.bincount(bins[subject == number], minlength=BINS**3)
        return cls(backgrounds, subjects)

    def save(self, path: Path) -> None:
        np.savez_compressed(path, backgrounds=self.backgrounds, subjects=self.subjects)

    @classmethod
    def load(cls, path: Path) -> ColorTables:
        with np.load(path) as content:
            return cls(content["backgrounds"], content["subjects"])

    def setting(self, bins: Int[np.ndarray, "t h w"]) -> tuple[str, str]:
        """The place and the light with the highest likelihood of all pixels."""
        log_likelihood = np.log(_smoothed(self.backgrounds))
        totals = log_likelihood.reshape(-1, BINS**3) @ np.bincount(bins.ravel(), minlength=BINS**3)
        place, light = divmod(int(totals.argmax()), len(LIGHTS))
        return PLACES[place], LIGHTS[light]

    def object_probabilities(
        self, bins: Int[np.ndarray, "t h w"], place: str, light: str
    ) -> Float[np.ndarray, "colors t h w"]:
        """The probability that a pixel shows an object of each color, in this place and light."""
        where, when = PLACES.index(place), LIGHTS.index(light)
        # The prior of an object's color: the share of the frame that such an object covers, times how rare it is.
        cover = self.subjects[when].sum() / max(self.backgrounds[:, when].sum(), 1.0)
        rarity = 1 / len(COLORS)
        objects = _smoothed(self.subjects[when]) * cover * rarity
        return (objects / (objects.sum(axis=0) + _smoothed(self.backgrounds[where, when])))[:, bins]


def color_bins(frames: UInt8[np.ndarray, "*shape 3"]) -> Int[np.ndarray, "*shape"]:
    """The histogram bin of each pixel."""
    red, green, blue = np.moveaxis((frames // (256 // BINS)).astype(np.int64), -1, 0)
    return (red * BINS + green) * BINS + blue


def _smoothed(counts: Float[np.ndarray, "*tables bins"]) -> Float[np.ndarray, "*tables bins"]:
    """Normalized histograms, blurred over neighboring bins, without zeros."""
    cubes = counts.reshape(*counts.shape[:-1], BINS, BINS, BINS)
    sigma = (0.0,) * (counts.ndim - 1) + (BLUR,) * 3
    blurred = ndimage.gaussian_filter(cubes, sigma).reshape(counts.shape)
    return (blurred + MIN_COUNT) / (blurred + MIN_COUNT).sum(axis=-1, keepdims=True)


def _count_command(shards: Path, out: Path, clips: int = 1500) -> None:
    """Count the colors of at most `clips` clips of the folder `shards` and write the tables to `out`."""
    source = ShardedClips(shards)
    ColorTables.count(source[i] for i in range(0, len(source), max(1, len(source) // clips))).save(out)


if __name__ == "__main__":
    import tyro

    try:
        tyro.cli(_count_command)
    except ValueError as error:
        warn(str(error))
        sys.exit(2)
