"""Tiny real transformers and batches for several test files."""

from dataclasses import replace

import torch

from lumora.config import TransformerConfig
from lumora.model.packing import Batch
from lumora.model.transformer import Transformer

CONFIG = TransformerConfig(latent_channels=3, hidden_size=32, num_layers=2, head_dim=16, context_dim=12)
HOURGLASS = replace(CONFIG, hourglass_hidden_size=16, hourglass_num_layers=1)
COARSE_HOURGLASS = replace(HOURGLASS, patch_size=(1, 4, 4), hourglass_spatial_attention=True, time_shift=2.0)


def random_transformer(config: TransformerConfig = CONFIG, seed: int = 0) -> Transformer:
    """A transformer whose zero-initialized parameters are random too, so that each of them affects the output."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        transformer = Transformer(config)
        with torch.no_grad():
            for parameter in transformer.parameters():
                parameter += 0.2 * torch.randn_like(parameter) * (parameter.abs().max() == 0)
    return transformer


def select(batch: Batch, indices: list[int]) -> Batch:
    """The samples with these indices, in this order."""
    latents, times, text, seconds = (
        [items[i] for i in indices] for items in (batch.latents, batch.times, batch.text, batch.seconds)
    )
    return Batch(latents, times, text, seconds, [batch.spans[i] for i in indices] if batch.spans else None)
