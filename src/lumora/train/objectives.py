"""The two training objectives: the codec on pixels, and the transformer on the codec's latents."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from lumora.codec import Codec
from lumora.codec.losses import codec_step
from lumora.config import ModelConfig, TrainConfig
from lumora.data.datasets import EpochSampler, FrameDataset, LatentDataset
from lumora.data.latent_cache import LatentExample
from lumora.diffusion.flow import flow_matching_loss
from lumora.model.layers import Block
from lumora.model.noise_experts import Transformers, transformers_by_name
from lumora.model.transformer import Transformer
from lumora.train.distributed import DistContext
from lumora.train.loop import step_seed
from lumora.train.optimizer import MuonAdam, make_optimizer, matrix_parameters
from lumora.train.throughput import count_flops

IMAGE_FRACTION, SHORTENED_FRACTION = 0.1, 0.1
"""Fractions of the transformer's examples that are the first frame of a clip, and a clip cut to a random length."""
MAX_STRIDE = 2
"""The codec is trained on every frame of a clip, or on every n-th up to this one."""

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """Prepares the next batch in a thread while the network computes."""

    def __init__(self, make: Callable[[int], Item]) -> None:
        self._make, self._thread = make, ThreadPoolExecutor(1)
        self._next: tuple[int, Future[Item]] | None = None

    def __call__(self, step: int) -> Item:
        item = self._next[1].result() if self._next and self._next[0] == step else self._make(step)
        self._next = step + 1, self._thread.submit(self._make, step + 1)
        return item


class CodecObjective:
    """Reconstruction of pixels through the latent (see `codec.losses`)."""

    def __init__(
        self, codec: Codec, frames: FrameDataset, config: TrainConfig, dist: DistContext, latent_frames: int = 3
    ) -> None:
        """A batch holds runs of as many frames as `latent_frames` latent frames decode to."""
        self.module, self.config, self.dist, self.frames = codec.to(dist.device), config, dist, frames
        self.clips_per_step = config.batch_size
        self.num_frames = 1 + codec.config.temporal_compression * (latent_frames - 1)
        self._batch = Prefetcher(self._draw_batch)

    def shard_units(self) -> list[nn.Module]:
        return [self.module.encoder, self.module.decoder]

    def optimizer(self) -> MuonAdam:
        codec = self.module
        # The linear layers start at their optimum (see `init_linear`), and Muon's first steps would be too large.
        linear = {id(codec.encoder.linear.weight), id(codec.decoder.linear.weight)}
        muon = [weight for weight in matrix_parameters(codec.encoder, codec.decoder) if id(weight) not in linear]
        return make_optimizer(codec, self.config.optimizer, muon)

    def flops(self, step: int) -> float:
        return count_flops(lambda: self.loss(step, torch.Generator().manual_seed(0))[0].backward())

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        frames, subject = self._batch(step)
        pixels = rearrange(frames.to(self.dist.device), "b t h w c -> b c t h w") / 127.5 - 1
        return codec_step(self.module, pixels, generator, subject=subject)

    def _draw_batch(self, step: int) -> tuple[Tensor, Tensor | None]:
        """A run of frames of some clips, mirrored with probability ½, and the pixels that show a subject if known.

        Where clips are long enough, the run may have a stride of up to `MAX_STRIDE`, which makes motion faster.
        """
        generator = _data_generator(self.config, step, self.dist)
        frames, subject = self.frames.batch(self.config.batch_size, generator)
        length = frames.shape[1]
        if length < self.num_frames:
            raise ValueError(f"The codec is trained on {self.num_frames} frames at a time; clips have {length}.")
        stride = int(generator.integers(1, 1 + min(MAX_STRIDE, (length - 1) // (self.num_frames - 1))))
        span = stride * (self.num_frames - 1) + 1
        start = int(generator.integers(length - span + 1))
        run, flipped_axes = slice(start, start + span, stride), [3] if generator.random() < 0.5 else []
        subject = None if subject is None else subject[:, run].flip(flipped_axes).to(self.dist.device)
        return frames[:, run].flip(flipped_axes), subject


class LatentObjective:
    """Transformers, and the batches of latents and captions on which they are trained. Subclasses have the loss."""

    def __init__(
        self,
        transformers: Transformers,
        latents: LatentDataset,
        model: ModelConfig,
        config: TrainConfig,
        dist: DistContext,
    ) -> None:
        self.module, self.flow, self.config, self.dist = transformers.to(dist.device), model.flow, config, dist
        self.clips_per_step, self.latents = config.batch_size, latents
        self.temporal_compression = model.codec.temporal_compression
        self._sampler = EpochSampler(len(latents), config.batch_size, config.seed, dist.rank, dist.world_size)
        self._batch = Prefetcher(self._draw_batch)

    def shard_units(self) -> list[nn.Module]:
        blocks = (module for module in self.module.modules() if isinstance(module, Block))
        return [*blocks, *transformers_by_name(self.module).values()]

    def optimizer(self) -> MuonAdam:
        muon = []
        for transformer in transformers_by_name(self.module).values():
            hourglass = transformer.hourglass
            levels = (hourglass.encoder_blocks, hourglass.decoder_blocks) if hourglass else ()
            muon += matrix_parameters(transformer.blocks, transformer.text_refiner, *levels)
        return make_optimizer(self.module, self.config.optimizer, muon)

    def _draw_batch(self, step: int) -> list[LatentExample]:
        generator = _data_generator(self.config, step, self.dist)
        examples = [self.latents.example(clip, generator) for clip in self._sampler.indices(step)]
        return [shorten_randomly(example, generator) for example in examples]


class FlowObjective(LatentObjective):
    """Flow matching of a transformer on latents and captions (see `diffusion.flow`)."""

    def __init__(
        self,
        transformer: Transformer,
        latents: LatentDataset,
        model: ModelConfig,
        config: TrainConfig,
        dist: DistContext,
    ) -> None:
        super().__init__(transformer, latents, model, config, dist)
        self.transformer = transformer

    def flops(self, step: int) -> float:
        with torch.no_grad():
            _, metrics = self._flow_matching(step, torch.Generator().manual_seed(0))
        return 3 * metrics["flops"]  # the backward pass takes twice the operations of the forward pass

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        loss, metrics = self._flow_matching(step, generator)
        return loss, {name: value for name, value in metrics.items() if name.startswith("loss_")}

    def _flow_matching(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        device, examples = self.dist.device, self._batch(step)
        latents = [example.latent.to(device, torch.float32) for example in examples]
        text = [example.text.to(device, torch.float32) for example in examples]
        seconds = [
            torch.arange(e.latent.shape[1], device=device) * (self.temporal_compression / e.fps) for e in examples
        ]
        subjects = [example.subject.to(device) for example in examples]
        spans = [example.spans for example in examples]
        return flow_matching_loss(self.transformer, latents, text, seconds, self.flow, generator, subjects, spans)


def shorten_randomly(example: LatentExample, generator: np.random.Generator) -> LatentExample:
    """Mostly the whole clip, else its first frame or a beginning of random length, so that all lengths are trained."""
    num_frames, draw = example.latent.shape[1], generator.random()
    if draw < IMAGE_FRACTION:
        num_frames = 1
    elif draw < IMAGE_FRACTION + SHORTENED_FRACTION:
        num_frames = int(generator.integers(1, num_frames + 1))
    return example.first_frames(num_frames)


def _data_generator(config: TrainConfig, step: int, dist: DistContext) -> np.random.Generator:
    """The generator that chooses data. It is separate from that of the loss, whose draws must not depend on data."""
    return np.random.default_rng([step_seed(config.seed, step, dist.rank), 3])
