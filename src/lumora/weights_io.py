"""Reading and writing the weights of a module as a .safetensors file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from lumora.atomic_io import atomic_write

Module = TypeVar("Module", bound=nn.Module)


def unseeded() -> AbstractContextManager[None]:
    """Networks draw random weights when they are made; inside this, the caller's random numbers stay the same. (The
    meta device would need 70 MB and a second, because PyTorch then imports its compiler.)"""
    return torch.random.fork_rng(devices=[])


def load_weights(module: Module, file: Path) -> Module:
    """Loads `file` into `module`, which keeps its dtype and device, and returns it.

    Raises ValueError where the file is missing, broken, or holds the weights of another module.
    """
    try:
        module.load_state_dict(load_file(file), strict=True)
    except FileNotFoundError:
        raise ValueError(f"There is no file {file}; train the model first, or name another model.") from None
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{file} does not hold weights of this model's configuration: {error}") from error
    return module


def save_weights(module: nn.Module, file: Path) -> None:
    """Writes the state of `module` in bfloat16; makes the folder of `file` if needed."""
    state = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in module.state_dict().items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as part:
        part.write_bytes(save(state))


def weights_hash(tensors: Iterable[Tensor]) -> str:
    """SHA-256 of the weights; the same in float32 and in bfloat16 if they are stored in bfloat16."""
    digest = hashlib.sha256()
    for weights in tensors:
        digest.update(weights.float().cpu().numpy().tobytes())
    return digest.hexdigest()
