"""Checkpoints of a training run.

One process writes the file `checkpoint.pt`, several write their parts of a folder in `checkpoints`
(`sharded_checkpoint`). Any number of processes can continue either of them; the next save replaces it.

A checkpoint holds no random state: a step draws from a generator seeded by (seed, step, rank), so the number of the
next step is enough to continue exactly.
"""

# The foreach functions are not declared public (see optimizer.py).
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lumora.atomic_io import atomic_write
from lumora.train.distributed import DistContext
from lumora.train.optimizer import MuonAdam
from lumora.train.sharded_checkpoint import (
    load_sharded,
    newest_sharded,
    read_facts,
    read_sharded,
    remove_sharded,
    save_sharded,
)
from lumora.train.sharded_tensors import local_shards, shard_like

FORMAT_VERSION = 2
FILE, FOLDER = "checkpoint.pt", "checkpoints"


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
        source = local_shards(_float_state(module).values())
        for decay, state in self.states.items():
            torch._foreach_lerp_(local_shards(state.values()), source, 1 - min(float(decay), (1 + step) / (10 + step)))


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


@dataclass(frozen=True)
class TrainState:
    """What a run changes: the parameters, the state of the optimizer and the averages."""

    module: nn.Module
    optimizer: MuonAdam
    ema: EMA

    def tensors(self) -> dict[str, Any]:
        """All of it as nested dicts of tensors, which a checkpoint can be read into."""
        self.optimizer.initialize_state()
        names = {id(parameter): name for name, parameter in self.module.named_parameters()}
        optimizer = {names[id(parameter)]: state for parameter, state in self.optimizer.state.items()}
        return {"module": self.module.state_dict(), "optimizer": optimizer, "ema": self.ema.states}

    def optimizer_groups(self) -> list[dict[str, Any]]:
        """The settings and counts of the optimizer, without parameters."""
        return [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]

    def set_optimizer_groups(self, groups: list[dict[str, Any]]) -> None:
        """The inverse of `optimizer_groups`."""
        for group, saved in zip(self.optimizer.param_groups, groups, strict=True):
            group.update({key: value for key, value in saved.items() if key != "params"})

    def load(self, content: dict[str, Any]) -> None:
        """Takes the whole tensors of a checkpoint file, or this process's part of them."""
        optimizer = content["optimizer"]
        # The file has the state of each parameter under its number in the optimizer.
        names = {id(parameter): name for name, parameter in self.module.named_parameters()}
        parameters = chain.from_iterable(group["params"] for group in self.optimizer.param_groups)
        states = {names[id(p)]: optimizer["state"][n] for n, p in enumerate(parameters) if n in optimizer["state"]}
        _fill(self.tensors(), {"module": content["module"], "optimizer": states, "ema": content["ema"]})
        self.set_optimizer_groups(optimizer["param_groups"])


def save_checkpoint(run: Path, signature: str, state: TrainState, progress: TrainProgress, dist: DistContext) -> None:
    """Writes the state of the run in the folder `run`. `signature` is the text that identifies its configuration.

    All processes must call it.
    """
    facts = {"version": FORMAT_VERSION, "signature": signature, "progress": vars(progress)}
    run.mkdir(parents=True, exist_ok=True)
    if dist.world_size > 1:
        facts |= {"optimizer_groups": state.optimizer_groups(), "ema_decays": list(state.ema.states)}
        save_sharded(run / FOLDER, progress.step, state.tensors(), facts, dist)
        if dist.is_main:
            (run / FILE).unlink(missing_ok=True)
        return
    content = {"module": state.module.state_dict(), "optimizer": state.optimizer.state_dict(), "ema": state.ema.states}
    with atomic_write(run / FILE) as part:
        torch.save(facts | content, part)
    remove_sharded(run / FOLDER)


def load_checkpoint(run: Path, signature: str, state: TrainState, dist: DistContext) -> TrainProgress | None:
    """Restores what `save_checkpoint` wrote; returns None if there is no checkpoint. All processes must call it.

    Raises ValueError for a run of another configuration or of another version of lumora.
    """
    checkpoint = _newest(run)
    if checkpoint is None:
        return None
    facts = _read(checkpoint)
    if facts["signature"] != signature:
        raise ValueError(f"{run} holds a run of another configuration; choose another folder or remove it.")
    if checkpoint.is_file():
        state.load(facts)
    else:
        load_sharded(checkpoint, state.tensors(), dist)
        state.set_optimizer_groups(facts["optimizer_groups"])
    dist.wait_for_all()  # the next save removes what others may still read
    return TrainProgress(**facts["progress"])


def read_progress(run: Path) -> TrainProgress | None:
    """How far the run in a folder is; None if it has no checkpoint. Raises ValueError for one of another version."""
    checkpoint = _newest(run)
    return TrainProgress(**_read(checkpoint)["progress"]) if checkpoint else None


def read_ema(run: Path, decay: float | None = None) -> dict[str, Tensor]:
    """The averages of a run with `decay`, by default the longest.

    Raises ValueError if the run has no checkpoint, one of another version, or no averages with this decay.
    """
    checkpoint = _newest(run)
    if checkpoint is None:
        raise ValueError(f"There is no checkpoint in {run}; train first.")
    facts = _read(checkpoint)
    decays = list(facts["ema"]) if checkpoint.is_file() else facts["ema_decays"]
    name = str(decay) if decay is not None else max(decays, key=float)
    if name not in decays:
        raise ValueError(f"The run in {run} has EMA decays {', '.join(decays)}, not {name}.")
    return facts["ema"][name] if checkpoint.is_file() else read_sharded(checkpoint, f"ema.{name}.")


def _newest(run: Path) -> Path | None:
    """The checkpoint of a run. There are two only if a run died between writing one and removing the other."""
    file, folder = run / FILE, newest_sharded(run / FOLDER)
    if folder is None or not file.is_file():
        return folder or (file if file.is_file() else None)
    steps = [_read(checkpoint)["progress"]["step"] for checkpoint in (file, folder)]
    return file if steps[0] >= steps[1] else folder


def _read(checkpoint: Path) -> dict[str, Any]:
    """All of a checkpoint file, which stays on disk until it is used, or what is not a tensor in a folder. Raises
    ValueError for one that another version wrote."""
    is_file = checkpoint.is_file()
    content = torch.load(checkpoint, "cpu", weights_only=True, mmap=True) if is_file else read_facts(checkpoint)
    if content.get("version") != FORMAT_VERSION:
        run = checkpoint.parent if is_file else checkpoint.parent.parent
        raise ValueError(
            f"{checkpoint} was written by another version of lumora; remove {run} to start the run again, "
            "or finish it with that version."
        )
    return content


@torch.no_grad()
def _fill(target: dict[str, Any], source: dict[str, Any]) -> None:
    """Copies nested dicts of whole tensors into those of `target`, or into this process's part of them."""
    for name, value in source.items():
        if isinstance(value, dict):
            _fill(target[name], value)
        else:
            target[name].copy_(shard_like(value, target[name]))


def _float_state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
