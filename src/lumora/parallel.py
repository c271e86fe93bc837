"""Jobs in several processes of one thread each, which on a CPU is faster than one process of many threads."""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from lumora.terminal import warn

Item = TypeVar("Item")
Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int,
    size: Callable[[Job], int],
    ends: float = math.inf,
) -> list[Result]:
    """Runs the jobs in this many processes (0: in this one) and returns their results in the order of the jobs.

    Progress and speed are printed to stderr; `size` gives the number of clips of a job. No job starts after the time
    `ends` of time.monotonic(). `work` must be a module-level function.
    """
    total, done, began = sum(map(size, jobs)), 0, time.monotonic()
    results: dict[int, Result] = {}
    finished = _in_this_process(work, jobs, ends) if workers == 0 else _in_processes(work, jobs, workers, ends)
    for number, result in finished:
        results[number] = result
        done += size(jobs[number])
        speed = done / (time.monotonic() - began)
        warn(f"{done}/{total} clips, {speed:.1f} clips/s")
    return [results[number] for number in sorted(results)]


def run_batches(
    work: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item], portion: int, workers: int
) -> list[Result]:
    """As `run_jobs` for work that takes `portion` items at a time and returns a result for each of them.

    Returns the results of all items in their order. `work` may be a partial of a module-level function.
    """
    portions = [items[first : first + portion] for first in range(0, len(items), portion)]
    return [result for results in run_jobs(work, portions, workers, len) for result in results]


def _in_this_process(work: Callable[[Job], Result], jobs: Sequence[Job], ends: float) -> Iterator[tuple[int, Result]]:
    for number, job in enumerate(jobs):
        if time.monotonic() >= ends:
            return
        yield number, work(job)


def _in_processes(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int, ends: float
) -> Iterator[tuple[int, Result]]:
    waiting = iter(enumerate(jobs))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_use_one_thread) as pool:
        running: dict[Future[Result], int] = {}
        while True:
            if time.monotonic() < ends:
                running |= {pool.submit(work, job): n for n, job in islice(waiting, workers - len(running))}
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()


def _use_one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
