"""A second reading of clips, which has nothing in common with the probe: colours are counted, and followed.

Tables say how often each colour of a pixel occurs in each place and light, and on subjects of each colour in each light
(histogram backprojection: Swain and Ballard, IJCV 1991). By them a clip's pixels tell where it is (naive Bayes), which
pixels belong to a thing of some colour, and so where that thing is in every frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage

from lumora.evaluate.probe_training import Clip
from lumora.world.facts import Fact, subjects_of, value_of
from lumora.world.scene import COLORS, LIGHTS, PLACES

BINS = 16
"""Of each of red, green and blue."""
SURE = 0.5
"""Probability from which on a pixel counts as a subject's."""
LEAST = 0.0015
"""Share of the picture from which on a spot is a thing: in 64 × 64 pixels, 6 of them."""
SEEN = 0.5
"""Share of the frames in which a thing must be found."""
REACH = 12
"""The background moves at most by a twelfth of the picture's width from frame to frame."""
TURNED = 0.15
"""Shares of the picture by which the background moves, in a whole clip, where the camera turns."""
FAR = 0.08
"""Shares of the picture's width that a thing must have moved against the background, to have gone anywhere."""


@dataclass(frozen=True)
class Track:
    """Where one thing is, frame by frame; NaN where it is not found."""

    places: Float[np.ndarray, "t 2"]
    """Column and row of its middle, as shares of the picture's width and height."""
    areas: Float[np.ndarray, " t"]
    """Share of the picture that it covers; 0 where it is not found."""

    @property
    def seen(self) -> float:
        """Share of the frames in which it is found."""
        return float((self.areas > 0).mean())


@dataclass(frozen=True)
class Tables:
    """How often colours of pixels occur, as counts in bins."""

    backgrounds: Float[np.ndarray, "places lights bins"]
    subjects: Float[np.ndarray, "lights colors bins"]

    @classmethod
    def count(cls, clips: Iterable[Clip]) -> Tables:
        """From clips of which is known what each pixel shows. Raises ValueError where it isn't."""
        backgrounds = np.zeros((len(PLACES), len(LIGHTS), BINS**3), np.float32)
        subjects = np.zeros((len(LIGHTS), len(COLORS), BINS**3), np.float32)
        for clip in clips:
            if clip.subject is None:
                raise ValueError("These clips don't tell what their pixels show; make new ones.")
            place, light = _setting(clip.facts)
            bins, shown = binned(clip.pixels.numpy()), clip.subject.numpy()
            backgrounds[place, light] += np.bincount(bins[shown < 0], minlength=BINS**3)
            for number in subjects_of(clip.facts):
                color = COLORS.index(str(value_of(clip.facts, "color", number)))
                subjects[light, color] += np.bincount(bins[shown == number], minlength=BINS**3)
        return cls(backgrounds, subjects)

    def save(self, path: Path) -> None:
        np.savez_compressed(path, backgrounds=self.backgrounds, subjects=self.subjects)

    @classmethod
    def load(cls, path: Path) -> Tables:
        with np.load(path) as content:
            return cls(content["backgrounds"], content["subjects"])

    def setting(self, bins: Int[np.ndarray, "t h w"]) -> tuple[str, str]:
        """The place and the light that best explain all pixels."""
        likely = np.log(_smooth(self.backgrounds))
        found = likely.reshape(-1, BINS**3) @ np.bincount(bins.ravel(), minlength=BINS**3)
        place, light = divmod(int(found.argmax()), len(LIGHTS))
        return PLACES[place], LIGHTS[light]

    def belonging(self, bins: Int[np.ndarray, "t h w"], place: str, light: str) -> Float[np.ndarray, "colors t h w"]:
        """The probability that a pixel shows a thing of each colour, in this place and light."""
        where, when = PLACES.index(place), LIGHTS.index(light)
        # A thing of a given colour covers so much of a picture that has one, and most pictures don't.
        cover, rare = self.subjects[when].sum() / max(self.backgrounds[:, when].sum(), 1.0), 1 / len(COLORS)
        things = _smooth(self.subjects[when]) * cover * rare
        return (things / (things.sum(axis=0) + _smooth(self.backgrounds[where, when])))[:, bins]


@dataclass(frozen=True)
class Sighting:
    """What the tables tell of one clip."""

    place: str
    light: str
    tracks: dict[str, Track]
    """Of all colours; a thing of a colour is there if it is seen in enough frames."""
    drift: Float[np.ndarray, "t 2 2 2"]
    """How far the background has moved since the first frame, see `background_drift`."""

    @property
    def present(self) -> frozenset[str]:
        return frozenset(color for color, track in self.tracks.items() if track.seen >= SEEN)

    def direction(self, color: str) -> str | None:
        """`left` or `right`, where the thing went that way against the background; None otherwise."""
        across = (self.tracks[color].places - self.drift.mean(axis=(1, 2)))[:, 0]
        across = across[~np.isnan(across)]
        if len(across) < 2 or abs(across[-1] - across[0]) < FAR:
            return None
        return "right" if across[-1] > across[0] else "left"

    @property
    def camera(self) -> str | None:
        """A pan or a tilt, where the whole background goes one way; None for all that is harder to tell."""
        upper, lower = self.drift[-1].mean(axis=1)
        across, down = (upper + lower) / 2
        if abs(down) > TURNED and abs(down) > abs(across):
            return "tilt up" if down > 0 else "tilt down"
        # A camera in orbit moves what is near and what is far by unlike amounts.
        if min(upper[0], lower[0]) > TURNED or max(upper[0], lower[0]) < -TURNED:
            return "pan left" if across > 0 else "pan right"
        return None

    def shows(self, fact: Fact, stated: Sequence[Fact]) -> bool | None:
        """Whether the clip shows `fact`, one of those `stated` together; None for what tables can't tell."""
        if fact.category in ("place", "light"):
            return getattr(self, fact.category) == fact.value
        if fact.category == "color":
            return fact.value in self.present
        if fact.category == "direction" and fact.value in ("left", "right"):
            color = value_of(stated, "color", fact.subject)
            return None if color is None else color in self.present and self.direction(color) == fact.value
        if fact.category == "camera" and fact.value.startswith(("pan", "tilt")):
            return self.camera == fact.value
        return None


