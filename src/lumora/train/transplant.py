"""Adapts a trained transformer to the latents of another codec, or of larger pictures.

Both latents are of the same clips, so the tokens of one are nearly a rotated part of those of the other, and noise on
them stays noise. The rotation is folded into the first and the last layer; all layers between stay as they are. In
pictures of n times as many pixels the noise of that part is smaller: `TransformerConfig.time_shift` must be √n.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lumora.data.datasets import LatentDataset
from lumora.model.patchify import patchify
from lumora.model.transformer import Transformer

MAX_CLIPS = 400
"""Clips from which the matrices are computed."""


@torch.no_grad()
def transplant(old: Transformer, new: Transformer, old_latents: LatentDataset, new_latents: LatentDataset) -> float:
    """Gives `new` the weights of `old`, adapted; the two datasets are the same clips in the latents of each.

    Returns the share of the variance of the new tokens that the old tokens explain. An hourglass that only `old` has is
    left out, and one that only `new` has keeps its weights. Raises ValueError for networks that differ in more, or for
    other clips.
    """
    own, known = new.state_dict(), old.state_dict()
    if not new.hourglass:
        known = {name: w for name, w in known.items() if not name.startswith("hourglass.")}
    # The layers at the latent, with the side of the patch that they see.
    ends = {("patch_embed", "proj_out"): (old.patch, new.patch)}
    if old.hourglass and new.hourglass:
        ends |= {("hourglass.patch_embed", "hourglass.proj_out"): (old.patch // 2, new.patch // 2)}
    kept = {name: w for name, w in known.items() if name.rsplit(".", 1)[0] not in sum(ends, ())}
    needed = {name for name in own if old.hourglass or not name.startswith("hourglass.")}
    if needed != set(known) or any(own[name].shape != w.shape for name, w in kept.items()):
        raise ValueError("Both networks must have the same hidden size, depth and text encoder.")
    if len(old_latents) != len(new_latents):
        raise ValueError(
            f"Both datasets must hold the same clips; they hold {len(old_latents)} and {len(new_latents)}."
        )
    explained = []
    for (embed, head), (old_patch, new_patch) in ends.items():
        x, y = _tokens(old_latents, old_patch), _tokens(new_latents, new_patch)
        if len(x) != len(y):
            raise ValueError("A token must cover the same pixels in both networks.")
        to_old = _scaled_rotation(y, x)
        to_new = to_old.T / to_old.square().sum(dim=0).mean()
        kept[f"{embed}.weight"], kept[f"{embed}.bias"] = known[f"{embed}.weight"] @ to_old.T, known[f"{embed}.bias"]
        kept[f"{head}.weight"] = to_new.T @ known[f"{head}.weight"]
        kept[f"{head}.bias"] = known[f"{head}.bias"] @ to_new
        explained.append(1 - float((y @ to_old - x).square().mean() / x.square().mean()))
    new.load_state_dict(own | kept)
    return explained[0]


def _scaled_rotation(x: Float[Tensor, "n a"], y: Float[Tensor, "n b"]) -> Float[Tensor, "a b"]:
    """The matrix nearest to mapping x to y whose columns are orthogonal and of equal length (Procrustes' problem).

    It keeps noise white, as the network expects it.
    """
    left, _, right = torch.linalg.svd(x.T @ y, full_matrices=False)
    rotation = left @ right
    turned = x @ rotation
    return rotation * (turned * y).sum() / turned.square().sum()


def _tokens(latents: LatentDataset, patch: int) -> Float[Tensor, "n token"]:
    chosen = range(0, len(latents), max(1, len(latents) // MAX_CLIPS))
    return torch.cat([patchify(latents.latent(clip)[None].float(), patch) for clip in chosen])
