"""Open-weight models on tiny random pipelines: every family does its tasks, keeps what it is given, is cancelled,
continued and reproduced. The loading code and the pipelines are the real ones; the pictures are noise."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_backend import moderation
from tiny_models import TINY_MODELS, save_tiny_model

from lumora.backends.base import Cancelled
from lumora.backends.diffusers.catalog import catalog, entry_of_folder
from lumora.backends.diffusers.diffusers_backend import DiffusersBackend
from lumora.backends.diffusers.families import FAMILIES
from lumora.backends.model_selection import open_backend
from lumora.cli import main
from lumora.config import Resolution
from lumora.media.video import Video
from lumora.provenance.manifest import read
from lumora.request.conditions import Condition, Shot
from lumora.request.spec import Request

SIZE = Resolution(32, 32)
LTX2_SIZE = Resolution(64, 64)
"""The smallest that its decoder takes."""
Models = Callable[[str], Path]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The folder of a tiny model, which is built when it is first asked for."""
    folder = tmp_path_factory.mktemp("models")

    def model(name: str) -> Path:
        if not (folder / name).exists():
            save_tiny_model(name, folder / name)
        return folder / name

    return model


@pytest.fixture(scope="session")
def backend(models: Models) -> Callable[[str], DiffusersBackend]:
    """A model, loaded once; its windows have few frames, so that long videos are short."""
    loaded: dict[str, DiffusersBackend] = {}

    def get(name: str) -> DiffusersBackend:
        if name not in loaded:
            entry = replace(entry_of_folder(models(name)), num_frames=17, fps=8.0)
            loaded[name] = DiffusersBackend(entry, models(name))
        return loaded[name]

    return get


Backends = Callable[[str], DiffusersBackend]


def clip(num_frames: int, seed: int = 0, size: Resolution = SIZE) -> Video:
    shape = (num_frames, size.height, size.width, 3)
    return Video(np.random.default_rng(seed).integers(0, 256, shape, np.uint8), 8.0)


def size_of(name: str) -> Resolution:
    return LTX2_SIZE if name == "ltx2" else SIZE


@dataclass(frozen=True)
class Example:
    """A request of a task, and the frames of the result that must be those of a clip."""

    request: Request
    kept: dict[int, np.ndarray]


def example(task: str, size: Resolution = SIZE) -> Example:
    settings: dict[str, Any] = {"size": size, "num_inference_steps": 2}
    counts = (1, 1, 9, 9)
    still, other, video, second = (clip(count, seed, size) for seed, count in enumerate(counts))
    first = {0: still.frames[0]}
    last = {-1: other.frames[0]}
    of_video = {n: video.frames[n] for n in range(9)}
    match task:
        case "text":
            return Example(Request("a ball", 1.0, **settings), {})
        case "image":
            return Example(Request("a ball", 1.0, conditions=(Condition(still),), **settings), first)
        case "last_image":
            return Example(Request("a ball", 1.0, conditions=(Condition(other, "end"),), **settings), last)
        case "keyframes":
            conditions = (Condition(still), Condition(other, 0.5))
            return Example(Request("a ball", 1.0, conditions=conditions, **settings), {**first, 4: other.frames[0]})
        case "extend":
            return Example(Request("a ball", 2.0, conditions=(Condition(video),), **settings), of_video)
        case "extend_backward":
            kept = {n - 9: video.frames[n] for n in range(9)}
            return Example(Request("a ball", 2.0, conditions=(Condition(video, "end"),), **settings), kept)
        case "infill":
            gap = Condition(video, mask_span=(0.25, 0.75))
            kept = {n: picture for n, picture in of_video.items() if not 2 <= n < 6}
            return Example(Request("a ball", 9 / 8, conditions=(gap,), **settings), kept)
        case "connect":
            conditions = (Condition(video), Condition(second, "end"))
            kept = of_video | {n - 9: second.frames[n] for n in range(9)}
            return Example(Request("a ball", 27 / 8, conditions=conditions, **settings), kept)
        case "loop":
            request = Request("a ball", 17 / 8, conditions=(Condition(video),), loop=True, **settings)
            return Example(request, of_video)
        case "edit":
            condition = Condition(video, strength=0.6, source_prompt="a ball")
            return Example(Request("at night", 9 / 8, conditions=(condition,), **settings), {})
        case _:
            return Example(Request("a ball", 1.0, next_shots=(Shot("a cube", 1.0),), **settings), {})


