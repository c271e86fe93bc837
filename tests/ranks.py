"""Runs of a tiny transformer in several processes, for tests of distributed training.

The processes are forked from a server that has imported everything, so that a test does not wait for imports.
"""

import multiprocessing
import os
import signal
import socket
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lumora.codec import Codec
from lumora.config import FlowConfig, ModelConfig, OptimizerConfig, TrainConfig, TransformerConfig, VideoShape
from lumora.data.datasets import FrameDataset, LatentDataset
from lumora.data.latent_cache import latent_path, save_latent_shard
from lumora.model.lora_layers import add_lora
from lumora.model.transformer import Transformer
from lumora.presets import tiny
from lumora.train import sharded_checkpoint
from lumora.train.distributed import DistContext, dist_context
from lumora.train.loop import step_seed, train
from lumora.train.objectives import CodecObjective, FlowObjective
from lumora.train.optimizer import MuonAdam

PARTS = 4
"""A step's batch has so many parts, which are divided among the processes; so a step is the same for 1, 2 and 4."""
STEPS = 6
# Sizes that 2 and 4 processes cannot divide evenly.
MODEL = ModelConfig(
    transformer=TransformerConfig(
        latent_channels=3,
        hidden_size=30,
        num_layers=2,
        head_dim=10,
        hourglass_hidden_size=10,
        hourglass_num_layers=1,
    ),
    flow=FlowConfig(caption_dropout=0.5),
)


def write_random_latents(folder: Path, channels: int = 3, clips: int = 8) -> None:
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, clips, channels, 2, 4, 4, generator=generator).bfloat16()
    captions = [[[(torch.randn(3, 384, generator=generator).bfloat16(), 2)]] for _ in range(2 * clips)]
    subject = torch.zeros(clips, 2, 4, 4, dtype=torch.uint8)
    save_latent_shard(latent_path(folder, 0), VideoShape(5, 64, 64, 8.0), latents, subject, captions)


class DividedObjective:
    """Flow matching on the parts of a batch that belong to this process."""

    def __init__(self, latents: LatentDataset, config: TrainConfig, dist: DistContext, lora_rank: int | None) -> None:
        torch.manual_seed(dist.rank)  # the other processes' weights must be replaced by those of the first
        transformer = Transformer(MODEL.transformer)
        nn.init.normal_(transformer.proj_out.weight, std=0.1)
        if lora_rank:
            add_lora(transformer, lora_rank)
        self.config, self.numbers = config, range(dist.rank, PARTS, dist.world_size)
        self.parts = [
            FlowObjective(transformer, latents, MODEL, config, DistContext(n, PARTS, dist.device)) for n in self.numbers
        ]
        self.module, self.clips_per_step = transformer, config.batch_size * len(self.parts)

    def shard_units(self) -> list[nn.Module]:
        return self.parts[0].shard_units()

    def optimizer(self) -> MuonAdam:
        return self.parts[0].optimizer()

    def flops(self, step: int) -> float:
        return sum(part.flops(step) for part in self.parts)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        losses = [
            part.loss(step, torch.Generator().manual_seed(step_seed(self.config.seed, step, n)))[0]
            for n, part in zip(self.numbers, self.parts, strict=True)
        ]
        return torch.stack(losses).mean(), {}


def train_divided(folder: Path, stop_step: int | None = None, lora_rank: int | None = None) -> Transformer:
    """Starts or continues the run in `folder`/run, in the processes that there are."""
    muon_lr = 0.0 if lora_rank else 0.01
    optimizer = OptimizerConfig(muon_lr=muon_lr, muon_every=2, weight_decay=0.1, ema_decays=(0.0, 0.9))
    config = TrainConfig(batch_size=2, max_steps=STEPS, log_every=1, optimizer=optimizer)
    with dist_context("cpu") as dist:
        objective = DividedObjective(LatentDataset(folder.parent / "latents"), config, dist, lora_rank)
        train(objective, config, folder / "run", dist, stop_step=stop_step)
        return objective.module


def train_random_codec(folder: Path, stop_step: int | None = None) -> None:
    """Starts or continues the training of a tiny codec on noise."""
    preset = tiny()
    config = replace(preset.codec, max_steps=4, log_every=1)
    with dist_context("cpu") as dist:
        if dist.is_main and not (folder / "frames-00000.npy").exists():
            folder.mkdir(exist_ok=True)
            np.save(folder / "frames-00000.npy", np.random.default_rng(0).integers(0, 256, (4, 9, 32, 32, 3), np.uint8))
        dist.wait_for_all()
        torch.manual_seed(0)
        objective = CodecObjective(Codec(preset.model.codec), FrameDataset(folder), config, dist)
        train(objective, config, folder / "run", dist, stop_step=stop_step)


def train_and_die_while_saving(folder: Path) -> None:
    """All processes are killed when they have written their parts of the last checkpoint, which is not complete."""
    write = sharded_checkpoint.save

    def die(tensors: dict[str, Any], checkpoint_id: Path) -> None:
        write(tensors, checkpoint_id=checkpoint_id)
        if f'"step": {STEPS}' in (checkpoint_id / sharded_checkpoint.FACTS).read_text():
            os.kill(os.getpid(), signal.SIGKILL)

    sharded_checkpoint.save = die
    train_divided(folder)


def run_ranks(size: int, function: Callable[..., object], *args: object, **environment: str) -> list[int | None]:
    """Calls `function` in `size` processes, as torchrun would; returns their exit codes. An error is raised here."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "torch.distributed.fsdp", "lumora.train.finetune"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **environment}
    errors = context.SimpleQueue()
    processes = [
        context.Process(target=_rank, args=({"RANK": str(rank), **variables}, errors, function, args))
        for rank in range(size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)  # only against a test that hangs
        if process.is_alive():
            process.kill()
    if not errors.empty():
        raise RuntimeError(errors.get())
    return [process.exitcode for process in processes]


def _rank(variables: dict[str, str], errors: Any, function: Callable[..., object], args: tuple[object, ...]) -> None:
    os.environ.update(variables)
    torch.set_num_threads(1)
    try:
        function(*args)
    except BaseException:
        errors.put(traceback.format_exc())
        raise
