"""The color tracker: a second instrument, independent of the probe, that needs no training.

It finds the pixels of objects with color histograms (`color_tables`), follows the objects from frame to frame, and
estimates the camera's path from the background (`camera_path`). Facts are read from these tracks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.blob import BlobTrack, track_blob
from lumora.evaluate.instruments.camera_path import CameraPath, estimate_camera_path
from lumora.evaluate.instruments.color_tables import ColorTables, color_bins
from lumora.evaluate.instruments.effects import EVENT_KINDS, EventReading, ObjectMotion, read_event
from lumora.evaluate.instruments.emotions import EmotionReader
from lumora.evaluate.instruments.relations import relation_holds
from lumora.parallel import run_batches
from lumora.world.facts import Fact, value_of
from lumora.world.scene import CHARACTERS, COLORS

BATCH_SIZE = 20
"""Clips that a worker reads at a time."""
OBJECT_PROBABILITY = 0.5
"""Probability from which on a pixel counts as an object's."""
UNRELIABLE_COLORS = frozenset({"white"})
"""Colors that grounds and skies have too: half of these objects are lost, so their events, relations and emotions are
not read."""
MIN_FOUND_SHARE = 0.5
"""Share of the frames in which an object must be found to be present."""
MIN_DISPLACEMENT = 0.08
"""Displacement against the background, in frame widths, from which on an object has moved."""
FAST = 2.8
"""Displacement in a clip of two seconds, in widths of the object, from which on it is fast: about one meter a
second."""


@dataclass(frozen=True)
class ColorTracks:
    """The setting of a clip and the objects that are found in it."""

    place: str
    light: str
    tracks: dict[str, BlobTrack]
    """A track for every color; it is empty where nothing of that color is found."""
    foreground: Bool[np.ndarray, "t h w"]
    """The pixels that show objects."""


def track_colors(tables: ColorTables, frames: Frames) -> ColorTracks:
    bins = color_bins(frames)
    place, light = tables.setting(bins)
    probabilities = tables.object_probabilities(bins, place, light)
    likeliest = probabilities.argmax(axis=0)
    tracks = {
        color: track_blob((probabilities[i] > OBJECT_PROBABILITY) & (likeliest == i)) for i, color in enumerate(COLORS)
    }
    return ColorTracks(place, light, tracks, probabilities.max(axis=0) > OBJECT_PROBABILITY)


