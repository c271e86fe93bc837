"""The training loop of the codec and of the transformer, on a CPU, a GPU, or several with torchrun.

A step is a function of the weights and of its number: its batch and its random draws come from generators seeded by
(seed, step, rank). So a checkpoint holds no random state, and an interrupted run continues exactly.
"""

from __future__ import annotations

import copy
import json
import math
import signal
import threading
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
from lumora.train.checkpoint import EMA, TrainProgress, TrainState, load_checkpoint, save_checkpoint
from lumora.train.distributed import DistContext
from lumora.train.optimizer import MuonAdam, lr_factor
from lumora.train.sharded_tensors import whole_tensor
from lumora.train.throughput import ProgressLine, Throughput, peak_flops, synchronize

LOG = "log.jsonl"
CALIBRATION_SECONDS = 30.0
"""The longest time for which steps are tried to estimate how many fit in a run by time."""
TIME_MARGIN = 0.94
"""The share of a run by time that its steps may fill; checkpoints and other load on the machine take the rest."""
MAX_BAD_STEPS = 50
"""Consecutive steps with infinite or NaN gradients after which a run fails."""

Metrics: TypeAlias = Mapping[str, float | Tensor]


@runtime_checkable
class Objective(Protocol):
    """What is trained: a module on the device of the process, its optimizer and its loss."""

    @property
    def module(self) -> nn.Module: ...

    @property
    def clips_per_step(self) -> int:
        """Clips that one call of `loss` uses."""
        ...

    def shard_units(self) -> list[nn.Module]:
        """Modules that are called as a whole and whose parameters several processes gather together; inner ones before
        outer ones."""
        ...

    def optimizer(self) -> MuonAdam: ...

    def flops(self, step: int) -> float:
        """Floating-point operations of the forward and backward pass of a step, in this process."""
        ...

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, Metrics]:
        """The loss of a step, and numbers to log. It depends on its arguments and the weights only."""
        ...


def train(
    objective: Objective,
    config: TrainConfig,
    run_dir: Path,
    dist: DistContext,
    description: str = "",
    max_minutes: float | None = None,
    stop_step: int | None = None,
) -> TrainProgress:
    """Starts or resumes the run in `run_dir`.

    It ends after its last step, after `stop_step` or `max_minutes`, or at SIGTERM or Ctrl-C, and saves a checkpoint in
    each case.
    `description` is further text that identifies the run: a checkpoint with another `description` or `config` is
    refused with a ValueError. If `config.max_steps` is None, the length of the schedule is estimated from
    `config.max_minutes`, or else from `max_minutes`.
    """
    return _Run(objective, config, run_dir, dist, description).run(max_minutes, stop_step)


