"""What is made of a video that was made here goes on from its latents, wherever they lie on its grid, and nothing else
changes."""

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from fake_backend import FakeBackend, moderation
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora import Condition, Pipeline, Request, Shot, Video
from lumora.backends.lumora.backend import LumoraBackend
from lumora.backends.lumora.planning import prepare
from lumora.cli import main
from lumora.codec import Codec
from lumora.config import Resolution
from lumora.media.latents import VideoLatents
from lumora.provenance.index import Index
from lumora.provenance.latent_store import LatentStore
from lumora.provenance.manifest import read
from lumora.safety.verdict import Moderator, Score, Verdict
from lumora.service import publish as road
from lumora.service.generate import generate
from lumora.service.moderation import ModerationBlocked

HOW: dict[str, Any] = {"size": Resolution(48, 32), "num_inference_steps": 1, "guidance_scale": 1.0}
BEGINNING = Request("a ball", 9 / 8, seed=5, **HOW)


@pytest.fixture(scope="module")
def backend(weights: Path) -> LumoraBackend:
    return LumoraBackend(weights)


@pytest.fixture(scope="module")
def clip(pipeline: Pipeline) -> Video:
    return pipeline.generate(BEGINNING)


def latents_of(video: Video) -> VideoLatents:
    assert video.latents is not None
    return video.latents


def shown_otherwise(video: Video, latents: VideoLatents | None) -> Video:
    """Other pictures, as after the mark and a strong codec."""
    noise = np.random.default_rng(0).integers(-40, 41, video.frames.shape)
    return Video((video.frames + noise).clip(0, 255).astype(np.uint8), video.fps, latents=latents)


def no_encoding(*_: Any, **__: Any) -> Any:
    raise AssertionError("Something was encoded.")


def tasks(clip: Video) -> dict[str, Request]:
    at = {"seed": 1, **HOW}
    return {
        "extend": Request("a ball", 17 / 8, conditions=(Condition(clip),), **at),
        "edit": Request("a cube", 9 / 8, conditions=(Condition(clip, strength=0.5),), **at),
        "gap": Request("a ball", 9 / 8, conditions=(Condition(clip, mask_span=(5 / 8, 9 / 8)),), **at),
        "then": Request(
            "a ball", 9 / 8, conditions=(Condition(clip),), next_shots=(Shot("it falls", 1.0, hard_cut=False),), **at
        ),
    }


@pytest.mark.parametrize("task", ["extend", "edit", "gap", "then"])
def test_kept_latents_are_not_encoded_again(pipeline: Pipeline, backend: LumoraBackend, clip: Video, task: str):
    request = tasks(shown_otherwise(clip, clip.latents))[task]
    assert backend.prepare(request).request.conditions[0].video.latents is clip.latents
    with patch.object(Codec, "encode", no_encoding):
        made = pipeline.generate(request)
        assert np.array_equal(made.frames, pipeline.generate(request).frames)
    anew = pipeline.generate(tasks(shown_otherwise(clip, None))[task])
    assert not np.array_equal(made.frames[-1], anew.frames[-1])
    if task != "edit":
        for first, behind in latents_of(clip).frame_ranges[:2].tolist():
            kept, before = (latents_of(video).latent_of(range(first, behind)) for video in (made, clip))
            assert kept is not None and before is not None and np.array_equal(kept, before)


def test_a_chain_of_extensions_keeps_every_latent_of_its_beginning(pipeline: Pipeline, clip: Video):
    video = clip
    for number in range(3):
        given = Condition(shown_otherwise(video, video.latents))
        video = pipeline.generate(Request("a ball", video.seconds + 0.5, seed=number, conditions=(given,), **HOW))
    count = len(latents_of(clip).data)
    assert len(video.frames) == 21 and np.array_equal(latents_of(video).data[:count], latents_of(clip).data)


def test_a_latent_frame_of_given_and_made_pictures_is_left_out(pipeline: Pipeline, clip: Video):
    picture = Video(clip.frames[:1], 1.0)
    request = Request(
        "a ball", 2.0, conditions=(Condition(picture), Condition(picture, 0.75)), **HOW
    )  # frames 0 and 6 of 17
    assert latents_of(pipeline.generate(request)).frame_ranges.tolist() == [[0, 1], [1, 5], [9, 13], [13, 17]]
    looped = pipeline.generate(Request("a ball", 2.0, conditions=(Condition(clip),), loop=True, **HOW))
    assert latents_of(looped).frame_ranges[-1].tolist() == [13, 17] and len(looped.frames) == 17


