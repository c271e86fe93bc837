"""Any mixture of sizes in one flat sequence: what a batch is, and where each sample lies in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Samples of any mixture of sizes, durations and text lengths; entry i of each list belongs to sample i.

    Raises ValueError when the lists do not fit each other.
    """

    latents: list[Float[Tensor, "c _ _ _"]]
    """Noisy latents (channels, frames, height, width)."""
    times: list[Float[Tensor, " _"]]
    """A flow time in [0, 1] for each latent frame; 0 = clean = a condition."""
    text: list[Float[Tensor, "_ text_width"]]
    """Token embeddings of the caption; of length 0 for "no caption"."""
    seconds: list[Float[Tensor, " _"]]
    """When each latent frame is, in seconds."""

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

    def __len__(self) -> int:
        return len(self.latents)


class Layout:
    """Sequences of given lengths laid end to end, the short ones first.

    The sorting makes sequences of equal length neighbours, so that attention sees each such group as a plain batch.
    """

    def __init__(self, lengths: list[int]) -> None:
        self.order = sorted(range(len(lengths)), key=lengths.__getitem__)
        """Sample at each place of the sequence."""
        self.lengths = [lengths[i] for i in self.order]
        ends = list(accumulate(self.lengths))
        self.starts = dict(zip(self.order, [0, *ends], strict=False))
        """First token of each sample."""
        self.total = ends[-1]
        self.longest = self.lengths[-1]
        self._ends = ends
        self._cumulative: Tensor | None = None

    @cached_property
    def groups(self) -> list[tuple[int, int]]:
        """(count, length) of each run of equally long sequences, in order."""
        return [(len(list(run)), length) for length, run in groupby(self.lengths)]

    def cumulative(self, device: torch.device) -> Int[Tensor, " ends"]:
        """Where sequences begin and end, as variable-length attention kernels want it: int32, from 0 to the total."""
        if self._cumulative is None or self._cumulative.device != device:
            self._cumulative = torch.tensor([0, *self._ends], dtype=torch.int32, device=device)
        return self._cumulative
