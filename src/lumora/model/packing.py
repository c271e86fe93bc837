"""Batches of samples of any mixture of sizes, packed into one sequence without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Span(NamedTuple):
    """A shot of a sample: the number of text tokens of its caption, and its number of latent frames.

    The spans of a sample follow each other, in its text and in its frames.
    """

    num_tokens: int
    num_frames: int


def drop_text(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """The same shots without captions."""
    return tuple(Span(0, span.num_frames) for span in spans)


@dataclass(frozen=True)
class Batch:
    """Samples of any mixture of sizes, durations and text lengths; entry i of each list belongs to sample i.

    A shot's text tokens and the video tokens of its latent frames attend to each other. Video tokens attend to all
    video tokens of their sample, and to no other shot's text.

    Raises ValueError when the lists do not fit each other.
    """

    latents: list[Float[Tensor, "c _ _ _"]]
    """Noisy latents (channels, frames, height, width)."""
    times: list[Float[Tensor, " _"]]
    """A flow time in [0, 1] for each latent frame; conditioned frames have time 0."""
    text: list[Float[Tensor, "_ text_width"]]
    """Token embeddings of the caption; of length 0 without a caption."""
    seconds: list[Float[Tensor, " _"]]
    """Time of each latent frame in seconds, continuous across cuts."""
    spans: list[tuple[Span, ...]] | None = None
    """The shots of each sample; None if each sample is one shot with one caption."""

    def __post_init__(self) -> None:
        if not len(self.latents) == len(self.times) == len(self.text) == len(self.seconds):
            counts = [len(items) for items in (self.latents, self.times, self.text, self.seconds)]
            raise ValueError(f"A batch needs as many latents, times, texts and seconds, not {counts}.")
        if not self.latents:
            raise ValueError("A batch needs at least one sample.")
        for latent, times, seconds in zip(self.latents, self.times, self.seconds, strict=True):
            if not latent.shape[1] == len(times) == len(seconds):
                raise ValueError(
                    f"A latent of {latent.shape[1]} frames needs as many times and seconds, "
                    f"not {len(times)} and {len(seconds)}."
                )
        if self.spans is not None:
            self._check_spans(self.spans)

    def _check_spans(self, spans: list[tuple[Span, ...]]) -> None:
        if len(spans) != len(self.latents):
            raise ValueError(
                f"A batch of {len(self.latents)} samples needs the shots of each sample, not of {len(spans)}."
            )
        for latent, text, shots in zip(self.latents, self.text, spans, strict=True):
            tokens, frames = sum(shot.num_tokens for shot in shots), sum(shot.num_frames for shot in shots)
            if (tokens, frames) != (len(text), latent.shape[1]) or any(shot.num_frames < 1 for shot in shots):
                raise ValueError(
                    f"Shots of {tokens} text tokens and {frames} latent frames don't fit a sample of {len(text)} and "
                    f"{latent.shape[1]}; each shot needs at least one latent frame."
                )

    @property
    def shots(self) -> list[tuple[Span, ...]]:
        """The shots of each sample, at least one."""
        if self.spans is not None:
            return self.spans
        pairs = zip(self.text, self.latents, strict=True)
        return [(Span(len(text), latent.shape[1]),) for text, latent in pairs]

    def __len__(self) -> int:
        return len(self.latents)


ShotTokens: TypeAlias = tuple[tuple[int, int], ...]
"""(video tokens, text tokens) of each shot of a sequence, which is the video of all shots, then the text of all."""


class AttentionLayout:
    """Sequences of the given lengths, concatenated in the order of their lengths.

    So sequences of equal length are neighbors, and attention handles each such group as a batch.
    """

    def __init__(self, lengths: Sequence[int], shots: Sequence[ShotTokens] | None = None) -> None:
        """`shots` are the shots of each sequence; empty where all its tokens attend to each other."""
        shots = shots or [()] * len(lengths)
        self.order = sorted(range(len(lengths)), key=lambda i: (lengths[i], shots[i]))
        """Indices of the sequences in the order of concatenation."""
        self._lengths = list(lengths)
        self.lengths = [lengths[i] for i in self.order]
        """Lengths in the order of concatenation."""
        self.shots = [shots[i] for i in self.order]
        ends = list(accumulate(self.lengths))
        self.starts = dict(zip(self.order, [0, *ends], strict=False))
        """First token of each sequence, by its index."""
        self.total = ends[-1]
        self.longest = self.lengths[-1]
        self.masked = any(self.shots)
        """Whether some tokens must not attend to others of their sequence."""
        self._ends = ends
        self._cumulative: Tensor | None = None
        self._masks: list[Tensor | None] | None = None

    def indices(self, sequence: int) -> Int[Tensor, " length"]:
        """Indices of the tokens of sequence `sequence`."""
        start = self.starts[sequence]
        return torch.arange(start, start + self._lengths[sequence])

    @cached_property
    def groups(self) -> list[tuple[int, int]]:
        """(count, length) of each group of neighbors of equal length and shots, in order."""
        runs = groupby(zip(self.lengths, self.shots, strict=True))
        return [(len(list(run)), length) for (length, _), run in runs]

    def masks(self, device: torch.device) -> list[Bool[Tensor, "_ _"] | None]:
        """The attention mask of each group: whether a token (row) attends to another (column); None without a mask."""
        if self._masks is None:
            kinds = [shots for (_, shots), _ in groupby(zip(self.lengths, self.shots, strict=True))]
            self._masks = [_attention_mask(shots, device) if shots else None for shots in kinds]
        return self._masks

    def cumulative(self, device: torch.device) -> Int[Tensor, " ends"]:
        """Cumulative lengths from 0 to the total, int32, as variable-length attention kernels expect them."""
        if self._cumulative is None or self._cumulative.device != device:
            self._cumulative = torch.tensor([0, *self._ends], dtype=torch.int32, device=device)
        return self._cumulative


def _attention_mask(shots: ShotTokens, device: torch.device) -> Bool[Tensor, "l l"]:
    """Tokens attend to each other if both are video or both belong to the same shot."""
    video, text = (torch.tensor(counts, device=device) for counts in zip(*shots, strict=True))
    indices = torch.arange(len(shots), device=device)
    shot = torch.cat([indices.repeat_interleave(video), indices.repeat_interleave(text)])
    is_video = torch.arange(len(shot), device=device) < video.sum()
    return (shot[:, None] == shot) | (is_video[:, None] & is_video)
