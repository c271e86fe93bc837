"""The steps of an ingest on Ray Data: one machine or a cluster whose machines see the same folders."""

# Ray is in the extra `cluster`, which `make check` does not install.
# pyright: reportMissingImports=false

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
import ray.data

from lumora.config import from_json, to_json
from lumora.data.footage.clip_files import ScanJob
from lumora.data.footage.ingest import Engine
from lumora.data.footage.records import ScannedFile


def ray_engine() -> Engine:
    """Uses the cluster that RAY_ADDRESS names, or starts Ray on this machine."""
    return _run


def _run(work: Callable[[ScanJob], ScannedFile], jobs: Sequence[ScanJob]) -> Iterator[tuple[int, ScannedFile | None]]:
    if not jobs:
        return
    if not ray.is_initialized():
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a file that ends its process costs its own row only: blocks have one row
    jobs_by_number = list(jobs)

    def scan(row: dict[str, Any]) -> dict[str, Any]:
        return {"number": row["number"], "record": to_json(work(jobs_by_number[row["number"]]))}

    rows = ray.data.from_items([{"number": n} for n in range(len(jobs))], override_num_blocks=len(jobs))
    missing = set(range(len(jobs)))
    for row in rows.map(scan).iter_rows():
        number = int(row["number"])
        missing.discard(number)
        yield number, from_json(ScannedFile, row["record"])
    yield from ((number, None) for number in sorted(missing))