class _Run:
    """The objective, its optimizer and EMA, the progress, and the folder they are saved in."""

    def __init__(
        self, objective: Objective, config: TrainConfig, run_dir: Path, dist: DistContext, description: str
    ) -> None:
        self.objective, self.config, self.run_dir, self.dist = objective, config, run_dir, dist
        self.signature = description + to_json(config)
        self.dtype = fast_dtype(dist.device) if config.precision == "bf16" else torch.float32
        objective.module.train()
        dist.broadcast_module(objective.module)
        dist.shard(objective.module, objective.shard_units(), self.dtype)
        self.optimizer = objective.optimizer()
        self.ema = EMA(objective.module, config.optimizer.ema_decays)
        self.parameters = [p for p in objective.module.parameters() if p.requires_grad]
        self.buffers = [b for b in objective.module.buffers() if b.is_floating_point()]
        self.bad_steps = 0

    def run(self, max_minutes: float | None, stop_step: int | None) -> TrainProgress:
        deadline = time.monotonic() + 60 * max_minutes if max_minutes is not None else math.inf
        restored = load_checkpoint(self.run_dir, self.signature, self._state(), self.dist)
        throughput = self._measure_flops(restored)
        self.progress = restored or TrainProgress(self.config.max_steps or self._estimate_max_steps(max_minutes))
        last_step = min(self.progress.max_steps, stop_step or self.progress.max_steps)
        _truncate_log(self.run_dir / LOG, self.progress.step, self.dist)
        self._save()
        with _StopSignals() as stop, ProgressLine(self.run_dir.name, self.dist.is_main) as line:
            last_save = time.monotonic()
            while self.progress.step < last_step:
                entry = self._advance(throughput)
                if entry:
                    line.show(entry, self.progress.max_steps)
                if self.dist.any_rank(stop.requested or time.monotonic() > deadline):
                    break
                if self.dist.any_rank(time.monotonic() - last_save > 60 * self.config.checkpoint_minutes):
                    self._save()
                    last_save = time.monotonic()
        self._save()
        return self.progress

    def _advance(self, throughput: Throughput) -> dict[str, float | int] | None:
        """One step; returns a log entry every `log_every` steps and after the last step."""
        progress, start = self.progress, time.perf_counter()
        loss, grad_norm, metrics = self._step(progress.step, progress.max_steps)
        synchronize(self.dist.device)
        elapsed = time.perf_counter() - start
        progress.step += 1
        progress.seconds += elapsed
        progress.losses.append(loss)
        throughput.add(elapsed)
        if progress.step % self.config.log_every and progress.step < progress.max_steps:
            return None
        entry = {"step": progress.step, "loss": sum(progress.losses) / len(progress.losses), "grad_norm": grad_norm}
        entry |= {name: float(value) for name, value in metrics.items()}
        entry |= {"lr_factor": self._lr_factor(progress.step - 1, progress.max_steps)}
        entry |= {"seconds": round(progress.seconds, 2), **throughput.pop()}
        progress.losses.clear()
        if self.dist.is_main:
            with (self.run_dir / LOG).open("a") as log:
                log.write(json.dumps(entry) + "\n")
        return entry

    def _step(self, step: int, max_steps: int) -> tuple[float, float, Metrics]:
        """Updates the weights; returns the loss, the norm of the gradient before clipping, and the metrics."""
        loss, metrics = self._backward(step)
        # Statistics that layers keep differ between processes; gradients are averaged already.
        self.dist.all_reduce_mean([loss, *self.buffers])
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        grad_norm = whole_tensor(nn.utils.get_total_norm(gradients))
        nn.utils.clip_grads_with_norm_(self.parameters, self.config.optimizer.max_grad_norm, grad_norm)
        loss_value, norm_value = torch.stack([loss, grad_norm.to(loss)]).tolist()
        if math.isfinite(norm_value):
            self.bad_steps = 0
            self.optimizer.set_lr_factor(self._lr_factor(step, max_steps))
            self.optimizer.step()
            self.ema.update(self.objective.module, step)
        else:  # A single overflow is skipped, so that it does not end a long run; many in a row are an error.
            self.bad_steps += 1
            if self.bad_steps > MAX_BAD_STEPS:
                raise RuntimeError(
                    f"Gradients have not been finite for {self.bad_steps} steps; lower the learning rates."
                )
        return loss_value, norm_value, metrics

    def _lr_factor(self, step: int, max_steps: int) -> float:
        config = self.config.optimizer
        return lr_factor(step, max_steps, config.warmup_fraction, config.cooldown_fraction)

    def _backward(self, step: int) -> tuple[Tensor, Metrics]:
        # The generator is on the CPU for every device: its draws then are the same everywhere, and decisions that
        # depend on them do not synchronize with the GPU.
        generator = torch.Generator().manual_seed(step_seed(self.config.seed, step, self.dist.rank))
        with torch.autocast(self.dist.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            loss, metrics = self.objective.loss(step, generator)
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)
        loss.backward()
        return loss.detach(), metrics

    def _measure_flops(self, restored: TrainProgress | None) -> Throughput:
        with self._state_restored_afterwards():
            flops = self.objective.flops(restored.step if restored else 0)
        clips_per_step = self.objective.clips_per_step * self.dist.world_size
        return Throughput(clips_per_step, flops, peak_flops(self.dist.device, self.dtype))

    def _estimate_max_steps(self, max_minutes: float | None) -> int:
        """How many steps fit in the minutes of the configuration, or else in `max_minutes`, from trial steps."""
        minutes = self.config.max_minutes or max_minutes
        if minutes is None:
            raise ValueError("A run needs a length: set max_steps or max_minutes, or give --max-minutes.")
        seconds: list[float] = []
        end_of_trial = time.monotonic() + min(CALIBRATION_SECONDS, 0.05 * 60 * minutes)
        with self._state_restored_afterwards():
            while len(seconds) < 3 or self.dist.any_rank(time.monotonic() < end_of_trial):
                start = time.perf_counter()
                self._step(len(seconds), 1_000_000)
                synchronize(self.dist.device)
                seconds.append(time.perf_counter() - start)
        remaining = 60 * minutes - sum(seconds)
        typical = float(np.mean(seconds[1:]))  # the first step also fills caches
        return int(self.dist.broadcast_number(max(1.0, TIME_MARGIN * remaining / typical)))

    @contextmanager
    def _state_restored_afterwards(self) -> Iterator[None]:
        """Steps inside leave no trace in the module, the optimizer and the EMA."""
        module, ema = copy.deepcopy(self.objective.module.state_dict()), self.ema
        optimizer = copy.deepcopy(self.optimizer.state_dict())
        self.ema = EMA(self.objective.module, ())
        yield
        self.objective.module.load_state_dict(module)
        self.optimizer.load_state_dict(optimizer)
        self.ema = ema

    def _save(self) -> None:
        save_checkpoint(self.run_dir, self.signature, self._state(), self.progress, self.dist)

    def _state(self) -> TrainState:
        return TrainState(self.objective.module, self.optimizer, self.ema)


def step_seed(seed: int, step: int, rank: int) -> int:
    """A seed for one step of one process, different from those of other steps and processes."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])


def read_log(run_dir: Path) -> list[dict[str, float | int]]:
    """All log entries of the run in `run_dir`."""
    file = run_dir / LOG
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def _truncate_log(path: Path, step: int, dist: DistContext) -> None:
    """Removes the entries after `step`, the step of the checkpoint: those steps are repeated."""
    if not (dist.is_main and path.is_file()):
        return
    lines = [line for line in path.read_text().splitlines() if line.endswith("}") and json.loads(line)["step"] <= step]
    with atomic_write(path) as part:
        part.write_text("".join(f"{line}\n" for line in lines))


class _StopSignals:
    """SIGTERM and the first Ctrl-C set `requested`; a second one raises KeyboardInterrupt.

    Another thread than the main one, such as that of a worker of Ray Train, cannot handle signals.
    """

    requested = False

    def __enter__(self) -> _StopSignals:
        handled = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
        self.handlers_before = {number: signal.signal(number, self._handle) for number in handled}
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self.handlers_before.items():
            signal.signal(number, handler)
