"""A check that a model loads and runs on this machine: two steps of its shortest window."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass

import numpy as np

from lumora.backends.base import Progress
from lumora.backends.diffusers.diffusers_backend import DiffusersBackend
from lumora.backends.diffusers.families import FIRST, NOTHING
from lumora.config import Resolution
from lumora.media.video import Video
from lumora.request.conditions import Condition
from lumora.request.spec import Request


@dataclass(frozen=True)
class CheckResult:
    what: str
    """Frames and size that were made."""
    seconds_per_step: float | None
    """Of the second step; None if there was only one."""
    host_gib: float
    """Peak memory of this process."""
    gpu_gib: float | None
    is_flat: bool
    """Whether all pixels are equal, as where a precision overflows."""

    def sentence(self) -> str:
        step = "" if self.seconds_per_step is None else f", {self.seconds_per_step:.2f} s a step"
        gpu = "" if self.gpu_gib is None else f", {self.gpu_gib:.1f} GiB of the GPU"
        flat = " Its frames are all of one color: try another memory plan." if self.is_flat else ""
        return f"It runs: {self.what}{step}, {self.host_gib:.1f} GiB of memory{gpu}.{flat}"


def check_model(backend: DiffusersBackend, small: bool, progress: Progress | None = None) -> CheckResult:
    """Loads the model and makes two steps of one window, of its own size or a quarter of it.

    Raises what `Backend.run` raises.
    """
    import torch

    entry = backend.entry
    size = entry.resolution
    if small:
        size = Resolution(size.width // 4, size.height // 4)
    picture = Video(np.full((1, size.height, size.width, 3), 127, np.uint8), entry.fps)
    accepts = entry.calls.accepts
    conditions = () if NOTHING in accepts else (Condition(picture),)
    if not accepts & {NOTHING, FIRST}:
        conditions = (*conditions, Condition(picture, "end"))
    request = Request("a red ball", size=size, num_inference_steps=2, conditions=conditions)
    times: list[float] = []

    def report(done: int, total: int) -> None:
        times.append(time.monotonic())
        if progress is not None:
            progress(done, total)

    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.reset_peak_memory_stats()
    plan = backend.prepare(request)
    video = backend.run(plan, report)
    return CheckResult(
        f"{len(video.frames)} frames of {plan.size}",
        times[-1] - times[-2] if len(times) > 1 else None,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        torch.cuda.max_memory_allocated() / 2**30 if has_gpu else None,
        bool(video.frames[-1].min() == video.frames[-1].max()),
    )
