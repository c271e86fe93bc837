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

from lumora.atomic_io import written_whole
from lumora.diffusion.condition import State
from lumora.request.serialization import SAMPLING, as_recipe
from lumora.request.spec import Request


def fingerprint(request: Request, networks: Sequence[nn.Module]) -> str:
    """The same for the same request, pixels of given things included, of the same weights sampled in the same way."""
    digest = hashlib.sha256(repr((SAMPLING, as_recipe(request))).encode())
    for network in networks:
        digest.update(digest_of(network).encode())
    return digest.hexdigest()


def digest_of(network: nn.Module) -> str:
    """SHA-256 of its weights, the same in float32 as in bfloat16 where that is how they were kept."""
    digest = hashlib.sha256()
    for weights in network.state_dict().values():
        digest.update(weights.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def save_work(file: Path, states: Sequence[State], mark: str) -> None:
    """For its owner alone, since nobody has reviewed it. Raises OSError, in a sentence, where it can't be written."""
    tensors: dict[str, Tensor] = {}
    for number, state in enumerate(states):
        tensors |= {f"{number}.clean": state.clean.contiguous(), f"{number}.mask": state.mask.contiguous()}
    with written_whole(file) as part:
        part.touch(0o600)
        save_file(tensors, part, {"made of": mark})


def load_work(file: Path, states: Sequence[State], mark: str) -> list[State]:
    """`states`, with all that is known in `file`; as they are if there is none, or one of another request."""
    try:
        with safe_open(file, "pt") as kept:
            if (kept.metadata() or {}).get("made of") != mark:
                return list(states)
            return [
                State(state.latent, kept.get_tensor(f"{n}.clean"), kept.get_tensor(f"{n}.mask"), state.seconds)
                for n, state in enumerate(states)
            ]
    except (FileNotFoundError, SafetensorError):
        return list(states)
