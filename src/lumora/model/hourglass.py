"""The wide ends of an hourglass (HDiT, arXiv:2401.11605): tokens of single latent places around the transformer's own.

A token of 2×2 places is cheap, and where a thing ends within it is hard to tell. So a narrower network looks at every
place: before, to tell the transformer more than a matrix could, and after, to draw in detail what the transformer
means. Words are left to the middle. It adds to what the transformer does without it, and a new one adds nothing.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lumora.config import TransformerConfig
from lumora.model.layers import Block, Positions, gather_rows, hidden_width, modulated
from lumora.model.packing import Batch, drop_text
from lumora.model.patchify import patchify, stacks_of_equals
from lumora.model.token_layout import latents_from_tokens, layout_tokens


class Hourglass(nn.Module):
    """`hourglass_num_layers` blocks of `hourglass_hidden_size` before the transformer's blocks, and as many after them."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, self.patch, heads = config.hourglass_hidden_size, config.patch_size[1], config.head_dim
        blocks = [Block(width, heads, hidden_width(width)) for _ in range(2 * config.hourglass_num_layers)]
        self.before, self.after = nn.ModuleList(blocks[::2]), nn.ModuleList(blocks[1::2])
        self.positions = Positions(heads)
        self.embed = nn.Linear(config.latent_channels, width)
        self.modulation = nn.Linear(config.hidden_size, 8 * width)
        self.merge = nn.Linear(width * self.patch**2, config.hidden_size)
        self.split = nn.Linear(config.hidden_size, width * self.patch**2)
        self.head = nn.Linear(width, config.latent_channels)

    @property
    def zero(self) -> tuple[nn.Linear, ...]:
        """Layers that start at zero, so that all of it starts as nothing."""
        return self.modulation, self.merge, self.head

    def begin(self, batch: Batch, conditions: Float[Tensor, "rows width"]) -> HourglassPass:
        """The first half of its work; `conditions` has a row for each latent frame and one for each caption."""
        return HourglassPass(self, batch, conditions)


class HourglassPass:
    """One batch on its way: what the first half knows is there for the second."""

    def __init__(self, fine: Hourglass, batch: Batch, conditions: Float[Tensor, "rows width"]) -> None:
        self.fine, self.sizes = fine, [latent.shape[1:] for latent in batch.latents]
        silent = [drop_text(spans) for spans in batch.shots]
        self.places = layout_tokens(self.sizes, silent, batch.seconds, 1)
        self.modulation = rearrange(fine.modulation(conditions), "rows (kind d) -> rows kind d", kind=8)
        self.rotation = fine.positions(self.places.positions).to(conditions.dtype)[:, :, None]
        x = torch.cat([patchify(stack, 1) for stack in stacks_of_equals(batch.latents)]).to(conditions.dtype)
        self.x = self._through(fine.before, gather_rows(fine.embed(x), self.places.order))

    def to_coarse(self) -> Float[Tensor, "video width"]:
        """What it tells the transformer's video tokens, in the order of the samples."""
        grids = latents_from_tokens(self._in_order(self.x), self.sizes, 1)
        return self.fine.merge(torch.cat([patchify(stack, self.fine.patch) for stack in stacks_of_equals(grids)]))

    def to_fine(self, video: Float[Tensor, "video width"]) -> list[Float[Tensor, "c _ _ _"]]:
        """What it adds to the predicted latents, from what the transformer's video tokens mean."""
        grids = latents_from_tokens(self.fine.split(video), self.sizes, self.fine.patch)
        meant = torch.cat([patchify(stack, 1) for stack in stacks_of_equals(grids)])
        x = self._through(self.fine.after, self.x + gather_rows(meant, self.places.order))
        shift, scale = self.modulation[:, 6:].to(x.dtype).unbind(1)
        tokens = self._in_order(self.fine.head(modulated(x, shift, scale, self.places.frame))).float()
        return latents_from_tokens(tokens, self.sizes, 1)

    def _through(self, blocks: nn.ModuleList, x: Tensor) -> Tensor:
        for block in blocks:
            x = block(x, self.modulation[:, :6], self.places.frame, self.rotation, self.places.layout)
        return x

    def _in_order(self, x: Tensor) -> Tensor:
        """From the packed sequence's order to that of the samples."""
        return gather_rows(x, self.places.video)
