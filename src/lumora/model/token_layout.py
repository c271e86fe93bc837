"""Where the tokens of a batch lie in the packed sequence, and where in the video."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lumora.model.packing import AttentionLayout, Blocks, Span
from lumora.model.patchify import grid, unpatchify

TEXT_TOKENS = 128
"""The longest caption."""


@dataclass(frozen=True)
class TokenLayout:
    """Where the tokens of a batch lie in the packed sequence, and what each of them is."""

    layout: AttentionLayout
    words: AttentionLayout
    """Of the words alone."""
    order: Int[Tensor, " n"]
    """Source of each token of the sequence: video tokens of all samples first, then all words."""
    frame: Int[Tensor, " n"]
    """Row of modulation of each token: a row per latent frame and, last in each sample, one for the words of each of
    its shots."""
    word_frame: Int[Tensor, " words"]
    """The same for each word, in the order of `words`."""
    video: Int[Tensor, " video"]
    """Video tokens in the sequence, in the order of the samples."""
    positions: Float[Tensor, "n 3"]
    """(seconds, y, x); of words, when their shot begins after the first one, 0, 0."""


def layout_tokens(
    sizes: list[torch.Size], shots: list[tuple[Span, ...]], seconds: list[Tensor], patch: int
) -> TokenLayout:
    """Lays out samples of these latent sizes (t, h, w), shots and time stamps: each its video, then its words.

    Raises ValueError for a caption longer than TEXT_TOKENS.
    """
    device = seconds[0].device
    stamps = torch.cat(seconds).cpu().split([len(stamp) for stamp in seconds])
    counts = [num_video_tokens(size, patch) for size in sizes]
    lengths = [span.num_tokens for spans in shots for span in spans]
    if max(lengths) > TEXT_TOKENS:
        raise ValueError(f"A caption has {max(lengths)} tokens; {TEXT_TOKENS} is the most, so shorten it.")
    each = [count // size[0] for count, size in zip(counts, sizes, strict=True)]
    totals = [count + sum(span.num_tokens for span in spans) for count, spans in zip(counts, shots, strict=True)]
    layout, words = (
        AttentionLayout(totals, [_blocks(*sample) for sample in zip(shots, each, strict=True)]),
        AttentionLayout(lengths),
    )
    first_token = [0, *accumulate(counts)]
    first_row = [0, *accumulate(size[0] + len(spans) for size, spans in zip(sizes, shots, strict=True))]
    first_caption = [0, *accumulate(map(len, shots))]
    order, frame, positions = [], [], []
    for i in layout.order:
        spoken = [span.num_tokens for span in shots[i]]
        order.append(torch.arange(first_token[i], first_token[i + 1]))
        for caption, length in enumerate(spoken, first_caption[i]):
            start = first_token[-1] + words.starts[caption]
            order.append(torch.arange(start, start + length))
        repeats = torch.tensor([each[i]] * sizes[i][0] + spoken)
        frame.append(torch.arange(first_row[i], first_row[i + 1]).repeat_interleave(repeats))
        positions += [video_positions(sizes[i], stamps[i], patch), _word_positions(shots[i], stamps[i])]
    rows = [first_row[i] + size[0] + n for i, size in enumerate(sizes) for n in range(len(shots[i]))]
    word_frame = torch.cat([torch.full((lengths[i],), rows[i]) for i in words.order])
    video = torch.cat([torch.arange(count) + layout.starts[i] for i, count in enumerate(counts)])
    index = (torch.cat(order), torch.cat(frame), word_frame, video, torch.cat(positions))
    return TokenLayout(layout, words, *(x.to(device, non_blocking=True) for x in index))


def _blocks(spans: tuple[Span, ...], tokens: int) -> Blocks:
    """Of a sample with so many tokens a latent frame; nothing is kept apart within one shot, or without words."""
    apart = len(spans) > 1 and any(span.num_tokens for span in spans)
    return tuple((span.num_frames * tokens, span.num_tokens) for span in spans) if apart else ()


def _word_positions(spans: tuple[Span, ...], seconds: Float[Tensor, " t"]) -> Float[Tensor, "words 3"]:
    """Words are in the picture's middle, when their shot begins: as far from it as if it were a clip of its own."""
    starts = torch.tensor([0, *accumulate(span.num_frames for span in spans[:-1])])
    positions = torch.zeros(len(spans), 3)
    positions[:, 0] = seconds[starts].float() - seconds[0]
    return positions.repeat_interleave(torch.tensor([span.num_tokens for span in spans]), dim=0)


def video_positions(size: torch.Size, seconds: Float[Tensor, " t"], patch: int) -> Float[Tensor, "n 3"]:
    """(seconds, y, x) of each token's middle; y and x from the picture's, in half sides of a square of its area."""
    _, height, width = size
    rows, columns = grid(height, width, patch)
    half = math.sqrt(height * width) / 2
    y = ((torch.arange(rows) + 0.5) * patch - height / 2) / half
    x = ((torch.arange(columns) + 0.5) * patch - width / 2) / half
    return torch.cartesian_prod(seconds.float(), y, x)


def num_video_tokens(size: torch.Size | tuple[int, int, int], patch: int) -> int:
    frames, height, width = size
    return frames * math.prod(grid(height, width, patch))


def latents_from_tokens(
    tokens: Float[Tensor, "n token"], sizes: Sequence[torch.Size], patch: int
) -> list[Float[Tensor, "c _ _ _"]]:
    """The latents of these sizes (t, h, w) whose tokens lie one sample after the other."""
    parts = tokens.split([num_video_tokens(size, patch) for size in sizes])
    return [unpatchify(part, t, h, w, patch) for part, (t, h, w) in zip(parts, sizes, strict=True)]
