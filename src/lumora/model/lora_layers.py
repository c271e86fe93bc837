"""Low-rank adapters (LoRA, arXiv:2106.09685) of the transformer's linear layers.

An adapted layer computes W x + B A x (equation 3 with alpha = r). W is frozen; A and B are trained. B starts at 0, so
new adapters change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from lumora.atomic_io import atomic_write
from lumora.model.layers import Block

ADAPTED = ("qkv", "out", "up", "down")
"""Layers of each block that get an adapter."""


class LoraLinear(nn.Linear):
    """A frozen linear layer with a trained adapter."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.lora_A = nn.Parameter(torch.empty(rank, linear.in_features, device=linear.weight.device))
        self.lora_B = nn.Parameter(torch.zeros(linear.out_features, rank, device=linear.weight.device))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, input: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        return super().forward(input) + F.linear(F.linear(input, self.lora_A), self.lora_B)


def add_lora(transformer: nn.Module, rank: int) -> None:
    """Freezes a transformer, or all of a model, and gives its blocks adapters. Raises ValueError for a rank below 1."""
    if rank < 1:
        raise ValueError(f"The rank of an adapter must be at least 1, not {rank}.")
    transformer.requires_grad_(False)
    for block in [module for module in transformer.modules() if isinstance(module, Block)]:
        for name in ADAPTED:
            setattr(block, name, LoraLinear(getattr(block, name), rank))


def lora_state_dict(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The adapters in the state dict of a transformer."""
    return {name: tensor for name, tensor in state.items() if name.endswith((".lora_A", ".lora_B"))}


def save_lora(state: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Writes the adapters in the state dict of a transformer to a .safetensors file."""
    content = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in lora_state_dict(state).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        part.write_bytes(save(content, metadata))


@torch.no_grad()
def merge_lora(transformer: nn.Module, path: Path, strength: float = 1.0) -> None:
    """Adds the adapters in the file `path`, times `strength`, to the weights of `transformer`.

    Raises ValueError, in one sentence, for a broken file or one whose adapters do not fit this transformer; its weights
    are unchanged then.
    """
    try:
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
    except FileNotFoundError:
        raise ValueError(f"There is no file {path}.") from None
    except SafetensorError as error:
        raise ValueError(f"{path} does not hold adapters (LoRA) of a lumora model: {error}.") from error
    weights = dict(transformer.named_parameters())
    updates: dict[str, Tensor] = {}
    for name in sorted({key.rpartition(".")[0] for key in state}):
        down, up, weight = state.pop(f"{name}.lora_A", None), state.pop(f"{name}.lora_B", None), f"{name}.weight"
        if down is None or up is None or weight not in weights or weights[weight].shape != (len(up), down.shape[1]):
            raise ValueError(f"The adapter {name} in {path} does not fit this model.")
        updates[weight] = strength * (up @ down)
    if state or not updates:
        raise ValueError(f"{path} holds other tensors than adapters (LoRA): {', '.join(sorted(state)[:3])}.")
    for name, update in updates.items():
        weights[name].add_(update.to(weights[name]))
