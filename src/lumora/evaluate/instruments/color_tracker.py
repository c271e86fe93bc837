"""A second reading of clips, which has nothing in common with the probe: colours are counted, and followed.

Tables say how often each colour of a pixel occurs in each place and light, and on subjects of each colour in each light
(histogram backprojection: Swain and Ballard, IJCV 1991). By them a clip's pixels tell where it is (naive Bayes), which
pixels belong to a thing of some colour, and so where that thing is in every frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage

from lumora.evaluate.instruments.blob import BlobTrack, follow
from lumora.evaluate.instruments.camera_path import CameraPath, path_of
from lumora.evaluate.instruments.effects import DEEDS, Deed, Way, deed
from lumora.evaluate.instruments.emotions import Faces
from lumora.evaluate.instruments.probe_training import Clip
from lumora.evaluate.instruments.relations import holds
from lumora.parallel import run_batches
from lumora.world.facts import Fact, subjects_of, value_of
from lumora.world.scene import CHARACTERS, COLORS, LIGHTS, PLACES

BINS = 16
"""Of each of red, green and blue."""
TOGETHER = 20
"""Clips that a process reads before it takes up the next ones."""
SURE = 0.5
"""Probability from which on a pixel counts as a subject's."""
UNSURE = frozenset({"white"})
"""Colours that the grounds and skies have too: half of such things are lost, so that nothing is said of what they do to
others."""
SEEN = 0.5
"""Share of the frames in which a thing must be found."""
FAR = 0.08
"""Shares of the picture's width that a thing must have moved against the background, to have gone anywhere."""
FAST = 2.8
"""Of its own widths that a thing goes in a clip of two seconds: about a metre a second."""


@dataclass(frozen=True)
class ColorTables:
    """How often colours of pixels occur, as counts in bins."""

    backgrounds: Float[np.ndarray, "places lights bins"]
    subjects: Float[np.ndarray, "lights colors bins"]

    @classmethod
    def count(cls, clips: Iterable[Clip]) -> ColorTables:
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
    def load(cls, path: Path) -> ColorTables:
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
    tracks: dict[str, BlobTrack]
    """Of all colours; a thing of a colour is there if it is seen in enough frames."""
    path: CameraPath
    """Of the camera."""
    aspect: float
    """Width / height of the picture."""
    emotions: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of everything that is there, by its colour and the kind of character that it may be; empty if no faces are
    read."""

    @property
    def present(self) -> frozenset[str]:
        return frozenset(color for color, track in self.tracks.items() if track.seen >= SEEN)

    def gone(self, color: str) -> tuple[Float[np.ndarray, " 2"], int] | None:
        """How far the thing has gone against the ground that it is seen on, to the right and down, in widths of the
        picture, in how many frames; None where it is not seen twice."""
        places = self.tracks[color].places
        seen = np.flatnonzero(~np.isnan(places[:, 0]))
        if len(seen) < 2:
            return None
        own = places - self.path.carries(places, self.aspect)
        return (own[seen[-1]] - own[seen[0]]) * (1, 1 / self.aspect), int(seen[-1] - seen[0])

    def direction(self, color: str) -> str | None:
        """`left` or `right`, where the thing went far enough that way; None otherwise."""
        gone = self.gone(color)
        if gone is None or abs(gone[0][0]) < FAR:
            return None
        return "right" if gone[0][0] > 0 else "left"

    def speed(self, color: str) -> str | None:
        """`slow` or `fast`, where the thing went far enough: so many of its own widths in the whole clip."""
        gone, areas = self.gone(color), self.tracks[color].areas
        if gone is None or np.linalg.norm(gone[0]) < FAR:
            return None
        width = np.sqrt(np.median(areas[areas > 0]) / self.aspect)
        widths = np.linalg.norm(gone[0]) / width * (len(areas) - 1) / gone[1]
        return "fast" if widths > FAST else "slow"

    def way(self, color: str) -> Way:
        """What the thing does, and what of it the camera doesn't."""
        track = self.tracks[color]
        return Way(track, track.places - self.path.carries(track.places, self.aspect))

    def deed(self, event: Fact, stated: Sequence[Fact]) -> Deed | None:
        """What is seen of an event, one of the facts stated together; None where it isn't told of things whose colours
        the tables are sure of."""
        named = [value_of(stated, "color", i) for i in (event.subject, event.other) if i is not None]
        colors = [color for color in named if color is not None and color not in UNSURE]
        if event.value not in DEEDS or not colors or len(colors) < len(named):
            return None
        # What is hidden for a while need not be seen in half of the frames.
        if not set(colors[-1:] if event.value == "hide" else colors) <= self.present:
            return Deed(False)
        ways = [self.way(color) for color in colors]
        return deed(event.value, ways[0], ways[1] if len(ways) > 1 else None)

    def shows(self, fact: Fact, stated: Sequence[Fact]) -> bool | None:
        """Whether the clip shows `fact`, one of those `stated` together; None for what tables can't tell."""
        if fact.category in ("place", "light"):
            return getattr(self, fact.category) == fact.value
        if fact.category == "color":
            return fact.value in self.present
        color, other = (None if i is None else value_of(stated, "color", i) for i in (fact.subject, fact.other))
        if fact.category == "direction" and fact.value in ("left", "right") and color:
            return color in self.present and self.direction(color) == fact.value
        if fact.category == "speed" and color:
            return color in self.present and self.speed(color) == fact.value
        if fact.category == "relation" and color and other and UNSURE.isdisjoint((color, other)):
            return {color, other} <= self.present and holds(fact.value, self.tracks[color], self.tracks[other])
        if fact.category == "event" and color:
            deed = self.deed(fact, stated)
            return None if deed is None else deed.whole
        if fact.category == "emotion" and color and color not in UNSURE and self.emotions:
            kind = value_of(stated, "kind", fact.subject)
            return self.emotions.get(color, {}).get(kind) == fact.value if kind in CHARACTERS else None
        if fact.category == "camera" and fact.value != "follow":
            return self.path.move == fact.value
        return None