def sight(tables: Tables, frames: UInt8[np.ndarray, "t h w 3"]) -> Sighting:
    """Reads a clip by the tables."""
    bins = binned(frames)
    place, light = tables.setting(bins)
    belongs = tables.belonging(bins, place, light)
    # A pixel belongs to the likeliest thing alone.
    best = belongs.argmax(axis=0)
    tracks = {color: follow((belongs[i] > SURE) & (best == i)) for i, color in enumerate(COLORS)}
    return Sighting(place, light, tracks, background_drift(frames, belongs.max(axis=0) > SURE))


def follow(mask: Bool[np.ndarray, "t h w"]) -> Track:
    """The largest connected spot of each frame, if it is large enough."""
    frames, height, width = mask.shape
    places, areas = np.full((frames, 2), np.nan), np.zeros(frames)
    labels = np.empty((height, width), np.int32)
    for number, frame in enumerate(mask):
        ndimage.label(frame, np.ones((3, 3)), output=labels)
        sizes = np.bincount(labels.ravel())
        largest = 1 + int(sizes[1:].argmax()) if len(sizes) > 1 else 0
        if largest and sizes[largest] >= LEAST * height * width:
            rows, columns = np.nonzero(labels == largest)
            places[number] = (columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height
            areas[number] = sizes[largest] / (height * width)
    return Track(places, areas)


def background_drift(
    frames: UInt8[np.ndarray, "t h w 3"], things: Bool[np.ndarray, "t h w"]
) -> Float[np.ndarray, "t 2 2 2"]:
    """How far each quarter of the picture (upper and lower, left and right) has moved since the first frame, things and
    their surroundings aside; columns and rows, as shares of the picture.

    Each frame is matched with the one before at all small shifts.
    """
    height, width = frames.shape[1:3]
    grey, still = frames.mean(axis=-1), ~np.asarray(ndimage.binary_dilation(things, np.ones((1, 5, 5))), bool)
    reach = max(2, width // REACH)
    shifts = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
    inside = (slice(None), slice(reach, -reach), slice(reach, -reach))
    costs = []
    for y, x in shifts:
        before, known = (np.roll(part[:-1], (y, x), (1, 2))[inside] for part in (grey, still))
        known = known & still[1:][inside]
        # Shadows and reflections move too, so no pixel counts for much; and of equals the shortest shift is meant.
        error = np.minimum(np.abs(grey[1:][inside] - before), 12) * known
        costs.append(_quarters(error) / np.maximum(_quarters(known), 1) + 0.02 * np.hypot(y, x))
    steps = np.array(shifts)[np.argmin(costs, axis=0)][..., ::-1] / (width, height)
    return np.concatenate([np.zeros((1, 2, 2, 2)), steps.cumsum(axis=0)])


def _quarters(values: np.ndarray) -> Float[np.ndarray, "t 2 2"]:
    """Sums over the upper and the lower half, each left and right."""
    rows, columns = values.shape[1] // 2, values.shape[2] // 2
    halves = [np.add.reduceat(values, [0, rows], axis=1)]
    return np.add.reduceat(halves[0], [0, columns], axis=2).astype(float)


def binned(frames: UInt8[np.ndarray, "*shape 3"]) -> Int[np.ndarray, "*shape"]:
    """The bin of each pixel's colour."""
    red, green, blue = np.moveaxis((frames // (256 // BINS)).astype(np.int64), -1, 0)
    return (red * BINS + green) * BINS + blue


def _setting(facts: tuple[Fact, ...]) -> tuple[int, int]:
    return PLACES.index(str(value_of(facts, "place"))), LIGHTS.index(str(value_of(facts, "light")))


def _smooth(counts: Float[np.ndarray, "*tables bins"]) -> Float[np.ndarray, "*tables bins"]:
    """Shares of all counts, blurred to the neighbouring bins, and nowhere 0."""
    cubes = counts.reshape(*counts.shape[:-1], BINS, BINS, BINS)
    sigma = (0.0,) * (counts.ndim - 1) + (0.6,) * 3
    blurred = ndimage.gaussian_filter(cubes, sigma).reshape(counts.shape)
    return (blurred + 1e-3) / (blurred + 1e-3).sum(axis=-1, keepdims=True)
