"""Reading prompts and expanding them: no stated fact is lost or changed, and the policy sees what is used."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from serving import api
from test_world_caption import read_back, some_facts

from lumora.chat_completions import ChatEndpoint, complete
from lumora.cli import main
from lumora.provenance.manifest import read
from lumora.service.prompt_expander import ChatExpander, WorldExpander, keeps_known_values, load_expander
from lumora.world.caption import LENGTHS, caption
from lumora.world.facts import Fact, subjects_of
from lumora.world.prompt_expansion import expand_prompt, renumbered
from lumora.world.prompt_reader import in_order, read_prompt


def numbered(facts: tuple[Fact, ...]) -> set[Fact]:
    """Without the count, with subjects numbered from 0 and relations told of the lower number."""
    others = {fact.other for fact in facts if fact.other is not None}
    numbers = {subject: n for n, subject in enumerate(sorted({*subjects_of(facts), *others}))}
    return {
        in_order(
            replace(
                fact,
                subject=None if fact.subject is None else numbers[fact.subject],
                other=None if fact.other is None else numbers[fact.other],
            )
        )
        for fact in facts
        if fact.category != "count"
    }


def expanded(text: str, seed: int = 0) -> str:
    return expand_prompt(text, np.random.default_rng(seed)).text


@given(seed=st.integers(0, 2**32 - 1), length=st.sampled_from(LENGTHS))
@settings(max_examples=120)
def test_captions_are_read_exactly(seed: int, length: Any):
    made = caption(some_facts(seed), length, np.random.default_rng(seed))
    reading = read_prompt(made.text)
    if not reading.unread:  # a few are not understood, and none is misunderstood
        assert numbered(made.facts) in [set(facts) for facts in renumbered(reading.facts)], made.text


def test_nearly_all_captions_are_understood():
    texts = [caption(some_facts(s), LENGTHS[s % 3], np.random.default_rng(s)).text for s in range(150)]
    assert sum(not read_prompt(text).unread for text in texts) >= 148


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_an_expansion_states_all_that_the_prompt_states_and_nothing_against_it(seed: int):
    short = caption(some_facts(seed), "short", np.random.default_rng(seed))
    result = expand_prompt(short.text, np.random.default_rng(seed))
    reading = read_prompt(result.text)
    assert not reading.unread and any(numbered(short.facts) <= facts for facts in renumbered(reading.facts)), result
    for category in ("place", "light", "style"):  # read by the words alone, without the grammar
        stated = {fact.value for fact in short.facts if fact.category == category}
        assert not stated or read_back(result.text, category) == stated
    assert read_back(result.text, "color") >= {fact.value for fact in short.facts if fact.category == "color"}


def test_an_expansion_describes_what_the_prompt_leaves_open():
    text = expanded("A red ball and a blue cube")
    categories = {fact.category for fact in read_prompt(text).facts}
    assert categories >= {"kind", "color", "size", "material", "motion", "place", "light", "camera"}
    assert len(text.split()) > 20 and expanded("A red ball and a blue cube") == text
    assert expanded("a red ball", 1) != expanded("a red ball", 2)
    stated = list(renumbered(read_prompt(text).facts))
    assert any(set(read_prompt("a red ball").facts) <= facts for facts in stated)
    assert not any(set(read_prompt("a green ball").facts) <= facts for facts in stated)


@pytest.mark.parametrize(
    "prompt",
    ["A dragon flies over a castle", "no red ball", "two blue cubes", "a ball that is not red", "a panda", "?"],
)
def test_a_prompt_that_is_not_understood_stays_word_for_word(prompt: str):
    text = expanded(prompt)
    assert text.startswith(prompt)
    assert re.fullmatch(r"\.?( [^.]*\.){0,2}", text.removeprefix(prompt)), text


def test_nothing_is_said_against_unknown_light_places_and_cameras():
    assert expanded("Neon signs, drone shot of a city") == "Neon signs, drone shot of a city"
    assert not read_back(expanded("a castle in the fog"), "light")
    german = "ein roter Ball rollt über eine grüne Wiese und der Himmel ist blau"
    assert WorldExpander().expand(german, 0) == german


@contextmanager
def language_model(*answers: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An OpenAI-compatible service that gives these answers; yields its address and what it was sent."""
    remaining, received = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            received.append({"path": self.path, "key": self.headers["authorization"], **body})
            content = json.dumps(
                {"choices": [{"message": {"role": "assistant", "content": remaining.pop(0)}}]}
            ).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", received
    finally:
        server.shutdown()
        server.server_close()


