"""Audio: kept where given frames are kept, silent elsewhere, and in sync in every file format."""

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora import Condition, Pipeline, Request, Shot, Video
from lumora.backends.lumora.backend import LumoraBackend
from lumora.backends.lumora.planning import prepare
from lumora.backends.timeline.segments import make_segments
from lumora.backends.timeline.soundtrack import FADE_SECONDS, soundtrack
from lumora.cli import main
from lumora.cli.edit import Connect, Edit, Extend, Infill, Loop
from lumora.cli.generate import VideoVerb
from lumora.config import Resolution
from lumora.media.audio import SAMPLE_RATE, AudioSamples, num_samples
from lumora.media.encode import SUFFIXES
from lumora.provenance.manifest import read
from lumora.safety import moderators as panels

FADE = num_samples(FADE_SECONDS)
COARSE = 16
"""Samples of a ramp with the same value, so that the ramp fits into 16 bits."""


def tone(seconds: float, hertz: float = 440.0) -> AudioSamples:
    wave = 8000 * np.sin(2 * np.pi * hertz * np.arange(num_samples(seconds)) / SAMPLE_RATE)
    return np.stack([wave, wave / 2], axis=1).astype(np.int16)


def clip(frames: int = 9, fps: float = 8.0, hertz: float = 440.0) -> Video:
    """A gray gradient that moves, and a tone."""
    row = (40 + 3 * np.arange(48 + frames)).clip(0, 255)
    pixels = np.stack([np.broadcast_to(row[n : n + 48, None], (32, 48, 3)) for n in range(frames)])
    return Video(pixels.astype(np.uint8), fps, tone(frames / fps, hertz))


def correlation(audio: AudioSamples | None, expected: AudioSamples, begin: float = 0.0) -> float:
    """Correlation of `expected` with the audio from the second `begin` on, without the fades."""
    assert audio is not None
    part = audio[num_samples(begin) :][: len(expected)][FADE:-FADE].astype(float).ravel()
    return float(np.corrcoef(part, expected[FADE:-FADE].ravel())[0, 1])


def peak(audio: AudioSamples | None, begin: float, end: float) -> int:
    assert audio is not None
    return int(np.abs(audio[num_samples(float(begin)) : num_samples(float(end))].astype(int)).max())


def write_clip(
    path: Path, codec: str, rate: int, layout: str, late: float = 0.0, frames: int = 50
) -> tuple[Path, Video]:
    """A video of another program: 90×50 pixels, 25 fps, and a tone that begins `late` seconds after the first frame."""
    video = clip(frames, 25.0)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 90, 50, "yuv420p"
        track: Any = container.add_stream(codec, rate=rate, layout=layout)
        for frame in video.resize(50, 90).frames:
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(pictures.encode(None))
        wave = (8000 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, round(late * rate), Fraction(1, rate)
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path, video


def test_audio_is_read_back_as_written(tmp_path: Path):
    video = clip(19, 7.5)
    files = [video.save(tmp_path / f"{n}.mp4") for n in range(3)]
    assert len({file.read_bytes() for file in files}) == 1
    back = Video.load(files[0])
    assert back.audio is not None and len(back.audio) == num_samples(19 / 7.5)
    assert correlation(back.audio, tone(19 / 7.5)) > 0.999
    with av.open(str(files[0])) as container:
        lengths = [float(s.duration * s.time_base) for s in container.streams if s.duration and s.time_base]
    assert lengths == pytest.approx([19 / 7.5] * 2, abs=0.03)
    assert Video.load(files[0], max_frames=1).audio is None
    for suffix in SUFFIXES[1:]:
        assert Video.load(video.save(tmp_path / f"clip{suffix}")).audio is None


def test_written_audio_is_as_long_as_the_frames(tmp_path: Path):
    for seconds in (0.3, 4.0):
        video = dataclasses.replace(clip(), audio=tone(seconds))
        back = Video.load(video.save(tmp_path / "clip.mp4")).audio
        assert back is not None and len(back) == num_samples(9 / 8)
        assert correlation(back, tone(min(seconds, 9 / 8))) > 0.999
        assert peak(back, min(seconds + 0.03, 1.124), 9 / 8) < (30 if seconds < 1 else 8001)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout", "late"),
    [
        ("a.mkv", "flac", 44_100, "mono", 0.5),
        ("a.avi", "pcm_s16le", 22_050, "mono", 0.0),
        ("a.mov", "aac", 32_000, "mono", 0.25),
    ],
)
def test_other_codecs_and_rates_stay_in_sync(
    tmp_path: Path, name: str, codec: str, rate: int, layout: str, late: float
):
    file, _ = write_clip(tmp_path / name, codec, rate, layout, late)
    video = Video.load(file, size=(20, 40))
    assert video.audio is not None and len(video.audio) == num_samples(video.seconds) == num_samples(2.0)
    wanted = np.repeat(tone(1.0)[:, :1], 2, axis=1)
    assert correlation(video.audio, wanted, late) > 0.99
    assert peak(video.audio, late + 1.1, 2.0) < 100
    assert late == 0 or peak(video.audio, 0, late - 0.05) < 100


