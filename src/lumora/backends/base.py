"""The interface of a backend: what a model can do, what it will make of a request, and the making itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from lumora.config import Resolution
from lumora.media.video import Video
from lumora.request.conditions import Shot
from lumora.request.spec import Request, check_range

Task: TypeAlias = Literal[
    "text",
    "image",
    "last_image",
    "keyframes",
    "extend",
    "extend_backward",
    "infill",
    "connect",
    "loop",
    "edit",
    "shots",
]
Progress: TypeAlias = Callable[[int, int], None]
"""Called with (steps done, steps in total) after each denoising step."""
Preview: TypeAlias = Callable[[int, UInt8[np.ndarray, "h w 3"]], None]
"""Called every few steps, after the progress, with (index of the plan, a frame of the current clean estimate)."""


class Cancelled(Exception):
    """The caller asked to stop; raised within one denoising step."""


@runtime_checkable
class Cancel(Protocol):
    """`threading.Event` is one."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True)
class Capabilities:
    """What a model can make, and what it makes if a request leaves a field open."""

    tasks: frozenset[Task]
    size: Resolution
    """Default size."""
    size_step: int
    """Width and height are multiples of this many pixels."""
    aspect_step: int
    """Multiple used if only an aspect ratio is asked for."""
    min_side: int
    max_side: int
    fps: float
    max_fps: float
    seconds: float
    """Default duration of the first shot."""
    max_seconds: float
    """Of all shots together."""
    frame_step: int
    """A shot has 1 + n · frame_step frames."""
    num_inference_steps: int
    max_inference_steps: int
    max_shots: int
    license: str
    """Licence of the weights."""
    shows_people: bool = False
    """Whether it can show people as a camera does; its frames are checked more strictly."""

    def size_for(self, aspect_ratio: float) -> Resolution:
        """The size of this width by height that has about as many pixels as the default size."""
        if math.isclose(aspect_ratio, self.size.aspect_ratio, rel_tol=0.02):
            return self.size
        pixels = self.size.width * self.size.height
        width, height = math.sqrt(pixels * aspect_ratio), math.sqrt(pixels / aspect_ratio)
        return Resolution(*(self.nearest_side(side, self.aspect_step) for side in (width, height)))

    def nearest_size(self, size: Resolution, min_side: int | None = None) -> Resolution:
        """`size` with sides that the model can make. Raises ValueError for one beyond the limits; `min_side` is a
        smaller lower limit, from which sides are rounded up."""
        for name, side in (("width", size.width), ("height", size.height)):
            check_range(name, side, self.min_side if min_side is None else min_side, self.max_side)
        return Resolution(self.nearest_side(size.width), self.nearest_side(size.height))

    def check_shots(self, shots: Sequence[Shot]) -> None:
        """Raises ValueError for more shots, or more seconds, than can be made."""
        for shot in shots:
            check_range("seconds", shot.seconds, 0, self.max_seconds)
        check_range("the number of shots", len(shots), 1, self.max_shots)
        check_range("seconds of all shots", sum(shot.seconds for shot in shots), 0, self.max_seconds)

    def nearest_side(self, pixels: float | int, step: int | None = None) -> int:
        step = step or self.size_step
        return step * min(max(round(pixels / step), math.ceil(self.min_side / step)), self.max_side // step)


@dataclass(frozen=True)
class Plan:
    """What a backend will make of a request. Everything after `prepare` reads it instead of computing it again."""

    request: Request
    """The request with every open field decided, except those that the backend decides during sampling."""
    size: Resolution
    fps: float
    num_frames: int
    warnings: tuple[str, ...]
    """One sentence for each thing that is made differently than asked for, or that the model was not trained on."""


OwnPlan = TypeVar("OwnPlan", bound=Plan)


def own_plan(plan: Plan, kind: type[OwnPlan]) -> OwnPlan:
    """`plan` as the type that a backend makes. Raises TypeError for a plan of another backend."""
    if not isinstance(plan, kind):
        raise TypeError(f"This backend runs plans of its own, not {type(plan).__name__}.")
    return plan


@runtime_checkable
class Backend(Protocol):
    """One model. Nothing is loaded before `run`."""

    def capabilities(self) -> Capabilities: ...

    def prepare(self, request: Request) -> Plan:
        """Validates the request, rounds sizes and durations to what the model can make, and collects warnings.

        Raises ValueError, in one sentence, if the model cannot make it.
        """
        ...

    def run(
        self,
        plan: Plan,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        resume_path: Path | None = None,
        on_preview: Preview | None = None,
    ) -> Video:
        """Makes the video of a plan of this backend.

        If `resume_path` is given, unfinished work is kept in that file and continued from it; the caller removes it.
        `on_preview` receives frames that nobody has reviewed. Raises Cancelled.
        """
        ...

    def run_batch(
        self,
        plans: Sequence[Plan],
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        resume_path: Path | None = None,
        on_preview: Preview | None = None,
    ) -> list[Video]:
        """Makes several videos together, otherwise as `run`. The plans must agree in everything but prompt, seed and
        conditions."""
        ...

    def unload(self) -> None:
        """Gives the memory of the model back; the next run loads it again."""
        ...

    def identity(self) -> dict[str, Any]:
        """What a manifest says of the model: a hash of its weights and the version of its sampler."""
        ...
