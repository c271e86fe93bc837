"""What a step is trained on: a function of (seed, step, rank), so that a resumed run sees exactly the same."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lumora.data.latent_cache import LatentExample, LatentShard, latent_path
from lumora.data.shards import open_frames, open_subjects, shard_numbers


class EpochSampler:
    """Which clips a step sees: every clip once in each pass over `count`, in an order of the pass's own."""

    def __init__(self, count: int, batch: int, seed: int, rank: int = 0, size: int = 1) -> None:
        """`batch` clips a step for each of `size` processes, of which this is number `rank`."""
        self.count, self.batch, self.seed, self.rank, self.size = count, batch, seed, rank, size
        self._pass = lru_cache(2)(self._shuffled)

    def clips(self, step: int) -> list[int]:
        first = (step * self.size + self.rank) * self.batch
        places = (divmod(place, self.count) for place in range(first, first + self.batch))
        return [int(self._pass(number)[place]) for number, place in places]

    def _shuffled(self, number: int) -> np.ndarray:
        return np.random.default_rng([self.seed, number, 2]).permutation(self.count)


class LatentDataset:
    """Shards of latents in a folder, by default all of them, and all of some others, as one sequence of clips."""

    def __init__(self, folder: Path, numbers: Sequence[int] | None = None, also: Sequence[Path] = ()) -> None:
        """A folder that is among `also` twice is there twice."""
        numbers = shard_numbers(folder, "latents") if numbers is None else numbers
        paths = [latent_path(folder, number) for number in numbers]
        paths += [latent_path(other, number) for other in also for number in shard_numbers(other, "latents")]
        self.shards = [LatentShard(path) for path in paths]
        self.ends = list(accumulate(shard.count for shard in self.shards))

    def __len__(self) -> int:
        return self.ends[-1]

    def latent(self, clip: int) -> Float[Tensor, "c t h w"]:
        """Of the clip itself."""
        shard, within = self._find(clip)
        return shard.latents[0, within]

    def example(self, clip: int, generator: np.random.Generator) -> LatentExample:
        """The clip or its mirror image, by chance, with one of its captions."""
        shard, within = self._find(clip)
        return shard.example(within, bool(generator.random() < 0.5), float(generator.random()))

    def _find(self, clip: int) -> tuple[LatentShard, int]:
        shard = bisect_right(self.ends, clip)
        return self.shards[shard], clip - (self.ends[shard] - self.shards[shard].count)


class FrameDataset:
    """All shards of pixels in a folder, of which a step sees clips of one shard, because those have one size."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.numbers = folder, shard_numbers(folder, "frames")
        self.counts = [len(open_frames(folder, number)) for number in self.numbers]

    def sample(self, count: int) -> Float[Tensor, "b 3 t h w"]:
        """Up to `count` clips of the first shard's size, spread evenly over the shards, in [−1, 1]."""
        shards = [open_frames(self.folder, number) for number in self.numbers]
        alike = [shard for shard in shards if shard.shape[1:] == shards[0].shape[1:]]
        each = -(-count // len(alike))
        chosen = [shard[:: max(1, len(shard) // each)][:each] for shard in alike]
        pixels = torch.from_numpy(np.concatenate(chosen)[:count])
        return rearrange(pixels, "b t h w c -> b c t h w") / 127.5 - 1

    def batch(
        self, size: int, generator: np.random.Generator
    ) -> tuple[UInt8[Tensor, "b t h w 3"], Bool[Tensor, "b t h w"] | None]:
        """`size` clips, and which pixels show a subject where that is known."""
        odds = np.array(self.counts) / sum(self.counts)
        number = self.numbers[generator.choice(len(odds), p=odds)]
        frames, subjects = open_frames(self.folder, number), open_subjects(self.folder, number)
        chosen = np.sort(generator.choice(len(frames), min(size, len(frames)), replace=False))
        if subjects is not None:
            return torch.from_numpy(frames[chosen]), torch.from_numpy(subjects[chosen] > 0)
        return torch.from_numpy(frames[chosen]), None
