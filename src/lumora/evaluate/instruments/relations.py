"""Reads the spatial relation of two objects from the edges of both in the frame."""

from __future__ import annotations

import numpy as np

from lumora.evaluate.instruments.blob import BlobTrack

NUM_FRAMES = 3
"""The first frames in which both objects are found: captions describe the relation at the beginning."""
MAX_VERTICAL_GAP = 0.4
"""Share of the upper object's height by which its bottom edge may miss the top edge of the lower one."""
MAX_OFFSET = 0.4
"""Share of the mean width by which the centers of stacked objects may be apart."""


def relation_holds(relation: str, first: BlobTrack, second: BlobTrack) -> bool:
    """Whether the first object is `left of`, `right of`, `in front of`, `behind` or `on top of` the second one.

    Of two objects on the same ground the one with the lower bottom edge is nearer. False if they are never found in the
    same frame.
    """
    both = np.flatnonzero((first.areas > 0) & (second.areas > 0))[:NUM_FRAMES]
    if not len(both):
        return False
    box, other_box = (np.median(track.boxes[both], axis=0) for track in (first, second))
    if relation in ("left of", "right of"):
        offset = float(np.median((first.centers - second.centers)[both, 0]))
        return offset < 0 if relation == "left of" else offset > 0
    if relation == "on top of":
        return _rests_on(box, other_box)
    if _rests_on(box, other_box) or _rests_on(other_box, box):
        return False
    return bool(box[3] > other_box[3] if relation == "in front of" else box[3] < other_box[3])


def _rests_on(upper: np.ndarray, lower: np.ndarray) -> bool:
    """Whether the bottom of a box (left, top, right, bottom) lies on the top of the other one, and both are above each
    other."""
    gap = abs(upper[3] - lower[1]) / (upper[3] - upper[1])
    offset = abs(upper[0] + upper[2] - lower[0] - lower[2]) / 2
    return bool(gap < MAX_VERTICAL_GAP and offset < MAX_OFFSET * (upper[2] - upper[0] + lower[2] - lower[0]) / 2)
