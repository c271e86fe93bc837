"""Where the tokens of a batch lie in the packed sequence, and where in the video."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lumora.model.packing import Layout
from lumora.model.patchify import grid, unpatchify

TEXT_TOKENS = 128
"""The longest caption."""


@dataclass(frozen=True)
class Places:
    """Where the tokens of a batch lie in the packed sequence, and what each of them is."""

    layout: Layout
    words: Layout
    """Of the words alone."""
    order: Int[Tensor, " n"]
    """Source of each token of the sequence: video tokens of all samples first, then all words."""
    frame: Int[Tensor, " n"]
    """Row of modulation of each token: a row per latent frame and, last in each sample, one for its words."""
    word_frame: Int[Tensor, " words"]
    """The same for each word, in the order of `words`."""
    video: Int[Tensor, " video"]
    """Video tokens in the sequence, in the order of the samples."""
    positions: Float[Tensor, "n 3"]
    """(seconds, y, x); 0 for words."""


def locate(sizes: list[torch.Size], lengths: list[int], seconds: list[Tensor], patch: int) -> Places:
    """Lays out samples of these latent sizes (t, h, w), words and time stamps: each its video, then its words.

    Raises ValueError for a caption longer than TEXT_TOKENS.
    """
    device = seconds[0].device
    stamps = torch.cat(seconds).cpu().split([len(stamp) for stamp in seconds])
    counts = [tokens_of(size, patch) for size in sizes]
    if max(lengths) > TEXT_TOKENS:
        raise ValueError(f"A caption has {max(lengths)} tokens; {TEXT_TOKENS} is the most, so shorten it.")
    layout = Layout([count + length for count, length in zip(counts, lengths, strict=True)])
    words = Layout(lengths)
    first_token = [0, *accumulate(counts)]
    first_frame = [0, *accumulate(frames + 1 for frames, _, _ in sizes)]
    order, frame, positions = [], [], []
    for i in layout.order:
        frames, per_frame = sizes[i][0], counts[i] // sizes[i][0]
        start = first_token[-1] + words.starts[i]
        order += [torch.arange(first_token[i], first_token[i + 1]), torch.arange(start, start + lengths[i])]
        repeats = torch.tensor([per_frame] * frames + [lengths[i]])
        frame.append(torch.arange(first_frame[i], first_frame[i + 1]).repeat_interleave(repeats))
        positions += [video_positions(sizes[i], stamps[i], patch), torch.zeros(lengths[i], 3)]
    word_frame = torch.cat([torch.full((lengths[i],), first_frame[i + 1] - 1) for i in words.order])
    video = torch.cat([torch.arange(count) + layout.starts[i] for i, count in enumerate(counts)])
    index = (torch.cat(order), torch.cat(frame), word_frame, video, torch.cat(positions))
    return Places(layout, words, *(x.to(device, non_blocking=True) for x in index))


def video_positions(size: torch.Size, seconds: Float[Tensor, " t"], patch: int) -> Float[Tensor, "n 3"]:
    """(seconds, y, x) of each token's middle; y and x from the picture's, in half sides of a square of its area."""
    _, height, width = size
    rows, columns = grid(height, width, patch)
    half = math.sqrt(height * width) / 2
    y = ((torch.arange(rows) + 0.5) * patch - height / 2) / half
    x = ((torch.arange(columns) + 0.5) * patch - width / 2) / half
    return torch.cartesian_prod(seconds.float(), y, x)


def tokens_of(size: torch.Size | tuple[int, int, int], patch: int) -> int:
    frames, height, width = size
    return frames * math.prod(grid(height, width, patch))


def latents_of(
    tokens: Float[Tensor, "n token"], sizes: Sequence[torch.Size], patch: int
) -> list[Float[Tensor, "c _ _ _"]]:
    """The latents of these sizes (t, h, w) whose tokens lie one sample after the other."""
    parts = tokens.split([tokens_of(size, patch) for size in sizes])
    return [unpatchify(part, t, h, w, patch) for part, (t, h, w) in zip(parts, sizes, strict=True)]
