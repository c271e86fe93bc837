"""One video on several GPUs: each process computes a part of the tokens (context parallelism).

diffusers splits the tokens and exchanges them in attention, so that a process has all tokens of some heads (Ulysses,
arXiv:2309.14509). Everything else, from the text encoder to the decoder, is computed by every process. All of them must
take the same steps, so what only one of them knows, such as that a job was cancelled, is told to the others.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from diffusers import ContextParallelConfig  # pyright: ignore[reportPrivateImportUsage]

from lumora.backends.base import Cancel, Cancelled, Preview, Progress
from lumora.backends.diffusers.catalog import CatalogEntry
from lumora.backends.diffusers.diffusers_planning import DiffusersPlan
from lumora.backends.diffusers.loaded_model import LoadedModel
from lumora.backends.diffusers.lora import LoraFile
from lumora.backends.diffusers.memory_planning import MemoryLevel, MemoryPlan
from lumora.backends.diffusers.unfinished_work import UnfinishedWork
from lumora.backends.diffusers.window_runner import Job, WindowRunner, too_large
from lumora.media.video import Video
from lumora.precision import choose_device

POLL_SECONDS = 0.1
"""Between two looks at whether the job was cancelled."""
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class _Task:
    """What the processes are asked for."""

    plans: Sequence[DiffusersPlan]
    resume_path: Path | None
    wants_previews: bool


@dataclass(frozen=True)
class _Outcome:
    """How a process ended its task."""

    videos: list[Video] | None = None
    """Of the first process."""
    memory: MemoryPlan | None = None
    error: Exception | None = None


class ContextParallelRunner:
    """As `WindowRunner`, in `num_processes` processes. They start with the first call and keep the model."""

    def __init__(
        self,
        num_processes: int,
        say: Callable[[str], None],
        entry: CatalogEntry,
        folder: Path,
        loras: Sequence[LoraFile],
        device: str | None,
        level: MemoryLevel | None,
        digest: str,
        transformer_file: Path | None = None,
    ) -> None:
        self.memory: MemoryPlan | None = None
        self._num_processes, self._say, self._device = num_processes, say, choose_device(device)
        files = entry, folder, loras, self._device.type, level, digest, transformer_file
        self._make_runner = partial(SharedWindowRunner, *files)
        self._processes: dict[Connection, BaseProcess] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._is_cancelled = multiprocessing.get_context("spawn").Event()

    def run(
        self,
        plans: Sequence[DiffusersPlan],
        progress: Progress | None,
        cancel: Cancel | None,
        resume_path: Path | None,
        on_preview: Preview | None,
    ) -> list[Video]:
        """As `Backend.run_batch`. After an error the processes are stopped, and the next call starts new ones."""
        handlers: dict[str, Callable[..., None] | None] = {
            "say": self._say,
            "progress": progress,
            "preview": on_preview,
        }
        try:
            self._start()
            self._is_cancelled.clear()
            for connection in self._processes:
                connection.send(_Task(plans, resume_path, on_preview is not None))
            outcomes = self._wait(handlers, cancel)
        except BaseException:
            self.unload()
            raise
        if any(outcome.error for outcome in outcomes):
            raise Cancelled
        self.memory = outcomes[0].memory
        videos = outcomes[0].videos
        assert videos is not None, "The first process has the videos."
        return videos

    def unload(self) -> None:
        """Stops the processes, which gives their memory back."""
        for process in self._processes.values():
            process.terminate()
        for connection, process in self._processes.items():
            process.join(STOP_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
            connection.close()
        self._processes = {}
        if self._folder is not None:
            self._folder.cleanup()

    def _start(self) -> None:
        if self._processes:
            return
        context = multiprocessing.get_context("spawn")
        self._folder = tempfile.TemporaryDirectory(prefix="lumora-")
        store = Path(self._folder.name) / "processes"
        for rank in range(self._num_processes):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_serve,
                args=(rank, self._num_processes, store, self._device, theirs, self._is_cancelled, self._make_runner),
                daemon=True,
            )
            self._processes[ours] = process
            process.start()
            theirs.close()  # so that the end of the process is the end of the connection

    def _wait(self, handlers: dict[str, Callable[..., None] | None], cancel: Cancel | None) -> list[_Outcome]:
        """Of each process; handles what they say meanwhile. Raises the first error that is not Cancelled."""
        outcomes: dict[Connection, _Outcome] = {}
        while waiting := [connection for connection in self._processes if connection not in outcomes]:
            if cancel is not None and cancel.is_set():
                self._is_cancelled.set()
            for connection in wait(waiting, POLL_SECONDS):
                assert isinstance(connection, Connection)
                try:
                    message = connection.recv()
                except (EOFError, OSError):
                    raise RuntimeError("A process of the model has ended; there may be too little memory.") from None
                if not isinstance(message, _Outcome):
                    name, *arguments = message
                    if handler := handlers[name]:
                        handler(*arguments)
                    continue
                if message.error is not None and not isinstance(message.error, Cancelled):
                    raise message.error
                outcomes[connection] = message
        return [outcomes[connection] for connection in self._processes]


class SharedWindowRunner(WindowRunner):
    """The runner of one process of a group. All of them take the same steps; the first one writes unfinished work."""

    def load_model(self) -> LoadedModel:
        model = super().load_model()
        # Any number of tokens and heads can be divided.
        config = ContextParallelConfig(ulysses_degree=dist.get_world_size(), ulysses_anything=True)
        for transformer in model.transformers:
            transformer.enable_parallelism(config=config)
        return model

    def free_bytes(self) -> int:
        """Of the GPU that has the least."""
        free = torch.tensor(super().free_bytes())
        dist.all_reduce(free, dist.ReduceOp.MIN)
        return int(free)

    def take_smaller_plan(self, job: Job) -> None:
        """Raises MemoryError: the other processes wait in the middle of a step, so it cannot be repeated."""
        raise MemoryError(too_large(job, self.memory))

    def save(self, work: UnfinishedWork, path: Path, fingerprint: str) -> None:
        if dist.get_rank() == 0:
            super().save(work, path, fingerprint)


class _SharedCancel:
    """Whether the first process knows that the job was cancelled. Every process must ask equally often."""

    def __init__(self, event: Any) -> None:
        self._event = event

    def is_set(self) -> bool:
        flag = torch.tensor(int(self._event.is_set()))
        dist.broadcast(flag, 0)
        return bool(flag)


def _serve(
    rank: int,
    num_processes: int,
    store: Path,
    device: torch.device,
    connection: Connection,
    is_cancelled: Any,
    make_runner: Callable[..., SharedWindowRunner],
) -> None:
    """A process: runs one task after another."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the one that started this one decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if device.type == "cuda":
        torch.cuda.set_device(rank)
    else:
        torch.accelerator.device_count = lambda: 1  # diffusers 0.42.1 divides by it, and it is 0 without a GPU
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=store.as_uri(), rank=rank, world_size=num_processes)
    runner = make_runner(say=lambda text: connection.send(("say", text)) if rank == 0 else None)

    def progress(done: int, total: int) -> None:
        connection.send(("progress", done, total))

    def preview(index: int, frame: Any) -> None:
        connection.send(("preview", index, frame))

    while True:
        try:
            task: _Task = connection.recv()
        except EOFError:
            return
        first = rank == 0
        try:
            videos = runner.run(
                task.plans,
                progress if first else None,
                _SharedCancel(is_cancelled),
                task.resume_path,
                preview if first and task.wants_previews else None,
            )
            outcome = _Outcome(videos if first else None, runner.memory)
        except Exception as error:
            outcome = _Outcome(error=error)
        connection.send(outcome)


def _end_with_parent() -> None:
    """So that no GPU stays occupied when the process that started this one is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
