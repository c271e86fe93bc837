"""The service layer: which checks run, in which order, and what is left if one of them refuses."""

import dataclasses
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import noise
from fake_backend import FakeBackend, moderation

from lumora import Condition, Pipeline, Request, Shot, Video
from lumora.backends.base import Backend, Cancelled
from lumora.backends.lumora.backend import LumoraBackend
from lumora.backends.lumora.planning import prepare
from lumora.config import ModelConfig, Resolution
from lumora.provenance.certificates import signing_identity
from lumora.provenance.manifest import read
from lumora.request.serialization import recipe_texts, to_recipe, upgrade_recipe
from lumora.safety.verdict import Moderator, Score, Verdict
from lumora.service.generate import generate
from lumora.service.moderation import ModerationBlocked

REFUSED = Verdict({"hate": Score(1.0, "a test")}, ("hate",))


class Recorder:
    """Refuses texts that contain a word, and records all of them."""

    def __init__(self, word: str = "forbidden") -> None:
        self.word = word
        self.seen: list[Any] = []

    def check(self, text: Any, /) -> Verdict:
        self.seen.append(text)
        return REFUSED if self.word in text else Verdict({})


def video(_: Request) -> Video:
    return noise(5)


@dataclasses.dataclass(frozen=True)
class RequestWithStyle(Request):
    """A request with a text field, and one in a nested type, that no code of the service knows by name."""

    style_description: str = ""
    cast: tuple["Character", ...] = ()


@dataclasses.dataclass(frozen=True)
class Character:
    name: str
    description: str | None = None


@pytest.mark.parametrize(
    "request_",
    [
        Request("forbidden"),
        Request("a ball", negative_prompt="forbidden"),
        Request("a ball", next_shots=(Shot("forbidden", 1.0),)),
        Request("a ball", conditions=(Condition(noise(1), strength=0.5, source_prompt="forbidden"),)),
        RequestWithStyle("a ball", style_description="forbidden"),
        RequestWithStyle("a ball", cast=(Character("Ann", "forbidden"),)),
    ],
)
def test_every_free_text_is_checked_before_the_backend_runs(request_: Request, tmp_path: Path):
    def run(_: Request) -> Video:
        raise AssertionError("The backend must not run.")

    recorder = Recorder()
    with pytest.raises(ModerationBlocked):
        generate(request_, FakeBackend(run), tmp_path / "a.mp4", moderation(Moderator([recorder])))
    assert "forbidden" in recorder.seen[-1] and not list(tmp_path.iterdir())


def test_expanded_prompts_are_checked_too(tmp_path: Path):
    def expand(request: Request) -> Request:
        return dataclasses.replace(request, prompt=f"{request.prompt}, forbidden")

    recorder = Recorder()
    with pytest.raises(ModerationBlocked):
        generate(
            Request("a ball"), FakeBackend(video), tmp_path / "a.mp4", moderation(Moderator([recorder])), expand=expand
        )
    assert recorder.seen == ["a ball", "a ball, forbidden"]
    recorder.word = "nothing"
    generate(
        Request("a ball"), FakeBackend(video), tmp_path / "a.mp4", moderation(Moderator([recorder])), expand=expand
    )
    assert read(tmp_path / "a.mp4").recipe["request"]["prompt"] == "a ball, forbidden"