@pytest.mark.parametrize("resize_mode", ["crop", "letterbox"])
def test_frames_are_resized_while_they_are_read(tmp_path: Path, resize_mode: Any):
    for suffix in SUFFIXES:
        file = clip().save(tmp_path / f"clip{suffix}")
        full, resized = Video.load(file), Video.load(file, size=(24, 40), resize_mode=resize_mode)
        assert np.array_equal(resized.frames, full.resize(24, 40, resize_mode).frames)
        assert resized.fps == full.fps


def ramp(seconds: float) -> AudioSamples:
    """The value of each sample is its position."""
    return np.repeat(1 + np.arange(num_samples(seconds))[:, None] // COARSE, 2, axis=1).astype(np.int16)


def conditions() -> st.SearchStrategy[Condition]:
    def condition(frames: int, fps: float, start: float, strength: float, audible: bool, gap: float) -> Condition:
        sound = ramp(frames / fps) if audible else None
        video = Video(np.zeros((frames, 1, 1, 3), np.uint8), fps, sound)
        return Condition(
            video, start, strength, mask_span=(gap * video.seconds / 2, gap * video.seconds) if gap else None
        )

    return st.builds(
        condition,
        st.integers(1, 30),
        st.sampled_from([4.0, 8.0, 12.0, 30.0]),
        st.floats(0, 2),
        st.sampled_from([0.0, 0.0, 0.5, 1.0]),
        st.booleans(),
        st.sampled_from([0.0, 0.0, 0.9]),
    )


@settings(max_examples=150)
@given(
    st.lists(st.builds(Shot, st.just("x"), st.floats(0.3, 3), st.booleans()), min_size=1, max_size=3),
    st.lists(conditions(), max_size=3),
    st.sampled_from([8.0, 12.5]),
    st.booleans(),
)
def test_each_kept_frame_keeps_its_audio(shots: list[Shot], given: list[Condition], fps: float, loop: bool):
    segments = make_segments(shots, given, fps, 4)
    audio = soundtrack(segments, given, fps, loop)
    frames = [(segment, frame) for segment in segments for frame in range(segment.num_frames)]
    audible = [
        source is not None and source.strength < 1 and given[source.condition_index].video.audio is not None
        for source in (segment.frame_sources.get(frame) for segment, frame in frames)
    ]
    if audio is None:
        assert not any(audible)
        return
    assert len(audio) == num_samples(len(frames) / fps)
    slow = any(condition.video.fps < fps for condition in given)  # their frames last until the next one
    for number, (segment, frame) in enumerate(frames):
        middle = audio[num_samples((number + 0.5) / fps), 0]
        if audible[number]:
            condition = given[segment.frame_sources[frame].condition_index]
            true = num_samples((number + 0.5) / fps - float(condition.start)) // COARSE + 1
            assert abs(int(middle) - true) <= 1 or (
                middle == 0 and not 1 < true < num_samples(condition.video.seconds) // COARSE
            )
        elif not slow:
            assert middle == 0


def of(verb: VideoVerb, backend: LumoraBackend) -> Video:
    return backend.run(backend.prepare(verb.job(verb.builder(backend)).request))


def test_verbs_keep_audio_where_they_keep_frames(weights: Path, tmp_path: Path):
    backend = LumoraBackend(weights)
    file, other = clip().save(tmp_path / "clip.mp4"), clip(hertz=700.0).save(tmp_path / "other.mp4")
    how: dict[str, Any] = {"output": tmp_path / "out.mp4", "steps": 1, "size": Resolution(48, 32)}
    long, low, high = 9 / 8, tone(9 / 8), tone(9 / 8, 700.0)

    made = of(Extend(clip=file, seconds=1.0, **how), backend)
    assert correlation(made.audio, low) > 0.999 and peak(made.audio, long, made.seconds) == 0
    assert len(made.audio if made.audio is not None else ()) == num_samples(made.seconds)
    made = of(Extend(clip=file, seconds=1.0, backward=True, **how), backend)
    begins = made.seconds - long
    assert correlation(made.audio, low, begins) > 0.999 and peak(made.audio, 0, begins) == 0
    made = of(Loop(clip=file, seconds=1.0, **how), backend)
    assert correlation(made.audio, low) > 0.999 and peak(made.audio, long, made.seconds) == 0
    made = of(Connect(clip=file, second=other, seconds=1.0, **how), backend)
    begins = made.seconds - long
    assert correlation(made.audio, low) > 0.999 and correlation(made.audio, high, begins) > 0.999
    assert peak(made.audio, long, begins) == 0
    made = of(Infill(clip=file, from_=0.25, to=0.75, **how), backend)
    assert correlation(made.audio, tone(0.25)) > 0.999 and peak(made.audio, 0.25, 0.75) == 0
    assert correlation(made.audio, low[num_samples(0.75) :], 0.75) > 0.999
    for verb in (Infill(clip=file, fps=16.0, **how), Edit(clip=file, prompt="at night", **how)):
        made = of(verb, backend)  # at twice the rate the last frame lasts half as long
        assert made.seconds >= 17 / 16 and correlation(made.audio, low[: num_samples(made.seconds)]) > 0.999


def test_a_condition_of_a_later_shot_keeps_its_audio_there(pipeline: Pipeline):
    request = Request(
        "a ball",
        1.0,
        size=Resolution(48, 32),
        fps=8.0,
        num_inference_steps=1,
        conditions=(Condition(clip(), 0.5, shot_index=1),),
        next_shots=(Shot("x", 2.0),),
    )
    made = pipeline.generate(request)
    begins = prepare(request, pipeline.config).segments[1].first_frame / 8 + 0.5
    assert correlation(made.audio, tone(9 / 8), begins) > 0.999
    assert peak(made.audio, 0, begins) == peak(made.audio, begins + 9 / 8, made.seconds) == 0


@pytest.mark.usefixtures("quick_review")
def test_a_clip_of_another_program_is_extended_signed_and_reproduced_with_audio(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(panels, "TEXT_TIMEOUT", 3600.0)  # a slow machine must not fail
    file, video = write_clip(tmp_path / "a.mov", "aac", 44_100, "stereo", frames=25)
    out, again = tmp_path / "out.mp4", tmp_path / "again.mp4"
    how = ["--steps", "1", "--model", str(weights)]
    ask = ["extend", str(file), "a ball", "--seconds", "0.5", *how]
    assert main([*ask, "-o", str(out)]) == 0
    output = capsys.readouterr()
    assert "90x50 at 25 fps, with audio, resized to" in output.out and "has no audio" not in output.err
    assert read(out).state == "trusted" and main(["detect", str(out)]) == 0
    assert main(["reproduce", str(out), "-o", str(again), "--inputs", str(file), "--model", str(weights)]) == 0
    made, same = Video.load(out), Video.load(again)
    assert np.array_equal(made.frames, same.frames) and made.audio is not None and same.audio is not None
    assert np.array_equal(made.audio, same.audio)
    assert correlation(made.audio, np.repeat(tone(0.9)[:, :1], 2, axis=1)) > 0.99
    assert peak(made.audio, 1.1, made.seconds) < 30
    given = video.resize(50, 90).resize(*made.frames.shape[1:3]).resample_fps(8.0).frames
    assert np.abs(made.frames[: len(given)].astype(int) - given).mean() < 6
    assert main([*ask, "-o", str(tmp_path / "out.gif")]) == 0
    assert "A .gif has no audio" in capsys.readouterr().err
