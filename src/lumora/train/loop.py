"""The one training loop: codec or transformer; CPU, one GPU or torchrun on many; stopped and resumed without a trace.

A step is a pure function of the weights and its number: it draws from a generator seeded by (seed, step, rank), and its
batch is a function of the same. So a checkpoint holds no stream of random numbers, and a killed run repeats exactly.
"""

from __future__ import annotations

import copy
import json
import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from lumora.atomic_io import atomic_write
from lumora.config import TrainConfig, to_json
from lumora.precision import fast_dtype
from lumora.train.checkpoint import EMA, TrainProgress, load_checkpoint, save_checkpoint
from lumora.train.distributed import DistContext
from lumora.train.optimizer import MuonAdam, lr_factor
from lumora.train.throughput import ProgressLine, Throughput, peak_flops, synchronize

CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"
CALIBRATION_SECONDS = 30.0
MARGIN = 0.94
"""Of a run by time, the share that steps may fill; checkpoints and a busy machine take the rest."""
MAX_BAD_STEPS = 50


Metrics: TypeAlias = Mapping[str, float | Tensor]


@runtime_checkable
class Objective(Protocol):
    """What is trained: a module on the world's device, its optimizer, and its loss."""

    @property
    def module(self) -> nn.Module: ...

    @property
    def clips(self) -> int:
        """Clips that one call of `loss` sees, for the rate that is shown."""
        ...

    def optimizer(self) -> MuonAdam: ...

    def flops(self, step: int) -> float:
        """Floating-point operations of that step's loss and gradient, in this process."""
        ...

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, Metrics]:
        """The loss of step number `step` with its gradient, and numbers to log; a function of its arguments."""
        ...


def train(
    task: Objective,
    config: TrainConfig,
    folder: Path,
    world: DistContext,
    description: str = "",
    minutes: float | None = None,
) -> TrainProgress:
    """Runs or resumes the run in `folder` until its last step, `minutes` have passed, or SIGTERM or Ctrl-C.

    `about` is any further text that says what this run is: a checkpoint that differs in it, or in `config`, is refused
    with a ValueError. `config.steps` None makes the schedule as long as `config.minutes` allow, or the first sitting's.
    """
    return _Run(task, config, folder, world, description).sit(minutes)


