"""Many videos for measurement, in batches and several processes. They are not shown to people, so they are not
published; a video that is shown goes through `publish`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lumora.backends.lumora.backend import LumoraBackend
from lumora.parallel import run_batches
from lumora.request.spec import Request

BATCH_SIZE = 10


def make_videos(
    requests: Sequence[Request], model: Path | None = None, workers: int = 0, batch_size: int = BATCH_SIZE
) -> list[UInt8[np.ndarray, "t h w 3"]]:
    """Frames of requests that differ in prompt, seed and conditions alone, by the model in the folder `model`.

    `workers` is the number of processes; 0 uses this one.
    """
    return run_batches(partial(_make_batch, model), requests, batch_size, workers)


@lru_cache(1)
def backend_for(model: Path | None) -> LumoraBackend:
    """The model in a folder (None: the one that comes with lumora), loaded once in each process."""
    return LumoraBackend(model)


def _make_batch(model: Path | None, requests: Sequence[Request]) -> list[UInt8[np.ndarray, "t h w 3"]]:
    backend = backend_for(model)
    return [video.frames for video in backend.run_batch([backend.prepare(request) for request in requests])]
