"""Parts of a request: shots, and images or videos that are given (conditions)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from lumora.media.video import Video


@dataclass(frozen=True)
class Shot:
    """A part of the video with its own prompt."""

    prompt: str
    seconds: float
    hard_cut: bool = True
    """True: the shot begins with a cut. False: it continues the shot before it."""


@dataclass(frozen=True)
class Condition:
    """An image or video that is given, and where it lies on the time line.

    Every frame of `video` maps to the frame of the time line that is nearest in time. If several map to the same one,
    the nearest is used; if the video has fewer frames per second, the frames between its own are generated.

    Raises ValueError for values out of range.
    """

    video: Video
    start: float | Literal["end"] = 0.0
    """Seconds after the beginning of the shot; "end": the condition ends where the whole video ends."""
    strength: float = 0.0
    """As in diffusers: 0 keeps the frames, 1 ignores them. Values between edit them: the source is noised by that much
    and denoised by the new prompt (FlowEdit, arXiv:2412.08629)."""
    shot_index: int = 0
    """Index of the shot in which the condition begins."""
    mask_span: tuple[float, float] | None = None
    """Start and end, in seconds of `video`, of a part that is missing and is generated."""
    source_prompt: str = ""
    """What `video` shows, if known. If the condition is edited, the prompt of the shot then says only what changes."""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"A strength lies between 0 (keep the condition) and 1, not {self.strength:g}.")
        if self.start != "end" and not 0 <= self.start < math.inf:
            raise ValueError(f"A condition begins 0 or more seconds after the start, not {self.start:g}.")
        if self.mask_span is not None:
            begin, end = self.mask_span
            if not 0 <= begin <= end <= self.video.seconds + 1e-6:
                raise ValueError(
                    f"A gap lies within the {self.video.seconds:g} seconds of the video, not from {begin:g} to {end:g}."
                )

    @property
    def is_edited(self) -> bool:
        return 0 < self.strength < 1

    @property
    def masked_frames(self) -> range:
        """Frames of `video` inside `mask_span`."""
        begin, end = self.mask_span or (0.0, 0.0)
        return range(round(begin * self.video.fps), round(end * self.video.fps))

    def num_frames_at(self, fps: float) -> int:
        """Number of frames that the condition covers on a time line of `fps` frames per second."""
        return 1 + round((len(self.video.frames) - 1) * fps / self.video.fps)


def edited_caption(caption: str, change: str) -> str:
    """Caption of an edited clip: "a red ball rolls" and "now at night" give "a red ball rolls, now at night"."""
    return ", ".join(part for part in (caption.rstrip(" ."), change) if part.strip())