TASKS = sorted({task for family in FAMILIES.values() for task in family.tasks})
MODELS = {name: "wan" if name == "wan2.2-a14b" else name for name in TINY_MODELS}
"""Tiny models and their families."""
CAN = [(name, task) for name, family in MODELS.items() for task in sorted(FAMILIES[family].tasks)]


@pytest.mark.parametrize(("name", "task"), CAN)
def test_a_model_does_its_tasks_and_keeps_what_it_is_given(backend: Backends, name: str, task: str):
    size = size_of(name)
    wanted = example(task, size)
    if name in ("wan-image", "wan2.2-image") and task == "shots":
        images = Condition(clip(1)), Condition(clip(1, 1), shot_index=1)
        wanted = Example(replace(wanted.request, conditions=images), {0: images[0].video.frames[0]})
    if (name, task) in (
        ("wan2.2-image", "last_image"),
        ("wan-first-last", "last_image"),
        ("wan-first-last", "keyframes"),
    ):
        given = (Condition(clip(1)), *example("last_image").request.conditions)
        wanted = Example(replace(wanted.request, conditions=given), example("last_image").kept)
    plan = backend(name).prepare(wanted.request)
    assert backend(name).prepare(plan.request).windows == plan.windows  # a manifest's request gives the same plan
    steps: list[tuple[int, int]] = []
    video = backend(name).run(plan, progress=lambda done, total: steps.append((done, total)))
    assert video.frames.shape == (plan.num_frames, size.height, size.width, 3) and video.fps == 8.0
    assert steps[-1][0] == steps[-1][1] == 2 * plan.num_windows
    for number, picture in wanted.kept.items():
        assert np.array_equal(video.frames[number], picture), number
    made = [n for n in range(plan.num_frames) if n not in {k % plan.num_frames for k in wanted.kept}]
    assert all(video.frames[n].std() > 0 for n in made)
    assert (video.audio is not None) == (name == "ltx2")


@pytest.mark.parametrize("name", MODELS)
def test_what_a_model_cannot_do_is_refused_with_one_that_can(backend: Backends, name: str):
    for task in sorted(set(TASKS) - FAMILIES[MODELS[name]].tasks):
        with pytest.raises(ValueError, match=r"--model ") as refused:
            backend(name).prepare(example(task).request)
        other = str(refused.value).split("--model ")[1].split("`")[0]
        assert catalog()[other].calls.name != MODELS[name]
        assert str(refused.value).count(". ") == 0


@pytest.mark.parametrize("name", MODELS)
def test_a_cancelled_video_is_continued_in_the_middle_with_the_same_pixels(
    backend: Backends, name: str, tmp_path: Path
):
    family = FAMILIES[MODELS[name]]
    task = next(t for t in ("connect", "image", "text") if t in family.tasks)
    request = replace(example(task, size_of(name)).request, num_inference_steps=3)
    plan, work, cancel = backend(name).prepare(request), tmp_path / "work", threading.Event()
    expected = backend(name).run(plan).frames

    def stop(done: int, total: int) -> None:
        if done == 2:
            cancel.set()

    with pytest.raises(Cancelled):
        backend(name).run(plan, stop, cancel, work)
    assert np.array_equal(backend(name).run(plan).frames, expected)  # nothing of the cancelled job is left
    assert work.is_file() == family.resumes
    steps: list[int] = []
    again = backend(name).run(plan, lambda done, _: steps.append(done), None, work)
    assert steps[0] == (2 if family.resumes else 1)
    assert np.array_equal(again.frames, expected)


