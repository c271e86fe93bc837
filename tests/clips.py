"""Small videos for tests, and what happens to videos elsewhere."""

from pathlib import Path

import av
import numpy as np

from lumora.media.video import Video


def film(seed: int = 0, frames: int = 17, height: int = 64, width: int = 64) -> Video:
    """Moving discs over a gradient, with noise: all spatial and temporal frequencies occur."""
    rng = np.random.default_rng(seed)
    y, x, t = np.mgrid[:height, :width, :frames] / np.array([height, width, frames]).reshape(3, 1, 1, 1)
    picture = np.stack([60 + 120 * y + 40 * x] * 3)
    for _ in range(6):
        (cy, cx), (vy, vx), size = rng.random(2), rng.normal(0, 0.5, 2), rng.uniform(0.08, 0.2)
        inside = (y - cy - vy * t) ** 2 + (x - cx - vx * t) ** 2 < size**2
        picture[:, inside] = rng.uniform(20, 230, 3)[:, None]
    noisy = picture + rng.normal(0, 3, picture.shape)
    return Video(np.ascontiguousarray(noisy.clip(0, 255).astype(np.uint8).transpose(3, 1, 2, 0)), 8.0)


def noise(frames: int, seed: int = 0, fps: float = 8.0, height: int = 32, width: int = 48) -> Video:
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    return Video(pixels, fps)


def recoded(video: Video, path: Path, crf: int) -> Path:
    """Writes the video to `path` with H.264 at this constant rate factor."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": str(crf)})
        stream.height, stream.width, stream.pix_fmt = *video.frames.shape[1:3], "yuv420p"
        for frame in video.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def remuxed(source: Path, path: Path) -> Path:
    """Copies the video stream of `source` to a new container at `path`, without encoding it again."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return path
