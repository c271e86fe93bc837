"""The latents of the videos that were delivered, in the state folder, each by the hash of its file.

They show what the video shows, to whoever has the codec, so they are kept where the keys are, and only so many:
`$LUMORA_LATENTS` says how many megabytes, of which the oldest go first. 0 keeps none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import replace
from pathlib import Path

from lumora.media.latents import VideoLatents
from lumora.media.video import Video
from lumora.provenance.keystore import state_folder

MEGABYTES = 256.0
"""As many as are kept by default: of 64×64 pixels and 8 frames a second some five hours."""


class LatentStore:
    """Raises ValueError, in a sentence, where `$LUMORA_LATENTS` is not a number of megabytes."""

    def __init__(self) -> None:
        self._folder = state_folder() / "latents"
        self._room = _room()

    def keep(self, sha256: str, latents: VideoLatents) -> None:
        """Those of the file of this hash. Where that can't be done it isn't: a full disk costs a later extension its
        latents, and not this video its way out."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            size = latents.data.nbytes
            fits = size <= self._room
            self._drop_oldest(size if fits else 0)
            if fits:
                latents.save(self._file(sha256))

    def joined(self, video: Video, file: Path) -> Video:
        """`video`, as it was read from `file`, with the latents that it was made of, if they are kept here."""
        with file.open("rb") as content:
            latents = VideoLatents.load(self._file(hashlib.file_digest(content, "sha256").hexdigest()))
        # A .gif drops frames that are like the one before.
        return video if latents is None or latents.num_frames != len(video.frames) else replace(video, latents=latents)

    def _file(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.safetensors"

    def _drop_oldest(self, coming: int) -> None:
        """Files, until there is room for so many bytes more."""
        files = sorted((file.stat().st_mtime_ns, file.stat().st_size, file) for file in self._folder.iterdir())
        kept = coming + sum(size for _, size, _ in files)
        for _, size, file in files:
            if kept > self._room:
                file.unlink(missing_ok=True)
                kept -= size


def _room() -> float:
    """Bytes."""
    asked = os.environ.get("LUMORA_LATENTS") or MEGABYTES
    try:
        megabytes = float(asked)
    except ValueError:
        megabytes = -1.0
    if not megabytes >= 0:  # true for NaN too
        raise ValueError(f"LUMORA_LATENTS is a number of megabytes, 0 or more, and not {asked!r}.")
    return megabytes * 1e6