def test_a_long_video_is_made_in_windows_and_continued_from_the_last(backend: Backends, tmp_path: Path):
    model, work, cancel = backend("wan2.2-5b"), tmp_path / "work", threading.Event()
    plan = model.prepare(Request("a ball", 5.0, SIZE, num_inference_steps=1))
    assert plan.num_windows == 3 and plan.num_frames == 41
    expected = model.run(plan).frames
    with pytest.raises(Cancelled):
        model.run(plan, lambda done, _: cancel.set() if done == 2 else None, cancel, work)
    steps: list[int] = []
    assert np.array_equal(model.run(plan, lambda done, _: steps.append(done), None, work).frames, expected)
    assert steps[0] > 1
    with pytest.raises(ValueError, match="not unfinished work"):
        (tmp_path / "other").write_text("other")
        model.run(plan, resume_path=tmp_path / "other")


def test_prepare_rounds_and_says_so(backend: Backends):
    asked = Request("a ball", 0.8, Resolution(45, 70), fps=30.0, negative_prompt="a cube", guidance_scale=1.0)
    plan = backend("wan").prepare(asked)
    assert (plan.size, plan.fps, plan.num_frames) == (Resolution(48, 64), 8.0, 5)
    said = " ".join(plan.warnings)
    assert "45x70 becomes 48x64" in said and "8 frames a second, not 30" in said
    assert "0.8 seconds become 0.625" in said and "negative prompt has no effect" in said
    (long,) = (w for w in backend("ltx").prepare(Request("a" * 130 + " the end")).warnings if "tokens" in w)
    assert "longer than the 128 tokens" in long and long.endswith("the end")
    assert not any("tokens" in w for w in backend("wan").prepare(Request("a" * 130 + " the end")).warnings)
    with pytest.raises(ValueError, match="Steps must be between 1"):
        backend("wan").prepare(Request("a ball", num_inference_steps=0))


def test_models_are_found_by_name_and_folder(models: Models, weights: Path, tmp_path: Path):
    assert open_backend().identity() == open_backend("lumora").identity()
    assert open_backend(weights).identity()["sha256"] != open_backend().identity()["sha256"]
    assert open_backend(str(models("wan"))).capabilities().frame_step == 4
    for name, said in {
        "wan2.2-5": "did you mean wan2.2-5b",
        "wan2.2-5b": "lumora models pull wan2.2-5b",
        "some/repository": "lumora models pull some/repository",
        str(tmp_path): "neither model.json nor model_index.json",
    }.items():
        with pytest.raises(ValueError, match=said):
            open_backend(name)


def test_a_video_is_made_signed_and_reproduced_by_the_command_line(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("lumora.service.moderation.Moderation.load", lambda *_: moderation())
    file, again, model = tmp_path / "a.mp4", tmp_path / "b.mp4", str(models("wan"))
    settings = ["--size", "64x48", "--seconds", "0.5", "--steps", "2", "--model", model]
    assert main(["generate", "a red ball", "-o", str(file), *settings]) == 0
    manifest = read(file)
    made_by = manifest.recipe["model"]
    assert manifest.recipe_is_intact and made_by["name"] == "wan" and made_by["sha256"] and made_by["loras"] == []
    assert main(["reproduce", str(file), "-o", str(again), "--model", model]) == 0
    assert "the frames are the same" in capsys.readouterr().out
    assert main(["reproduce", str(file), "-o", str(tmp_path / "c.mp4")]) == 2
    assert "made by another model, wan" in capsys.readouterr().err
    assert main(["generate", "a ball", "-o", str(tmp_path / "d.mp4"), *settings, "--image", str(file)]) == 2
    assert "cannot begin with an image; `--model" in capsys.readouterr().err


def test_nothing_imports_diffusers_before_a_model_runs():
    code = (
        "import sys, lumora, lumora.cli, lumora.backends.model_selection\n"
        "from lumora.backends.diffusers import diffusers_backend, diffusers_planning\n"
        "assert not {'diffusers', 'transformers', 'torch'} & set(sys.modules), set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
