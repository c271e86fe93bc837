"""Training speed: clips and floating-point operations per second, and their share of the measured peak."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.flop_counter import FlopCounterMode

from lumora.terminal import warn

MAX_MATRIX_SIZE = 8192
"""Side of the largest matrices that are multiplied to measure the peak."""
PRINT_SECONDS = 30.0
"""Interval of the lines that are printed where stderr is not a terminal."""


def peak_flops(device: torch.device, dtype: torch.dtype, seconds: float = 0.3) -> float:
    """FLOP/s of a large matrix product, the best of as many as fit in `seconds`.

    The size of the matrices is doubled while a product takes less than a tenth of `seconds`: a GPU needs large ones,
    and a CPU that emulates bfloat16 would take minutes for them.
    """
    best, size, end = 0.0, 256, time.perf_counter() + seconds
    a = torch.randn(size, size, device=device).to(dtype)  # a matrix of zeros would be multiplied faster than real data
    while best == 0.0 or time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(a, a)
        synchronize(device)
        elapsed = time.perf_counter() - start
        best = max(best, 2 * size**3 / elapsed)
        if elapsed < seconds / 10 and size < MAX_MATRIX_SIZE:
            size *= 2
            a = torch.randn(size, size, device=device).to(dtype)
    return best


def count_flops(compute: Callable[[], object]) -> float:
    """Floating-point operations of the matrix products, convolutions and attentions that `compute` runs."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return float(counter.get_total_flops())


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass
class Throughput:
    """Clips and floating-point operations per second since the last `pop`."""

    clips_per_step: int
    """In all processes together."""
    flops_per_step: float
    """In this process."""
    peak: float
    """FLOP/s that a matrix product reaches."""
    steps: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Counts one step."""
        self.steps, self.seconds = self.steps + 1, self.seconds + seconds

    def pop(self) -> dict[str, float | int]:
        """The rates since the last call, which starts a new measurement. `mfu` is the model FLOPs utilization."""
        steps_per_second = self.steps / self.seconds if self.seconds else 0.0
        self.steps, self.seconds = 0, 0.0
        achieved = self.flops_per_step * steps_per_second
        return {
            "clips_per_s": round(self.clips_per_step * steps_per_second, 2),
            "gflops": round(achieved / 1e9, 2),
            "mfu": round(achieved / self.peak, 4),
        }


class ProgressLine:
    """A progress bar on a terminal; elsewhere a line every `PRINT_SECONDS`."""

    def __init__(self, name: str, shown: bool) -> None:
        self.name, self.shown, self.last_print = name, shown, -float("inf")
        columns = TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.completed}/{task.total}")
        console = Console(stderr=True)
        on_terminal = shown and sys.stderr.isatty()
        self.bar = Progress(*columns, TimeRemainingColumn(), console=console, disable=not on_terminal)
        self.task = self.bar.add_task(name, total=None)

    def __enter__(self) -> ProgressLine:
        self.bar.start()
        return self

    def show(self, entry: dict[str, float | int], max_steps: int) -> None:
        """Shows an entry of the log."""
        text = (
            f"{self.name}: loss {entry['loss']:.4f}, {entry['clips_per_s']:.1f} clips/s, "
            f"{entry['gflops']:.0f} GFLOP/s ({100 * entry['mfu']:.0f} % of peak)"
        )
        self.bar.update(self.task, description=text, completed=int(entry["step"]), total=max_steps)
        if self.shown and self.bar.disable and time.monotonic() - self.last_print > PRINT_SECONDS:
            self.last_print = time.monotonic()
            warn(f"step {entry['step']:.0f}/{max_steps}, {text}")

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
