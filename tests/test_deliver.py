"""Whatever goes wrong on the road from the network to a person, nothing lies at its end that has not passed it all."""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import c2pa
import numpy as np
import pytest
from fake_backend import FakeBackend, moderation
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lumora.cli import main
from lumora.cli.evaluate import Evaluate
from lumora.config import Resolution
from lumora.media.encode import SUFFIXES
from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.dct import reduced
from lumora.provenance.index import Index
from lumora.provenance.keystore import watermark_key
from lumora.provenance.manifest import Ingredient, read
from lumora.request.conditions import Condition, Shot
from lumora.request.serialization import from_recipe, to_recipe, video_hash
from lumora.request.spec import Request
from lumora.safety.policy import Policy
from lumora.safety.verdict import Moderator, Score, Verdict
from lumora.service import publish as road
from lumora.service.generate import generate
from lumora.service.moderation import ModerationBlocked

REFUSED = Verdict({"hate": Score(1.0, "a test")}, ("hate",))


def moving(request: Request) -> Video:
    """What a model could have made: a bright square that goes over a slope of grey."""
    rng = np.random.default_rng(request.seed)
    frames = np.tile(np.linspace(40, 160, 64)[None, :, None, None], (17, 1, 64, 3))
    place, speed = rng.integers(0, 30, 2), rng.integers(0, 3, 2)
    for number in range(17):
        top, left = place + number * speed
        frames[number, top : top + 12, left : left + 12] = rng.integers(0, 255, 3)
    return Video((frames + rng.normal(0, 2, frames.shape)).clip(0, 255).astype(np.uint8), 8.0)


def never(*_: Any) -> Verdict:
    threading.Event().wait()
    return Verdict({})


def fails(*_: Any, **__: Any) -> Any:
    raise RuntimeError("out of order")


def full(*_: Any, **__: Any) -> Any:
    raise OSError(28, "No space left on device")


WRONG_ANSWERS: list[Callable[..., Any]] = [
    lambda _: REFUSED,
    lambda _: Verdict({}, failure="The line is dead."),
    lambda _: Verdict({}, ("hate",)),
    lambda _: Verdict({}, None),  # type: ignore[arg-type]
    lambda _: None,
    lambda _: True,
    lambda _: "allowed",
    fails,
    never,
]


@dataclass
class Judge:
    """Answers as it is told to, and remembers what it saw."""

    answer: Callable[[Any], Any] = lambda _: Verdict({})
    seen: list[Any] = field(default_factory=list)

    def check(self, content: Any, /) -> Any:
        self.seen.append(content)
        return self.answer(content)

    def panel(self) -> Moderator[Any]:
        return Moderator([self], timeout=0.2 if self.answer is never else 60.0)


def send(destination: Path, **others: Any) -> Any:
    usual: dict[str, Any] = {
        "request": Request("a ball"),
        "make": moving,
        "text_moderator": Judge().panel(),
        "frame_moderator": Judge().panel(),
        "parents": (),
    }
    how = {**usual, **others}
    checks = moderation(how["text_moderator"], how["frame_moderator"])
    backend = FakeBackend(how["make"])
    return generate(how["request"], backend, destination, checks, ingredients=how["parents"], overwrite=True)


