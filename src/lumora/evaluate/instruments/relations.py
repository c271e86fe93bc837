"""Where one thing is beside another, read from the edges of both in the picture."""

from __future__ import annotations

import numpy as np

from lumora.evaluate.instruments.blob import BlobTrack

FIRST = 3
"""Frames with both in sight that are asked: relations are those of the beginning."""
RESTS = 0.4
"""Of its own height by which the foot of an upper thing may miss the top of the lower one."""
ASIDE = 0.4
"""Of the width of both by which their middles may be apart, when one stands upon the other."""


def holds(relation: str, first: BlobTrack, second: BlobTrack) -> bool:
    """Whether the first thing is `left of`, `right of`, `in front of`, `behind` or `on top of` the second one.

    What stands on the same ground is nearer where its foot is lower in the picture. False where they are never seen
    together.
    """
    both = np.flatnonzero((first.areas > 0) & (second.areas > 0))[:FIRST]
    if not len(both):
        return False
    one, other = (np.median(track.boxes[both], axis=0) for track in (first, second))
    if relation in ("left of", "right of"):
        apart = float(np.median((first.places - second.places)[both, 0]))
        return apart < 0 if relation == "left of" else apart > 0
    if relation == "on top of":
        return _rests(one, other)
    if _rests(one, other) or _rests(other, one):
        return False
    return bool(one[3] > other[3] if relation == "in front of" else one[3] < other[3])


def _rests(upper: np.ndarray, lower: np.ndarray) -> bool:
    """Whether a box (left, top, right, bottom) has its foot on the top of the other, and both are one above the
    other."""
    missed = abs(upper[3] - lower[1]) / (upper[3] - upper[1])
    apart = abs(upper[0] + upper[2] - lower[0] - lower[2]) / 2
    return bool(missed < RESTS and apart < ASIDE * (upper[2] - upper[0] + lower[2] - lower[0]) / 2)
