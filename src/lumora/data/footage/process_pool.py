"""Jobs in processes, of which a job may end its own without ending the others."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_isolated(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[tuple[int, Result | None]]:
    """Yields the index of each job with its result, in the order in which they end; None if it ended its process.

    `workers` processes run jobs; 0 is this process, which a job can end. When a process ends, nobody knows whose job it
    was, so the jobs that were running are repeated one by one. `work` must be a module-level function; what it raises
    is raised.
    """
    if workers == 0:
        for number, job in enumerate(jobs):
            yield number, work(job)
        return
    waiting = list(range(len(jobs)))[::-1]
    while waiting:
        running: dict[Future[Result], int] = {}
        with _pool(workers) as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < workers:
                        number = waiting.pop()
                        running[pool.submit(work, jobs[number])] = number
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        result = future.result()
                        yield running.pop(future), result
            except BrokenProcessPool:
                pass
        for number in running.values():
            yield number, _run_alone(work, jobs[number])


def _run_alone(work: Callable[[Job], Result], job: Job) -> Result | None:
    with _pool(1) as pool:
        try:
            return pool.submit(work, job).result()
        except BrokenProcessPool:
            return None


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_use_one_thread)


def _use_one_thread() -> None:
    """Before other libraries are imported, which read these variables."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ[name] = "1"
