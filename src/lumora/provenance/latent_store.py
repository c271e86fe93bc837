"""The latents of published videos, kept in the state folder under the hash of the file.

An extension continues from them without encoding the video again. Whoever has the codec can decode them, without the
watermark, so they are stored beside the keys. `$LUMORA_LATENT_CACHE_MB` limits their size in megabytes: the oldest are
removed first, and 0 keeps none.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from pathlib import Path

from lumora.media.latents import VideoLatents
from lumora.media.video import Video
from lumora.provenance.keystore import environment_variable, state_folder

DEFAULT_MEGABYTES = 256.0
"""Enough for some five hours of 64×64 pixels at 8 frames a second."""


class LatentStore:
    """Raises ValueError, with a sentence, where `$LUMORA_LATENT_CACHE_MB` is not a number of megabytes."""

    def __init__(self) -> None:
        self._folder = state_folder() / "latents"
        self._max_bytes = _max_bytes()

    def keep(self, sha256: str, latents: VideoLatents) -> None:
        """Stores the latents of the file with this hash.

        An error of the file system is ignored: without them a later extension encodes the video again.
        """
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            size = latents.data.nbytes
            fits = size <= self._max_bytes
            self._remove_oldest(size if fits else 0)
            if fits:
                latents.save(self._file(sha256))

    def joined(self, video: Video, file: Path) -> Video:
        """`video`, as it was read from `file`, with the latents that are stored for that file, if there are any."""
        with file.open("rb") as content:
            latents = VideoLatents.load(self._file(hashlib.file_digest(content, "sha256").hexdigest()))
        # A GIF drops frames that equal the one before, so the counts can differ.
        return video if latents is None or latents.num_frames != len(video.frames) else replace(video, latents=latents)

    def _file(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.safetensors"

    def _remove_oldest(self, needed: int) -> None:
        """Removes files until so many bytes more fit."""
        files = sorted((file.stat().st_mtime_ns, file.stat().st_size, file) for file in self._folder.iterdir())
        total = needed + sum(size for _, size, _ in files)
        for _, size, file in files:
            if total > self._max_bytes:
                file.unlink(missing_ok=True)
                total -= size


def _max_bytes() -> float:
    text = environment_variable("LUMORA_LATENT_CACHE_MB", former_name="LUMORA_LATENTS") or DEFAULT_MEGABYTES
    try:
        megabytes = float(text)
    except ValueError:
        megabytes = -1.0
    if not megabytes >= 0:  # true for NaN too
        raise ValueError(f"LUMORA_LATENT_CACHE_MB must be a number of megabytes, 0 or more, not {text!r}.")
    return megabytes * 1e6
