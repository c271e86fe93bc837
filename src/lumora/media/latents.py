"""The latent frames that a video was decoded from. They stay with it, so that an extension continues from them and not
from frames that were decoded and encoded again. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float16, Int32
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lumora.atomic_io import atomic_write


@dataclass(frozen=True, eq=False)
class VideoLatents:
    data: Float16[np.ndarray, "n c h w"]
    frame_ranges: Int32[np.ndarray, "n 2"]
    """For each latent frame, the first frame of the video that it holds, and the one after its last."""
    num_frames: int
    """How many frames the video has; some may be in no latent frame."""
    codec_hash: str
    """SHA-256 of the weights of the codec that decodes them."""

    def latent_of(self, frames: range) -> Float16[np.ndarray, "c h w"] | None:
        """The latent frame of exactly these frames, if there is one."""
        same = np.flatnonzero((self.frame_ranges == (frames.start, frames.stop)).all(axis=1))
        return self.data[same[0]] if len(same) else None

    def drop_frames(self, frames: Collection[int]) -> VideoLatents:
        """The latents of the video without these frames; latent frames that lose a frame are dropped."""
        dropped = np.zeros(self.num_frames + 1, np.int32)
        dropped[[frame + 1 for frame in frames]] = 1
        moved = self.frame_ranges - dropped.cumsum(dtype=np.int32)[self.frame_ranges]
        complete = np.ptp(moved, axis=1) == np.ptp(self.frame_ranges, axis=1)
        return VideoLatents(self.data[complete], moved[complete], self.num_frames - len(frames), self.codec_hash)

    @property
    def digest(self) -> str:
        """SHA-256 of the data, the frame ranges and the codec's hash."""
        digest = hashlib.sha256(f"{self.codec_hash} {self.num_frames} {self.data.shape} ".encode())
        for array in (self.frame_ranges, self.data):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def save(self, file: Path) -> None:
        """Raises OSError with one sentence if the file can't be written."""
        arrays = {"numbers": self.data, "pictures": self.frame_ranges}
        metadata = {"codec": self.codec_hash, "length": str(self.num_frames)}
        with atomic_write(file) as part:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, part, metadata)

    @classmethod
    def load(cls, file: Path) -> VideoLatents | None:
        """None if the file does not exist or is broken."""
        try:
            with safe_open(file, "np") as content:
                metadata = content.metadata() or {}
                arrays = content.get_tensor("numbers"), content.get_tensor("pictures")
                return cls(*arrays, int(metadata["length"]), metadata["codec"])
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
