"""The watermark: invisible, read by its key alone, and robust; p-values hold for wrong keys."""

from pathlib import Path

import numpy as np
import pytest
from clips import film, recoded
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.dct import reduced

KEY = bytes(range(32))


def psnr(a: Video, b: Video) -> float:
    return 10 * np.log10(255**2 / max(1e-9, np.square(a.frames.astype(float) - b.frames).mean()))


@pytest.mark.parametrize("shape", [(17, 64, 64), (49, 48, 96), (17, 128, 96)])
@settings(max_examples=3, phases=[Phase.generate])
@given(seed=st.integers(0, 2**31), payload=st.integers(0, 2**32 - 1))
def test_watermark_is_invisible_and_read_by_its_key_alone(seed: int, payload: int, shape: tuple[int, int, int]):
    video = film(seed, *shape)
    marked = watermark.embed(video, payload, KEY)
    assert marked.frames.shape == video.frames.shape and psnr(marked, video) >= 42
    found = watermark.read(reduced(marked), KEY)
    assert found.p_value <= 1e-6 and found.p_values_of([payload])[0] <= 1e-12
    assert (found.payload ^ payload).bit_count() <= 3
    assert watermark.read(reduced(marked), bytes(32), stop_at=1.0).p_value > 1e-4
    assert np.array_equal(marked.frames, watermark.embed(video, payload, KEY).frames)


def test_images_are_watermarked_invisibly():
    image = film(0, 1)
    marked = watermark.embed(image, 7, KEY)
    assert psnr(marked, image) >= 42 and not np.array_equal(marked.frames, image.frames)


def test_black_white_and_tiny_videos_keep_the_minimal_psnr():
    for value, shape in ((0, (17, 64, 64)), (255, (5, 32, 32)), (7, (1, 1, 1)), (90, (2, 3, 200))):
        video = Video(np.full((*shape, 3), value, np.uint8), 8.0)
        assert psnr(watermark.embed(video, 5, KEY), video) >= 42


def test_p_values_hold_for_wrong_keys(monkeypatch: pytest.MonkeyPatch):
    """The share of wrong keys that reach a p-value is at most that p-value, with and without a known payload."""
    marked = reduced(watermark.embed(film(), 77, KEY))
    residual = watermark.watermark_residual(marked)
    monkeypatch.setattr(watermark, "watermark_residual", lambda _: residual)  # it is the same for all keys
    readings = [watermark.read(marked, number.to_bytes(32, "big"), stop_at=1.0) for number in range(300)]
    blind = np.array([reading.p_value for reading in readings])
    known = np.array([reading.p_values_of([77])[0] for reading in readings])
    for p_values in (blind, known):
        assert all((p_values <= level).mean() <= level for level in (0.5, 0.3, 0.1, 0.03))
        assert (p_values < 1).any()


def test_watermark_survives_a_codec_and_changes_of_size_rate_and_color(tmp_path: Path):
    marked = watermark.embed(film(3, height=128, width=128), 0xDEADBEEF, KEY)
    for attacked in (
        Video.load(recoded(marked, tmp_path / "a.mp4", 28)),
        marked.resize(64, 64),
        marked.resize(256, 256),
        Video(np.repeat(marked.frames, 3, axis=0), 24.0),
        Video(np.ascontiguousarray(marked.frames[..., [1, 0, 2]]), 8.0),
        Video((marked.frames * 0.7 + 20).astype(np.uint8), 8.0),
    ):
        assert watermark.read(reduced(attacked), KEY).p_values_of([0xDEADBEEF])[0] <= 1e-6


def test_crops_and_cuts_are_found_by_the_search_over_alignments():
    marked = watermark.embed(film(3, height=128, width=128), 0xDEADBEEF, KEY)
    part = Video(np.ascontiguousarray(marked.frames[:, 14:114, 20:120]), 8.0)
    for attacked in (part, Video(marked.frames[4:], 8.0)):
        found = watermark.read(reduced(attacked), KEY, stop_at=0.0)
        assert found.p_values_of([0xDEADBEEF])[0] <= 1e-6
        assert np.square(found.scores).sum(axis=1).argmax() > 0
    assert watermark.read(reduced(part), KEY, stop_at=0.0).box.height == pytest.approx(100 / 128, abs=0.05)
