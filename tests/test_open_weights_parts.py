"""Parts of the backend of open-weight models: windows, memory plans, LoRA files, running out of memory, and serving."""

import gc
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from serving import api

from lumora.backends.base import Cancelled
from lumora.backends.diffusers.catalog import catalog, entry_of_folder
from lumora.backends.diffusers.denoising import DenoisingLoop
from lumora.backends.diffusers.diffusers_backend import DiffusersBackend
from lumora.backends.diffusers.diffusers_planning import prepare
from lumora.backends.diffusers.loaded_model import quantize_to_int8
from lumora.backends.diffusers.lora import LoraFile
from lumora.backends.diffusers.memory_planning import LEVELS, MemoryPlan, plan_memory
from lumora.backends.diffusers.window_runner import WindowRunner
from lumora.config import Resolution
from lumora.media.video import Video
from lumora.request.conditions import Condition, Shot
from lumora.request.spec import Request
from lumora.serve.served_models import ServedModels
from lumora.serve.settings import ServeSettings
from lumora.serve.supervisor import check_policy

REQUEST = Request("a ball", 0.5, Resolution(32, 32), num_inference_steps=2)


@pytest.fixture(scope="module")
def backend(tiny_wan: Path) -> Iterator[DiffusersBackend]:
    yield DiffusersBackend(entry_of_folder(tiny_wan), tiny_wan)


def black(num_frames: int) -> Video:
    return Video(np.zeros((num_frames, 8, 8, 3), np.uint8), 16.0)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(0.5, 12.0),
    st.sampled_from(["start", "end", "both", "cut"]),
    st.booleans(),
)
@settings(max_examples=40)
def test_windows_make_every_missing_frame_once(begin: int, end: int, seconds: float, where: str, vace: bool):
    first, last = black(begin), black(end)
    entry = catalog()["wan2.1-vace-1.3b" if vace else "ltx-2"]
    given_seconds = {"start": first.seconds, "end": last.seconds, "both": first.seconds + last.seconds, "cut": 0.0}
    conditions = [Condition(first)] if where in ("start", "both") else []
    conditions += [Condition(last, "end")] if where in ("end", "both") else []
    shots = (Shot("b", 2.0), Shot("c", 3.0, False)) if where == "cut" else ()
    request = Request("a", seconds + given_seconds[where], conditions=tuple(conditions), next_shots=shots)
    plan = prepare(request, entry)
    for segment, windows in zip(plan.segments, plan.windows, strict=True):
        known = set(segment.kept_frames())
        for window in windows:
            assert (window.num_frames - 1) % entry.calls.frame_step == 0 and window.num_frames <= entry.num_frames
            assert all(frame in known for frame in window.given.values())  # made before, or given
            assert not known & window.targets.keys()
            assert all(0 <= source < window.num_frames for source in window.targets.values())
            known |= window.targets.keys()
        assert set(range(segment.num_frames)) <= known
    assert abs(plan.num_frames / plan.fps - sum(s.seconds for s in request.shots(request.seconds or 0.0))) < 0.6
    assert prepare(plan.request, entry).windows == plan.windows


@given(st.sampled_from(sorted(catalog())), st.floats(4, 200))
def test_more_memory_never_makes_a_plan_slower(name: str, free: float):
    entry = catalog()[name]
    shape = entry.parameters, entry.resolution, entry.num_frames, entry.calls.size_step, entry.calls.frame_step
    plan, more = plan_memory(free, *shape), plan_memory(free + 8, *shape)
    assert LEVELS.index(more.level) <= LEVELS.index(plan.level)
    assert plan.estimated_gib <= free or plan.level == LEVELS[-1]
    assert plan_memory(free, *shape, level="stream").level == "stream"
    assert repr(plan.level) in plan.sentence()


