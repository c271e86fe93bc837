"""Checkpoints whose tensors are spread over processes, by `torch.distributed.checkpoint`.

A checkpoint is a folder `step-N`. Each process writes its own parts, and any number of processes can read them again.
The folder gets its name when it is complete, so a process that dies while it writes leaves the previous one in place.
"""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from lumora.train.distributed import DistContext

FACTS = "facts.json"
"""The file with everything that is not a tensor."""


def save_sharded(folder: Path, step: int, tensors: dict[str, Any], facts: dict[str, Any], dist: DistContext) -> None:
    """Writes `folder`/step-N and removes what was there before. All processes must call it.

    `tensors` are nested dicts of tensors, spread over the processes or the same in all of them. `facts` become JSON.
    """
    target, part = folder / f"step-{step}", folder / "part"
    if target.exists():  # the state of a step is always the same
        return
    if dist.is_main:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        (part / FACTS).write_text(json.dumps(facts))
    save(tensors, checkpoint_id=part)
    if dist.is_main:
        part.rename(target)
        remove_sharded(folder, keep=target)
    dist.wait_for_all()


def newest_sharded(folder: Path) -> Path | None:
    """The complete checkpoint with most steps in `folder`."""
    steps = [int(path.name.removeprefix("step-")) for path in folder.glob("step-*")]
    return folder / f"step-{max(steps)}" if steps else None


def read_facts(checkpoint: Path) -> dict[str, Any]:
    """What is not a tensor in the checkpoint."""
    return json.loads((checkpoint / FACTS).read_text())


def load_sharded(checkpoint: Path, tensors: dict[str, Any], dist: DistContext) -> None:
    """Fills `tensors`, nested as they were saved, in place. All processes must call it."""
    _load(tensors, checkpoint, alone=dist.world_size == 1)


def read_sharded(checkpoint: Path, prefix: str) -> dict[str, Tensor]:
    """The whole tensors whose names start with `prefix`, without it. For one process, whatever others do."""
    stored = FileSystemReader(checkpoint).read_metadata().state_dict_metadata
    tensors = {
        name: torch.empty(entry.size, dtype=entry.properties.dtype)
        for name, entry in stored.items()
        if name.startswith(prefix) and isinstance(entry, TensorStorageMetadata)
    }
    _load(tensors, checkpoint, alone=True)
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def remove_sharded(folder: Path, keep: Path | None = None) -> None:
    """Removes the checkpoints in `folder` but `keep`. Each loses its name first, so none is left half removed."""
    for path in folder.glob("step-*"):
        if path != keep:
            path.rename(folder / "part")
            shutil.rmtree(folder / "part")


def _load(tensors: dict[str, Any], checkpoint: Path, alone: bool) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # it is meant
        load(tensors, checkpoint_id=checkpoint, no_dist=alone)
