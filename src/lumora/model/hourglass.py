"""The fine level of an hourglass transformer (HDiT, arXiv:2401.11605), with one token per latent position.

The transformer's tokens cover 2×2 latent positions each, which is cheap but loses detail. A narrower network with a
token per position runs before the transformer, to add to its input, and after it, to add to its output. It does not see
text. With new weights it adds nothing.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lumora.config import TransformerConfig
from lumora.model.layers import Block, RotaryEmbedding, gather_rows, mlp_width, modulate
from lumora.model.packing import Batch, drop_text
from lumora.model.patchify import patchify, stack_equal_shapes
from lumora.model.token_layout import latents_from_tokens, layout_tokens


class Hourglass(nn.Module):
    """`hourglass_num_layers` blocks of width `hourglass_hidden_size` before the transformer, and as many after it."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, self.patch, head_dim = config.hourglass_hidden_size, config.patch_size[1], config.head_dim
        blocks = [Block(width, head_dim, mlp_width(width)) for _ in range(2 * config.hourglass_num_layers)]
        self.encoder_blocks, self.decoder_blocks = nn.ModuleList(blocks[::2]), nn.ModuleList(blocks[1::2])
        self.rotary_embedding = RotaryEmbedding(head_dim)
        self.patch_embed = nn.Linear(config.latent_channels, width)
        self.modulation = nn.Linear(config.hidden_size, 8 * width)
        self.to_coarse_proj = nn.Linear(width * self.patch**2, config.hidden_size)
        self.to_fine_proj = nn.Linear(config.hidden_size, width * self.patch**2)
        self.proj_out = nn.Linear(width, config.latent_channels)

    @property
    def zero_initialized(self) -> tuple[nn.Linear, ...]:
        """Layers whose weights start at zero, so that new weights add nothing."""
        return self.modulation, self.to_coarse_proj, self.proj_out

    def encode(self, batch: Batch, conditions: Float[Tensor, "rows width"]) -> HourglassPass:
        """Runs the blocks before the transformer; `conditions` has the transformer's rows of modulation input."""
        return HourglassPass(self, batch, conditions)


class HourglassPass:
    """The fine level's activations for one batch, kept from the blocks before the transformer for those after it."""

    def __init__(self, hourglass: Hourglass, batch: Batch, conditions: Float[Tensor, "rows width"]) -> None:
        self.hourglass, self.sizes = hourglass, [latent.shape[1:] for latent in batch.latents]
        shots = [drop_text(spans) for spans in batch.shots]
        self.layout = layout_tokens(self.sizes, shots, batch.seconds, 1)
        self.modulation = rearrange(hourglass.modulation(conditions), "rows (kind d) -> rows kind d", kind=8)
        self.rotation = hourglass.rotary_embedding(self.layout.positions).to(conditions.dtype)[:, :, None]
        x = torch.cat([patchify(stack, 1) for stack in stack_equal_shapes(batch.latents)]).to(conditions.dtype)
        self.x = self._run(hourglass.encoder_blocks, gather_rows(hourglass.patch_embed(x), self.layout.order))

    def to_coarse(self) -> Float[Tensor, "video width"]:
        """Addition to the transformer's video tokens, in the order of the samples."""
        grids = latents_from_tokens(self._in_sample_order(self.x), self.sizes, 1)
        tokens = torch.cat([patchify(stack, self.hourglass.patch) for stack in stack_equal_shapes(grids)])
        return self.hourglass.to_coarse_proj(tokens)

    def to_fine(self, video: Float[Tensor, "video width"]) -> list[Float[Tensor, "c _ _ _"]]:
        """Addition to the predicted latents, from the transformer's video tokens at its end."""
        grids = latents_from_tokens(self.hourglass.to_fine_proj(video), self.sizes, self.hourglass.patch)
        fine = torch.cat([patchify(stack, 1) for stack in stack_equal_shapes(grids)])
        x = self._run(self.hourglass.decoder_blocks, self.x + gather_rows(fine, self.layout.order))
        shift, scale = self.modulation[:, 6:].to(x.dtype).unbind(1)
        x = self.hourglass.proj_out(modulate(x, shift, scale, self.layout.modulation_row))
        return latents_from_tokens(self._in_sample_order(x).float(), self.sizes, 1)

    def _run(self, blocks: nn.ModuleList, x: Tensor) -> Tensor:
        for block in blocks:
            x = block(x, self.modulation[:, :6], self.layout.modulation_row, self.rotation, self.layout.attention)
        return x

    def _in_sample_order(self, x: Tensor) -> Tensor:
        """Tokens of the packed sequence in the order of the samples."""
        return gather_rows(x, self.layout.video)
