"""Cause and effect, read from the ways of two things in the picture: what does one do to the other, and does it last?

Nothing of it is learnt. A cause comes before its effect: what is struck stands still until the other one reaches it.
And an effect stays: a bitten cookie doesn't heal, what has come down stays down, what was hidden comes back the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lumora.evaluate.instruments.blob import BlobTrack
from lumora.world.scene import EventKind

DEEDS: tuple[EventKind, ...] = ("hit", "push", "topple", "bite", "hide")
"""What is read here; that a thing leaves the picture and comes back is in films.py."""
NEAR = 0.62
"""Of the widths of two things, what lies between their middles at most when one has reached the other: more than half,
for of a character its colour is seen alone."""
STANDS = 0.3
"""Of its width or height that a thing may move and be said to stand still."""
SENT = 0.3
"""Of its width that a thing must go to have been sent off."""
TOGETHER, SOON = 1.05, 0.25
"""What is pushed is less than this many times as far from the other one, this share of the clip after they met."""
DOWN, OFF, LOWER = 0.45, 0.5, 0.05
"""Of its height that a thing must be lower to have come down; or of its width that it must have left its seat, and of
its height that it must then be lower, for what falls away from the camera is higher in the picture."""
HIDDEN = 0.55
"""Of its area before and after that may be seen of a thing that is hidden."""
UNLIKE = 2.0
"""Times as large or as small as it was, and it is not the same thing that comes back."""
BITTEN, RESTLESS = 0.06, 4.0
"""Of a thing's area (its logarithm) that a bite takes at least, from one frame to the next; so many times what its area
changes from frame to frame anyway."""
MOMENTS = 3
"""Frames before and after something happens that are compared."""


@dataclass(frozen=True)
class Way:
    """What one thing does."""

    track: BlobTrack
    own: Float[np.ndarray, "t 2"]
    """Column and row of its middle without what the camera did; NaN where it is not seen."""

    @property
    def width(self) -> float:
        return float(np.nanmedian(self.track.boxes[:, 2] - self.track.boxes[:, 0]))

    @property
    def height(self) -> float:
        return float(np.nanmedian(self.track.boxes[:, 3] - self.track.boxes[:, 1]))


@dataclass(frozen=True)
class Deed:
    """Whether something is done, and how."""

    done: bool
    in_order: bool = True
    """Whether the cause comes before the effect."""
    lasts: bool = True
    """Whether the effect is still there at the end."""

    @property
    def whole(self) -> bool:
        return self.done and self.in_order and self.lasts


def deed(kind: str, actor: Way, target: Way | None) -> Deed:
    """What an event of this kind looks like here; of a bite, `actor` is what is bitten, and nobody else is asked."""
    if not actor.track.seen or (target is not None and not target.track.seen):
        return Deed(False)
    if kind == "bite":
        return _bite(actor)
    if target is None:
        return Deed(False)
    match kind:
        case "topple":
            return _topple(actor, target)
        case "hide":
            return _hide(actor, target)
        case _:
            return _strike(actor, target, pushes=kind == "push")


def reached(actor: Way, target: Way) -> int | None:
    """The first frame in which two things that were apart have met, side by side; None if they never do."""
    apart = np.abs(filled(actor.track.places) - filled(target.track.places))[:, 0]
    near = np.flatnonzero(apart <= NEAR * (actor.width + target.width))
    if not len(near):
        return None
    # What begins so near has met where it comes nearest.
    return int(near[0] or np.argmin(apart)) or None


def filled(values: Float[np.ndarray, "t ..."]) -> Float[np.ndarray, "t ..."]:
    """Straight on from one frame in which it is seen to the next one, and as it was before the first and after the
    last; NaN throughout where it never is."""
    flat = values.reshape(len(values), -1)
    seen = np.flatnonzero(~np.isnan(flat[:, 0]))
    if not len(seen):
        return values
    columns = [np.interp(np.arange(len(flat)), seen, column[seen]) for column in flat.T]
    return np.stack(columns, axis=1).reshape(values.shape)


def _strike(actor: Way, target: Way, pushes: bool) -> Deed:
    """One comes up to the other, that goes off the same way: for good when it is hit, along with it when pushed."""
    met = reached(actor, target)
    if met is None:
        return Deed(False)
    one, other = filled(actor.own)[:, 0], filled(target.own)[:, 0]
    apart, side = np.abs(one - other), np.sign(other[0] - one[0])
    gone = side * (other - other[met - 1]) / target.width
    touch = met - 1 + int(np.argmin(apart[met - 1 : met + MOMENTS]))
    soon = min(touch + round(SOON * (len(one) - 1)), len(one) - 2)
    together = bool(_around(apart, soon) <= TOGETHER * _around(apart, touch))
    came = side * (one[met] - one[0]) > 0
    return Deed(
        done=bool(came and gone[met:].max() > SENT and together == pushes),
        in_order=bool(np.abs(gone[:met]).max() < STANDS),
    )


def _around(values: Float[np.ndarray, " t"], frame: int) -> float:
    return float(np.median(values[max(0, frame - 1) : frame + 2]))


def _topple(actor: Way, target: Way) -> Deed:
    """One comes up to the other, or under it, and it comes down from where it stood."""
    met, own = reached(actor, target), filled(target.own)
    if met is None:
        return Deed(False)
    aside, down = np.abs((own - own[0]) / (target.width, target.height)).T
    lower = own[:, 1] > own[0, 1]
    fallen = lower & ((down > DOWN) | (aside > OFF) & (down > LOWER))
    stood = (aside < STANDS) & (down < STANDS)
    return Deed(
        done=bool(fallen[met:].any()),
        in_order=bool(stood[: max(met - 1, 1)].all()),
        lasts=bool(fallen[-MOMENTS:].all()),
    )


def _hide(actor: Way, target: Way) -> Deed:
    """One passes behind the other: it is seen on one side, hardly at all, and on the other side."""
    apart = (filled(actor.track.places) - filled(target.track.places))[:, 0]
    clear = np.flatnonzero(np.abs(apart) > (actor.width + target.width) / 2)
    passing = np.flatnonzero(np.abs(apart) < target.width / 2)
    if not len(passing) or not len(clear) or not clear[0] < passing[0] <= passing[-1] < clear[-1]:
        return Deed(False)
    sizes, cover = actor.track.shown, target.track.shown
    before = float(np.median(sizes[clear[clear < passing[0]][-MOMENTS:]]))
    after = float(np.median(sizes[clear[clear > passing[-1]][:MOMENTS]]))
    hidden = sizes[passing].min() < HIDDEN * min(before, after)
    behind = cover[passing].min() > HIDDEN * np.median(cover)
    return Deed(
        done=bool(hidden and behind and apart[0] * apart[-1] < 0),
        lasts=bool(max(before, after) < UNLIKE * min(before, after)),
    )


def _bite(thing: Way) -> Deed:
    """Its area drops at once, while it stands. What it does otherwise, in most frames, is the doing of a camera that
    comes nearer or goes."""
    shown = thing.track.shown
    size = filled(np.log(np.where(shown > 0, shown, np.nan)))
    if np.isnan(size).any() or len(size) <= 2 * MOMENTS:
        return Deed(False)
    steps = np.diff(size)
    size = size - np.median(steps) * np.arange(len(size))
    restless = RESTLESS * np.median(np.abs(steps - np.median(steps)))
    moments = np.arange(MOMENTS, len(size) - MOMENTS + 1)
    taken = np.array([np.median(size[m - MOMENTS : m]) - np.median(size[m : m + MOMENTS]) for m in moments])
    sudden = size[moments - 1] - size[moments] > max(BITTEN, restless)
    bitten = int(moments[np.argmax(np.where(sudden, taken, 0))])
    stands = np.ptp(filled(thing.own)[:, 0]) < STANDS * thing.width
    return Deed(
        done=bool(stands and (taken[sudden] > BITTEN).any()),
        lasts=bool(np.median(size[:bitten]) - np.median(size[-MOMENTS:]) > BITTEN),
    )
