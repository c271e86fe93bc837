"""Fingerprints change little under attacks, and differ much between videos."""

import itertools
from pathlib import Path

import numpy as np
from clips import film, recoded

from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.dct import SearchStage, reduced, search_stages
from lumora.provenance.fingerprint import fingerprint_of, fingerprint_p_value, match_fingerprints

KEY = bytes(range(32))


def stages_of(video: Video) -> list[SearchStage]:
    return list(search_stages(reduced(video)))


def test_an_attacked_video_matches_its_own_fingerprint_only(tmp_path: Path):
    videos = [film(seed) for seed in range(8)]
    fingerprints = [fingerprint_of(video) for video in videos]
    marked = watermark.embed(videos[0], 5, KEY)
    part = Video(np.ascontiguousarray(marked.frames[:, 9:55, 12:58]), 8.0)
    for attacked in (
        marked,
        Video.load(recoded(marked.resize(32, 32), tmp_path / "a.mp4", 33)),
        Video.load(recoded(part.resize(64, 64), tmp_path / "b.mp4", 20)),
        Video(marked.frames[4:], 8.0),
        Video(marked.frames[::2], 4.0),
        Video((marked.frames * 0.7 + 20).astype(np.uint8), 8.0),
    ):
        own, *others = (match.similarity for match in match_fingerprints(stages_of(attacked), fingerprints))
        assert own > 0.5 > max(others) and fingerprint_p_value(own) < 5e-3


def test_images_videos_and_fingerprints_of_other_versions_do_not_match():
    image = Video(film().frames[:1, :32, :32], 1.0)
    known = [fingerprint_of(image), fingerprint_of(film()), np.zeros(162, np.int8)]
    for video, expected in ((image, [1.0, 0.0, 0.0]), (film(), [0.0, 1.0, 0.0])):
        assert [round(match.similarity, 1) for match in match_fingerprints(stages_of(video), known)] == expected
    assert match_fingerprints(stages_of(film()), []) == [] and fingerprint_p_value(0.0) == 1.0
    flat = Video(np.full((5, 8, 8, 3), 90, np.uint8), 8.0)
    assert match_fingerprints(stages_of(flat), known)[1].similarity < 0.5


def test_p_value_falls_with_similarity():
    p_values = [fingerprint_p_value(similarity) for similarity in np.linspace(-1, 1, 201)]
    assert all(a >= b for a, b in itertools.pairwise(p_values)) and 0 < p_values[-1] < 1e-3
