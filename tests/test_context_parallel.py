"""One video made by several processes together, as on several GPUs: the same frames, cancelled and continued."""

import threading
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest

from lumora.backends.base import Cancelled
from lumora.backends.diffusers.catalog import catalog, entry_of_folder
from lumora.backends.diffusers.diffusers_backend import DiffusersBackend
from lumora.config import Resolution
from lumora.request.spec import Request
from lumora.serve.served_models import ServedModels
from lumora.serve.supervisor import gpus_of_worker

REQUEST = Request("a ball", 0.5, Resolution(32, 48), num_inference_steps=3)
"""Three latent frames of 2x3 tokens. Two processes have 9 each: gloo gathers equal numbers only."""


@pytest.fixture(scope="module")
def backend(tiny_wan: Path) -> Iterator[DiffusersBackend]:
    backend = DiffusersBackend(entry_of_folder(tiny_wan), tiny_wan, device="cpu", num_gpus=2)
    yield backend
    backend.unload()
    assert not active_children()


@pytest.fixture(scope="module")
def expected(tiny_wan: Path) -> np.ndarray:
    backend = DiffusersBackend(entry_of_folder(tiny_wan), tiny_wan, device="cpu")
    return backend.run(backend.prepare(REQUEST)).frames


def test_two_processes_make_the_frames_of_one_and_can_be_cancelled_and_continued(
    backend: DiffusersBackend, expected: np.ndarray, tmp_path: Path
):
    plan, cancel, seen = backend.prepare(REQUEST), threading.Event(), list[tuple[int, int]]()
    resume_path = tmp_path / "ball.work"

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        cancel.set()

    with pytest.raises(Cancelled):
        backend.run(plan, progress, cancel, resume_path)
    processes = {child.pid for child in active_children()}
    assert seen[0] == (1, 3) and resume_path.is_file() and len(processes) == 2
    again: list[tuple[int, int]] = []
    video = backend.run(plan, lambda *step: again.append(step), None, resume_path)
    assert again == [(done, 3) for done in range(len(seen), 4)]
    assert np.abs(video.frames.astype(int) - expected).max() <= 1  # of bfloat16 too
    assert {child.pid for child in active_children()} == processes  # which keep the model


def test_a_process_that_dies_is_reported(backend: DiffusersBackend):
    def kill(done: int, total: int) -> None:
        for child in active_children()[:1]:
            child.kill()

    with pytest.raises(RuntimeError, match="A process of the model has ended"):
        backend.run(backend.prepare(REQUEST), kill)
    assert not active_children()


def test_what_several_gpus_cannot_do_is_refused_before_anything_is_loaded(tiny_wan: Path):
    entry = entry_of_folder(tiny_wan)
    for options, sentence in (
        ({"num_gpus": 0}, "at least 1, not 0"),
        ({"num_gpus": 64}, "cannot be made on 64 GPUs"),
        ({"num_gpus": 2, "device": "cpu", "step_cache": 0.1}, "one GPU only"),
    ):
        with pytest.raises(ValueError, match=sentence):
            DiffusersBackend(entry, tiny_wan, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ltx-2 makes a video on one GPU only"):
        DiffusersBackend(catalog()["ltx-2"], tiny_wan, num_gpus=2)
    with pytest.raises(ValueError, match="lumora's own model takes no LoRA files, step cache or number of GPUs"):
        ServedModels(["lumora"], num_gpus=2).backend()


def test_workers_have_different_gpus():
    assert [gpus_of_worker(number, 1, 2) for number in range(3)] == ["0", "1", "0"]
    assert [gpus_of_worker(number, 4, 8) for number in range(2)] == ["0,1,2,3", "4,5,6,7"]