@settings(max_examples=15)
@given(
    st.sampled_from([0.0, 0.25, 0.5, "end"]),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.one_of(st.none(), st.sampled_from([(0.25, 0.5), (0.625, 1.0), (0.0, 0.125)])),
    st.sampled_from([(48, 32), (32, 32)]),
    st.sampled_from([8.0, 4.0]),
    st.booleans(),
)
def test_latents_that_lie_elsewhere_change_nothing(
    pipeline: Pipeline,
    backend: LumoraBackend,
    clip: Video,
    start: Any,
    strength: float,
    gap: Any,
    size: tuple[int, int],
    fps: float,
    cut: bool,
):
    """Whatever is asked for, latents count only where they are said to, and kept pictures stay as they are."""
    thing = Condition(shown_otherwise(clip, clip.latents), start, strength, mask_span=gap)
    request = Request(
        "a ball",
        2.0,
        size=Resolution(*size),
        fps=fps,
        seed=3,
        num_inference_steps=1,
        guidance_scale=1.0,
        conditions=(thing,),
        next_shots=(Shot("a cube", 0.5, cut),),
    )
    settled = backend.prepare(request).request
    made = pipeline.generate(request)
    assert np.array_equal(made.frames, pipeline.generate(settled).frames)
    if settled.conditions[0].video.latents is not None:
        assert size == (48, 32) and strength < 1
    for take in prepare(request, pipeline.config).segments:
        for frame, place in take.kept_frames().items():
            if frame < take.num_frames and size == (48, 32):
                assert np.array_equal(made.frames[take.first_frame + frame], thing.video.frames[place.frame_index])


def test_latents_of_another_codec_are_not_reused(pipeline: Pipeline, backend: LumoraBackend, clip: Video):
    other = dataclasses.replace(latents_of(clip), codec_hash="0" * 64)
    requests = [tasks(shown_otherwise(clip, latents))["extend"] for latents in (other, None)]
    assert backend.prepare(requests[0]).request.conditions[0].video.latents is None
    made = [pipeline.generate(request).frames for request in requests]
    assert np.array_equal(made[0], made[1])


def test_other_frames_have_no_latents_of_these(clip: Video):
    assert clip.resample_fps(8.0).latents is clip.latents
    assert clip.resample_fps(4.0).latents is None and clip.resize(16, 16).latents is None
    with pytest.raises(ValueError, match="do not fit 5"):
        dataclasses.replace(clip, frames=clip.frames[:5])


# The store


def some_latents(number: float, count: int = 5) -> VideoLatents:
    numbers = np.full((count, 4, 10, 25), number, np.float16)
    ends = 1 + 4 * np.arange(count, dtype=np.int32)
    return VideoLatents(numbers, np.stack([np.maximum(ends - 4, 0), ends], axis=1), int(ends[-1]), "ab")


