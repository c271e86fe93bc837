"""Reads events from the tracks of two objects: what one does to the other, and whether the effect lasts.

The rules need no training. A cause comes before its effect: the object that is struck stands still until the other one
reaches it. An effect lasts: a bitten cookie stays bitten, what has fallen stays down, what was hidden comes back
unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lumora.evaluate.instruments.blob import BlobTrack
from lumora.world.scene import EventKind

EVENT_KINDS: tuple[EventKind, ...] = ("hit", "push", "topple", "bite", "hide")
"""Events that are read here. Objects that leave the frame and come back are in `metrics/reappearance.py`."""
CONTACT = 0.62
"""Two objects touch when their centers are at most this share of the sum of their widths apart. It is more than half
because only the body color of a character is tracked."""
STILL = 0.3
"""Share of its width or height by which an object may move and still count as standing."""
SENT_OFF = 0.3
"""Share of its width that an object must move to have been sent off."""
MAX_SEPARATION, SEPARATION_TIME = 1.05, 0.25
"""After a push the distance grows by less than this factor within this share of the clip; after a hit it grows more."""
FALLEN, DISPLACED, LOWERED = 0.45, 0.5, 0.05
"""An object has come down if it is lower by FALLEN of its height; or if it is aside by DISPLACED of its width and lower
by LOWERED of its height, because what falls away from the camera stays high in the frame."""
HIDDEN = 0.55
"""A hidden object shows less than this share of its area before and after."""
MAX_GROWTH = 2.0
"""An object that comes back larger or smaller by this factor is not the same."""
BITE, NOISE_FACTOR = 0.06, 4.0
"""A bite reduces the logarithm of the area by at least BITE from one frame to the next, and by NOISE_FACTOR times its
usual change from frame to frame."""
WINDOW = 3
"""Frames before and after an event that are compared."""


@dataclass(frozen=True)
class ObjectMotion:
    """The track of one object, with and without the motion of the camera."""

    track: BlobTrack
    stabilized: Float[np.ndarray, "t 2"]
    """Column and row of the center without the motion that the camera causes; NaN if it is not found."""

    @property
    def width(self) -> float:
        return float(np.nanmedian(self.track.boxes[:, 2] - self.track.boxes[:, 0]))

    @property
    def height(self) -> float:
        return float(np.nanmedian(self.track.boxes[:, 3] - self.track.boxes[:, 1]))


@dataclass(frozen=True)
class EventReading:
    """Whether an event is seen, and how."""

    occurs: bool
    in_order: bool = True
    """Whether the cause comes before the effect."""
    lasts: bool = True
    """Whether the effect is still there at the end."""

    @property
    def complete(self) -> bool:
        return self.occurs and self.in_order and self.lasts


def read_event(kind: str, actor: ObjectMotion, target: ObjectMotion | None) -> EventReading:
    """Looks for an event of this kind; of a bite, `actor` is what is bitten and there is no target."""
    if not actor.track.found_share or (target is not None and not target.track.found_share):
        return EventReading(False)
    if kind == "bite":
        return _read_bite(actor)
    if target is None:
        return EventReading(False)
    match kind:
        case "topple":
            return _read_topple(actor, target)
        case "hide":
            return _read_hide(actor, target)
        case _:
            return _read_strike(actor, target, pushes=kind == "push")


def contact_frame(actor: ObjectMotion, target: ObjectMotion) -> int | None:
    """The first frame in which two objects that were apart touch side by side; None if they never do."""
    distance = np.abs(interpolated(actor.track.centers) - interpolated(target.track.centers))[:, 0]
    near = np.flatnonzero(distance <= CONTACT * (actor.width + target.width))
    if not len(near):
        return None
    # Objects that are near from the start touch where they come nearest.
    return int(near[0] or np.argmin(distance)) or None


def interpolated(values: Float[np.ndarray, "t ..."]) -> Float[np.ndarray, "t ..."]:
    """NaN frames filled linearly between known ones, and constant before the first and after the last one; NaN
    throughout if none is known."""
    flat = values.reshape(len(values), -1)
    known = np.flatnonzero(~np.isnan(flat[:, 0]))
    if not len(known):
        return values
    columns = [np.interp(np.arange(len(flat)), known, column[known]) for column in flat.T]
    return np.stack(columns, axis=1).reshape(values.shape)


def _read_strike(actor: ObjectMotion, target: ObjectMotion, pushes: bool) -> EventReading:
    """The actor comes up to the target, which moves off the same way: away from the actor after a hit, along with it
    after a push."""
    contact = contact_frame(actor, target)
    if contact is None:
        return EventReading(False)
    actor_x, target_x = interpolated(actor.stabilized)[:, 0], interpolated(target.stabilized)[:, 0]
    distance, side = np.abs(actor_x - target_x), np.sign(target_x[0] - actor_x[0])
    moved = side * (target_x - target_x[contact - 1]) / target.width
    nearest = contact - 1 + int(np.argmin(distance[contact - 1 : contact + WINDOW]))
    later = min(nearest + round(SEPARATION_TIME * (len(actor_x) - 1)), len(actor_x) - 2)
    stays_close = bool(_median_around(distance, later) <= MAX_SEPARATION * _median_around(distance, nearest))
    approached = side * (actor_x[contact] - actor_x[0]) > 0
    return EventReading(
        occurs=bool(approached and moved[contact:].max() > SENT_OFF and stays_close == pushes),
        in_order=bool(np.abs(moved[:contact]).max() < STILL),
    )


def _median_around(values: Float[np.ndarray, " t"], frame: int) -> float:
    return float(np.median(values[max(0, frame - 1) : frame + 2]))


def _read_topple(actor: ObjectMotion, target: ObjectMotion) -> EventReading:
    """The actor comes up to the target, or under it, and the target comes down from where it stood."""
    contact, path = contact_frame(actor, target), interpolated(target.stabilized)
    if contact is None:
        return EventReading(False)
    aside, vertical = np.abs((path - path[0]) / (target.width, target.height)).T
    lower = path[:, 1] > path[0, 1]
    fallen = lower & ((vertical > FALLEN) | (aside > DISPLACED) & (vertical > LOWERED))
    stood = (aside < STILL) & (vertical < STILL)
    return EventReading(
        occurs=bool(fallen[contact:].any()),
        in_order=bool(stood[: max(contact - 1, 1)].all()),
        lasts=bool(fallen[-WINDOW:].all()),
    )


def _read_hide(actor: ObjectMotion, target: ObjectMotion) -> EventReading:
    """The actor passes behind the target: visible on one side, mostly hidden, visible on the other side."""
    offset = (interpolated(actor.track.centers) - interpolated(target.track.centers))[:, 0]
    clear = np.flatnonzero(np.abs(offset) > (actor.width + target.width) / 2)
    passing = np.flatnonzero(np.abs(offset) < target.width / 2)
    if not len(passing) or not len(clear) or not clear[0] < passing[0] <= passing[-1] < clear[-1]:
        return EventReading(False)
    actor_area, target_area = actor.track.color_areas, target.track.color_areas
    before = float(np.median(actor_area[clear[clear < passing[0]][-WINDOW:]]))
    after = float(np.median(actor_area[clear[clear > passing[-1]][:WINDOW]]))
    hidden = actor_area[passing].min() < HIDDEN * min(before, after)
    in_front = target_area[passing].min() > HIDDEN * np.median(target_area)
    return EventReading(
        occurs=bool(hidden and in_front and offset[0] * offset[-1] < 0),
        lasts=bool(max(before, after) < MAX_GROWTH * min(before, after)),
    )


def _read_bite(bitten: ObjectMotion) -> EventReading:
    """The area of a standing object drops from one frame to the next. The median change per frame is subtracted,
    because it comes from a camera that moves in or out."""
    area = bitten.track.color_areas
    size = interpolated(np.log(np.where(area > 0, area, np.nan)))
    if np.isnan(size).any() or len(size) <= 2 * WINDOW:
        return EventReading(False)
    steps = np.diff(size)
    size = size - np.median(steps) * np.arange(len(size))
    noise = NOISE_FACTOR * np.median(np.abs(steps - np.median(steps)))
    frames = np.arange(WINDOW, len(size) - WINDOW + 1)
    loss = np.array([np.median(size[f - WINDOW : f]) - np.median(size[f : f + WINDOW]) for f in frames])
    sudden = size[frames - 1] - size[frames] > max(BITE, noise)
    bite_frame = int(frames[np.argmax(np.where(sudden, loss, 0))])
    stands = np.ptp(interpolated(bitten.stabilized)[:, 0]) < STILL * bitten.width
    return EventReading(
        occurs=bool(stands and (loss[sudden] > BITE).any()),
        lasts=bool(np.median(size[:bite_frame]) - np.median(size[-WINDOW:]) > BITE),
    )
