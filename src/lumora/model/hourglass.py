"""The fine level of an hourglass transformer (HDiT, arXiv:2401.11605), with four tokens for each of the transformer's.

The transformer's tokens cover 2×2 or 4×4 latent positions each, which is cheap but loses detail. A narrower network
whose tokens have half the side runs before the transformer, to add to its input, and after it, to add to its output. It
does not see text. With new weights it adds nothing.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from lumora.config import TransformerConfig
from lumora.model.layers import Block, RotaryEmbedding, gather_rows, mlp_width, modulate
from lumora.model.packing import Batch, Span, drop_text
from lumora.model.patchify import grid, patchify, stack_equal_shapes
from lumora.model.token_layout import latents_from_tokens, layout_tokens


class Hourglass(nn.Module):
    """`hourglass_num_layers` blocks of width `hourglass_hidden_size` before the transformer, and as many after it.

    Raises ValueError for a transformer whose tokens have an odd side.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, head_dim = config.hourglass_hidden_size, config.head_dim
        self.spatial_attention = config.hourglass_spatial_attention
        self.patch, odd = divmod(config.patch_size[1], 2)
        """Side of a fine token in latent positions."""
        if odd:
            raise ValueError(f"An hourglass needs tokens with an even side, not {config.patch_size[1]}.")
        token = config.latent_channels * self.patch**2
        blocks = [Block(width, head_dim, mlp_width(width)) for _ in range(2 * config.hourglass_num_layers)]
        self.encoder_blocks, self.decoder_blocks = nn.ModuleList(blocks[::2]), nn.ModuleList(blocks[1::2])
        self.rotary_embedding = RotaryEmbedding(head_dim)
        self.patch_embed = nn.Linear(token, width)
        self.modulation = nn.Linear(config.hidden_size, 8 * width)
        self.to_coarse_proj = nn.Linear(4 * width, config.hidden_size)
        self.to_fine_proj = nn.Linear(config.hidden_size, 4 * width)
        self.proj_out = nn.Linear(width, token)

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
        self.grids = [torch.Size((t, *grid(h, w, hourglass.patch))) for t, h, w in self.sizes]
        """Latent frames, and rows and columns of fine tokens, of each sample."""
        self.modulation = rearrange(hourglass.modulation(conditions), "rows (kind d) -> rows kind d", kind=8)
        sizes, shots, seconds = self.sizes, [drop_text(spans) for spans in batch.shots], batch.seconds
        if hourglass.spatial_attention:  # each latent frame is laid out as a sample of its own
            self.modulation = self.modulation[_frame_rows(sizes, shots)]
            sizes = [torch.Size((1, h, w)) for t, h, w in sizes for _ in range(t)]
            shots, seconds = [(Span(0, 1),)] * len(sizes), [*torch.cat(seconds).split(1)]
        self.layout = layout_tokens(sizes, shots, seconds, hourglass.patch)
        self.rotation = hourglass.rotary_embedding(self.layout.positions).to(conditions.dtype)[:, :, None]
        patches = torch.cat([patchify(stack, hourglass.patch) for stack in stack_equal_shapes(batch.latents)])
        x = hourglass.patch_embed(patches.to(conditions.dtype))
        self.x = self._run(hourglass.encoder_blocks, gather_rows(x, self.layout.order))

    def to_coarse(self) -> Float[Tensor, "video width"]:
        """Addition to the transformer's video tokens, in the order of the samples."""
        fine = latents_from_tokens(self._in_sample_order(self.x), self.grids, 1)
        return self.hourglass.to_coarse_proj(torch.cat([patchify(stack, 2) for stack in stack_equal_shapes(fine)]))

    def to_fine(self, video: Float[Tensor, "video width"]) -> list[Float[Tensor, "c _ _ _"]]:
        """Addition to the predicted latents, from the transformer's video tokens at its end."""
        grids = latents_from_tokens(self.hourglass.to_fine_proj(video), self.grids, 2)
        fine = torch.cat([patchify(stack, 1) for stack in stack_equal_shapes(grids)])
        x = self._run(self.hourglass.decoder_blocks, self.x + gather_rows(fine, self.layout.order))
        shift, scale = self.modulation[:, 6:].to(x.dtype).unbind(1)
        x = self.hourglass.proj_out(modulate(x, shift, scale, self.layout.modulation_row))
        return latents_from_tokens(self._in_sample_order(x).float(), self.sizes, self.hourglass.patch)

    def _run(self, blocks: nn.ModuleList, x: Tensor) -> Tensor:
        for block in blocks:
            x = block(x, self.modulation[:, :6], self.layout.modulation_row, self.rotation, self.layout.attention)
        return x

    def _in_sample_order(self, x: Tensor) -> Tensor:
        """Tokens of the packed sequence in the order of the samples."""
        return gather_rows(x, self.layout.video)


def _frame_rows(sizes: list[torch.Size], shots: list[tuple[Span, ...]]) -> Int[Tensor, " rows"]:
    """The row of modulation of each latent frame, twice: as a sample, a frame has a row for its text too."""
    rows, first = [], 0
    for (frames, _, _), spans in zip(sizes, shots, strict=True):
        rows.append(torch.arange(first, first + frames))
        first += frames + len(spans)
    return torch.cat(rows).repeat_interleave(2)
