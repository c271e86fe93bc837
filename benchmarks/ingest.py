"""Speed of `lumora data ingest` against that of decoding alone, in CPU seconds of one process.

python benchmarks/ingest.py --size 1280x720 --seconds 20
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np

from lumora.data.footage.ingest import IngestConfig, ingest, processes
from lumora.media.encode import encode_h264
from lumora.media.reader import FrameReader
from lumora.service.footage_review import review_footage

FPS = 24.0


def shot(width: int, height: int, num_frames: int, seed: int) -> Iterator[np.ndarray]:
    """A pan over soft noise, which costs a decoder about as much as film."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 255, (height // 16, width // 8, 3), np.uint8)
    wide = cv2.resize(coarse, (2 * width, height), interpolation=cv2.INTER_CUBIC)
    wide = np.clip(wide + generator.normal(0, 4, wide.shape), 0, 255).astype(np.uint8)
    for number in range(num_frames):
        left = round(width * number / num_frames)
        yield np.ascontiguousarray(wide[:, left : left + width])


def decode(path: Path, to_rgb: bool) -> float:
    """CPU seconds to decode all frames, as FFmpeg's YUV or as the reader's RGB."""
    began = time.process_time()
    with FrameReader(path) if to_rgb else av.open(path) as reader:
        for _ in reader if isinstance(reader, FrameReader) else reader.decode(video=0):
            pass
    return time.process_time() - began


def main(width: int, height: int, seconds: float, shots: int, review: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        num_frames = round(seconds * FPS / shots)
        frames = (frame for seed in range(shots) for frame in shot(width, height, num_frames, seed))
        encode_h264(frames, FPS, folder / "in" / "a.mp4", preset="veryfast")
        yuv, rgb = (min(decode(folder / "in" / "a.mp4", to_rgb) for _ in range(2)) for to_rgb in (False, True))
        began = time.process_time()
        config = IngestConfig("benchmark", reviewed=review)
        reviewer = partial(review_footage, None) if review else None
        summary = ingest(folder / "in", folder / "out", config, processes(0), reviewer)
        whole = time.process_time() - began
        print(
            f"{shots} shots of {num_frames} frames {width}x{height}, {len(summary.kept)} clips kept: decoding "
            f"{yuv:.2f} s, and to RGB {rgb:.2f} s; ingest {whole:.2f} s, {rgb / whole:.0%} of the speed of the latter"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--review", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    width, height = map(int, options.size.split("x"))
    main(width, height, options.seconds, options.shots, options.review)
