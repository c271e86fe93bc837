"""The latent frames that a video was decoded from. They stay with it, so that what goes on from it goes on from them
and not from its pictures, decoded and encoded anew. No torch."""

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
    """The first picture of the video that each latent frame holds, and the one behind its last."""
    num_frames: int
    """How many pictures the video has; some may be in no latent frame."""
    codec_hash: str
    """SHA-256 of the weights of the codec that decodes them."""

    def latent_of(self, pictures: range) -> Float16[np.ndarray, "c h w"] | None:
        """The latent frame of exactly these pictures, if there is one."""
        same = np.flatnonzero((self.frame_ranges == (pictures.start, pictures.stop)).all(axis=1))
        return self.data[same[0]] if len(same) else None

    def drop_frames(self, pictures: Collection[int]) -> VideoLatents:
        """Those of the video without these pictures: of latent frames of which all are left."""
        gone = np.zeros(self.num_frames + 1, np.int32)  # pictures before each one
        gone[[picture + 1 for picture in pictures]] = 1
        moved = self.frame_ranges - gone.cumsum(dtype=np.int32)[self.frame_ranges]
        whole = np.ptp(moved, axis=1) == np.ptp(self.frame_ranges, axis=1)
        return VideoLatents(self.data[whole], moved[whole], self.num_frames - len(pictures), self.codec_hash)

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        whole = hashlib.sha256(f"{self.codec_hash} {self.num_frames} {self.data.shape} ".encode())
        for array in (self.frame_ranges, self.data):
            whole.update(np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()

    def save(self, file: Path) -> None:
        """Raises OSError, in a sentence, where the file can't be written."""
        arrays = {"numbers": self.data, "pictures": self.frame_ranges}
        about = {"codec": self.codec_hash, "length": str(self.num_frames)}
        with atomic_write(file) as part:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, part, about)

    @classmethod
    def load(cls, file: Path) -> VideoLatents | None:
        """None where there is no such file, or a broken one."""
        try:
            with safe_open(file, "np") as kept:
                about = kept.metadata() or {}
                arrays = kept.get_tensor("numbers"), kept.get_tensor("pictures")
                return cls(*arrays, int(about["length"]), about["codec"])
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