def file_of(folder: Path, number: int) -> tuple[Path, str]:
    file = folder / f"{number}.mp4"
    file.write_bytes(content := str(number).encode())
    return file, hashlib.sha256(content).hexdigest()


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder that nothing is in yet."""
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_latents_are_found_by_the_file_and_the_oldest_go_first(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LUMORA_LATENT_CACHE_MB", "0.035")  # each has 10 kB and a little
    video = Video(np.zeros((17, 80, 200, 3), np.uint8), 8.0)
    files = [file_of(tmp_path, number) for number in range(5)]
    for number, (_, sha256) in enumerate(files):
        LatentStore().keep(sha256, some_latents(number))
        os.utime(fresh / "latents" / f"{sha256}.safetensors", (number, number))
    joined = [LatentStore().joined(video, file).latents for file, _ in files]
    assert [latents is not None for latents in joined] == [False, False, True, True, True]
    assert [latents.digest for latents in joined if latents] == [some_latents(n).digest for n in (2, 3, 4)]
    assert len({some_latents(n).digest for n in range(5)}) == 5
    assert (fresh / "latents").stat().st_mode & 0o777 == 0o700
    assert LatentStore().joined(Video(video.frames[:9], 8.0), files[4][0]).latents is None  # as of a .gif
    (fresh / "latents" / f"{files[4][1]}.safetensors").write_bytes(b"broken")
    assert LatentStore().joined(video, files[4][0]).latents is None
    LatentStore().keep(files[0][1], some_latents(0, count=50))  # there is no room for it, and it takes nobody's
    assert len(list((fresh / "latents").iterdir())) == 3
    monkeypatch.setenv("LUMORA_LATENT_CACHE_MB", "0")
    LatentStore().keep(files[0][1], some_latents(0))
    assert not list((fresh / "latents").iterdir())
    monkeypatch.setenv("LUMORA_LATENT_CACHE_MB", "many")
    with pytest.raises(ValueError, match=r"^LUMORA_LATENT_CACHE_MB must be a number of megabytes.*\.$"):
        LatentStore()


class Judge:
    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    def check(self, _: Any, /) -> Verdict:
        return self.verdict


def panel(verdict: Verdict) -> Moderator[Any]:
    return Moderator([Judge(verdict)], timeout=60.0)


ALLOWED, REFUSED = Verdict({}), Verdict({"hate": Score(1.0, "a test")}, ("hate",))


def fails(*_: Any, **__: Any) -> Any:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("broken", [None, (road, "sign"), (Index, "add"), (os, "replace")])
def test_no_latents_stay_of_what_does_not_leave(
    fresh: Path, tmp_path: Path, pipeline: Pipeline, broken: tuple[Any, str] | None
):
    out, backend = tmp_path / "a.mp4", FakeBackend(pipeline.generate)
    with pytest.raises((ModerationBlocked, OSError)):
        if broken is None:
            generate(BEGINNING, backend, out, moderation(panel(ALLOWED), panel(REFUSED)))
        else:
            with patch.object(*broken, fails):
                generate(BEGINNING, backend, out, moderation())
    assert not out.exists() and not list(fresh.rglob("*.safetensors"))
    with patch.object(VideoLatents, "save", fails):
        generate(BEGINNING, backend, out, moderation())  # a full disk costs the latents alone
    assert out.exists() and not list(fresh.rglob("*.safetensors"))


def test_refused_work_does_not_stay(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    there: list[Path] = []

    class Reviewer(Judge):
        def check(self, _: Any, /) -> Verdict:
            there.extend(tmp_path.iterdir())
            return self.verdict

    monkeypatch.setattr(
        "lumora.safety.moderators.frame_moderator", lambda *_: Moderator([Reviewer(REFUSED)], timeout=60.0)
    )
    out = tmp_path / "out.mp4"
    ask = ["generate", "a ball", "-o", str(out), "--seconds", "4", "--steps", "1", "--model", str(weights)]
    assert main(ask) == 2
    assert there == [tmp_path / "out.mp4.work"] and not list(tmp_path.iterdir())


def test_an_extension_goes_on_from_a_file_and_is_made_again_as_long_as_the_latents_are_there(
    fresh: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    clip, longer, anew, again = (tmp_path / f"{name}.mp4" for name in ("clip", "longer", "anew", "again"))
    how = ["--steps", "1", "--model", str(weights)]
    assert main(["generate", "a ball", "-o", str(clip), "--seconds", "1", *how]) == 0
    assert main(["extend", str(clip), "a ball", "-o", str(longer), "--seconds", "1", *how]) == 0
    assert "continues the latents" in capsys.readouterr().out
    (kept,) = [thing["video"] for thing in read(longer).recipe["request"]["conditions"]]
    latents = LatentStore().joined(Video.load(clip), clip).latents
    assert latents is not None and kept["latents"] == latents.digest
    replay = ["--inputs", str(clip), "--overwrite", "--model", str(weights)]
    assert main(["reproduce", str(longer), "-o", str(again), *replay]) == 0
    assert np.array_equal(Video.load(again).frames, Video.load(longer).frames)

    (store := fresh / "latents").rename(tmp_path / "elsewhere")
    capsys.readouterr()
    assert main(["reproduce", str(longer), "-o", str(again), *replay]) == 2
    assert "no longer kept here" in capsys.readouterr().err
    assert main(["extend", str(clip), "a ball", "-o", str(anew), "--seconds", "1", *how]) == 0
    assert "continues the latents" not in capsys.readouterr().out
    assert "latents" not in read(anew).recipe["request"]["conditions"][0]["video"]
    made = [Video.load(file).frames for file in (clip, longer, anew)]
    assert not np.array_equal(made[1], made[2])
    for file in (tmp_path / "elsewhere").iterdir():
        file.rename(store / file.name)
    assert main(["reproduce", str(anew), "-o", str(again), *replay]) == 0  # it was made without, and is so again
    assert np.array_equal(Video.load(again).frames, made[2])
