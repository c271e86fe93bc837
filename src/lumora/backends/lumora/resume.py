"""Work in hand: what is known of a video so far, in a file, so that interrupted work goes on where it was.

What was made is known like what was given, so a state's clean latents and its mask are all there is to keep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lumora.atomic_io import atomic_write
from lumora.diffusion.condition import LatentState
from lumora.request.serialization import SAMPLER_VERSION, to_recipe
from lumora.request.spec import Request


def request_fingerprint(request: Request, networks: Sequence[nn.Module]) -> str:
    """The same for the same request, pixels of given things included, of the same weights sampled in the same way."""
    digest = hashlib.sha256(repr((SAMPLER_VERSION, to_recipe(request))).encode())
    for network in networks:
        digest.update(weights_hash(network).encode())
    return digest.hexdigest()


def weights_hash(network: nn.Module) -> str:
    """SHA-256 of its weights, the same in float32 as in bfloat16 where that is how they were kept."""
    digest = hashlib.sha256()
    for weights in network.state_dict().values():
        digest.update(weights.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def save_resume_state(file: Path, states: Sequence[LatentState], mark: str) -> None:
    """For its owner alone, since nobody has reviewed it. Raises OSError, in a sentence, where it can't be written."""
    tensors: dict[str, Tensor] = {}
    for number, state in enumerate(states):
        tensors |= {
            f"{number}.clean": state.clean_latent.contiguous(),
            f"{number}.mask": state.denoise_mask.contiguous(),
        }
    with atomic_write(file) as part:
        part.touch(0o600)
        save_file(tensors, part, {"made of": mark})


def load_resume_state(file: Path, states: Sequence[LatentState], mark: str) -> list[LatentState]:
    """`states`, with all that is known in `file`; as they are if there is none, or one of another request."""
    try:
        with safe_open(file, "pt") as kept:
            if (kept.metadata() or {}).get("made of") != mark:
                return list(states)
            return [
                LatentState(state.latent, kept.get_tensor(f"{n}.clean"), kept.get_tensor(f"{n}.mask"), state.positions)
                for n, state in enumerate(states)
            ]
    except (FileNotFoundError, SafetensorError):
        return list(states)
