"""Tracks one object: the pixels of its color are joined to regions, and the largest region of each frame is
followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

MIN_AREA = 0.0015
"""Share of the frame that a region must cover to count as an object: 6 pixels of 64 × 64."""
MAX_GAP = 0.05
"""Share of the frame's shorter side by which the pieces of one object may lie apart: stripes and faces have other tones
than the rest."""


@dataclass(frozen=True)
class BlobTrack:
    """Where one object is in each of T frames, as shares of the frame's width and height; NaN if it is not found."""

    centers: Float[np.ndarray, "t 2"]
    """Column and row of the center."""
    areas: Float[np.ndarray, " t"]
    """Share of the frame that the object covers, gaps included; 0 if it is not found."""
    boxes: Float[np.ndarray, "t 4"]
    """Left, top, right and bottom edge."""
    color_areas: Float[np.ndarray, " t"]
    """Share of the frame that has the object's own color, without the gaps that are filled in `areas`."""

    @property
    def found_share(self) -> float:
        """Share of the frames in which the object is found."""
        return float((self.areas > 0).mean())


def close_gaps(mask: Bool[np.ndarray, "t h w"]) -> Bool[np.ndarray, "t h w"]:
    """The mask with gaps between pieces and holes in them filled (morphological closing, Serra 1982)."""
    if not mask.any():
        return mask
    reach = round(MAX_GAP * min(mask.shape[1:]))
    padding = ((0, 0), (reach, reach), (reach, reach))
    closed = ndimage.grey_closing(np.pad(mask.astype(np.uint8), padding), (1, 2 * reach + 1, 2 * reach + 1))
    within_frame = np.zeros((3, 3, 3), bool)
    within_frame[1] = ndimage.generate_binary_structure(2, 1)
    filled = np.asarray(ndimage.binary_fill_holes(closed, within_frame))
    return filled[:, reach : reach + mask.shape[1], reach : reach + mask.shape[2]]


def track_blob(mask: Bool[np.ndarray, "t h w"]) -> BlobTrack:
    """Follows the largest region of each frame, its pieces joined, if it is large enough."""
    num_frames, height, width = mask.shape
    centers, boxes = np.full((num_frames, 2), np.nan), np.full((num_frames, 4), np.nan)
    areas, color_areas = np.zeros(num_frames), np.zeros(num_frames)
    labels = np.empty((height, width), np.int32)
    for number, frame in enumerate(close_gaps(mask)):
        ndimage.label(frame, np.ones((3, 3)), output=labels)
        sizes = np.bincount(labels.ravel())
        largest = 1 + int(sizes[1:].argmax()) if len(sizes) > 1 else 0
        if largest and sizes[largest] >= MIN_AREA * height * width:
            region = labels == largest
            rows, columns = np.nonzero(region)
            centers[number] = (columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height
            areas[number] = sizes[largest] / (height * width)
            color_areas[number] = (region & mask[number]).sum() / (height * width)
            right, bottom = columns.max() + 1, rows.max() + 1
            boxes[number] = columns.min() / width, rows.min() / height, right / width, bottom / height
    return BlobTrack(centers, areas, boxes, color_areas)
