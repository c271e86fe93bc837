"""Training data of an open-weight model: the latents of footage, and what its pipeline gives to the transformer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from lumora.atomic_io import atomic_write
from lumora.backends.diffusers.catalog import CatalogEntry
from lumora.backends.diffusers.clip_windows import ClipWindow
from lumora.backends.diffusers.pipeline_calls import WindowCall, call_arguments, encode_clip
from lumora.config import Resolution, VideoShape
from lumora.data.footage.footage_latents import footage_windows, training_caption
from lumora.data.footage.tar_shards import read_shard, shard_paths
from lumora.terminal import warn


class _TransformerCalled(Exception):
    """Ends a pipeline at the first call of its transformer, with the arguments of the call."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.arguments = dict(arguments)


def encode_for_open_weights(dataset: Path, out: Path, pipe: Any, entry: CatalogEntry) -> list[Path]:
    """Writes a file for each window of an ingested dataset: its latents and the other arguments of the transformer.

    Files that are there are kept. Raises ValueError if `dataset` is none, or if a clip has no caption.
    """
    out.mkdir(parents=True, exist_ok=True)
    shape = VideoShape(entry.num_frames, entry.resolution.height, entry.resolution.width, entry.fps)
    family, files = entry.calls, []
    for shard in shard_paths(dataset):
        for sample in read_shard(shard):
            text = training_caption(sample)
            for number, frames in enumerate(footage_windows(sample, shape, family.frame_step, family.size_step)):
                file = out / f"{sample.key}-{number:03}.pt"
                if not file.exists():
                    example = encoded_example(pipe, entry, frames, text)
                    with atomic_write(file) as part:
                        torch.save(example, part)
                files.append(file)
        warn(f"{shard.name}: {len(files)} windows so far")
    return files


@torch.no_grad()
def encoded_example(
    pipe: Any, entry: CatalogEntry, frames: UInt8[np.ndarray, "t h w 3"], prompt: str
) -> dict[str, Any]:
    """Arguments of the transformer, of which `hidden_states` are the clean latents.

    The pipeline itself is called, and stopped where it calls its transformer. So positions, masks and text are what
    they are in sampling, for every family.
    """
    height, width = frames.shape[1:3]
    window = ClipWindow(0, len(frames), {}, {}, prompt)
    call = WindowCall(window, {}, Resolution(width, height), entry.fps, "", 2, 1.0, 1.0)
    hook = pipe.transformer.register_forward_pre_hook(_stop, with_kwargs=True)
    try:
        pipe(**call_arguments(pipe, call, entry.calls), generator=torch.Generator().manual_seed(0))
    except _TransformerCalled as called:
        arguments = called.arguments
    else:
        raise AssertionError("The pipeline does not call its transformer.")
    finally:
        hook.remove()
    latents = encode_clip(pipe, list(frames), entry.calls)
    if latents.shape != arguments["hidden_states"].shape:
        raise ValueError(f"{entry.name} cannot be fine-tuned: its transformer is given more than noisy latents.")
    arguments["hidden_states"] = latents
    return {name: _on_cpu(value) for name, value in arguments.items() if name != "return_dict"}


def _stop(module: Any, args: tuple[Any, ...], arguments: dict[str, Any]) -> None:
    assert not args, "Pipelines call their transformers with named arguments."
    raise _TransformerCalled(arguments)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(map(_on_cpu, value))
    return value.cpu() if isinstance(value, Tensor) else value
