"""What is known about files and clips of footage, as plain data for JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Reason: TypeAlias = Literal[
    "unreadable", "crashed", "small", "short", "dark", "still", "shaky", "text", "refused", "duplicate"
]  # fmt: skip
"""Why a file or a clip is left out: the file can't be read, or ended the process that read it; the others are of a
clip (`screening`)."""


@dataclass(frozen=True)
class SourceFile:
    """A file of the folder that is ingested."""

    name: str
    """Path within the folder, with forward slashes."""
    size: int
    """Bytes."""
    modified_ns: int
    caption: str = ""
    """Its text in metadata.jsonl, or in the .txt file beside it."""


@dataclass(frozen=True)
class Crop:
    """The part of a frame inside of black bars, in pixels; `right` and `bottom` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class ClipMeasures:
    """What the filters look at. Levels are gray levels, 0 to 255."""

    luma: float
    """95th percentile of the brightness of a frame, in the median frame."""
    motion: float
    """Change of the most changed part of the picture (2 % of it) against the first frame, in the most changed frame."""
    shake: float
    """How much the motion of the picture changes from frame to frame, in shares of its sides; the median."""
    text: float
    """Share of the picture that lines of text cover, in the median sampled frame."""


@dataclass(frozen=True)
class FootageClip:
    """A shot of a file, or a part of a long shot, or a picture."""

    source: str
    """Name of its file."""
    begin: int
    """First frame in the source, at `fps`."""
    num_frames: int
    fps: float
    """Frames a second, as in the source; a picture has 1."""
    width: int
    height: int
    """Size in pixels, without black bars."""
    measures: ClipMeasures
    perceptual_hash: str
    """Hexadecimal (`duplicates`)."""
    thumbnails: str = field(repr=False)
    """Three small pictures of it, base64 (`duplicates`)."""
    preview: str = field(default="", repr=False)
    """A frame for the report, JPEG in base64."""
    crop: Crop | None = None
    """Where black bars were cut off."""
    reason: Reason | None = None
    """Why it is left out; None if it is kept."""
    detail: str = ""
    """More about `reason`: what the checks said, or which clip this is a duplicate of."""
    file: str = ""
    """Name of the clip's file in the shards, such as `clip-000012.mp4`; until then, in the work folder. Empty if it is
    left out."""
    caption: str = ""
    """The caption that came with the source."""

    @property
    def seconds(self) -> float:
        return 0.0 if self.is_picture else self.num_frames / self.fps

    @property
    def is_picture(self) -> bool:
        return self.num_frames == 1


@dataclass(frozen=True)
class ScannedFile:
    """A file and what was found in it."""

    source: SourceFile
    clips: tuple[FootageClip, ...] = ()
    reason: Reason | None = None
    """Why the whole file is left out."""
    detail: str = ""
    """A sentence about `reason`."""
    warnings: tuple[str, ...] = ()
    """What was changed or lost when it was read, in sentences."""
