"""Unfinished work in a file, so that an interrupted video is continued.

Generated latents are known like given ones, so the clean latents and the denoise mask are all there is to keep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lumora.atomic_io import atomic_write
from lumora.backends.lumora.planning import SAMPLER_VERSION
from lumora.diffusion.condition import LatentState
from lumora.request.serialization import to_recipe
from lumora.request.spec import Request


def request_fingerprint(requests: Sequence[Request], networks: Sequence[nn.Module]) -> str:
    """A hash of the requests that are made together, the pixels of their conditions, the weights and the version of the
    sampler."""
    digest = hashlib.sha256(repr((SAMPLER_VERSION, *map(to_recipe, requests))).encode())
    for network in networks:
        digest.update(weights_hash(network.state_dict().values()).encode())
    return digest.hexdigest()


def weights_hash(tensors: Iterable[Tensor]) -> str:
    """SHA-256 of the weights; the same in float32 and in bfloat16 if they are stored in bfloat16."""
    digest = hashlib.sha256()
    for weights in tensors:
        digest.update(weights.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def save_resume_state(file: Path, states: Sequence[LatentState], fingerprint: str) -> None:
    """Writes with mode 0600, because nothing of it was moderated. Raises OSError, in one sentence, if it cannot."""
    tensors: dict[str, Tensor] = {}
    for index, state in enumerate(states):
        tensors[f"{index}.clean_latent"] = state.clean_latent.contiguous()
        tensors[f"{index}.denoise_mask"] = state.denoise_mask.contiguous()
    with atomic_write(file) as part:
        part.touch(0o600)
        save_file(tensors, part, {"fingerprint": fingerprint})


def load_resume_state(file: Path, states: Sequence[LatentState], fingerprint: str) -> list[LatentState]:
    """`states` with what `file` knows; unchanged if there is no such file, or one of another request.

    Raises ValueError, in one sentence, for a file that is something else, because it would be replaced.
    """
    try:
        with safe_open(file, "pt") as content:
            if (content.metadata() or {}).get("fingerprint") != fingerprint:
                return list(states)
            return [
                LatentState(
                    state.latent,
                    content.get_tensor(f"{index}.clean_latent"),
                    content.get_tensor(f"{index}.denoise_mask"),
                    state.positions,
                )
                for index, state in enumerate(states)
            ]
    except FileNotFoundError:
        return list(states)
    except SafetensorError:
        raise ValueError(f"{file} is not unfinished work of lumora; move it, because that is kept there.") from None
