"""A transformer that has learnt on one codec's latents, made ready to go on with another's.

Both codecs see the same pictures, so a token of one nearly follows from that of the other by a matrix, which least
squares finds. It goes before the old network's first layer, and its opposite after the last one: all between stays.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lumora.model.patchify import patchify
from lumora.model.transformer import Transformer
from lumora.train.data import Latents

CLIPS = 400
"""From so many clips the matrices are found."""


@torch.no_grad()
def transplant(old: Transformer, new: Transformer, before: Latents, after: Latents) -> float:
    """Gives `new` what `old` knows; `before` and `after` are the same clips in the latents of each.

    Returns the share of the variance of the new tokens that the old ones explain. Raises ValueError for networks that
    differ in more than their latents, or for other clips.
    """
    kept = {name: w for name, w in old.state_dict().items() if not name.startswith(("embed.", "head."))}
    own = new.state_dict()
    if {n: w.shape for n, w in kept.items()} != {n: own[n].shape for n in own if not n.startswith(("embed.", "head."))}:
        raise ValueError("Only networks of one width, depth and text encoder can follow each other.")
    if len(before) != len(after):
        raise ValueError(f"These are not the same clips: {len(before)} and {len(after)}.")
    x, y = _tokens(before, old.patch), _tokens(after, new.patch)
    if len(x) != len(y):
        raise ValueError("Only tokens that cover the same pixels can follow each other.")
    to_old, to_new = torch.linalg.lstsq(y, x).solution, torch.linalg.lstsq(x, y).solution
    new.load_state_dict(
        kept
        | {
            "embed.weight": old.embed.weight @ to_old.T,
            "embed.bias": old.embed.bias,
            "head.weight": to_new.T @ old.head.weight,
            "head.bias": old.head.bias @ to_new,
        }
    )
    return 1 - float((x @ to_new - y).square().mean() / y.square().mean())


def _tokens(latents: Latents, patch: int) -> Float[Tensor, "n token"]:
    chosen = range(0, len(latents), max(1, len(latents) // CLIPS))
    return torch.cat([patchify(latents.latent(clip)[None].float(), patch) for clip in chosen])
