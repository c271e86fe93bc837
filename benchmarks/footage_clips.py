"""Clips of real footage for benchmarks: parts of the videos in a folder, and moves over its photographs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from lumora.config import VideoShape
from lumora.media.video import Video

PHOTOGRAPHS = (".jpg", ".jpeg", ".png")
GRAIN = 2.0
"""Standard deviation of the noise that is added, in gray levels: enlarged footage has none of its own."""
MIN_FRAMES = 24
"""Shorter videos are left out."""


def footage_clips(folder: Path, shape: VideoShape, seed: int) -> Iterator[Video]:
    """Clips without end, from one file after another. Where a video ends it is played backward."""
    generator = np.random.default_rng(seed)
    files = [file for file in sorted(folder.iterdir()) if file.suffix in PHOTOGRAPHS or _is_long_enough(file)]
    if not files:
        raise ValueError(f"There are no videos or photographs in {folder}.")
    for number in count():
        file, part = files[number % len(files)], number // len(files)
        frames = _moves(file, shape, generator) if file.suffix in PHOTOGRAPHS else _part(file, part, shape)
        noisy = frames + generator.normal(0, GRAIN, frames.shape[:3]).astype(np.float32)[..., None]
        yield Video(noisy.round().clip(0, 255).astype(np.uint8), shape.fps)


def _is_long_enough(file: Path) -> bool:
    return len(Video.load(file, max_frames=MIN_FRAMES, size=(8, 8)).frames) == MIN_FRAMES


def _part(file: Path, part: int, shape: VideoShape) -> np.ndarray:
    """The frames that follow those of the earlier parts; odd rounds through the file are mirrored."""
    video = Video.load(file, size=(shape.height, shape.width)).resample_fps(shape.fps)
    there_and_back = np.concatenate([video.frames, video.frames[::-1]])
    first = part * shape.num_frames
    picked = np.arange(first, first + shape.num_frames) % len(there_and_back)
    frames = there_and_back[picked]
    return frames[:, :, ::-1] if first // len(there_and_back) % 2 else frames


def _moves(file: Path, shape: VideoShape, generator: np.random.Generator) -> np.ndarray:
    """A slow pan and zoom over a photograph, held by an unsteady hand."""
    picture = Image.open(file).convert("RGB")
    aspect = shape.width / shape.height
    start, end = (np.array([*generator.uniform(0, 1, 2), generator.uniform(0.5, 0.85)]) for _ in range(2))
    shake = np.cumsum(generator.normal(0, 0.003, (shape.num_frames, 2)), axis=0)
    frames = []
    for number, share in enumerate(np.linspace(0, 1, shape.num_frames)):
        x, y, zoom = (1 - share) * start + share * end
        width = zoom * min(picture.width, picture.height * aspect)
        height = width / aspect
        left, top = (np.clip([x, y] + shake[number], 0, 1) * [picture.width - width, picture.height - height]).tolist()
        box = (left, top, left + width, top + height)
        frames.append(np.asarray(picture.resize((shape.width, shape.height), Image.Resampling.BICUBIC, box)))
    return np.stack(frames)
