"""Latent frames that need no encoding: a given video that was made by the same codec has them with it.

They are gone on from wherever a latent frame of the new video holds the very pictures that one of the given video held:
so in an extension forward, an edit, a gap behind a whole latent frame, but not where the grid of latent frames lies
otherwise, as it does backward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float16
from torch import Tensor

from lumora.backends.lumora.segments import Condition, Segment
from lumora.media.latents import VideoLatents


def reusable_latents(
    take: Segment, given: Sequence[Condition], shape: tuple[int, ...], codec: str
) -> Iterator[tuple[int, int, Float16[np.ndarray, "c h w"]]]:
    """Numbers of latent frames of a take, of the given things that they are of, and what they are, of this shape."""
    for number in range(take.num_latents):
        places = [take.frame_sources.get(frame) for frame in take.frames_of_latent(number)]
        first = places[0]
        if first is None or first.strength == 1:
            continue
        pictures, latents = (
            range(first.frame_index, first.frame_index + len(places)),
            given[first.condition_index].video.latents,
        )
        in_a_row = [(p.condition_index, p.frame_index) for p in places if p] == [
            (first.condition_index, picture) for picture in pictures
        ]
        if in_a_row and latents and latents.codec_hash == codec:
            latent = latents.latent_of(pictures)
            if latent is not None and latent.shape == shape:
                yield number, first.condition_index, latent


def latents_of_segments(
    takes: Sequence[Segment], latents: Sequence[Float[Tensor, "c _ h w"]], codec: str
) -> VideoLatents:
    """Those of a video of these takes, but for latent frames of which not all is shown, or some of the pictures as they
    were given and the others as they were made."""
    numbers, pictures = [], []
    for take, latent in zip(takes, latents, strict=True):
        kept = take.kept_frames()
        for number, frames in enumerate(map(take.frames_of_latent, range(take.num_latents))):
            if frames.stop <= take.num_frames and len({frame in kept for frame in frames}) == 1:
                numbers.append(latent[:, number])
                pictures.append((take.first_frame + frames.start, take.first_frame + frames.stop))
    length = sum(take.num_frames for take in takes)
    return VideoLatents(torch.stack(numbers).half().cpu().numpy(), np.array(pictures, np.int32), length, codec)
