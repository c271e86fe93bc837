"""Which clips a training step uses: a function of (seed, step, rank), so a resumed run repeats the same batches."""

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
    """Visits each of `count` clips once per epoch; each epoch has its own random order."""

    def __init__(self, count: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        """`batch_size` clips per step for each of `world_size` processes; this is process `rank`."""
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self._permutation = lru_cache(2)(self._draw_permutation)

    def indices(self, step: int) -> list[int]:
        """The clips of one step of this process."""
        start = (step * self.world_size + self.rank) * self.batch_size
        positions = (divmod(position, self.count) for position in range(start, start + self.batch_size))
        return [int(self._permutation(epoch)[position]) for epoch, position in positions]

    def _draw_permutation(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, epoch, 2]).permutation(self.count)


class LatentDataset:
    """The encoded clips of one or several folders, as one sequence."""

    def __init__(self, folder: Path, numbers: Sequence[int] | None = None, extra_folders: Sequence[Path] = ()) -> None:
        """`numbers` are the shards of `folder` to use (default: all); of `extra_folders` all are used.

        A folder that is listed twice in `extra_folders` is used twice.
        """
        numbers = shard_numbers(folder, "latents") if numbers is None else numbers
        paths = [latent_path(folder, number) for number in numbers]
        paths += [latent_path(extra, number) for extra in extra_folders for number in shard_numbers(extra, "latents")]
        self.shards = [LatentShard(path) for path in paths]
        self.ends = list(accumulate(shard.count for shard in self.shards))

    def __len__(self) -> int:
        return self.ends[-1]

    def latent(self, clip: int) -> Float[Tensor, "c t h w"]:
        """The latent of a clip, not mirrored."""
        shard, index = self._find(clip)
        return shard.latents[0, index]

    def example(self, clip: int, generator: np.random.Generator) -> LatentExample:
        """The clip or its mirror image, with equal probability, and one of its captions."""
        shard, index = self._find(clip)
        return shard.example(index, bool(generator.random() < 0.5), float(generator.random()))

    def _find(self, clip: int) -> tuple[LatentShard, int]:
        shard = bisect_right(self.ends, clip)
        return self.shards[shard], clip - (self.ends[shard] - self.shards[shard].count)


class FrameDataset:
    """The shards of pixels in a folder. A batch is drawn from one shard, whose clips all have the same shape."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.numbers = folder, shard_numbers(folder, "frames")
        self.counts = [len(open_frames(folder, number)) for number in self.numbers]

    def sample(self, count: int) -> Float[Tensor, "b 3 t h w"]:
        """Up to `count` clips of the shape of the first shard, spread evenly over the shards, in [−1, 1]."""
        shards = [open_frames(self.folder, number) for number in self.numbers]
        shards = [shard for shard in shards if shard.shape[1:] == shards[0].shape[1:]]
        per_shard = -(-count // len(shards))
        chosen = [shard[:: max(1, len(shard) // per_shard)][:per_shard] for shard in shards]
        pixels = torch.from_numpy(np.concatenate(chosen)[:count])
        return rearrange(pixels, "b t h w c -> b c t h w") / 127.5 - 1

    def batch(
        self, size: int, generator: np.random.Generator
    ) -> tuple[UInt8[Tensor, "b t h w 3"], Bool[Tensor, "b t h w"] | None]:
        """`size` clips of one shard, and the pixels that show a subject; None where that is unknown."""
        probabilities = np.array(self.counts) / sum(self.counts)
        number = self.numbers[generator.choice(len(probabilities), p=probabilities)]
        frames, subjects = open_frames(self.folder, number), open_subjects(self.folder, number)
        chosen = np.sort(generator.choice(len(frames), min(size, len(frames)), replace=False))
        mask = None if subjects is None else torch.from_numpy(subjects[chosen] > 0)
        return torch.from_numpy(frames[chosen]), mask
