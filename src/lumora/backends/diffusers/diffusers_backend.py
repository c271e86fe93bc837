"""`DiffusersBackend`: an open-weight model behind the interface of all backends. It loads nothing before `run`."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumora.backends.base import Cancel, Capabilities, Plan, Preview, Progress, own_plan
from lumora.backends.diffusers import diffusers_planning
from lumora.backends.diffusers.catalog import CatalogEntry
from lumora.backends.diffusers.diffusers_planning import DiffusersPlan
from lumora.backends.diffusers.lora import LoraFile
from lumora.backends.diffusers.memory_planning import MemoryLevel
from lumora.backends.diffusers.model_files import file_sha256, model_digest
from lumora.backends.diffusers.prompt_length import unread_end
from lumora.media.video import Video
from lumora.request.spec import Request, check_range

if TYPE_CHECKING:
    from lumora.backends.diffusers.context_parallel import ContextParallelRunner
    from lumora.backends.diffusers.window_runner import WindowRunner

SAMPLING_VERSION = 1
"""Goes up with each change of the pixels that lumora makes of a request with the same model and the same diffusers."""


class DiffusersBackend:
    """The model in `folder`, which is not changed. `entry` says what it can do.

    `transformer_file` replaces the folder's transformer and VAE. `memory` overrides the memory plan; `say` receives the
    plan that is used, in a sentence. `step_cache` is the relative change of the first block's output below which a step
    takes the result of the other blocks from the step before (First Block Cache). `num_gpus` make one video together;
    with the device "cpu" they are processes.
    """

    def __init__(
        self,
        entry: CatalogEntry,
        folder: Path,
        revision: str = "",
        loras: Sequence[LoraFile] = (),
        device: str | None = None,
        memory: MemoryLevel | None = None,
        say: Callable[[str], None] = lambda _: None,
        transformer_file: Path | None = None,
        step_cache: float | None = None,
        num_gpus: int = 1,
    ) -> None:
        """Raises ValueError, in one sentence, for a step cache or more GPUs than the model or this machine has, and for
        a package that the memory plan needs and that is not installed."""
        if step_cache is not None:
            check_range("the step cache", step_cache, 0, 1)
            if not entry.calls.caches_steps:
                raise ValueError(f"The model {entry.name} takes no step cache.")
        if memory is not None and memory.endswith("int8"):
            require_packages(f"The memory plan {memory!r}", ("torchao",), "lumora[int8]")
        self.entry, self.folder, self.revision = entry, folder, revision
        self.loras, self.device, self.say = tuple(loras), device, say
        self.memory: MemoryLevel | None = memory
        self.transformer_file, self.step_cache, self.num_gpus = transformer_file, step_cache, num_gpus
        if num_gpus != 1:
            self._check_gpus()

    def capabilities(self) -> Capabilities:
        return diffusers_planning.capabilities(self.entry)

    def prepare(self, request: Request) -> DiffusersPlan:
        plan = diffusers_planning.prepare(request, self.entry)
        return replace(plan, warnings=(*plan.warnings, *self._unread_texts(plan.request)))

    def run(
        self,
        plan: Plan,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        resume_path: Path | None = None,
        on_preview: Preview | None = None,
    ) -> Video:
        """As `Backend.run`. Raises MemoryError, in one sentence, if the smallest plan needs too much memory."""
        return self.run_batch([plan], progress, cancel, resume_path, on_preview)[0]

    def run_batch(
        self,
        plans: Sequence[Plan],
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        resume_path: Path | None = None,
        on_preview: Preview | None = None,
    ) -> list[Video]:
        own = [own_plan(plan, DiffusersPlan) for plan in plans]
        return self._runner.run(own, progress, cancel, resume_path, on_preview)

    def identity(self) -> dict[str, Any]:
        return {
            "sha256": self._digest,
            "sampling": SAMPLING_VERSION,
            "name": self.entry.name,
            "hub_id": self.entry.hub_id,
            "revision": self.revision,
            "license": self.entry.license,
            "loras": [{"sha256": lora.sha256, "strength": lora.strength} for lora in self.loras],
            "diffusers": version("diffusers"),
            "memory_plan": self._used_memory_plan,
            "step_cache": self.step_cache,
            "num_gpus": self.num_gpus,
        }

    def unload(self) -> None:
        """Gives all memory back; the next `run` loads the model again."""
        with contextlib.suppress(KeyError):
            self.__dict__.pop("_runner").unload()

    def _unread_texts(self, request: Request) -> Iterator[str]:
        """A warning for each prompt that is longer than what the model reads."""
        most = self.entry.calls.max_prompt_tokens
        for text in dict.fromkeys(request.texts()):
            if end := unread_end(self.folder, text, most):
                yield f"The prompt is longer than the {most} tokens that this model reads; this has no effect: {end}"

    @cached_property
    def _digest(self) -> str:
        digest = model_digest(self.folder)
        if self.transformer_file is None:
            return digest
        return hashlib.sha256(f"{digest} {file_sha256(self.transformer_file)}".encode()).hexdigest()

    @property
    def _used_memory_plan(self) -> str | None:
        runner = self.__dict__.get("_runner")
        return runner.memory.level if runner is not None and runner.memory is not None else None

    def _check_gpus(self) -> None:
        import torch

        if self.num_gpus < 1:
            raise ValueError(f"The number of GPUs is at least 1, not {self.num_gpus}.")
        if not self.entry.calls.context_parallel:
            raise ValueError(
                f"The model {self.entry.name} makes a video on one GPU only; Wan's, without VACE, on several."
            )
        if self.step_cache is not None:
            raise ValueError("A step cache works on one GPU only.")
        if self.device != "cpu" and (count := torch.cuda.device_count()) < self.num_gpus:
            raise ValueError(f"A video cannot be made on {self.num_gpus} GPUs; this machine has {count}.")

    @cached_property
    def _runner(self) -> WindowRunner | ContextParallelRunner:
        require_diffusers()
        files = self.entry, self.folder, self.loras, self.device, self.memory, self._digest
        if self.num_gpus > 1:
            from lumora.backends.diffusers.context_parallel import ContextParallelRunner

            return ContextParallelRunner(self.num_gpus, self.say, *files, self.transformer_file)
        from lumora.backends.diffusers.window_runner import WindowRunner

        return WindowRunner(*files, self.transformer_file, self.step_cache, self.say)


def require_diffusers() -> None:
    """Raises ValueError, in one sentence, if the optional packages are not installed."""
    require_packages("An open-weight model", ("diffusers", "transformers", "accelerate"), "lumora[open]")


def require_packages(what: str, packages: Sequence[str], extra: str) -> None:
    """Raises ValueError, in one sentence, if one of the packages that `what` needs is not installed."""
    for package in packages:
        try:
            version(package)
        except PackageNotFoundError:
            raise ValueError(f"{what} needs the package {package}; run `pip install '{extra}'`.") from None
