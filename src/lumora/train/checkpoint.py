"""What a run must remember to go on as if it had never stopped.

No generator is among it: a step draws from a generator seeded by (seed, step, rank), so its number says it all.
"""

# The foreach functions are not declared public (see optimizer.py).
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from lumora.atomic_io import atomic_write


class EMA:
    """Exponential moving averages of a module's state, several decays at once, in float32.

    Early on the decay is at most (1 + n) / (10 + n) after n updates, so that the first weights are soon forgotten.
    """

    def __init__(self, module: nn.Module, decays: tuple[float, ...]) -> None:
        self.states = {str(decay): _copy(module) for decay in decays}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        source = list(_floats(module).values())
        for decay, state in self.states.items():
            torch._foreach_lerp_(list(state.values()), source, 1 - min(float(decay), (1 + step) / (10 + step)))


@dataclass
class TrainProgress:
    """How far a run is. `steps` is the length of its schedule, which a run by time estimates once."""

    steps: int
    step: int = 0
    seconds: float = 0.0
    """Spent in training steps, over all sittings."""
    losses: list[float] = field(default_factory=list)
    """Of the steps since the last entry of the log."""


def save_checkpoint(
    path: Path, config: str, module: nn.Module, optimizer: torch.optim.Optimizer, averages: EMA, progress: TrainProgress
) -> None:
    content = {
        "config": config,
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "averages": averages.states,
        "progress": vars(progress),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        torch.save(content, part)


def load_checkpoint(
    path: Path, config: str, module: nn.Module, optimizer: torch.optim.Optimizer, averages: EMA
) -> TrainProgress | None:
    """Puts back what `save_checkpoint` wrote; None where there is nothing yet.

    Raises ValueError where the folder holds a run of another configuration.
    """
    if not path.is_file():
        return None
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content["config"] != config:
        raise ValueError(f"{path.parent} holds a run of another configuration; choose another folder or remove it.")
    module.load_state_dict(content["module"])
    optimizer.load_state_dict(content["optimizer"])
    for decay, state in averages.states.items():
        for name, tensor in state.items():
            tensor.copy_(content["averages"][decay][name])
    return TrainProgress(**content["progress"])


def _floats(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().float().clone() for name, tensor in _floats(module).items()}