@dataclass(frozen=True)
class ColorReading:
    """What the color tracker has read from one clip."""

    place: str
    light: str
    tracks: dict[str, BlobTrack]
    """A track for every color."""
    path: CameraPath
    aspect: float
    """Width / height of the frame."""
    emotions: dict[str, dict[str, str]] = field(default_factory=dict)
    """The emotion of each object that is present, by its color and by the kind of character that it may be; empty if
    emotions are not read."""

    @property
    def present(self) -> frozenset[str]:
        """The colors of the objects that are found in enough frames."""
        return frozenset(color for color, track in self.tracks.items() if track.found_share >= MIN_FOUND_SHARE)

    def motion(self, color: str) -> ObjectMotion:
        """The object's track, and its path without the motion that the camera causes."""
        track = self.tracks[color]
        return ObjectMotion(track, track.centers - self.path.background_shift(track.centers, self.aspect))

    def displacement(self, color: str) -> tuple[Float[np.ndarray, " 2"], int] | None:
        """How far the object moves against the background, to the right and down, in frame widths, and in how many
        frames; None if it is not found twice."""
        stabilized = self.motion(color).stabilized
        found = np.flatnonzero(~np.isnan(stabilized[:, 0]))
        if len(found) < 2:
            return None
        first, last = found[0], found[-1]
        return (stabilized[last] - stabilized[first]) * (1, 1 / self.aspect), int(last - first)

    def direction(self, color: str) -> str | None:
        """`left` or `right`; None if the object does not move far enough to the side."""
        moved = self.displacement(color)
        if moved is None or abs(moved[0][0]) < MIN_DISPLACEMENT:
            return None
        return "right" if moved[0][0] > 0 else "left"

    def speed(self, color: str) -> str | None:
        """`slow` or `fast`, by the displacement in widths of the object; None if it does not move far enough."""
        moved, areas = self.displacement(color), self.tracks[color].areas
        if moved is None or np.linalg.norm(moved[0]) < MIN_DISPLACEMENT:
            return None
        displacement, num_frames = moved
        width = np.sqrt(np.median(areas[areas > 0]) / self.aspect)
        widths_per_clip = np.linalg.norm(displacement) / width * (len(areas) - 1) / num_frames
        return "fast" if widths_per_clip > FAST else "slow"

    def event(self, fact: Fact, stated: Sequence[Fact]) -> EventReading | None:
        """What is seen of an event, one of the facts stated together; None if the colors of its objects are not stated
        or not reliable."""
        stated_colors = [value_of(stated, "color", i) for i in (fact.subject, fact.other) if i is not None]
        colors = [color for color in stated_colors if color is not None and color not in UNRELIABLE_COLORS]
        if fact.value not in EVENT_KINDS or not colors or len(colors) < len(stated_colors):
            return None
        # An object that is hidden for a while may be found in less than half of the frames.
        required = colors[-1:] if fact.value == "hide" else colors
        if not set(required) <= self.present:
            return EventReading(False)
        motions = [self.motion(color) for color in colors]
        return read_event(fact.value, motions[0], motions[1] if len(motions) > 1 else None)

    def shows(self, fact: Fact, stated: Sequence[Fact]) -> bool | None:
        """Whether the clip shows `fact`, one of those `stated` together; None if the tracker cannot tell."""
        color, other = (None if i is None else value_of(stated, "color", i) for i in (fact.subject, fact.other))
        match fact.category:
            case "place":
                return self.place == fact.value
            case "light":
                return self.light == fact.value
            case "camera" if fact.value != "follow":
                return self.path.move == fact.value
            case "color":
                return fact.value in self.present
            case "direction" if color and fact.value in ("left", "right"):
                return color in self.present and self.direction(color) == fact.value
            case "speed" if color:
                return color in self.present and self.speed(color) == fact.value
            case "relation" if color and other:
                return self._shows_relation(fact.value, color, other)
            case "event" if color:
                event = self.event(fact, stated)
                return None if event is None else event.complete
            case "emotion" if color:
                return self._shows_emotion(fact.value, color, value_of(stated, "kind", fact.subject))
            case _:
                return None

    def _shows_relation(self, relation: str, color: str, other: str) -> bool | None:
        if not UNRELIABLE_COLORS.isdisjoint((color, other)):
            return None
        return {color, other} <= self.present and relation_holds(relation, self.tracks[color], self.tracks[other])

    def _shows_emotion(self, emotion: str, color: str, kind: str | None) -> bool | None:
        if color in UNRELIABLE_COLORS or not self.emotions or kind not in CHARACTERS:
            return None
        return self.emotions.get(color, {}).get(kind) == emotion


def read_clip(tables: ColorTables, frames: Frames, emotion_reader: EmotionReader | None = None) -> ColorReading:
    """Reads a clip; without an `emotion_reader`, no emotions are read."""
    found = track_colors(tables, frames)
    aspect = frames.shape[2] / frames.shape[1]
    path = estimate_camera_path(frames, found.foreground)
    reading = ColorReading(found.place, found.light, found.tracks, path, aspect)
    if emotion_reader is None:
        return reading
    emotions = {color: emotion_reader.read(frames, found.tracks[color]) for color in reading.present}
    return replace(reading, emotions=emotions)


def read_clips(
    tables: ColorTables, clips: Sequence[Frames], workers: int = 0, emotion_reader: EmotionReader | None = None
) -> list[ColorReading]:
    """Reads clips in this many processes (0: in this one)."""
    return run_batches(partial(_read_batch, tables, emotion_reader), clips, BATCH_SIZE, workers)


def _read_batch(
    tables: ColorTables, emotion_reader: EmotionReader | None, clips: Sequence[Frames]
) -> list[ColorReading]:
    return [read_clip(tables, frames, emotion_reader) for frames in clips]
