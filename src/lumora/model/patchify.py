"""Latents to tokens and back. A token is a square patch of one latent frame with all channels."""

from __future__ import annotations

from itertools import groupby

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor


def grid(height: int, width: int, patch: int) -> tuple[int, int]:
    """Rows and columns of tokens that cover a latent frame; the last ones may extend over its edge."""
    return -(-height // patch), -(-width // patch)


def patchify(latents: Float[Tensor, "b c t h w"], patch: int) -> Float[Tensor, "n token"]:
    """Tokens of c · patch² values in the order clip, frame, row, column.

    Sides that `patch` does not divide are padded with 0, the mean of a normalized latent.
    """
    height, width = latents.shape[-2:]
    rows, columns = grid(height, width, patch)
    if (rows * patch, columns * patch) != (height, width):
        latents = F.pad(latents, (0, columns * patch - width, 0, rows * patch - height))
    return rearrange(latents, "b c t (y p) (x q) -> (b t y x) (c p q)", p=patch, q=patch)


def unpatchify(
    tokens: Float[Tensor, "n token"], frames: int, height: int, width: int, patch: int
) -> Float[Tensor, "c t h w"]:
    """The inverse of `patchify` for a latent of this size; padding is removed."""
    rows, columns = grid(height, width, patch)
    padded = rearrange(tokens, "(t y x) (c p q) -> c t (y p) (x q)", t=frames, y=rows, x=columns, p=patch, q=patch)
    return padded[..., :height, :width]


def stack_equal_shapes(latents: list[Tensor]) -> list[Float[Tensor, "_ ..."]]:
    """Neighbors of equal shape stacked into one tensor each."""
    return [torch.stack(list(equal)) for _, equal in groupby(latents, key=lambda latent: latent.shape)]
