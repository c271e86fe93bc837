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

from lumora.backends.lumora.segments import Given, Take
from lumora.media.latents import Latents


def known(
    take: Take, given: Sequence[Given], shape: tuple[int, ...], codec: str
) -> Iterator[tuple[int, int, Float16[np.ndarray, "c h w"]]]:
    """Numbers of latent frames of a take, of the given things that they are of, and what they are, of this shape."""
    for number in range(take.latents):
        places = [take.places.get(frame) for frame in take.frames_of(number)]
        first = places[0]
        if first is None or first.strength == 1:
            continue
        pictures, latents = range(first.picture, first.picture + len(places)), given[first.given].video.latents
        in_a_row = [(p.given, p.picture) for p in places if p] == [(first.given, picture) for picture in pictures]
        if in_a_row and latents and latents.codec == codec:
            latent = latents.holding(pictures)
            if latent is not None and latent.shape == shape:
                yield number, first.given, latent


def latents_of(takes: Sequence[Take], latents: Sequence[Float[Tensor, "c _ h w"]], codec: str) -> Latents:
    """Those of a video of these takes, but for latent frames of which not all is shown, or some of the pictures as they
    were given and the others as they were made."""
    numbers, pictures = [], []
    for take, latent in zip(takes, latents, strict=True):
        kept = take.kept()
        for number, frames in enumerate(map(take.frames_of, range(take.latents))):
            if frames.stop <= take.shown and len({frame in kept for frame in frames}) == 1:
                numbers.append(latent[:, number])
                pictures.append((take.begins + frames.start, take.begins + frames.stop))
    length = sum(take.shown for take in takes)
    return Latents(torch.stack(numbers).half().cpu().numpy(), np.array(pictures, np.int32), length, codec)
