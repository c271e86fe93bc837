"""Traces of the model's codec: in what it decoded, and in nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lumora.backends.lumora.pipeline import load_codec
from lumora.cli import main
from lumora.codec import Codec
from lumora.config import VideoShape
from lumora.media.video import Video
from lumora.provenance.detect import NOT_OURS_P_VALUE, detect
from lumora.provenance.index import Index
from lumora.provenance.model_attribution import MIN_P_VALUE, CodecTrace, trace_of, trace_p_value
from lumora.world.clip import make_clip


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec()


@pytest.fixture(scope="module")
def foreign() -> list[Video]:
    shape = VideoShape(9, 64, 64, 8.0)
    return [Video(make_clip("simple", 77, number, shape).frames.numpy(), 8.0) for number in range(4)]


@torch.inference_mode()
def decoded(video: Video, codec: Codec) -> Video:
    """The codec's reconstruction, which has the trace of a generated video."""
    pixels = torch.from_numpy(video.frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    output = codec.decode(codec.encode(pixels), clamp=True)[0].permute(1, 2, 3, 0)
    return Video(((output + 1) * 127.5).round().byte().numpy(), video.fps)


def p_value(video: Video, codec: Codec) -> float:
    trace = trace_of(video, codec)
    assert trace is not None
    return trace.p_value


def test_decoded_videos_have_the_trace_after_encoding_and_originals_do_not(
    codec: Codec, foreign: list[Video], tmp_path: Path
):
    for video in foreign:
        file = decoded(video, codec).save(tmp_path / "ours.mp4")
        assert p_value(Video.load(file), codec) <= NOT_OURS_P_VALUE < p_value(video, codec)


def test_the_grid_is_found_in_a_large_video_and_is_weaker_after_a_shift(codec: Codec, foreign: list[Video]):
    large = Video(np.tile(foreign[0].frames, (1, 3, 4, 1)), 8.0)  # 192 × 256: larger than the part that is used
    output = decoded(large, codec)
    shifted = Video(np.ascontiguousarray(output.frames[:, 4:, 4:]), 8.0)
    on_grid, off_grid = trace_of(output, codec), trace_of(shifted, codec)
    assert on_grid and off_grid and on_grid.grid > 0.5 > off_grid.grid


def test_empty_and_blurred_videos_have_no_trace(codec: Codec, foreign: list[Video]):
    blurred = foreign[0].resize(16, 16).resize(64, 64)
    for video in (Video(np.zeros((17, 64, 64, 3), np.uint8), 8.0), blurred):
        assert p_value(video, codec) > NOT_OURS_P_VALUE


def test_any_size_and_length_is_accepted_and_too_small_videos_have_no_result(codec: Codec):
    noise = np.random.default_rng(0).integers(0, 256, (30, 333, 50, 3), dtype=np.uint8)
    for frames, height, width in ((1, 32, 32), (2, 33, 47), (30, 333, 50)):
        assert p_value(Video(noise[:frames, :height, :width], 8.0), codec) > NOT_OURS_P_VALUE
    assert trace_of(Video(noise[:, :31], 8.0), codec) is None


@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0, 5))
def test_the_weaker_ratio_counts_and_p_values_stay_within_what_was_measured(passes: float, grid: float, more: float):
    p = CodecTrace(passes, grid).p_value
    assert MIN_P_VALUE <= p <= 1
    assert CodecTrace(passes + more, grid + more).p_value <= p
    assert p == max(CodecTrace(passes, 100.0).p_value, CodecTrace(100.0, grid).p_value) >= trace_p_value(100.0)


def test_a_trace_turns_not_ours_into_cannot_tell_and_never_into_ours(
    codec: Codec,
    foreign: list[Video],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "state"))
    elsewhere = decoded(foreign[1], codec).save(tmp_path / "elsewhere.mp4")
    without, with_trace = detect(elsewhere, Index()), detect(elsewhere, Index(), codec)
    assert (without.answer, with_trace.answer) == ("not ours", "cannot tell")
    assert without.p_value == with_trace.p_value > NOT_OURS_P_VALUE and with_trace.record is None
    assert detect(foreign[1].save(tmp_path / "foreign.mp4"), Index(), codec).answer == "not ours"
    assert main(["detect", str(elsewhere)]) == 4
    assert "looks like a video of this model" in capsys.readouterr().out
    assert main(["detect", str(tmp_path / "foreign.mp4"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["codec_trace"]["p_value"] > NOT_OURS_P_VALUE
    assert not (tmp_path / "state").exists()  # detect writes nothing