def test_a_language_model_expands_and_its_answers_are_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    good = "A large red ball with a soft shine rolls over a meadow at noon while the camera stands still."
    with language_model(f'"{good}"', "A blue ball rolls.", "x" * 3000) as (url, received):
        monkeypatch.setenv("SECRET", "key-1")
        (tmp_path / "template").write_text("Be brief.")
        names = {"URL": url, "MODEL": "tiny", "KEY_VARIABLE": "SECRET", "TEMPLATE": str(tmp_path / "template")}
        expander = load_expander({f"LUMORA_EXPANDER_{name}": value for name, value in names.items()})
        assert isinstance(expander, ChatExpander)
        assert expander.expand("a red ball rolls", 5) == good
        assert received[0]["path"] == "/v1/chat/completions" and received[0]["key"] == "Bearer key-1"
        assert received[0]["model"] == "tiny" and received[0]["messages"][0]["content"] == "Be brief."
        for _ in range(2):  # answers that lose the color, or are too long
            assert expander.expand("a red ball rolls", 5) == WorldExpander().expand("a red ball rolls", 5)
    with pytest.raises(ValueError, match="does not answer"):
        complete(ChatEndpoint(url, "tiny", timeout=2.0), "", "a red ball")
    with pytest.raises(ValueError, match="LUMORA_EXPANDER_MODEL"):
        load_expander({"LUMORA_EXPANDER_URL": url})


def test_a_model_may_not_move_the_scene():
    assert keeps_known_values("a red ball on a beach", "A red ball rolls on the beach at noon.")
    assert not keeps_known_values("a red ball on a beach", "A red ball rolls on the beach, then in the snow.")
    assert not keeps_known_values("a red ball at night", "A red ball rolls at noon.")


def test_generate_shows_the_expanded_prompt_and_the_manifest_has_it(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out.png"
    words = ["a red ball", "-o", str(out), "--model", str(weights), "--steps", "1", "--expand", "--seed", "3"]
    assert main(["generate", *words]) == 0
    used = WorldExpander().expand("a red ball", 3)
    assert f"Prompt: {used}" in capsys.readouterr().out
    assert read(out).recipe["request"]["prompt"] == used
    Image.new("RGB", (32, 32)).save(tmp_path / "first.png")
    words[2] = str(tmp_path / "other.png")
    assert main(["generate", *words, "--image", str(tmp_path / "first.png")]) == 2
    assert "contradict" in capsys.readouterr().err


def test_an_expansion_must_pass_the_policy(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with language_model("a red ball, and a naked woman in explicit pornography") as (url, _):
        monkeypatch.setenv("LUMORA_EXPANDER_URL", url)
        monkeypatch.setenv("LUMORA_EXPANDER_MODEL", "tiny")
        words = ["a red ball", "-o", str(tmp_path / "out.png"), "--model", str(weights), "--expand"]
        assert main(["generate", *words]) == 2
    assert "does not pass" in capsys.readouterr().err and not (tmp_path / "out.png").exists()


def test_the_server_answers_the_revised_prompt(tmp_path: Path):
    with api(tmp_path) as client:
        body = {"prompt": "a red ball", "seed": 4, "expand": True}
        made = client.post("/v1/videos", json=body).json()
        assert made["prompt"] == "a red ball"
        assert made["revised_prompt"] == WorldExpander().expand("a red ball", 4) == made["request"]["prompt"]
        plain = client.post("/v1/videos", json={"prompt": "a red ball"}).json()
        assert plain["revised_prompt"] is None
        shots = [{"prompt": "a red ball", "seconds": 1}]
        refused = client.post("/v1/videos", json={"shots": shots, "expand": True})
        assert refused.status_code == 400 and refused.json()["error"]["param"] == "expand"
        changed = client.patch(f"/v1/videos/{made['id']}", json={"prompt": "a blue cube"}).json()
        assert changed["prompt"] == "a blue cube" and changed["revised_prompt"] is None