def test_without_memory_the_next_smaller_plan_is_tried_once(
    backend: DiffusersBackend, tiny_wan: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = backend.run(backend.prepare(REQUEST)).frames
    said: list[str] = []
    model = DiffusersBackend(entry_of_folder(tiny_wan), tiny_wan, say=said.append)
    run, failures = DenoisingLoop.run, [1]

    def fails(self: DenoisingLoop, pipe: Any, arguments: dict[str, Any]) -> Any:
        if failures:
            failures.pop()
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(self, pipe, arguments)

    monkeypatch.setattr(DenoisingLoop, "run", fails)
    with pytest.raises(MemoryError, match="need more memory than there is"):
        model.run(model.prepare(REQUEST))  # on a CPU there is one plan
    failures.append(1)
    runner = model._runner
    assert isinstance(runner, WindowRunner)
    runner.memory = MemoryPlan("full", False, 1.0, 2.0)
    assert np.array_equal(model.run(model.prepare(REQUEST)).frames, expected)
    assert runner._level == "offload" and "too little memory for the plan 'full'" in said[0]
    failures += [1, 1]
    with pytest.raises(MemoryError, match="with the plan 'full'"):
        model.run(model.prepare(REQUEST))
    assert np.array_equal(model.run(model.prepare(REQUEST)).frames, expected)


def test_int8_halves_the_transformer_and_keeps_its_videos(tiny_wan: Path, tmp_path: Path):
    lora = save_lora(tmp_path / "a.safetensors", "blocks.0.attn1.to_q")
    model = DiffusersBackend(entry_of_folder(tiny_wan), tiny_wan, loras=[lora])
    expected = model.run(model.prepare(REQUEST)).frames.astype(int)
    runner = model._runner
    assert isinstance(runner, WindowRunner) and runner._model is not None
    loaded = runner._model
    transformer = loaded._pipe.transformer
    linear = transformer.blocks[0].attn1.to_k
    quantize_to_int8(transformer)
    assert linear.weight.qdata.dtype == torch.int8
    assert all(value.is_floating_point() for name, value in transformer.named_parameters() if "lora_" in name)
    assert np.abs(model.run(model.prepare(REQUEST)).frames - expected).mean() < 2


def test_a_plan_in_int8_needs_less_and_is_followed_by_a_smaller_one():
    entry = catalog()["wan2.2-t2v-a14b"]
    shape = entry.parameters, entry.resolution, entry.num_frames, entry.calls.size_step, entry.calls.frame_step
    int8, offload = (plan_memory(24.0, *shape, level=level) for level in ("offload-int8", "offload"))
    assert int8.estimated_gib < offload.estimated_gib and int8.smaller() == "stream"
    assert plan_memory(24.0, *shape, level="full-int8").smaller() == "offload-int8"


def test_a_plan_in_int8_names_the_package_that_it_needs(tiny_wan: Path, monkeypatch: pytest.MonkeyPatch):
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("lumora.backends.diffusers.diffusers_backend.version", missing)
    with pytest.raises(ValueError, match=r"needs the package torchao; run `pip install 'lumora\[int8\]'`"):
        DiffusersBackend(entry_of_folder(tiny_wan), tiny_wan, memory="offload-int8")


def test_ten_jobs_leave_no_memory_and_no_trace(tiny_wan: Path, monkeypatch: pytest.MonkeyPatch):
    """Jobs that succeed, fail in a step, are cancelled, or fail while the frames are decoded."""
    model = DiffusersBackend(entry_of_folder(tiny_wan), tiny_wan)
    plan = model.prepare(REQUEST)
    expected = model.run(plan).frames

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("a step fails")

    def held() -> tuple[int, int]:
        """Tensors that are alive, and the bytes that they hold."""
        gc.collect()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # modules that warn when their attributes are looked at
            tensors = [thing for thing in gc.get_objects() if isinstance(thing, torch.Tensor)]
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
        return len(tensors), sum(storages.values())

    cancel = threading.Event()
    cancel.set()
    before = held()
    for number in range(10):
        if number % 4 == 1:
            with pytest.raises(RuntimeError, match="a step fails"):
                model.run(plan, fails)
        elif number % 4 == 2:
            with pytest.raises(Cancelled):
                model.run(plan, cancel=cancel)
        elif number % 4 == 3:
            with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="a step fails"):
                patch.setattr("diffusers.AutoencoderKLWan.decode", fails)
                model.run(plan)
        else:
            assert np.array_equal(model.run(plan).frames, expected), number
    assert np.array_equal(model.run(plan).frames, expected)
    assert held() == before


def save_lora(file: Path, module: str) -> LoraFile:
    generator = torch.Generator().manual_seed(0)
    weights = {"A": torch.randn(4, 24, generator=generator), "B": torch.randn(24, 4, generator=generator)}
    save_file({f"transformer.{module}.lora_{name}.weight": value for name, value in weights.items()}, file)
    return LoraFile(file)


