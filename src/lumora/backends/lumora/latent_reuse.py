"""Latent frames that are reused instead of encoded: a video that was made with the same codec carries its latents.

They are used wherever a latent frame of the new video holds exactly the frames that a latent frame of the given video
held: in an extension forward, an edit, or after a gap, but not where the grids differ, as in an extension backward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Float16
from torch import Tensor

from lumora.backends.timeline.segments import Segment
from lumora.media.latents import VideoLatents
from lumora.request.conditions import Condition
from lumora.request.spec import Request


def reusable_latents(
    segment: Segment, conditions: Sequence[Condition], shape: tuple[int, ...], codec_hash: str
) -> Iterator[tuple[int, int, Float16[np.ndarray, "c h w"]]]:
    """(number of the latent frame, index of the condition, latent of this `shape`) for each latent to reuse."""
    for number in range(segment.num_latents):
        sources = [segment.frame_sources.get(frame) for frame in segment.grid.frames_of(number)]
        first = sources[0]
        if first is None or first.strength == 1:
            continue
        pictures = range(first.frame_index, first.frame_index + len(sources))
        consecutive = [(first.condition_index, picture) for picture in pictures]
        if [(s.condition_index, s.frame_index) for s in sources if s] != consecutive:
            continue
        latents = conditions[first.condition_index].video.latents
        if latents and latents.codec_hash == codec_hash:
            latent = latents.latent_of(pictures)
            if latent is not None and latent.shape == shape:
                yield number, first.condition_index, latent


def drop_unused_latents(
    request: Request, segments: Sequence[Segment], shape: tuple[int, ...], codec_hash: str
) -> Request:
    """`request` without the latents that `reusable_latents` does not use; the result of sampling is the same."""
    used = {
        index
        for segment in segments
        for _, index, _ in reusable_latents(segment, request.conditions, shape, codec_hash)
    }
    conditions = (
        condition if index in used else replace(condition, video=condition.video.without_latents())
        for index, condition in enumerate(request.conditions)
    )
    return replace(request, conditions=tuple(conditions))


def latents_of_segments(
    segments: Sequence[Segment], latents: Sequence[Float[Tensor, "c _ h w"]], codec_hash: str
) -> VideoLatents:
    """Latents of the whole video, except latent frames that are not shown completely or that mix kept and generated
    frames."""
    data, frame_ranges = [], []
    for segment, latent in zip(segments, latents, strict=True):
        kept = segment.kept_frames()
        for number, frames in enumerate(map(segment.grid.frames_of, range(segment.num_latents))):
            if frames.stop <= segment.num_frames and len({frame in kept for frame in frames}) == 1:
                data.append(latent[:, number])
                frame_ranges.append((segment.first_frame + frames.start, segment.first_frame + frames.stop))
    num_frames = sum(segment.num_frames for segment in segments)
    return VideoLatents(
        torch.stack(data).half().cpu().numpy(), np.array(frame_ranges, np.int32), num_frames, codec_hash
    )
