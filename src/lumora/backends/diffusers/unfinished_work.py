"""Unfinished work in a file: the frames of finished windows and the state of the running one. Never pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lumora.atomic_io import atomic_write
from lumora.backends.diffusers.denoising import DenoisingState


@dataclass
class UnfinishedWork:
    """Windows are counted over all segments of all videos that are made together."""

    num_done: int = 0
    """Windows that are finished."""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """Frames and audio of the segments, by a name."""
    state: DenoisingState | None = None
    """Of the window that is being made."""

    def save(self, file: Path, fingerprint: str) -> None:
        """Writes with mode 0600, because nothing of it was moderated. Raises OSError, in one sentence."""
        tensors = {f"array.{name}": torch.from_numpy(np.ascontiguousarray(a)) for name, a in self.arrays.items()}
        metadata: dict[str, str] = {"fingerprint": fingerprint, "num_done": str(self.num_done)}
        if self.state is not None:
            tensors["latents"] = self.state.latents.detach().cpu().contiguous()
            if self.state.generator is not None:
                tensors["generator"] = self.state.generator
            metadata["step"] = str(self.state.step)
            metadata["scheduler"] = json.dumps(_packed(self.state.scheduler, tensors))
        with atomic_write(file) as part:
            part.touch(0o600)
            save_file(tensors, part, metadata)

    @classmethod
    def load(cls, file: Path, fingerprint: str) -> UnfinishedWork:
        """What is kept in a file; nothing if there is none, or one of another request.

        Raises ValueError, in one sentence, for a file that is something else, because it would be replaced.
        """
        try:
            with safe_open(file, "pt") as content:
                metadata = content.metadata() or {}
                if metadata.get("fingerprint") != fingerprint:
                    return cls()
                tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
        except FileNotFoundError:
            return cls()
        except SafetensorError:
            raise ValueError(f"{file} is not unfinished work of lumora; move it, because that is kept there.") from None
        arrays = {name.removeprefix("array."): t.numpy() for name, t in tensors.items() if name.startswith("array.")}
        state = None
        if "step" in metadata:
            scheduler = _unpacked(json.loads(metadata["scheduler"]), tensors)
            state = DenoisingState(int(metadata["step"]), tensors["latents"], scheduler, tensors.get("generator"))
        return cls(int(metadata["num_done"]), arrays, state)


def _packed(values: Mapping[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """JSON of values; each tensor is put into `tensors`, and its name in its place."""

    def pack(name: str, value: Any) -> Any:
        if isinstance(value, Tensor):
            tensors[f"scheduler.{name}"] = value.detach().cpu().contiguous().clone()
            return {"tensor": f"scheduler.{name}", "device": value.device.type}
        if isinstance(value, list):
            return [pack(f"{name}.{index}", item) for index, item in enumerate(value)]
        return value

    return {name: pack(name, value) for name, value in values.items()}


def _unpacked(values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    def unpack(value: Any) -> Any:
        if isinstance(value, dict):
            tensor = tensors[value["tensor"]]
            return tensor.to(value["device"]) if value["device"] != "cpu" else tensor
        return [unpack(item) for item in value] if isinstance(value, list) else value

    return {name: unpack(value) for name, value in values.items()}
