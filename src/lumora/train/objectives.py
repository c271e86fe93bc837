"""The two things that are trained: the codec on pixels, then the transformer on the codec's latents."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from lumora.codec import Codec
from lumora.codec.losses import codec_step
from lumora.config import ModelConfig, TrainConfig
from lumora.data.datasets import EpochSampler, FrameDataset, LatentDataset
from lumora.data.latent_cache import LatentExample
from lumora.diffusion.flow import flow_matching_loss
from lumora.model.transformer import Transformer
from lumora.train.distributed import DistContext
from lumora.train.loop import step_seed
from lumora.train.optimizer import MuonAdam, make_optimizer, matrix_parameters
from lumora.train.throughput import count_flops

PICTURES, CUTS = 0.1, 0.1
"""Shares of the transformer's examples that are the first picture of a clip alone, and a clip cut short."""
MAX_STRIDE = 2
"""Of the frames that the codec is trained on."""

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """Prepares the batch after the one that is asked for, in a thread, while the network computes."""

    def __init__(self, make: Callable[[int], Item]) -> None:
        self._make, self._thread = make, ThreadPoolExecutor(1)
        self._next: tuple[int, Future[Item]] | None = None

    def __call__(self, step: int) -> Item:
        item = self._next[1].result() if self._next and self._next[0] == step else self._make(step)
        self._next = step + 1, self._thread.submit(self._make, step + 1)
        return item


class CodecObjective:
    """Pixels in, the same pixels out, by way of the latent; see `codec.losses`."""

    def __init__(
        self, codec: Codec, frames: FrameDataset, config: TrainConfig, world: DistContext, groups: int = 3
    ) -> None:
        """`groups` is how many latent frames of a clip are seen at a time."""
        self.module, self.config, self.world, self.frames = codec.to(world.device), config, world, frames
        self.clips, self.length = config.batch_size, 1 + codec.config.temporal_compression * (groups - 1)
        self._batch = Prefetcher(self._views)

    def optimizer(self) -> MuonAdam:
        codec = self.module
        linear = {id(codec.encoder.linear.weight), id(codec.decoder.linear.weight)}  # begin at their optimum: no leaps
        muon = [weight for weight in matrix_parameters(codec.encoder, codec.decoder) if id(weight) not in linear]
        return make_optimizer(codec, self.config.optimizer, muon)

    def flops(self, step: int) -> float:
        return count_flops(lambda: self.loss(step, torch.Generator().manual_seed(0))[0].backward())

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        frames, subject = self._batch(step)
        pixels = rearrange(frames.to(self.world.device), "b t h w c -> b c t h w") / 127.5 - 1
        return codec_step(self.module, pixels, generator, subject=subject)

    def _views(self, step: int) -> tuple[Tensor, Tensor | None]:
        """The same run of frames of some clips, mirrored half of the time; and where subjects are in them.

        Where clips are long enough, every second frame is left out for some: motion twice as fast.
        """
        generator = _generator(self.config, step, self.world)
        frames, subject = self.frames.batch(self.config.batch_size, generator)
        if frames.shape[1] < self.length:
            raise ValueError(f"The codec is trained on {self.length} frames at a time; clips have {frames.shape[1]}.")
        stride = int(generator.integers(1, 1 + min(MAX_STRIDE, (frames.shape[1] - 1) // (self.length - 1))))
        span = stride * (self.length - 1) + 1
        start = int(generator.integers(frames.shape[1] - span + 1))
        run, axes = slice(start, start + span, stride), [3] if generator.random() < 0.5 else []
        subject = None if subject is None else subject[:, run].flip(axes).to(self.world.device)
        return frames[:, run].flip(axes), subject


class FlowObjective:
    """Clean latents from noisy ones and words; see `diffusion.flow`."""

    def __init__(
        self,
        transformer: Transformer,
        latents: LatentDataset,
        model: ModelConfig,
        config: TrainConfig,
        world: DistContext,
    ) -> None:
        self.module, self.flow, self.config, self.world = transformer.to(world.device), model.flow, config, world
        self.time, self.clips, self.latents = model.codec.temporal_compression, config.batch_size, latents
        self._order = EpochSampler(len(latents), config.batch_size, config.seed, world.rank, world.size)
        self._batch = Prefetcher(self._examples)

    def optimizer(self) -> MuonAdam:
        fine = self.module.fine
        muon = matrix_parameters(self.module.blocks, self.module.refiner, *((fine.before, fine.after) if fine else ()))
        return make_optimizer(self.module, self.config.optimizer, muon)

    def flops(self, step: int) -> float:
        with torch.no_grad():
            _, metrics = self._flow(step, torch.Generator().manual_seed(0))
        return 3 * metrics["flops"]  # the gradient takes twice the forward pass

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        loss, metrics = self._flow(step, generator)
        return loss, {name: value for name, value in metrics.items() if name.startswith("loss_")}

    def _flow(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        device, examples = self.world.device, self._batch(step)
        latents = [example.latent.to(device, torch.float32) for example in examples]
        text = [example.text.to(device, torch.float32) for example in examples]
        seconds = [torch.arange(e.latent.shape[1], device=device) * (self.time / e.fps) for e in examples]
        subjects = [example.subject.to(device) for example in examples]
        spans = [example.spans for example in examples]
        return flow_matching_loss(self.module, latents, text, seconds, self.flow, generator, subjects, spans)

    def _examples(self, step: int) -> list[LatentExample]:
        generator = _generator(self.config, step, self.world)
        examples = [self.latents.example(clip, generator) for clip in self._order.clips(step)]
        return [shortened(example, generator) for example in examples]


def shortened(example: LatentExample, generator: np.random.Generator) -> LatentExample:
    """Mostly the clip as it is; else its first picture or some of its beginning, so that all durations are known."""
    frames, kind = example.latent.shape[1], generator.random()
    if kind < PICTURES:
        frames = 1
    elif kind < PICTURES + CUTS:
        frames = int(generator.integers(1, frames + 1))
    return example.beginning(frames)


def _generator(config: TrainConfig, step: int, world: DistContext) -> np.random.Generator:
    """For choosing data, apart from the loss's own generator, which must not depend on how data is chosen."""
    return np.random.default_rng([step_seed(config.seed, step, world.rank), 3])
