"""Checkpoints of a training run.

A checkpoint holds no random state: a step draws from a generator seeded by (seed, step, rank), so the number of the
next step is enough to continue exactly.
"""

# The foreach functions are not declared public (see optimizer.py).
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lumora.atomic_io import atomic_write
from lumora.model.transformer import Transformer, rename_keys

FORMAT_VERSION = 2


class EMA:
    """Exponential moving averages of the floating-point state of a module, for several decays, in float32.

    After n updates the decay is at most (1 + n) / (10 + n), so the initial weights are forgotten quickly.
    """

    def __init__(self, module: nn.Module, decays: tuple[float, ...]) -> None:
        self.states = {
            str(decay): {name: tensor.detach().float().clone() for name, tensor in _float_state(module).items()}
            for decay in decays
        }

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        source = list(_float_state(module).values())
        for decay, state in self.states.items():
            torch._foreach_lerp_(list(state.values()), source, 1 - min(float(decay), (1 + step) / (10 + step)))


@dataclass
class TrainProgress:
    """How far a run is."""

    max_steps: int
    """The length of the schedule. A run by time estimates it once, at its start."""
    step: int = 0
    """Steps that are done."""
    seconds: float = 0.0
    """Time spent in training steps, over all sessions."""
    losses: list[float] = field(default_factory=list)
    """Losses since the last log entry."""


def save_checkpoint(
    path: Path, signature: str, module: nn.Module, optimizer: torch.optim.Optimizer, ema: EMA, progress: TrainProgress
) -> None:
    """Writes the state of a run. `signature` is the text that identifies its configuration."""
    content = {
        "version": FORMAT_VERSION,
        "signature": signature,
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "ema": ema.states,
        "progress": vars(progress),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        torch.save(content, part)


def load_checkpoint(
    path: Path, signature: str, module: nn.Module, optimizer: torch.optim.Optimizer, ema: EMA
) -> TrainProgress | None:
    """Restores what `save_checkpoint` wrote; returns None if there is no checkpoint.

    Raises ValueError for a run of another configuration or of another version of lumora.
    """
    if not path.is_file():
        return None
    content = read_checkpoint(path)
    if content["signature"] != signature:
        raise ValueError(f"{path.parent} holds a run of another configuration; choose another folder or remove it.")
    module.load_state_dict(content["module"])
    optimizer.load_state_dict(content["optimizer"])
    for decay, state in ema.states.items():
        saved = content["ema"][decay]
        saved = rename_keys(saved) if isinstance(module, Transformer) else saved
        for name, tensor in state.items():
            tensor.copy_(saved[name])
    return TrainProgress(**content["progress"])


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint. Raises ValueError where there is none or where another version wrote it."""
    if not path.is_file():
        raise ValueError(f"There is no checkpoint {path}; train first.")
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content.get("version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} was written by another version of lumora; remove {path.parent} to start the run again, "
            "or finish it with that version."
        )
    return content


def _float_state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
