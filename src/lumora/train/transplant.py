"""A transformer that has learnt on one codec's latents, made ready to go on with another's.

Both codecs see the same pictures, so a token of one nearly follows from that of the other by a matrix, which least
squares finds. It goes before the old network's first layer, and its opposite after the last one: all between stays.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lumora.data.datasets import LatentDataset
from lumora.model.patchify import patchify
from lumora.model.transformer import Transformer

CLIPS = 400
"""From so many clips the matrices are found."""


@torch.no_grad()
def transplant(old: Transformer, new: Transformer, before: LatentDataset, after: LatentDataset) -> float:
    """Gives `new` what `old` knows; `before` and `after` are the same clips in the latents of each.

    Returns the share of the variance of the new tokens that the old ones explain. What only `new` has, a fine level,
    stays as it is. Raises ValueError for networks that differ in more, or for other clips.
    """
    own, known = new.state_dict(), old.state_dict()
    # Layers that meet the latent, by the side of the square that they see.
    meeting = {("embed", "head"): (old.patch, new.patch)}
    if old.fine and new.fine:
        meeting |= {("fine.embed", "fine.head"): (1, 1)}
    kept = {name: w for name, w in known.items() if name.rsplit(".", 1)[0] not in sum(meeting, ())}
    needed = {name for name in own if old.fine or not name.startswith("fine.")}
    if needed != set(known) or any(own[name].shape != w.shape for name, w in kept.items()):
        raise ValueError("Only networks of one width, depth and text encoder can follow each other.")
    if len(before) != len(after):
        raise ValueError(f"These are not the same clips: {len(before)} and {len(after)}.")
    explained = []
    for (embed, head), (patch_before, patch_after) in meeting.items():
        x, y = _tokens(before, patch_before), _tokens(after, patch_after)
        if len(x) != len(y):
            raise ValueError("Only tokens that cover the same pixels can follow each other.")
        to_old, to_new = _matrix(y, x), _matrix(x, y)
        kept[f"{embed}.weight"], kept[f"{embed}.bias"] = known[f"{embed}.weight"] @ to_old.T, known[f"{embed}.bias"]
        kept[f"{head}.weight"] = to_new.T @ known[f"{head}.weight"]
        kept[f"{head}.bias"] = known[f"{head}.bias"] @ to_new
        explained.append(1 - float((x @ to_new - y).square().mean() / y.square().mean()))
    new.load_state_dict(own | kept)
    return explained[0]


def _matrix(x: Float[Tensor, "n a"], y: Float[Tensor, "n b"]) -> Float[Tensor, "a b"]:
    """That makes y of x best. By singular values: the default driver errs at times where x has dependent columns."""
    return torch.linalg.lstsq(x, y, driver="gelsd").solution


def _tokens(latents: LatentDataset, patch: int) -> Float[Tensor, "n token"]:
    chosen = range(0, len(latents), max(1, len(latents) // CLIPS))
    return torch.cat([patchify(latents.latent(clip)[None].float(), patch) for clip in chosen])
