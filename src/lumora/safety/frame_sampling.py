"""Which frames of a video file are checked, so that a long video takes less time to check than to watch twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from lumora.media.reader import FrameReader

MAX_GAP_SECONDS = 0.165
"""Between two frames that are checked."""
CHANGE, THUMBNAIL_SIDE = 12.0, 32
"""A frame whose thumbnail differs from that of the frame checked last by more gray levels, in the mean, is checked at
once: no cut and no single frame is passed over."""
MAX_PIXELS = 1 << 19
"""Larger frames are reduced to about so many pixels; the checks that come with lumora look at fewer."""


def sampled_frames(reader: FrameReader) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames to check, in order: the first, six a second, and those that differ from the ones before."""
    last_thumbnail, last_position = None, 0.0
    for frame in reader:
        image = Image.fromarray(frame)
        thumbnail = np.asarray(image.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX), np.float32)
        due = reader.position - last_position >= MAX_GAP_SECONDS
        if due or last_thumbnail is None or np.abs(thumbnail - last_thumbnail).mean() > CHANGE:
            last_thumbnail, last_position = thumbnail, reader.position
            yield _reduced(image)


def _reduced(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    scale = min(1.0, (MAX_PIXELS / (image.width * image.height)) ** 0.5)
    if scale < 1:
        width, height = (max(1, round(scale * side)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)
