"""A model of another server: the contracts of SGLang, vLLM-Omni and FastVideo, retries, cancelling, continuing, and no
paths."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_backend import moderation
from video_server_contracts import CONTRACTS
from video_server_stub import video_server

from lumora.backends.base import Backend, Cancelled
from lumora.backends.model_selection import open_backend
from lumora.backends.remote.remote_backend import RemoteBackend
from lumora.backends.remote.video_client import RemoteFailure, VideoClient
from lumora.config import Resolution
from lumora.media.video import Video
from lumora.provenance.manifest import read
from lumora.request.conditions import Condition, Shot
from lumora.request.spec import Request
from lumora.service.generate import generate

REQUEST = Request("a red ball", 0.5, Resolution(70, 50), seed=7, negative_prompt="a cube", num_inference_steps=3)


def backend(url: str) -> RemoteBackend:
    return RemoteBackend(url, sleep=lambda _: None)


@pytest.mark.parametrize("kind", CONTRACTS)
def test_a_video_of_another_server_is_reviewed_and_signed(kind: str, tmp_path: Path):
    image = Condition(Video(np.full((1, 10, 20, 3), 200, np.uint8), 1.0))
    request = Request("a red ball", 0.5, Resolution(70, 50), seed=7, num_inference_steps=3, conditions=(image,))
    with video_server(kind, tmp_path, busy=2) as server:
        model = backend(server.url)
        steps: list[tuple[int, int]] = []
        file = tmp_path / "a.mp4"
        generate(request, model, file, moderation(), progress=lambda done, total: steps.append((done, total)))
        made_by = read(file).recipe["model"]
        assert isinstance(model, Backend) and isinstance(open_backend(server.url), RemoteBackend)
    assert made_by["name"] == "Wan-AI/Wan2.1-T2V-1.3B-Diffusers" and made_by["remote"]
    assert "127.0.0.1" not in str(read(file).recipe) and "/srv" not in str(read(file).recipe)
    form, contract = server.forms[0], CONTRACTS[kind]
    assert form.keys() <= contract.form.keys() and not form.keys() & contract.server_paths
    assert form.pop("input_reference").startswith(b"\x89PNG")
    assert form == {
        "prompt": "a red ball",
        "size": "64x48",
        "seconds": "1",
        "fps": "16",
        "seed": "7",
        "num_frames": "9",
        "num_inference_steps": "3",
    }
    assert steps[-1] == (100, 100) and ((50, 100) in steps) == (contract.running[1] == 50)


@pytest.mark.parametrize("kind", CONTRACTS)
def test_a_failure_is_one_sentence_without_the_other_machines_paths(kind: str, tmp_path: Path):
    with video_server(kind, tmp_path, fails=True) as server:
        model = backend(server.url)
        with pytest.raises(RemoteFailure, match="out of memory in …") as failure:
            model.run(model.prepare(REQUEST))
        assert "/opt" not in str(failure.value)
    with pytest.raises(RemoteFailure, match="cannot be reached"):
        backend(server.url).capabilities()


@pytest.mark.parametrize("kind", CONTRACTS)
def test_a_job_is_cancelled_at_the_other_server(kind: str, tmp_path: Path):
    with video_server(kind, tmp_path) as server:
        server.stuck, cancel = True, threading.Event()
        model = backend(server.url)
        with pytest.raises(Cancelled):
            model.run(model.prepare(REQUEST), lambda *_: cancel.set(), cancel)
        assert server.deleted == ["job-1"]
        with pytest.raises(RemoteFailure, match="404: Video not found"):
            VideoClient(server.url).get("job-1")


@pytest.mark.parametrize("kind", CONTRACTS)
def test_all_settings_are_fields_of_the_form(kind: str, tmp_path: Path):
    with video_server(kind, tmp_path) as server:
        model = backend(server.url)
        asked = Request("a red ball", 0.7, Resolution(64, 48), fps=24.0, seed=3, negative_prompt="a cube")
        model.run(model.prepare(replace(asked, num_inference_steps=3, guidance_scale=2.5)))
    form, contract = server.forms[0], CONTRACTS[kind]
    assert set(contract.form) - set(form) == {"input_reference", "model"}
    assert all(kind_of(form[name]) is not None for name, kind_of in contract.form.items() if name in form)


def test_an_interrupted_wait_is_continued_with_the_same_job(tmp_path: Path):
    work = tmp_path / "work"
    with video_server("sglang", tmp_path) as server:
        model = backend(server.url)
        plan = model.prepare(REQUEST)

        def stop(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            model.run(plan, stop, None, work)
        assert model.run(plan, None, None, work).frames.shape == (9, 48, 64, 3)
        assert len(server.forms) == 1
        server.jobs.clear()
        assert len(model.run(plan, None, None, work).frames) == 9  # the other server has forgotten it
        assert len(server.forms) == 2


def test_tasks_that_such_servers_do_not_have_are_refused(tmp_path: Path):
    clip = Video(np.zeros((5, 8, 8, 3), np.uint8), 8.0)
    with video_server("sglang", tmp_path) as server:
        model = backend(server.url)
        for request in (
            Request("a", 1.0, conditions=(Condition(clip),)),
            Request("a", 1.0, conditions=(Condition(clip, "end"),)),
            Request("a", 1.0, next_shots=(Shot("b", 1.0),)),
        ):
            with pytest.raises(ValueError, match="use a model here"):
                model.prepare(request)
        assert model.prepare(Request("a")).num_frames == 81  # the catalogue knows this model
