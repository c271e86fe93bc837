"""The decoder, taught on what the transformer makes of noisy latents rather than on what the encoder says.

A predicted latent is wrong in ways that differ from place to place and from frame to frame; seen alone, each place of 8
pixels shows its own mistake. The decoder sees the places around and the frame before, so it can learn which pixels fit
all of them. The encoder stays as it is, and so does every latent. (Decoders tuned to their generator's latents:
arXiv:2501.00103, section 3.2, where the decoder takes the last step of denoising.)
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from lumora.codec import Codec
from lumora.codec.losses import CodecLossConfig, codec_loss
from lumora.config import ModelConfig, TrainConfig
from lumora.diffusion.flow import interpolate
from lumora.model.packing import Batch
from lumora.model.transformer import Transformer
from lumora.train.data import Frames, Latents
from lumora.train.distributed import World
from lumora.train.latents import Example
from lumora.train.meter import count_flops
from lumora.train.optimizer import MuonAdam, make_optimizer, matrices
from lumora.train.tasks import Ahead, generator_of

TRUE = 0.3
"""Share of the batches that are decoded from true latents, as they are with the codec's noise: of given frames."""
LATEST = 0.6
"""Time up to which the others were noisy before the transformer predicted them."""

Views: TypeAlias = "tuple[list[Example], Tensor, Tensor | None]"


class DecoderTask:
    """Noisy latents in, predicted clean, pixels out."""

    def __init__(
        self,
        codec: Codec,
        transformer: Transformer,
        data: tuple[Frames, Latents],
        model: ModelConfig,
        config: TrainConfig,
        world: World,
    ) -> None:
        """`data` are the pixels and latents of the same shards."""
        self.codec, self.transformer = codec.to(world.device), transformer.to(world.device).eval()
        self.module, self.model, self.config, self.world = self.codec.decoder, model, config, world
        self.frames, self.latents, self.clips = *data, config.batch
        self.codec.encoder.requires_grad_(False)
        self.transformer.requires_grad_(False)
        self._batch = Ahead(self._views)

    def optimizer(self) -> MuonAdam:
        linear = self.module.linear.weight
        return make_optimizer(self.module, self.config.optimizer, [w for w in matrices(self.module) if w is not linear])

    def flops(self, step: int) -> float:
        return count_flops(lambda: self.loss(step, torch.Generator().manual_seed(0))[0].backward())

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        examples, frames, subject = self._batch(step)
        device = self.world.device
        pixels = rearrange(frames.to(device), "b t h w c -> b c t h w") / 127.5 - 1
        reconstruction = self.codec.decode(self._seen(examples, generator))
        loss, terms = codec_loss(reconstruction, pixels, CodecLossConfig(), subject)
        terms["psnr"] = -10 * torch.log10(((reconstruction - pixels) ** 2).mean() / 4)
        return loss, {name: value.detach() for name, value in terms.items()}

    def _seen(self, examples: list[Example], generator: torch.Generator) -> Float[Tensor, "b c t h w"]:
        """What is decoded: mostly the transformer's prediction from the latents with noise."""
        device = self.world.device
        latents = torch.stack([example.latent.to(device, torch.float32) for example in examples])
        noise = torch.randn(latents.shape, generator=generator, device=generator.device).to(latents)
        times = LATEST * torch.rand(len(latents), generator=generator, device=generator.device).to(latents)
        if torch.rand((), generator=generator, device=generator.device) < TRUE:
            return latents + CodecLossConfig().noise * noise
        noisy = interpolate(latents, noise, times.view(-1, 1, 1, 1, 1))
        count = latents.shape[2]
        text = [example.text.to(device, torch.float32) for example in examples]
        seconds = [torch.arange(count, device=device) * (self.model.codec.time / e.fps) for e in examples]
        batch = Batch([*noisy], [*times[:, None].expand(-1, count)], text, seconds, [e.spans for e in examples])
        with torch.no_grad():
            return torch.stack(self.transformer(batch))

    def _views(self, step: int) -> Views:
        """Clips of one shard: their latents with one of their captions, their pixels, and where subjects are."""
        generator = generator_of(self.config, step, self.world)
        number, rows = self.frames.draw(self.config.batch, generator)
        shard = self.latents.shards[self.frames.numbers.index(number)]
        examples = [shard.example(row, False, float(generator.random())) for row in rows.tolist()]
        return examples, *self.frames.clips(number, rows)
