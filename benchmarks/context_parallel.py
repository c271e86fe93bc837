"""Runs a tiny Wan model in one process, and with diffusers' context parallelism in two, and compares the frames.

torchrun --nproc-per-node 2 benchmarks/context_parallel.py
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import torch.distributed as dist
from diffusers import ContextParallelConfig  # pyright: ignore[reportPrivateImportUsage]

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from tiny_models import save_tiny_model


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = Path(tempfile.mkdtemp())
    save_tiny_model("wan", folder)  # before the group exists: in a group only the first process would write
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    rank, count = dist.get_rank(), dist.get_world_size()
    if device == "cuda":
        torch.cuda.set_device(rank)
    else:
        torch.accelerator.device_count = lambda: 1  # diffusers 0.42.1 divides by it, and it is 0 without a GPU
    whole = load(folder, device)
    alone, tokens = frames(whole), tokens_of_a_block(whole)
    for name, config in {
        "Ulysses": ContextParallelConfig(ulysses_degree=count),
        "ring": ContextParallelConfig(ring_degree=count),
    }.items():
        pipe = load(folder, device)  # a model can be made parallel once
        try:
            pipe.transformer.enable_parallelism(config=config)
            difference, own = np.abs(frames(pipe) - alone).max(), tokens_of_a_block(pipe)
            said = f"{own} of {tokens} tokens in a process, frames differ by {difference:.1e} of {np.ptp(alone):.2f}"
        except Exception as error:
            said = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        if rank == 0:
            print(f"{name}, {count} processes on {device}: {said}", flush=True)
    dist.destroy_process_group()


def load(folder: Path, device: str) -> Any:
    pipe = diffusers.WanPipeline.from_pretrained(folder, local_files_only=True).to(device)  # type: ignore[attr-defined]
    pipe.set_progress_bar_config(disable=True)
    return pipe


def frames(pipe: Any) -> np.ndarray:
    options = {"height": 32, "width": 32, "num_frames": 9, "num_inference_steps": 2, "output_type": "np"}
    return pipe(prompt="a dog", generator=torch.Generator().manual_seed(0), **options).frames


def tokens_of_a_block(pipe: Any) -> int:
    """Tokens that reach the last transformer block of this process."""
    seen: list[int] = []
    handle = pipe.transformer.blocks[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    frames(pipe)
    handle.remove()
    return seen[0]


if __name__ == "__main__":
    main()