def test_weights_are_not_loaded_for_a_refused_prompt(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def load(*_: Any, **__: Any) -> Any:
        raise AssertionError("Weights were loaded.")

    monkeypatch.setattr(Pipeline, "from_pretrained", load)
    with pytest.raises(ModerationBlocked):
        generate(Request("forbidden"), LumoraBackend(weights), tmp_path / "a.mp4", moderation(Moderator([Recorder()])))


def test_the_plan_is_made_once(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[Request] = []
    backend = LumoraBackend(weights)
    plan = backend.prepare
    monkeypatch.setattr(backend, "prepare", lambda request: calls.append(request) or plan(request))
    request = Request("a ball", 0.5, size=Resolution(48, 32), num_inference_steps=1)
    published = generate(request, backend, tmp_path / "a.mp4", moderation())
    assert calls == [request]
    recipe = published.recipe["request"]
    assert recipe["fps"] == 8.0 and recipe["num_inference_steps"] == 1 and recipe["size"] == {"width": 48, "height": 32}
    assert published.recipe["model"] == backend.identity()


def test_cancel_stops_within_one_step_and_leaves_nothing(weights: Path, tmp_path: Path):
    cancel, steps = threading.Event(), []

    def progress(done: int, total: int) -> None:
        steps.append(done)
        cancel.set()

    request = Request("a ball", 0.5, size=Resolution(48, 32), num_inference_steps=5)
    with pytest.raises(Cancelled):
        generate(request, LumoraBackend(weights), tmp_path / "a.mp4", moderation(), progress=progress, cancel=cancel)
    assert steps == [1] and not list(tmp_path.iterdir())


def test_backends_have_the_interface(weights: Path):
    assert isinstance(FakeBackend(video), Backend) and isinstance(LumoraBackend(weights), Backend)
    limits = LumoraBackend(weights).capabilities()
    assert limits.size == Resolution(48, 32) and {"text", "edit"} <= limits.tasks


def test_open_fields_are_decided_by_the_backend():
    plan = prepare(Request("a ball"), ModelConfig())
    assert (plan.request.seconds, plan.request.fps, plan.request.size) == (2.0, 8.0, Resolution(128, 128))
    assert plan.num_frames == 17 and plan.request.num_inference_steps == 24
    assert prepare(plan.request, ModelConfig()) == plan


def test_a_negative_prompt_without_effect_is_said():
    def warns(request: Request) -> bool:
        return any("negative prompt" in warning for warning in prepare(request, ModelConfig()).warnings)

    assert not warns(Request("a ball", negative_prompt="blurry"))
    assert warns(Request("a ball", negative_prompt="blurry", guidance_scale=1.0))
    assert warns(Request("a ball", negative_prompt="x", conditions=(Condition(noise(5), strength=0.5),)))


def test_old_recipes_are_read_with_todays_names():
    old = {
        "request": {
            "prompt": "a ball",
            "width": 64,
            "height": 48,
            "steps": 24,
            "guidance": None,
            "given": [{"video": {"video": "00"}, "strength": 0.6, "prompt": "a cube", "gap": None, "shot": 0}],
            "then": [{"prompt": "it falls", "seconds": 1.0, "cut": True}],
            "fit": "crop",
        },
        "before": [{"prompt": "a cone"}],
    }
    new = upgrade_recipe(old)
    today = to_recipe(Request("a ball", conditions=(Condition(noise(1)),), next_shots=(Shot("x", 1.0),)))
    assert set(new["request"]) <= set(today) and set(new["request"]["next_shots"][0]) == set(today["next_shots"][0])
    assert set(new["request"]["conditions"][0]) <= set(today["conditions"][0])
    assert sorted(recipe_texts(new)) == ["a ball", "a cone", "a cube", "it falls"]
    assert upgrade_recipe(new | {"version": 2}) == new | {"version": 2} and upgrade_recipe({}) == {}


def test_reviewed_frames_are_those_of_the_file(tmp_path: Path):
    class Frames(Recorder):
        def check(self, frames: Any, /) -> Verdict:
            self.seen.append(frames)
            return Verdict({})

    frames = Frames()
    generate(Request("a ball"), FakeBackend(video), tmp_path / "a.png", moderation(frames=Moderator([frames])))
    assert len(frames.seen) == 1 and np.array_equal(frames.seen[0], noise(5).frames[:1])


@pytest.mark.parametrize("broken", ["state", "index", "certificate", "key", "disk", "resume file"])
def test_what_would_make_publishing_fail_is_found_before_the_backend_runs(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def run(_: Request) -> Video:
        raise AssertionError("The backend must not run.")

    state, out, sentence = tmp_path / "state", tmp_path / "out", r"[A-Z/].*\.$"
    out.mkdir()
    monkeypatch.setenv("LUMORA_STATE", "/proc/none" if broken == "state" else str(state))
    if broken == "index":
        (state / "delivered.sqlite3").mkdir(parents=True)
    elif broken == "key":
        (state / "watermark.key").mkdir(parents=True)
    elif broken == "certificate":  # a root cannot sign files
        signing_identity()
        for name in ("LUMORA_CERTIFICATE", "LUMORA_KEY"):
            monkeypatch.setenv(name, str(state / "root.pem"))
    elif broken == "disk":
        monkeypatch.setattr("shutil.disk_usage", lambda _: namedtuple("Usage", "free")(10_000))
    elif broken == "resume file":
        (out / "a.work").mkdir()
    with pytest.raises((ValueError, OSError), match=sentence):
        generate(Request("a ball"), FakeBackend(run), out / "a.mp4", moderation(), resume_path=out / "a.work")
    assert not (out / "a.mp4").exists()


def test_the_end_of_a_prompt_that_is_not_read_is_said(weights: Path):
    prompt = "a red ball rolls to the right, " * 30 + "and stops"
    said = "this end of it has no effect: "
    (warning,) = (w for w in LumoraBackend(weights).prepare(Request(prompt)).warnings if said in w)
    end = warning.partition(said)[2]
    assert prompt.endswith(end) and 100 < len(end) < len(prompt) - 100
    short = LumoraBackend(weights).prepare(Request("a red ball rolls to the right, " * 8))
    assert not any(said in warning for warning in short.warnings)
