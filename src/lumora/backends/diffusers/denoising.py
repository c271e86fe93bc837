"""The steps of one call of a pipeline: progress, cancelling within a step, and continuing in the middle.

A pipeline is continued by letting it skip its first steps and giving the rest what the interrupted call had: latents,
the scheduler's state and the generator's. One step is computed again, whose result is replaced.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lumora.backends.base import Cancel, Cancelled

SAVE_SECONDS = 20.0
"""Between two states that are kept; a state is also kept when a call is cancelled."""


@dataclass(frozen=True)
class DenoisingState:
    """What the next step of a call starts from."""

    step: int
    """Steps that are done, at least one."""
    latents: Tensor
    scheduler: dict[str, Any]
    """The scheduler's attributes that change; tensors, numbers and lists."""
    generator: Tensor | None = None
    """State of the generator; None leaves it as it is."""


@dataclass
class DenoisingLoop:
    """Follows the steps of one call."""

    num_steps: int
    generator: torch.Generator
    on_step: Callable[[int], None] | None = None
    """Called with the number of steps that are done."""
    cancel: Cancel | None = None
    on_state: Callable[[DenoisingState], None] | None = None
    """Keeps a state, every SAVE_SECONDS and when the call is cancelled."""
    start: DenoisingState | Callable[[Any], DenoisingState] | None = None
    """The state to begin with, or a function of the scheduler that makes it, once its time steps are set."""
    start_step: int = 0
    on_latents: Callable[[int, Tensor], None] | None = None
    _saved_at: float = field(default_factory=time.monotonic)

    def run(self, pipe: Any, arguments: dict[str, Any]) -> Any:
        """Calls the pipeline. Raises Cancelled."""
        if not hasattr(pipe, "_callback_tensor_inputs"):
            with _watched_scheduler(pipe, self._report):
                return pipe(**arguments, generator=self.generator)
        arguments = {**arguments, "callback_on_step_end": self._after_step}
        with _skipping(pipe, max(0, self.start_step - 1)):
            return pipe(**arguments, generator=self.generator)

    def _after_step(self, pipe: Any, index: int, _: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        done = index + 1
        if self.start is not None and done == self.start_step:
            state = self.start(pipe.scheduler) if callable(self.start) else self.start
            restore_scheduler(pipe.scheduler, state.scheduler)
            if state.generator is not None:
                self.generator.set_state(state.generator)
            self._report(done)
            return {"latents": state.latents.to(tensors["latents"])}
        if self.on_step is not None:
            self.on_step(done)
        is_cancelled = self.cancel is not None and self.cancel.is_set()
        is_due = time.monotonic() - self._saved_at > SAVE_SECONDS
        if self.on_state is not None and (is_cancelled or is_due) and done < self.num_steps:
            self._saved_at = time.monotonic()
            state = scheduler_state(pipe.scheduler)
            self.on_state(DenoisingState(done, tensors["latents"], state, self.generator.get_state()))
        if is_cancelled:
            raise Cancelled
        if self.on_latents is not None and done < self.num_steps:
            self.on_latents(done, tensors["latents"])
        return {}

    def _report(self, done: int) -> None:
        if self.on_step is not None:
            self.on_step(done)
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled


def scheduler_state(scheduler: Any) -> dict[str, Any]:
    """A scheduler's attributes but its configuration, copied."""
    return {name: _copied(value) for name, value in vars(scheduler).items() if _is_state(name, value)}


def restore_scheduler(scheduler: Any, state: dict[str, Any]) -> None:
    for name, value in state.items():
        setattr(scheduler, name, _copied(value))


def noised_start(scheduler: Any, latents: Tensor, step: int, generator: torch.Generator) -> DenoisingState:
    """Noised latents from which a call continues after `step` steps (SDEdit, arXiv:2108.01073)."""
    noise = torch.randn(latents.shape, generator=generator, dtype=torch.float32).to(latents)
    time_step = scheduler.timesteps[step]
    if hasattr(scheduler, "sigmas"):
        sigma = float(scheduler.sigmas[step])
        noised = (1 - sigma) * latents + sigma * noise  # flow matching
    else:
        noised = scheduler.add_noise(latents, noise, time_step.reshape(1))
    return DenoisingState(step, noised, {**_unstarted(scheduler), **_step_index(scheduler, step)})


def _unstarted(scheduler: Any) -> dict[str, Any]:
    """What a multistep scheduler remembers of earlier steps, emptied."""
    if not hasattr(scheduler, "model_outputs"):
        return {}
    order = len(scheduler.model_outputs)
    return {
        "model_outputs": [None] * order,
        "timestep_list": [None] * order,
        "lower_order_nums": 0,
        "last_sample": None,
    }


def _step_index(scheduler: Any, step: int) -> dict[str, Any]:
    return {"_step_index": step} if hasattr(scheduler, "_step_index") else {}


@contextlib.contextmanager
def _skipping(pipe: Any, count: int) -> Iterator[None]:
    """The pipeline skips its first `count` steps: it asks `interrupt` before each one."""
    if not count:
        yield
        return
    kind, skipped = type(pipe), iter(range(count))
    skips = property(lambda _: next(skipped, None) is not None)
    pipe.__class__ = type(kind.__name__, (kind,), {"interrupt": skips})
    try:
        yield
    finally:
        pipe.__class__ = kind


@contextlib.contextmanager
def _watched_scheduler(pipe: Any, after: Callable[[int], None]) -> Iterator[None]:
    """Calls `after` with the number of steps, for pipelines without a callback."""
    step, done = pipe.scheduler.step, iter(range(1, 1_000_000))

    def watched(*args: Any, **options: Any) -> Any:
        result = step(*args, **options)
        after(next(done))
        return result

    pipe.scheduler.step = watched
    try:
        yield
    finally:
        del pipe.scheduler.step


def _is_state(name: str, value: Any) -> bool:
    if name == "_internal_dict" or callable(value):
        return False
    items = value if isinstance(value, list) else [value]
    return all(item is None or isinstance(item, (bool, int, float, str, Tensor)) for item in items)


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    return [_copied(item) for item in value] if isinstance(value, list) else value
