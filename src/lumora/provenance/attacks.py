"""What happens to videos before they are shown elsewhere, for measuring the detector and training the extractor."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from lumora.media.video import Video
from lumora.provenance.dct import CropBox


def reencode(video: Video, crf: int) -> Video:
    """Encodes the video with H.264 at this constant rate factor, as `Video.save` does, and decodes it."""
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


def crop(video: Video, side: float, generator: np.random.Generator) -> tuple[Video, CropBox]:
    """A random crop with this fraction of each side, enlarged to the original size, and its crop box."""
    height, width = video.frames.shape[1:3]
    crop_height, crop_width = round(side * height), round(side * width)
    top, left = int(generator.integers(height - crop_height + 1)), int(generator.integers(width - crop_width + 1))
    part = Video(video.frames[:, top : top + crop_height, left : left + crop_width], video.fps)
    box = CropBox(top / height, left / width, crop_height / height, crop_width / width)
    return part.resize(height, width), box


def shift_hue(video: Video, degrees: float) -> Video:
    frames = []
    for frame in video.frames:
        hsv = np.asarray(Image.fromarray(frame).convert("HSV")).copy()
        hsv[..., 0] += np.uint8(round(degrees / 360 * 256))
        frames.append(np.asarray(Image.fromarray(hsv, "HSV").convert("RGB")))
    return Video(np.stack(frames), video.fps)


def screen_recording(video: Video) -> Video:
    """Enlarged 1.5 times, slightly brighter, cropped by 3 % at each edge, and captured at 1.5 times the frame rate."""
    height, width = video.frames.shape[1:3]
    enlarged = video.resize(round(1.5 * height), round(1.5 * width)).frames
    edge = round(0.045 * height)
    visible = enlarged[:, edge:-edge, edge:-edge] / 255.0
    visible = (255 * visible**1.1 * 0.97 + 4).clip(0, 255).astype(np.uint8)
    return reencode(Video(np.repeat(visible, 3, axis=0)[::2], 1.5 * video.fps), 26)


def all_attacks(generator: np.random.Generator) -> dict[str, Callable[[Video], Video]]:
    return {
        "as published": lambda v: v,
        "CRF 28": lambda v: reencode(v, 28),
        "CRF 33, half the size": lambda v: reencode(v.resize(v.frames.shape[1] // 2, v.frames.shape[2] // 2), 33),
        "crop 0.85": lambda v: reencode(crop(v, 0.85, generator)[0], 20),
        "crop 0.71": lambda v: reencode(crop(v, 0.71, generator)[0], 20),
        "half the frames": lambda v: reencode(Video(v.frames[::2], v.fps / 2), 20),
        "first half second cut": lambda v: reencode(Video(v.frames[round(v.fps / 2) :], v.fps), 20),
        "hue +30°": lambda v: reencode(shift_hue(v, 30), 20),
        "hue +180°": lambda v: reencode(shift_hue(v, 180), 20),
        "screen recording": screen_recording,
    }
