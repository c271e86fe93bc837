"""What people do to videos before they show them to others, for measuring and learning what stands it."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from lumora.media.video import Video
from lumora.provenance.dct import CropBox


def encoded(video: Video, crf: int) -> Video:
    """Through H.264 at this rate factor, as `Video.save` and most programs do it."""
    file = io.BytesIO()
    frames = video.frames[:, : video.frames.shape[1] // 2 * 2, : video.frames.shape[2] // 2 * 2]
    with av.open(file, "w", format="mp4") as container:
        rate = Fraction(video.fps).limit_denominator(1000)
        stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf), "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        return Video(np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]), video.fps)


def cropped(video: Video, side: float, generator: np.random.Generator) -> tuple[Video, CropBox]:
    """A part of the frame of this side, as large as the whole, and which part it is."""
    height, width = video.frames.shape[1:3]
    h, w = round(side * height), round(side * width)
    y, x = int(generator.integers(height - h + 1)), int(generator.integers(width - w + 1))
    part = Video(video.frames[:, y : y + h, x : x + w], video.fps)
    return part.resize(height, width), CropBox(y / height, x / width, h / height, w / width)


def hue_turned(video: Video, degrees: float) -> Video:
    frames = []
    for frame in video.frames:
        colours = np.asarray(Image.fromarray(frame).convert("HSV")).copy()
        colours[..., 0] += np.uint8(round(degrees / 360 * 256))
        frames.append(np.asarray(Image.fromarray(colours, "HSV").convert("RGB")))
    return Video(np.stack(frames), video.fps)


def screen_recorded(video: Video) -> Video:
    """Shown half as large again, a little brighter and cut at the edges, recorded at 1.5 times the rate."""
    height, width = video.frames.shape[1:3]
    shown = video.resize(round(1.5 * height), round(1.5 * width)).frames
    edge = round(0.045 * height)
    shown = (255 * (shown[:, edge:-edge, edge:-edge] / 255.0) ** 1.1 * 0.97 + 4).clip(0, 255).astype(np.uint8)
    return encoded(Video(np.repeat(shown, 3, axis=0)[::2], 1.5 * video.fps), 26)


def all_attacks(generator: np.random.Generator) -> dict[str, Callable[[Video], Video]]:
    return {
        "as delivered": lambda v: v,
        "CRF 28": lambda v: encoded(v, 28),
        "CRF 33, half the size": lambda v: encoded(v.resize(v.frames.shape[1] // 2, v.frames.shape[2] // 2), 33),
        "crop 0.85": lambda v: encoded(cropped(v, 0.85, generator)[0], 20),
        "crop 0.71": lambda v: encoded(cropped(v, 0.71, generator)[0], 20),
        "half the frames": lambda v: encoded(Video(v.frames[::2], v.fps / 2), 20),
        "first half second cut": lambda v: encoded(Video(v.frames[4:], v.fps), 20),
        "hue +30°": lambda v: encoded(hue_turned(v, 30), 20),
        "hue +180°": lambda v: encoded(hue_turned(v, 180), 20),
        "screen recording": screen_recorded,
    }
