"""With a record of the original, watermarks are read that cannot be read without; a wrong key finds nothing."""

from pathlib import Path

import numpy as np
import pytest
from clips import film, recoded

from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.dct import ALIGNMENTS, Alignment, reduced, search_stages
from lumora.provenance.detect import detect
from lumora.provenance.fingerprint import fingerprint_of, match_fingerprints
from lumora.provenance.index import Index, PublishedRecord
from lumora.provenance.informed_detector import NO_REFERENCE, reference_dct_of, sign_p_value, sign_votes
from lumora.provenance.keystore import watermark_key

KEY = bytes(range(32))
RECIPE = {"request": {"prompt": "a red ball"}, "made_at": "now"}


def alignment_of(video: Video, original: Video) -> Alignment:
    (match,) = match_fingerprints(search_stages(reduced(video)), [fingerprint_of(original)])
    return ALIGNMENTS[match.alignment]


def p_value(video: Video, original: Video, payload: int, key: bytes = KEY) -> float:
    signs = watermark.signs_of(payload, key, len(video.frames))
    return sign_p_value(reduced(video), reference_dct_of(original), alignment_of(video, original), signs)


def enlarged_crop(video: Video, side: int = 45) -> Video:
    return Video(np.ascontiguousarray(video.frames[:, 9 : 9 + side, 13 : 13 + side]), video.fps).resize(64, 64)


@pytest.mark.parametrize("seed", (0, 2))
def test_watermark_is_read_after_a_crop_a_codec_a_tone_curve_and_cuts(seed: int, tmp_path: Path):
    original = film(seed)
    marked = watermark.embed(original, 77, KEY)
    toned = Video((255 * (marked.frames / 255.0) ** 1.15 * 0.9 + 9).astype(np.uint8), 8.0)
    for attacked in (
        Video.load(recoded(enlarged_crop(marked), tmp_path / "part.mp4", 20)),
        Video.load(recoded(toned, tmp_path / "toned.mp4", 26)),
        Video(marked.frames[4:], 8.0),
        Video(marked.frames[::2], 4.0),
    ):
        assert p_value(attacked, original, 77) <= 1e-9
        assert p_value(attacked, original, 77, bytes(32)) > 1e-4
    assert p_value(marked, original, 77 ^ 0xFFFFFFFF) == 1.0


def test_watermark_of_an_image_is_read():
    original = film(1, 1)
    marked = watermark.embed(original, 7, KEY)
    assert p_value(marked, original, 7) <= 1e-9 and p_value(original, original, 7) > 1e-4


def test_p_values_hold_for_random_signs_against_the_right_record():
    cropped = enlarged_crop(watermark.embed(film(), 77, KEY))
    alignment, reference = alignment_of(cropped, film()), reference_dct_of(film())
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (300, 17, 52))
    p_values = np.array([sign_p_value(reduced(cropped), reference, alignment, each) for each in signs[:20]])
    votes = sign_votes(reduced(cropped), reference, alignment)
    assert votes is not None and np.abs(votes).max() <= 1
    z = np.tensordot(signs, votes, axes=2) / np.linalg.norm(votes)
    assert all((np.exp(-(np.maximum(z, 0) ** 2) / 2) <= level).mean() <= level for level in (0.5, 0.3, 0.1, 0.03))
    assert (p_values < 1).any() and p_values.min() > 1e-3


def test_there_is_no_evidence_without_a_reference_or_content():
    signs, unchanged = watermark.signs_of(1, KEY, 17), Alignment()
    assert sign_p_value(reduced(film()), NO_REFERENCE, unchanged, signs) == 1.0
    assert sign_p_value(reduced(film()), reference_dct_of(film(0, 1)), unchanged, signs) == 1.0
    flat = Video(np.full((17, 64, 64, 3), 90, np.uint8), 8.0)
    assert sign_p_value(reduced(flat), reference_dct_of(flat), unchanged, signs) > 1e-3


def test_a_published_crop_is_recognized_with_the_index(tmp_path: Path):
    index = Index(tmp_path / "index.sqlite3")
    for seed in (0, 2):
        original = film(seed)
        marked = watermark.embed(original, seed, watermark_key())
        recipe, fingerprint = {**RECIPE, "record": f"{seed:08x}"}, fingerprint_of(original)
        index.add(PublishedRecord(f"{seed:08x}", "00", recipe, b"", fingerprint, reference_dct_of(original)))
        file = recoded(enlarged_crop(marked), tmp_path / "part.mp4", 20)
        found = detect(file, index)
        assert found.answer == "ours" and found.record and found.record.record == f"{seed:08x}"
