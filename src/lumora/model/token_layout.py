"""Position of every token of a batch: in the packed sequence and in the video."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lumora.model.packing import AttentionLayout, ShotTokens, Span
from lumora.model.patchify import grid, unpatchify

TEXT_TOKENS = 128
"""Maximum number of tokens in a caption."""


@dataclass(frozen=True)
class TokenLayout:
    """The packed sequence of a batch: for each sample its video tokens, then the text tokens of its shots.

    The modulation has one row per latent frame and, after the frames of each sample, one row for the text of each of
    its shots.
    """

    attention: AttentionLayout
    text_attention: AttentionLayout
    """The captions alone."""
    order: Int[Tensor, " n"]
    """For each token of the sequence its index in the concatenation of all video tokens and all text tokens."""
    modulation_row: Int[Tensor, " n"]
    """For each token of the sequence its row of modulation."""
    text_modulation_row: Int[Tensor, " text"]
    """The same for each text token, in the order of `text_attention`."""
    video: Int[Tensor, " video"]
    """Index in the sequence of each video token, in the order of the samples."""
    positions: Float[Tensor, "n 3"]
    """(seconds, y, x) of each token. Text is at the start of its shot, relative to the sample's, and at y = x = 0."""


def layout_tokens(
    sizes: list[torch.Size], shots: list[tuple[Span, ...]], seconds: list[Tensor], patch: int
) -> TokenLayout:
    """The layout of samples of latent sizes (t, h, w), with their shots and the time of each latent frame in seconds.

    Raises ValueError for a caption longer than TEXT_TOKENS.
    """
    device = seconds[0].device
    frame_seconds = torch.cat(seconds).cpu().split([len(times) for times in seconds])
    caption_lengths = [span.num_tokens for spans in shots for span in spans]
    if max(caption_lengths) > TEXT_TOKENS:
        raise ValueError(f"A caption has {max(caption_lengths)} tokens; {TEXT_TOKENS} is the most, so shorten it.")
    video_lengths = [num_video_tokens(size, patch) for size in sizes]
    tokens_per_frame = [length // size[0] for length, size in zip(video_lengths, sizes, strict=True)]
    text_attention = AttentionLayout(caption_lengths)
    attention = AttentionLayout(
        [video + sum(span.num_tokens for span in spans) for video, spans in zip(video_lengths, shots, strict=True)],
        [_shot_tokens(spans, per_frame) for spans, per_frame in zip(shots, tokens_per_frame, strict=True)],
    )
    # The first video token, modulation row and caption of each sample, in the order of the samples.
    first_video = _offsets(video_lengths)
    first_row = _offsets([size[0] + len(spans) for size, spans in zip(sizes, shots, strict=True)])
    first_caption = _offsets([len(spans) for spans in shots])

    order, rows, positions = [], [], []
    for i in attention.order:
        order.append(torch.arange(first_video[i], first_video[i + 1]))
        captions = range(first_caption[i], first_caption[i + 1])
        order += [first_video[-1] + text_attention.indices(caption) for caption in captions]
        tokens_per_row = [tokens_per_frame[i]] * sizes[i][0] + [caption_lengths[caption] for caption in captions]
        rows.append(torch.arange(first_row[i], first_row[i + 1]).repeat_interleave(torch.tensor(tokens_per_row)))
        positions += [video_positions(sizes[i], frame_seconds[i], patch), _text_positions(shots[i], frame_seconds[i])]

    caption_rows = [first_row[i] + size[0] + shot for i, size in enumerate(sizes) for shot in range(len(shots[i]))]
    text_rows = [torch.full((caption_lengths[i],), caption_rows[i]) for i in text_attention.order]
    video = [torch.arange(length) + attention.starts[i] for i, length in enumerate(video_lengths)]
    tensors = [torch.cat(parts) for parts in (order, rows, text_rows, video, positions)]
    return TokenLayout(attention, text_attention, *(x.to(device, non_blocking=True) for x in tensors))


def _offsets(lengths: Sequence[int]) -> list[int]:
    """Start of each segment of these lengths, and the end of the last one."""
    return [0, *accumulate(lengths)]


def _shot_tokens(spans: tuple[Span, ...], tokens_per_frame: int) -> ShotTokens:
    """Token counts of the shots of a sample; none where all tokens attend to each other: one shot, or no text."""
    if len(spans) == 1 or not any(span.num_tokens for span in spans):
        return ()
    return tuple((span.num_frames * tokens_per_frame, span.num_tokens) for span in spans)


def _text_positions(spans: tuple[Span, ...], seconds: Float[Tensor, " t"]) -> Float[Tensor, "text 3"]:
    """Text tokens are in the middle of the picture at the start of their shot, as if each shot were a clip."""
    first_frames = torch.tensor([0, *accumulate(span.num_frames for span in spans[:-1])])
    positions = torch.zeros(len(spans), 3)
    positions[:, 0] = seconds[first_frames].float() - seconds[0]
    return positions.repeat_interleave(torch.tensor([span.num_tokens for span in spans]), dim=0)


def video_positions(size: torch.Size, seconds: Float[Tensor, " t"], patch: int) -> Float[Tensor, "n 3"]:
    """(seconds, y, x) of the center of each token.

    y and x are relative to the middle of the picture, in half sides of a square of the picture's area.
    """
    _, height, width = size
    rows, columns = grid(height, width, patch)
    half = math.sqrt(height * width) / 2
    y = ((torch.arange(rows) + 0.5) * patch - height / 2) / half
    x = ((torch.arange(columns) + 0.5) * patch - width / 2) / half
    return torch.cartesian_prod(seconds.float(), y, x)


def num_video_tokens(size: torch.Size | tuple[int, int, int], patch: int) -> int:
    """Number of tokens of a latent of size (t, h, w)."""
    frames, height, width = size
    return frames * math.prod(grid(height, width, patch))


def latents_from_tokens(
    tokens: Float[Tensor, "n token"], sizes: Sequence[torch.Size], patch: int
) -> list[Float[Tensor, "c _ _ _"]]:
    """The latents of sizes (t, h, w) from their tokens, which follow each other in the order of the samples."""
    parts = tokens.split([num_video_tokens(size, patch) for size in sizes])
    return [unpatchify(part, t, h, w, patch) for part, (t, h, w) in zip(parts, sizes, strict=True)]