def sight(tables: ColorTables, frames: UInt8[np.ndarray, "t h w 3"], faces: Faces | None = None) -> Sighting:
    """Reads a clip by the tables, and the emotions of what they find by `faces`."""
    place, light, tracks, things = tracked(tables, frames)
    sighting = Sighting(place, light, tracks, path_of(frames, things), frames.shape[2] / frames.shape[1])
    if faces is None:
        return sighting
    return replace(sighting, emotions={color: faces.read(frames, tracks[color]) for color in sighting.present})


def sight_all(
    tables: ColorTables, videos: Sequence[UInt8[np.ndarray, "t h w 3"]], workers: int = 0, faces: Faces | None = None
) -> list[Sighting]:
    """Reads clips in so many processes (0: in this one)."""
    return run_batches(partial(_sight_some, tables, faces), videos, TOGETHER, workers)


def _sight_some(
    tables: ColorTables, faces: Faces | None, videos: Sequence[UInt8[np.ndarray, "t h w 3"]]
) -> list[Sighting]:
    return [sight(tables, frames, faces) for frames in videos]


def tracked(
    tables: ColorTables, frames: UInt8[np.ndarray, "t h w 3"]
) -> tuple[str, str, dict[str, BlobTrack], Bool[np.ndarray, "t h w"]]:
    """Place, light, the tracks of all colours, and which pixels show things."""
    bins = binned(frames)
    place, light = tables.setting(bins)
    belongs = tables.belonging(bins, place, light)
    # A pixel belongs to the likeliest thing alone.
    best = belongs.argmax(axis=0)
    tracks: dict[str, BlobTrack] = {c: follow((belongs[i] > SURE) & (best == i)) for i, c in enumerate(COLORS)}
    return place, light, tracks, belongs.max(axis=0) > SURE


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