class Road(RuleBasedStateMachine):
    """Delivers to the same few names, with something broken or nothing, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.reviewed: dict[str, Video] = {}
        self.expected: dict[str, str] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def attempt(self, name: str, seed: int, broken: contextlib.AbstractContextManager[Any], **others: Any) -> None:
        """Delivers and notes what must lie there now: what did, if it fails."""
        reviewer, made, request = Judge(), moving(Request("a ball", seed=seed)), Request("a ball", seed=seed)
        with broken:
            try:
                delivered = send(
                    self.folder / name, **{"request": request, "frame_moderator": reviewer.panel(), **others}
                )
            except (ValueError, OSError, RuntimeError) as error:
                assert str(error)
                return
        assert any(np.array_equal(seen[:1], made.frames[:1]) for seen in reviewer.seen), "delivered, yet not reviewed"
        self.expected[name] = delivered.sha256

    @rule(name=st.sampled_from(["a.mp4", "b.png"]), seed=st.integers(0, 3))
    def all_is_well(self, name: str, seed: int) -> None:
        self.attempt(name, seed, contextlib.nullcontext())
        assert name in self.expected

    @rule(
        name=st.sampled_from(["a.mp4", "b.png"]),
        which=st.sampled_from(["text_moderator", "frame_moderator"]),
        answer=st.sampled_from(WRONG_ANSWERS),
    )
    def a_check_does_not_allow_it(self, name: str, which: str, answer: Callable[..., Any]) -> None:
        before = dict(self.expected)
        self.attempt(name, 9, contextlib.nullcontext(), **{which: Judge(answer).panel()})
        assert self.expected == before

    @rule(
        name=st.sampled_from(["a.mp4", "b.png"]),
        part=st.sampled_from(
            ["sign", "encode_video", "fingerprint_of", "reference_dct_of", "watermark_key", "checked_suffix"]
        ),
        how=st.sampled_from([fails, full]),
    )
    def a_part_breaks(self, name: str, part: str, how: Callable[..., Any]) -> None:
        before = dict(self.expected)
        self.attempt(name, 9, patch.object(road, part, how))
        assert self.expected == before

    @rule(
        owner=st.sampled_from([(watermark, "embed"), (Index, "add"), (Index, "new_record"), (os, "replace")]),
        how=st.sampled_from([fails, full]),
    )
    def a_deeper_part_breaks(self, owner: tuple[Any, str], how: Callable[..., Any]) -> None:
        before = dict(self.expected)
        self.attempt("a.mp4", 9, patch.object(*owner, how))
        assert self.expected == before

    @rule(when=st.sampled_from(["during", "after"]))
    def the_model_breaks_or_the_person_leaves(self, when: str) -> None:
        before = dict(self.expected)
        if when == "during":
            self.attempt("a.mp4", 9, contextlib.nullcontext(), make=fails)
        else:
            with patch.object(road, "sign", side_effect=KeyboardInterrupt), contextlib.suppress(KeyboardInterrupt):
                send(self.folder / "a.mp4")
        assert self.expected == before

    @invariant()
    def only_what_passed_all_of_it_lies_there(self) -> None:
        assert sorted(os.listdir(self.folder)) == sorted(self.expected)  # no part of a file either
        registered = {delivered.sha256: delivered for delivered in Index().all()}
        for name, sha256 in self.expected.items():
            file = self.folder / name
            assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256
            signed = read(file)
            assert signed.state == "trusted"
            assert signed.recipe["record"] == registered[sha256].record
            mark = watermark.read(reduced(Video.load(file)), watermark_key())
            assert mark.p_values_of([int(registered[sha256].record, 16)])[0] <= 1e-6


Road.TestCase.settings = settings(max_examples=12, stateful_step_count=8, deadline=None)
test_no_path_leaves_what_is_not_reviewed_marked_signed_and_registered = Road.TestCase


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_file_is_delivered(suffix: str, tmp_path: Path):
    delivered = send(tmp_path / f"clip{suffix}")
    found = read(tmp_path / f"clip{suffix}")
    assert found.state == "trusted" and found.recipe == delivered.recipe
    assert found.recipe["policy"] == "test" and found.recipe["request"]["prompt"] == "a ball"


def test_prompts_and_given_pictures_are_checked_before_anything_is_made(tmp_path: Path):
    given = Video(moving(Request("x")).frames[:1], 1.0)
    request = Request("a ball", conditions=(Condition(given),))
    texts, pictures = Judge(), Judge()
    send(tmp_path / "a.mp4", request=request, text_moderator=texts.panel(), frame_moderator=pictures.panel())
    assert texts.seen == ["a ball"] and np.array_equal(pictures.seen[0], given.frames) and len(pictures.seen) == 2
    with pytest.raises(ModerationBlocked, match=r"^An input does not pass\. Refused: hate \(1\.00, a test\)\.$"):
        send(tmp_path / "b.mp4", request=request, frame_moderator=Judge(lambda _: REFUSED).panel(), make=never)
    with pytest.raises(
        ModerationBlocked, match=r"^The prompt does not pass\. Refused, because .*: Judge failed: out of order\.$"
    ):
        send(tmp_path / "b.mp4", text_moderator=Judge(fails).panel(), make=never)
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_a_parent_that_was_tampered_with_is_refused(tmp_path: Path):
    send(tmp_path / "good.mp4")
    content = bytearray((tmp_path / "good.mp4").read_bytes())
    content[content.rfind(b"mdat") + 100] ^= 1
    (tmp_path / "bad.mp4").write_bytes(content)
    with pytest.raises(ModerationBlocked, match=r"bad\.mp4 was changed"):
        send(tmp_path / "child.mp4", parents=[Ingredient(tmp_path / "bad.mp4", "parentOf")], make=never)
    send(tmp_path / "child.mp4", parents=[Ingredient(tmp_path / "good.mp4", "parentOf")])
    assert [parent["title"] for parent in read(tmp_path / "child.mp4").ingredients] == ["good.mp4"]


def test_what_prompts_ask_for_together_is_judged_too_along_a_chain_of_files_and_along_shots(tmp_path: Path):
    def never_both(text: str) -> Verdict:
        return REFUSED if "a boy" in text and "he cries" in text else Verdict({})

    words, last = Judge(never_both), tmp_path / "0.mp4"
    send(last, request=Request("a boy"), text_moderator=words.panel())
    for number, prompt in enumerate(("he runs", "at night", "he runs"), 1):
        parents, last = [Ingredient(last, "parentOf")], tmp_path / f"{number}.mp4"
        send(last, request=Request(prompt), text_moderator=words.panel(), parents=parents)
    assert words.seen[-2:] == ["a boy. he runs. at night.", "a boy he runs at night"]
    with pytest.raises(ModerationBlocked, match=r"^What the prompts ask for together does not pass\."):
        send(
            tmp_path / "4.mp4",
            request=Request("he cries"),
            text_moderator=words.panel(),
            parents=[Ingredient(last, "parentOf")],
        )
    send(tmp_path / "4.mp4", request=Request("he cries"), text_moderator=words.panel())
    shots = Request("a boy", next_shots=(Shot("he plays", 1.0), Shot("he cries", 1.0)))
    with pytest.raises(ModerationBlocked, match="together"):
        send(tmp_path / "5.mp4", request=shots, text_moderator=words.panel())


def test_a_recipe_is_the_request_again():
    given = moving(Request("x"))
    request = Request("a ball", seconds=1.5, size=Resolution(64, 48), seed=2**63 - 1, conditions=(Condition(given),))
    recipe = json.loads(json.dumps(to_recipe(request)))
    assert from_recipe(recipe, [moving(Request("x", seed=5)), given]) == request
    with pytest.raises(ValueError, match="--inputs"):
        from_recipe(recipe)
    with pytest.raises(ValueError, match="understands"):
        from_recipe({**recipe, "flavour": 1}, [given])
    assert video_hash(given) != video_hash(dataclasses.replace(given, fps=9.0))


def test_videos_on_the_evaluation_page_are_moderated_and_signed(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    show = Evaluate(model=weights)._publisher()
    show(Request("a ball"), moving(Request("a ball")), tmp_path / "best-0.webp")
    said = read(tmp_path / "best-0.webp")
    assert said.state == "trusted" and Index().has(said.recipe["record"])
    show(Request("how to build a bomb at home"), moving(Request("a ball")), tmp_path / "best-1.webp")
    assert os.listdir(tmp_path) == ["best-0.webp"] and "best-1.webp is not published" in capsys.readouterr().err


def test_sigterm_leaves_no_output_file(weights: Path, tmp_path: Path):
    def stopped(*_: Any) -> Any:
        assert any(name.endswith(".part") for name in os.listdir(tmp_path)), "it is stopped too early to show anything"
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    words = ["generate", "a ball", "-o", str(tmp_path / "clip.mp4"), "--seconds", ".5", "--steps", "1"]
    with patch.object(road, "sign", stopped), pytest.raises(SystemExit) as ended:
        main([*words, "--model", str(weights)])
    assert ended.value.code == 143 and not os.listdir(tmp_path)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.usefixtures("quick_review")
def test_a_clip_is_verified_detected_and_made_again_from_the_shell(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "state"))  # nothing of the other tests' index looks alike
    clip, again, picture = tmp_path / "clip.mp4", tmp_path / "again.mp4", tmp_path / "first.png"
    Video(moving(Request("x")).frames[:1], 1.0).save(picture)
    words = ["--model", str(weights)]
    ask = ["generate", "a ball", "-o", str(clip), "--image", str(picture), "--steps", "2", "--seconds", "1"]
    assert main([*ask, *words]) == 0
    assert main(["verify", str(clip), "--json"]) == 0
    said = capsys.readouterr().out
    told = json.loads(said[said.index("{") :])
    assert told["state"] == "trusted" and told["recipe"]["request"]["prompt"] == "a ball"
    assert told["recipe"]["thresholds"] == Policy.load().thresholds
    store = tmp_path / "clip.c2pa"
    assert main(["detect", str(clip), "--save-manifest", str(store)]) == 0 and main(["verify", str(picture)]) == 5
    with store.open("rb") as kept, c2pa.Reader("application/c2pa", kept) as reader:
        assert told["recipe"]["record"] in reader.json()
    assert main(["reproduce", str(clip), "-o", str(again), *words]) == 2  # without the picture
    assert main(["reproduce", str(clip), "-o", str(again), "--inputs", str(picture), *words]) == 0
    assert "the frames are the same" in capsys.readouterr().out
    assert np.array_equal(Video.load(clip).frames, Video.load(again).frames)
    reproduce = ["reproduce", str(clip), "-o", str(again), "--inputs", str(picture), "--overwrite"]
    assert main(reproduce) == 2  # another model
    with patch("lumora.service.publish.video_hash", lambda _: "00"):
        assert main([*reproduce, *words]) == 3 and "the frames are not the same" in capsys.readouterr().out
    with patch("lumora.backends.lumora.planning.SAMPLER_VERSION", 1_000):
        assert main([*reproduce, *words]) == 2
    assert "other pixels" in capsys.readouterr().err
    assert main(["detect", str(picture), "--json", "--save-manifest", str(tmp_path / "none.c2pa")]) == 3
    assert not (tmp_path / "none.c2pa").exists()
    clip.write_bytes(clip.read_bytes()[:-100])
    assert main(["verify", str(clip)]) == 4 and "tampered" in capsys.readouterr().out
