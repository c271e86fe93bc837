"""A video in memory: 8-bit RGB frames, a frame rate and perhaps audio. Files are read and written through it. No torch.

A still image is a video of one frame.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageOps

from lumora.atomic_io import atomic_write
from lumora.media.audio import AudioSamples, num_samples
from lumora.media.encode import checked_suffix, encode_frames
from lumora.media.latents import VideoLatents
from lumora.media.reader import FrameReader
from lumora.media.timing import resampled_frames

ResizeMode: TypeAlias = Literal["crop", "letterbox"]
"""How frames get another shape: edges are cut off, or black bars are added."""

MAX_FRAME_BYTES = 4 << 30
"""Most bytes of frames that `Video.load` holds. Longer videos are read at a smaller size or by `FrameReader`."""


@dataclass(frozen=True, eq=False)
class Video:
    """Frames and how many of them are shown each second."""

    frames: UInt8[np.ndarray, "t h w 3"]
    fps: float
    audio: AudioSamples | None = None
    """From the first frame on, at lumora.media.audio.SAMPLE_RATE; None if there is none."""
    latents: VideoLatents | None = None
    """The latents that these frames were decoded from, if known. The frames may have been watermarked and encoded
    since."""
    warnings: tuple[str, ...] = ()
    """What was changed or lost when the file was read, in sentences."""

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise ValueError(
                f"A video's frames must be uint8 (T, H, W, 3), not {self.frames.dtype} {self.frames.shape}."
            )
        if 0 in self.frames.shape:
            raise ValueError("A video must have at least one frame of at least one pixel.")
        if self.audio is not None and (self.audio.dtype != np.int16 or self.audio.shape[1:] != (2,)):
            raise ValueError(f"Audio must be int16 (N, 2), not {self.audio.dtype} {self.audio.shape}.")
        if self.latents is not None and self.latents.num_frames != len(self.frames):
            raise ValueError(f"Latents of {self.latents.num_frames} frames do not fit {len(self.frames)} frames.")
        if not 0 < self.fps < 1000:
            raise ValueError(f"A video's rate must lie between 0 and 1,000 frames a second, not {self.fps:g}.")

    @property
    def seconds(self) -> float:
        return len(self.frames) / self.fps

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        max_frames: int | None = None,
        size: tuple[int, int] | None = None,
        resize_mode: ResizeMode = "crop",
        max_seconds: float | None = None,
    ) -> Video:
        """Reads a video or image file of any format in docs/formats.md; the content decides, not the name.

        Frames are resized to `size` (height, width) while they are read, so that a large file needs no more memory
        than a small one. Reading stops after `max_frames` or `max_seconds`. Frames of a variable rate are repeated to
        make the rate constant. Raises ValueError with one sentence if the file is missing, broken, of an unknown
        format, or too large.
        """
        if max_frames is not None and max_frames < 1:
            raise ValueError(f"At least one frame must be read, not {max_frames}.")
        frames: list[np.ndarray] = []
        with FrameReader(path, max_frames, max_seconds) as reader:
            for frame in reader:
                frames.append(frame if size is None else _resized(frame, size, resize_mode))
                _check_memory(path, len(frames), frames[0])
            indices, fps = reader.schedule()
            _check_memory(path, len(indices), frames[0])
            audio = reader.read_audio(len(indices) / fps)
            try:
                return cls(_repeated(frames, indices), fps, audio, warnings=reader.warnings)
            except MemoryError:
                raise ValueError(f"{path} needs more memory than there is; make it smaller or shorter.") from None
            except ValueError as error:  # a rate that no video has
                raise ValueError(f"{path} can't be read as a video or image: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes .mp4 (H.264), .gif, .webp or .png (the first frame) atomically; the bytes are always the same.

        An .mp4 has even sides, so the last row or column of an odd size is repeated, and only an .mp4 has audio (AAC).
        Raises ValueError for another suffix and OSError with one sentence if the file can't be written.
        """
        path = Path(path)
        suffix = checked_suffix(path)
        with atomic_write(path) as part:
            encode_video(suffix, self, part)
        return path

    def resize(self, height: int, width: int, resize_mode: ResizeMode = "crop") -> Video:
        """Scaled to cover height × width pixels and cropped around the center, or scaled to fit, on black."""
        if self.frames.shape[1:3] == (height, width):
            return self
        frames = np.stack([_resized(frame, (height, width), resize_mode) for frame in self.frames])
        return replace(self, frames=frames, latents=None)

    def resample_fps(self, fps: float) -> Video:
        """The same duration at another rate: frames are dropped or repeated, never mixed; a single frame stays one."""
        if fps == self.fps:
            return self
        nearest = resampled_frames(len(self.frames), self.fps, fps)
        return replace(self, frames=self.frames[nearest], fps=fps, latents=None)

    def drop_frames(self, frames: Collection[int]) -> Video:
        """Without the frames of these indices, and without their audio."""
        if not frames:
            return self
        audio = self.audio
        if audio is not None:
            kept = np.ones(len(audio), bool)
            for frame in frames:
                kept[num_samples(frame / self.fps) : num_samples((frame + 1) / self.fps)] = False
            audio = audio[kept]
        return replace(
            self,
            frames=np.delete(self.frames, list(frames), axis=0),
            audio=audio,
            latents=self.latents and self.latents.drop_frames(frames),
        )

    def without_latents(self) -> Video:
        return self if self.latents is None else replace(self, latents=None)


def encode_video(suffix: str, video: Video, path: Path) -> None:
    """Writes a file of the format of `suffix` to `path`, whatever its name is; after an error, a part may be there."""
    encode_frames(suffix, video.frames, video.fps, video.audio, path)


def _resized(frame: np.ndarray, size: tuple[int, int], resize_mode: ResizeMode) -> np.ndarray:
    if frame.shape[:2] == size:
        return frame
    scale = ImageOps.fit if resize_mode == "crop" else ImageOps.pad
    return np.asarray(scale(Image.fromarray(frame), (size[1], size[0]), Image.Resampling.LANCZOS))


def _repeated(frames: list[np.ndarray], indices: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "t h w 3"]:
    """`np.stack(frames)[indices]`, for ascending indices, without holding all frames twice: empties `frames`."""
    repeated = np.empty((len(indices), *frames[0].shape), np.uint8)
    frames.reverse()
    current = -1
    frame = frames[-1]
    for number, index in enumerate(indices):
        while current < index:
            frame, current = frames.pop(), current + 1
        repeated[number] = frame
    return repeated


def _check_memory(path: str | os.PathLike[str], count: int, frame: np.ndarray) -> None:
    if count * frame.nbytes > MAX_FRAME_BYTES:
        height, width = frame.shape[:2]
        raise ValueError(
            f"{path} has more frames of {width}x{height} than fit into {MAX_FRAME_BYTES >> 30} GiB; "
            "make it smaller or shorter."
        )
