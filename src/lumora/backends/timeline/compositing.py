"""Pixels of the conditions of a segment: resized, cross-faded in gaps, and restored after decoding."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import uniform_filter

from lumora.backends.timeline.segments import Segment
from lumora.config import Resolution
from lumora.media.video import ResizeMode, Video
from lumora.request.conditions import Condition

DETAIL_FRAMES = 4
"""Frames over which the detail that the codec lost of kept frames fades out in generated ones."""
COMPARED_PIXELS = 5
"""Side, in pixels, of the squares in which a generated frame is compared with a kept one."""
UNCHANGED, CHANGED = 6.0, 16.0
"""Mean difference in gray levels, of a kept and a generated frame after decoding, up to which a place counts as
unchanged, and from which it counts as changed: the model reproduces still parts with errors of about this size."""


@dataclass(frozen=True)
class ConditionFrames:
    """The given frames of a segment by number, uint8 (h, w, 3)."""

    frames: Mapping[int, UInt8[np.ndarray, "h w 3"]]
    indices: Sequence[int]
    """Their numbers, ascending."""

    @classmethod
    def from_segment(
        cls, segment: Segment, conditions: Sequence[Condition], size: Resolution, resize_mode: ResizeMode
    ) -> ConditionFrames:
        """Resizes only the frames that lie in the segment."""
        frames: dict[int, np.ndarray] = {}
        for index, condition in enumerate(conditions):
            sources = segment.frame_sources.items()
            picture_of = {frame: source.frame_index for frame, source in sources if source.condition_index == index}
            used = sorted(set(picture_of.values()))
            if used:
                video = Video(condition.video.frames[used], condition.video.fps)
                resized = video.resize(size.height, size.width, resize_mode).frames
                frames |= {frame: resized[used.index(picture)] for frame, picture in picture_of.items()}
        return cls(frames, sorted(frames))

    def draft_frame(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """The given frame; in a gap, a cross-fade of the given frames before and after it; else the nearest one."""
        if frame in self.frames:
            return self.frames[frame]
        index = int(np.searchsorted(self.indices, frame))
        before, after = self.indices[max(0, index - 1)], self.indices[min(index, len(self.indices) - 1)]
        weight = (frame - before) / (after - before) if after > before else 0.0
        mixed = (1 - weight) * self.frames[before] + weight * self.frames[after].astype(np.float64)
        return mixed.round().astype(np.uint8)

    def restore_kept_frames(self, segment: Segment, decoded: UInt8[np.ndarray, "T h w 3"]) -> None:
        """Writes the kept frames into `decoded`, all frames of the segment, pixel by pixel.

        The codec loses detail, and its loss would be visible where kept frames end. So generated frames nearby get the
        detail that the codec lost of the kept ones, less with every frame. Where a generated frame equals a kept one
        but for noise, the kept pixels are used, so that still parts do not flicker.
        """
        kept = sorted(segment.kept_frames())
        for frame in range(segment.grid.offset, segment.num_frames):
            nearest = [] if frame in segment.frame_sources else _nearest_kept(frame, kept)
            if nearest:
                generated = decoded[frame].astype(np.float32)
                given = np.stack([self.frames[k].astype(np.float32) for k in nearest])
                given_decoded = decoded[nearest].astype(np.float32)
                lost_detail = given - given_decoded
                restored = generated + np.einsum("n,nhwc->hwc", _detail_weights(frame, nearest), lost_detail)
                weights = _distance_weights(frame, nearest)[:, None, None, None]
                weights = weights * _unchanged(generated, given_decoded)
                decoded[frame] = (restored + (weights * (given - restored)).sum(axis=0)).round().clip(0, 255)
        for frame in kept:
            decoded[frame] = self.frames[frame]


def _nearest_kept(frame: int, kept: Sequence[int]) -> list[int]:
    """The nearest kept frames before and after a frame."""
    index = bisect_left(kept, frame)
    return list(kept[max(0, index - 1) : index + 1])


def _distance_weights(frame: int, kept: Sequence[int]) -> Float[np.ndarray, " n"]:
    """Weights inversely proportional to distance; their sum is 1."""
    inverse = 1 / np.abs(np.array(kept) - frame)
    return inverse / inverse.sum()


def _detail_weights(frame: int, kept: Sequence[int]) -> Float[np.ndarray, " n"]:
    """Weights of the lost detail: less with distance, and 0 beyond DETAIL_FRAMES."""
    distance = np.abs(np.array(kept) - frame)
    inverse = (1 / distance) * (distance <= DETAIL_FRAMES)
    return inverse / max(inverse.sum(), 1e-9) * (1 - distance / (DETAIL_FRAMES + 1))


def _unchanged(
    generated: Float[np.ndarray, "h w 3"], kept: Float[np.ndarray, "n h w 3"]
) -> Float[np.ndarray, "n h w 1"]:
    """1 where a generated frame equals the kept ones, 0 where it differs, smooth between."""
    difference = np.abs(generated - kept).mean(axis=-1)
    difference = uniform_filter(difference, COMPARED_PIXELS, mode="nearest", axes=(1, 2))
    x = ((difference - UNCHANGED) / (CHANGED - UNCHANGED)).clip(0, 1)
    return (1 - x**2 * (3 - 2 * x))[..., None]
