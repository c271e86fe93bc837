"""Tests of the frame check, the nudity classifier and moderation services."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lumora.cli import main
from lumora.config import VideoShape
from lumora.media.reader import FrameReader
from lumora.media.video import Video
from lumora.redteam.synthetic_symbols import plant_symbol
from lumora.safety.adapters import ModerationService
from lumora.safety.frame_check import FrameCheck, views
from lumora.safety.frame_sampling import MAX_PIXELS, sampled_frames
from lumora.safety.moderators import frame_moderator
from lumora.safety.policy import Endpoint, Policy
from lumora.safety.symbols import SymbolCheck, draw_symbol, symbol_outlines
from lumora.safety.verdict import Moderator
from lumora.world.clip import make_clip

POLICY = Policy.load()
OUTLINES = symbol_outlines()


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return make_clip("simple", 5, 1, VideoShape(3, 96, 128, 8.0)).frames.numpy()


def planted(frames: np.ndarray, name: str, area: float, at: int, degrees: float = 0.0) -> np.ndarray:
    """The symbol in black on a white square in one frame; the symbol's box has `area` of the frame."""
    height, width = frames.shape[1:3]
    side = round((area * height * width) ** 0.5 * 1.5)  # the drawing has a margin of a quarter on each side
    drawing = np.where(draw_symbol(OUTLINES[name], 8 * side, degrees), 0, 255).astype(np.uint8)
    small = np.asarray(Image.fromarray(drawing).resize((side, side), Image.Resampling.BOX))
    top, left = (height - side) // 3, (width - side) // 2
    result = frames.copy()
    result[at, top : top + side, left : left + side] = small[..., None]
    return result


@pytest.mark.parametrize("name", OUTLINES)
def test_a_symbol_in_one_frame_is_found(name: str, clean: np.ndarray):
    verdict = frame_moderator(POLICY).check(planted(clean, name, 0.1, at=1))
    assert verdict.refused == ("hate",) and name.replace("_", " ") in verdict.reason


def test_a_symbol_of_two_percent_of_one_frame_is_found(clean: np.ndarray):
    assert not frame_moderator(POLICY).check(planted(clean, "swastika", 0.02, at=2, degrees=45.0)).allowed


def test_a_small_black_sun_is_found():
    generator, gradient = np.random.default_rng(0), np.linspace(80, 180, 128).astype(np.uint8)
    background = np.broadcast_to(gradient[:, None, None], (128, 128, 3))
    for style in ("black on white", "white on black"):
        small = plant_symbol(background, OUTLINES["black_sun"], 0.02, style, generator)
        verdict = frame_moderator(POLICY).check(small[None])
        assert verdict.refused == ("hate",) and "black sun" in verdict.reason
        assert verdict.scores["hate"].value > 0.6


def test_clean_clips_pass(clean: np.ndarray):
    assert frame_moderator(POLICY).check(clean).allowed


def test_a_video_without_frames_and_a_check_without_checks_do_not_allow():
    with pytest.raises(ValueError, match="allow everything"):
        FrameCheck([])
    assert not frame_moderator(POLICY).check(np.zeros((0, 8, 8, 3), np.uint8)).allowed


@settings(max_examples=30)
@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 40), st.data())
def test_every_pixel_is_in_the_frame_and_in_a_crop(frames: int, height: int, width: int, data: st.DataObject):
    at = (
        data.draw(st.integers(0, frames - 1)),
        data.draw(st.integers(0, height - 1)),
        data.draw(st.integers(0, width - 1)),
    )
    video = np.zeros((frames, height, width, 3), np.uint8)
    video[at] = 255
    whole, *crops = views(video[at[0]])
    assert whole.shape == video.shape[1:] and len(crops) == 5
    assert any(crop.max() == 255 for crop in crops)


# Services


