"""Where one thing is: the pixels of its colour joined to spots, and the largest spot followed from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

LEAST = 0.0015
"""Share of the picture from which on a spot is a thing: in 64 × 64 pixels, 6 of them."""
GAP = 0.05
"""Share of the picture's shorter side by which the pieces of one thing may be apart to each side of a seam: stripes and
faces are of other tones than the rest."""


@dataclass(frozen=True)
class BlobTrack:
    """Where one thing is, frame by frame, as shares of the picture's width and height; NaN where it is not found."""

    places: Float[np.ndarray, "t 2"]
    """Column and row of its middle."""
    areas: Float[np.ndarray, " t"]
    """Share of the picture that it covers; 0 where it is not found."""
    boxes: Float[np.ndarray, "t 4"]
    """Its left, top, right and bottom edge."""
    shown: Float[np.ndarray, " t"]
    """Share of the picture that is it and of its very colour: without the seams that are filled in `areas`."""

    @property
    def seen(self) -> float:
        """Share of the frames in which it is found."""
        return float((self.areas > 0).mean())


def whole(mask: Bool[np.ndarray, "t h w"]) -> Bool[np.ndarray, "t h w"]:
    """With the seams between pieces and the holes in them filled (morphological closing, Serra 1982)."""
    if not mask.any():
        return mask
    reach = round(GAP * min(mask.shape[1:]))
    around = ((0, 0), (reach, reach), (reach, reach))
    closed = ndimage.grey_closing(np.pad(mask.astype(np.uint8), around), (1, 2 * reach + 1, 2 * reach + 1))
    same_frame = np.zeros((3, 3, 3), bool)
    same_frame[1] = ndimage.generate_binary_structure(2, 1)
    filled = np.asarray(ndimage.binary_fill_holes(closed, same_frame))
    return filled[:, reach : reach + mask.shape[1], reach : reach + mask.shape[2]]


def follow(mask: Bool[np.ndarray, "t h w"]) -> BlobTrack:
    """The largest spot of each frame, its pieces joined, if it is large enough."""
    frames, height, width = mask.shape
    places, boxes = np.full((frames, 2), np.nan), np.full((frames, 4), np.nan)
    areas, shown = np.zeros(frames), np.zeros(frames)
    labels = np.empty((height, width), np.int32)
    for number, frame in enumerate(whole(mask)):
        ndimage.label(frame, np.ones((3, 3)), output=labels)
        sizes = np.bincount(labels.ravel())
        largest = 1 + int(sizes[1:].argmax()) if len(sizes) > 1 else 0
        if largest and sizes[largest] >= LEAST * height * width:
            spot = labels == largest
            rows, columns = np.nonzero(spot)
            places[number] = (columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height
            areas[number] = sizes[largest] / (height * width)
            shown[number] = (spot & mask[number]).sum() / (height * width)
            right, bottom = columns.max() + 1, rows.max() + 1
            boxes[number] = columns.min() / width, rows.min() / height, right / width, bottom / height
    return BlobTrack(places, areas, boxes, shown)
