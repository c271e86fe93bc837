"""Any mixture of sizes in one flat sequence: what a batch is, and where each sample lies in it."""

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
    """A shot of a sample: what is said of it is so many tokens of the sample's text, and it has so many latent frames.

    The spans of a sample follow on each other, in its text as in its frames.
    """

    num_tokens: int
    num_frames: int


def drop_text(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """The same shots, of which nothing is said."""
    return tuple(Span(0, span.num_frames) for span in spans)


@dataclass(frozen=True)
class Batch:
    """Samples of any mixture of sizes, durations and text lengths; entry i of each list belongs to sample i.

    The words of a shot are seen by the tokens of its own latent frames alone, and see those; latent frames see all of
    their sample.

    Raises ValueError when the lists do not fit each other.
    """

    latents: list[Float[Tensor, "c _ _ _"]]
    """Noisy latents (channels, frames, height, width)."""
    times: list[Float[Tensor, " _"]]
    """A flow time in [0, 1] for each latent frame; 0 = clean = a condition."""
    text: list[Float[Tensor, "_ text_width"]]
    """Token embeddings of the caption; of length 0 for "no caption"."""
    seconds: list[Float[Tensor, " _"]]
    """When each latent frame is, in seconds. They run on across cuts."""
    spans: list[tuple[Span, ...]] | None = None
    """The shots of each sample; None: all of it is one shot, and its text one caption."""

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
            raise ValueError(f"A batch of {len(self.latents)} samples needs the shots of each, not of {len(spans)}.")
        for latent, text, shots in zip(self.latents, self.text, spans, strict=True):
            words, frames = sum(shot.num_tokens for shot in shots), sum(shot.num_frames for shot in shots)
            if (words, frames) != (len(text), latent.shape[1]) or any(shot.num_frames < 1 for shot in shots):
                raise ValueError(
                    f"Shots of {words} words and {frames} latent frames don't fit a sample of {len(text)} and "
                    f"{latent.shape[1]}; each has a latent frame at least."
                )

    @property
    def shots(self) -> list[tuple[Span, ...]]:
        """Of each sample, one at least."""
        if self.spans is not None:
            return self.spans
        pairs = zip(self.text, self.latents, strict=True)
        return [(Span(len(text), latent.shape[1]),) for text, latent in pairs]

    def __len__(self) -> int:
        return len(self.latents)


Blocks: TypeAlias = tuple[tuple[int, int], ...]
"""(video tokens, words) of each shot of a sequence, which is the video of all shots and then the words of all."""


class AttentionLayout:
    """Sequences of given lengths laid end to end, the short ones first.

    The sorting makes sequences of equal length neighbours, so that attention sees each such group as a plain batch.
    """

    def __init__(self, lengths: Sequence[int], blocks: Sequence[Blocks] | None = None) -> None:
        """`blocks` are the shots of each sequence; none where everything in it sees everything."""
        blocks = blocks or [()] * len(lengths)
        self.order = sorted(range(len(lengths)), key=lambda i: (lengths[i], blocks[i]))
        """Sample at each place of the sequence."""
        self.lengths = [lengths[i] for i in self.order]
        self.blocks = [blocks[i] for i in self.order]
        ends = list(accumulate(self.lengths))
        self.starts = dict(zip(self.order, [0, *ends], strict=False))
        """First token of each sample."""
        self.total = ends[-1]
        self.longest = self.lengths[-1]
        self.masked = any(self.blocks)
        """Whether some token must not see another one of its sequence."""
        self._ends = ends
        self._cumulative: Tensor | None = None
        self._masks: list[Tensor | None] | None = None

    @cached_property
    def groups(self) -> list[tuple[int, int]]:
        """(count, length) of each run of sequences of equal length and shots, in order."""
        runs = groupby(zip(self.lengths, self.blocks, strict=True))
        return [(len(list(run)), length) for (length, _), run in runs]

    def masks(self, device: torch.device) -> list[Bool[Tensor, "_ _"] | None]:
        """For each group which token (row) may see which (column); None where all see all."""
        if self._masks is None:
            kinds = [blocks for (_, blocks), _ in groupby(zip(self.lengths, self.blocks, strict=True))]
            self._masks = [_mask_of(blocks, device) if blocks else None for blocks in kinds]
        return self._masks

    def cumulative(self, device: torch.device) -> Int[Tensor, " ends"]:
        """Where sequences begin and end, as variable-length attention kernels want it: int32, from 0 to the total."""
        if self._cumulative is None or self._cumulative.device != device:
            self._cumulative = torch.tensor([0, *self._ends], dtype=torch.int32, device=device)
        return self._cumulative


def _mask_of(blocks: Blocks, device: torch.device) -> Bool[Tensor, "l l"]:
    """Video sees all video; words see the words and the video of their own shot, and that video sees them."""
    video, words = (torch.tensor(counts, device=device) for counts in zip(*blocks, strict=True))
    shots = torch.arange(len(blocks), device=device)
    shot = torch.cat([shots.repeat_interleave(video), shots.repeat_interleave(words)])
    is_video = torch.arange(len(shot), device=device) < video.sum()
    return (shot[:, None] == shot) | (is_video[:, None] & is_video)