def test_a_lora_changes_pixels_by_its_strength_and_one_of_another_model_is_refused(
    backend: DiffusersBackend, tiny_wan: Path, tmp_path: Path
):
    lora = save_lora(tmp_path / "a.safetensors", "blocks.0.attn1.to_q")
    expected = backend.run(backend.prepare(REQUEST)).frames

    def difference(strength: float) -> float:
        model = DiffusersBackend(backend.entry, tiny_wan, loras=[replace(lora, strength=strength)])
        assert model.identity()["loras"] == [{"sha256": lora.sha256, "strength": strength}]
        return float(np.abs(model.run(model.prepare(REQUEST)).frames.astype(int) - expected).mean())

    assert difference(0.0) == 0 < difference(1.0)
    other = save_lora(tmp_path / "b.safetensors", "blocks.9.attn1.to_q")
    model = DiffusersBackend(backend.entry, tiny_wan, loras=[other])
    with pytest.raises(ValueError, match="is a LoRA of another model: 2 of its 2 keys are unknown"):
        model.run(model.prepare(REQUEST))
    for path, said in ((tmp_path / "c.bin", "is not a .safetensors"), (tmp_path / "c.safetensors", "There is no LoRA")):
        with pytest.raises(ValueError, match=said):
            LoraFile(path)


def test_a_server_lists_its_models_and_a_request_picks_one(tiny_wan: Path, tmp_path: Path):
    with api(tmp_path, models=(str(tiny_wan), "lumora")) as client:
        first, second = client.get("/v1/models").json()["data"]
        assert (first["id"], second["id"]) == ("tiny-wan", "lumora")
        assert first["aliases"] and not second["aliases"]
        assert first["capabilities"]["tasks"] == ["edit", "shots", "text"] and "licence" in first["license"]
        for asked, made_by in ((None, "tiny-wan"), ("lumora", "lumora"), ("sora-2", "tiny-wan")):
            video = client.post("/v1/videos", json={"prompt": "a ball", **({"model": asked} if asked else {})}).json()
            assert video["request"].get("model", made_by) == made_by, video
        refused = client.post("/v1/videos", json={"prompt": "a ball", "model": "wan"})
        assert refused.status_code == 400 and "this server has 'tiny-wan', 'lumora'" in refused.text


def test_a_worker_holds_one_model(tiny_wan: Path, monkeypatch: pytest.MonkeyPatch):
    unloaded: list[Any] = []
    monkeypatch.setattr(DiffusersBackend, "unload", lambda model: unloaded.append(model))
    models = ServedModels([str(tiny_wan), "lumora"])
    first = models.take()
    assert models.take("tiny-wan") is first and not unloaded
    assert models.take("lumora") is not first and unloaded == [first]
    with pytest.raises(ValueError, match="no model 'other' any more"):
        models.take("other")
    with pytest.raises(ValueError, match="the same name"):
        ServedModels(["lumora", "lumora"])


def test_models_that_show_people_need_a_policy_at_public_addresses(
    tiny_wan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("LUMORA_POLICY", raising=False)
    public = ServeSettings(str(tmp_path), host="0.0.0.0", models=(str(tiny_wan),))
    with pytest.raises(ValueError, match="name your own with LUMORA_POLICY"):
        check_policy(public)
    check_policy(replace(public, host="127.0.0.1"))
    check_policy(replace(public, models=()))
    monkeypatch.setenv("LUMORA_POLICY", str(tmp_path / "policy.toml"))
    check_policy(public)


def test_previews_are_frames_and_change_no_pixels(backend: DiffusersBackend, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lumora.backends.diffusers.preview_decoder.PREVIEW_SECONDS", 0.0)
    plan = backend.prepare(replace(REQUEST, num_inference_steps=3))
    shown: list[tuple[int, np.ndarray]] = []
    video = backend.run(plan, on_preview=lambda index, frame: shown.append((index, frame)))
    assert [(index, frame.shape) for index, frame in shown] == [(0, (32, 32, 3))] * 2
    assert shown[0][1].std() > 0 and np.array_equal(backend.run(plan).frames, video.frames)


def test_an_unloaded_model_makes_the_same_pixels(backend: DiffusersBackend):
    plan = backend.prepare(REQUEST)
    expected = backend.run(plan).frames
    backend.unload()
    backend.unload()
    assert np.array_equal(backend.run(plan).frames, expected)
