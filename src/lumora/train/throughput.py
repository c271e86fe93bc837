"""How fast a run is, and how fast it could be: floating-point operations against a measured peak."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.flop_counter import FlopCounterMode


def peak_flops(device: torch.device, dtype: torch.dtype, seconds: float = 0.3) -> float:
    """Operations a second of a large matrix product, the best of several: what a perfect program would reach."""
    size = 8192 if device.type == "cuda" else 2048
    a = torch.randn(size, size, device=device).to(dtype)  # zeros and ones would be faster than any real numbers
    best, started = float("inf"), time.perf_counter()
    while time.perf_counter() - started < seconds or best == float("inf"):
        began = time.perf_counter()
        torch.mm(a, a)
        synchronize(device)
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def count_flops(compute: Callable[[], object]) -> float:
    """Operations of the matrix products, convolutions and attentions that `compute` runs."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return float(counter.get_total_flops())


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass
class Throughput:
    """Clips and operations a second since the last `take`."""

    clips: int
    """A step, in all processes together."""
    flops: float
    """A step, in this process."""
    peak: float
    """Operations a second that a matrix product reaches."""
    steps: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.steps, self.seconds = self.steps + 1, self.seconds + seconds

    def take(self) -> dict[str, float | int]:
        steps_per_second = self.steps / self.seconds if self.seconds else 0.0
        self.steps, self.seconds = 0, 0.0
        achieved = self.flops * steps_per_second
        return {
            "clips_per_s": round(self.clips * steps_per_second, 2),
            "gflops": round(achieved / 1e9, 2),
            "of_peak": round(achieved / self.peak, 4),
        }


class ProgressLine:
    """One line that stays in place on a terminal; elsewhere a new line every half minute."""

    def __init__(self, name: str, shown: bool) -> None:
        self.name, self.shown, self.last = name, shown, -float("inf")
        columns = TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.completed}/{task.total}")
        console = Console(stderr=True)
        on_terminal = shown and sys.stderr.isatty()
        self.bar = Progress(*columns, TimeRemainingColumn(), console=console, disable=not on_terminal)
        self.job = self.bar.add_task(name, total=None)

    def __enter__(self) -> ProgressLine:
        self.bar.start()
        return self

    def show(self, entry: dict[str, float | int], steps: int) -> None:
        """`entry` is one of the log."""
        text = (
            f"{self.name}: loss {entry['loss']:.4f}, {entry['clips_per_s']:.1f} clips/s, "
            f"{entry['gflops']:.0f} GFLOP/s ({100 * entry['of_peak']:.0f} % of peak)"
        )
        self.bar.update(self.job, description=text, completed=int(entry["step"]), total=steps)
        if self.shown and self.bar.disable and time.monotonic() - self.last > 30:
            self.last = time.monotonic()
            print(f"step {entry['step']:.0f}/{steps}, {text}", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