class Service(BaseHTTPRequestHandler):
    answer: Any = None
    asked: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append((asked, self.headers.get("Authorization")))
        body = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def service(answer: Any) -> Iterator[tuple[Endpoint, list[Any]]]:
    handler = type("Handler", (Service,), {"answer": answer, "asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield (
            Endpoint(f"http://127.0.0.1:{server.server_port}/v1/moderations", model="guard", timeout=2.0),
            handler.asked,
        )
    finally:
        server.shutdown()
        server.server_close()


def result(flagged: bool, **scores: float) -> dict[str, Any]:
    flags = {name: value >= 0.5 for name, value in scores.items()}
    return {"results": [{"flagged": flagged, "categories": flags, "category_scores": scores}]}


def test_a_moderation_service_judges_texts_and_images(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OUR_KEY", "secret")
    with service(result(True, sexual=0.9, violence=0.2)) as (endpoint, asked):
        check = ModerationService(POLICY, Endpoint(endpoint.url, "guard", "OUR_KEY"))
        assert check.check("a text").refused == ("sexual",)
        assert check.check(np.zeros((4, 4, 3), np.uint8)).refused == ("sexual",)
    assert asked[0] == ({"input": "a text", "model": "guard"}, "Bearer secret")
    assert asked[1][0]["input"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    with service(result(False, sexual=0.1)) as (endpoint, _):
        assert ModerationService(POLICY, endpoint).check("a text").allowed
    monkeypatch.delenv("OUR_KEY")
    with pytest.raises(ValueError, match="OUR_KEY"):
        ModerationService(POLICY, Endpoint(endpoint.url, api_key_env="OUR_KEY"))


@pytest.mark.parametrize(
    "answer",
    [
        b"not json",
        {},
        {"results": []},
        {"results": [{}]},
        result(True, dancing=0.9),
        {"results": [{"flagged": True, "categories": {}}]},
        b" " * (1 << 21),
    ],
    ids=["no json", "no results", "none", "empty", "unknown category", "no flagged category", "too long"],
)
def test_an_answer_that_is_not_understood_refuses(answer: Any):
    with service(answer) as (endpoint, _):
        verdict = Moderator([ModerationService(POLICY, endpoint)], timeout=10.0).check("a text")
    assert not verdict.allowed and verdict.failure


def test_a_policy_file_adds_a_moderation_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    policy, image = tmp_path / "policy.toml", tmp_path / "grey.png"
    Image.new("RGB", (32, 32), "grey").save(image)
    with service(result(True, violence=0.9)) as (endpoint, asked):
        policy.write_text(f'version = "1"\n[moderations]\nurl = "{endpoint.url}"\nimages = true\n')
        assert main(["moderate", "a red ball", "--policy", str(policy), "--json"]) == 1
        answer = json.loads(capsys.readouterr().out)
        assert answer["refused"] == ["violence"] and "moderation service" in answer["scores"]["violence"]["source"]
        assert main(["moderate", "--video", str(image), "--policy", str(policy)]) == 1
        assert len(asked) == 1 + 6, "the text once, the image in six views"
    assert main(["moderate", "a red ball", "--policy", str(policy)]) == 1
    assert "could not be checked: ModerationService failed" in capsys.readouterr().out


def test_a_service_that_does_not_answer_refuses():
    with service({}) as (endpoint, _):
        pass
    assert not Moderator([ModerationService(POLICY, endpoint)], timeout=10.0).check("a text").allowed


def test_the_symbol_check_accepts_any_size():
    for shape in ((1, 1, 3), (1, 200, 3), (300, 7, 3), (96, 96, 3)):
        assert SymbolCheck(POLICY).check(np.zeros(shape, np.uint8)).allowed


def test_of_a_video_file_six_frames_a_second_are_checked_and_every_single_frame_that_differs(tmp_path: Path):
    frames = np.full((96, 720, 1280, 3), 90, np.uint8)
    frames[37] = 200
    Video(frames, 24.0).save(tmp_path / "a.mp4")
    with FrameReader(tmp_path / "a.mp4") as reader:
        sampled = list(sampled_frames(reader))
    assert 24 <= len(sampled) <= 28 and sum(frame.mean() > 150 for frame in sampled) == 1
    assert sampled[0].shape[0] * sampled[0].shape[1] <= 1.01 * MAX_PIXELS