class _Run:
    """One sitting: the task, its optimizer and averages, the progress so far, and where all is written."""

    def __init__(self, task: Objective, config: TrainConfig, folder: Path, world: DistContext, about: str) -> None:
        self.task, self.config, self.folder, self.world = task, config, folder, world
        self.signature = about + to_json(config)
        task.module.train()
        world.share(task.module)
        self.optimizer = task.optimizer()
        self.averages = EMA(task.module, config.optimizer.ema_decays)
        self.parameters = list(task.module.parameters())
        self.dtype = fast_dtype(world.device) if config.precision == "bf16" else torch.float32
        self.bad_steps = 0

    def sit(self, minutes: float | None) -> TrainProgress:
        ends = time.monotonic() + 60 * minutes if minutes is not None else math.inf
        restored = load_checkpoint(
            self.folder / CHECKPOINT, self.signature, self.task.module, self.optimizer, self.averages
        )
        speed = self._measure(restored)
        self.progress = restored or TrainProgress(self.config.max_steps or self._estimate_steps(minutes))
        _cut_log(self.folder / LOG, self.progress.step, self.world)
        self._save()
        with _stop_signals() as stopped, ProgressLine(self.folder.name, self.world.main) as line:
            last_save = time.monotonic()
            while self.progress.step < self.progress.steps:
                entry = self._advance(speed)
                if entry:
                    line.show(entry, self.progress.steps)
                if self.world.any(stopped() or time.monotonic() > ends):
                    break
                if self.world.any(time.monotonic() - last_save > 60 * self.config.checkpoint_minutes):
                    self._save()
                    last_save = time.monotonic()
        self._save()
        return self.progress

    def _advance(self, speed: Throughput) -> dict[str, float | int] | None:
        """One step; returns the log's entry where one is due."""
        progress, began = self.progress, time.perf_counter()
        loss, norm, metrics = self._step(progress.step, progress.steps)
        synchronize(self.world.device)
        elapsed = time.perf_counter() - began
        progress.step += 1
        progress.seconds += elapsed
        progress.losses.append(loss)
        speed.add(elapsed)
        if progress.step % self.config.log_every and progress.step < progress.steps:
            return None
        entry = {"step": progress.step, "loss": sum(progress.losses) / len(progress.losses), "norm": norm}
        entry |= {name: float(value) for name, value in metrics.items()}
        entry |= {"rate": self._lr_factor(progress.step - 1, progress.steps)}
        entry |= {"seconds": round(progress.seconds, 2), **speed.take()}
        progress.losses.clear()
        if self.world.main:
            with (self.folder / LOG).open("a") as log:
                log.write(json.dumps(entry) + "\n")
        return entry

    def _step(self, step: int, steps: int) -> tuple[float, float, Metrics]:
        loss, metrics = self._backward(step)
        self.world.average([loss, *(p.grad for p in self.parameters if p.grad is not None)])
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.optimizer.max_grad_norm)
        loss_value, norm_value = torch.stack([loss, norm.to(loss)]).tolist()
        if math.isfinite(norm_value):
            self.bad_steps = 0
            self.optimizer.set_lr_factor(self._lr_factor(step, steps))
            self.optimizer.step()
            self.averages.update(self.task.module, step)
        else:  # One overflow must not end hours of work, and many in a row must not be hidden.
            self.bad_steps += 1
            if self.bad_steps > MAX_BAD_STEPS:
                raise RuntimeError(f"Gradients have not been finite for {self.bad_steps} steps; lower the rates.")
        return loss_value, norm_value, metrics

    def _lr_factor(self, step: int, steps: int) -> float:
        config = self.config.optimizer
        return lr_factor(step, steps, config.warmup_fraction, config.cooldown_fraction)

    def _backward(self, step: int) -> tuple[Tensor, Metrics]:
        # On the CPU whatever the device, so that noise is the same everywhere and choices drawn from it stop no GPU.
        generator = torch.Generator().manual_seed(step_seed(self.config.seed, step, self.world.rank))
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            loss, metrics = self.task.loss(step, generator)
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)
        loss.backward()
        return loss.detach(), metrics

    def _measure(self, restored: TrainProgress | None) -> Throughput:
        """What the progress line needs to know: the operations of a step, and what the machine could do."""
        with self._undone():
            flops = self.task.flops(restored.step if restored else 0)
        return Throughput(self.task.clips * self.world.size, flops, peak_flops(self.world.device, self.dtype))

    def _estimate_steps(self, minutes: float | None) -> int:
        """How many steps fit in the run's minutes, or else in the sitting's, judged by trying some and undoing them."""
        minutes = self.config.max_minutes or minutes
        if minutes is None:
            raise ValueError("A run needs a length: set its steps or its minutes, or give --minutes.")
        seconds, trial = [], time.monotonic() + min(CALIBRATION_SECONDS, 0.05 * 60 * minutes)
        with self._undone():
            while len(seconds) < 3 or self.world.any(time.monotonic() < trial):
                began = time.perf_counter()
                self._step(len(seconds), 1_000_000)
                synchronize(self.world.device)
                seconds.append(time.perf_counter() - began)
        left = 60 * minutes - sum(seconds)
        typical = float(np.mean(seconds[1:]))  # the first one warms caches up
        return int(self.world.first(max(1.0, MARGIN * left / typical)))

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """What steps do inside is forgotten afterwards."""
        module, averages = copy.deepcopy(self.task.module.state_dict()), self.averages
        optimizer = copy.deepcopy(self.optimizer.state_dict())
        self.averages = EMA(self.task.module, ())
        yield
        self.task.module.load_state_dict(module)
        self.optimizer.load_state_dict(optimizer)
        self.averages = averages

    def _save(self) -> None:
        if self.world.main:
            save_checkpoint(
                self.folder / CHECKPOINT, self.signature, self.task.module, self.optimizer, self.averages, self.progress
            )


def step_seed(seed: int, step: int, rank: int) -> int:
    """A seed for one step of one process, unlike that of any other."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])


def read_log(folder: Path) -> list[dict[str, float | int]]:
    """All entries of the run in `folder`."""
    file = folder / LOG
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def _cut_log(path: Path, step: int, world: DistContext) -> None:
    """Forget what was logged after the checkpoint: it will come again."""
    if not (world.main and path.is_file()):
        return
    lines = [line for line in path.read_text().splitlines() if line.endswith("}") and json.loads(line)["step"] <= step]
    with atomic_write(path) as part:
        part.write_text("".join(f"{line}\n" for line in lines))


class _stop_signals:
    """SIGTERM and the first Ctrl-C ask for an orderly end; a second Ctrl-C ends at once."""

    def __enter__(self) -> _stop_signals:
        self.seen = False
        self.before = {s: signal.signal(s, self._see) for s in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __call__(self) -> bool:
        return self.seen

    def _see(self, number: int, frame: FrameType | None) -> None:
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
