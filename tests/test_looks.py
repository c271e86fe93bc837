"""Looks change little with what people do to a video, and much from one video to another."""

import itertools
from pathlib import Path

import numpy as np
from clips import film, recoded

from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.dct import reduction_stages
from lumora.provenance.fingerprint import chance_of, fingerprint_of, likeness

KEY = bytes(range(32))


def test_looks_change_little_with_what_people_do_and_much_with_the_video(tmp_path: Path):
    videos = [film(seed) for seed in range(8)]
    looks = [fingerprint_of(video) for video in videos]
    marked = watermark.embed(videos[0], 5, KEY)
    part = Video(np.ascontiguousarray(marked.frames[:, 9:55, 12:58]), 8.0)
    for changed in (
        marked,
        Video.load(recoded(marked.resize(32, 32), tmp_path / "a.mp4", 33)),
        Video.load(recoded(part.resize(64, 64), tmp_path / "b.mp4", 20)),
        Video(marked.frames[4:], 8.0),
        Video(marked.frames[::2], 4.0),
        Video((marked.frames * 0.7 + 20).astype(np.uint8), 8.0),
    ):
        own, *others = (like.value for like in likeness(reduction_stages(changed), looks))
        assert own > 0.5 > max(others) and chance_of(own) < 5e-3


def test_looks_of_pictures_videos_and_of_another_version_are_told_apart():
    picture = Video(film().frames[:1, :32, :32], 1.0)
    known = [fingerprint_of(picture), fingerprint_of(film()), np.zeros(162, np.int8)]
    assert [round(like.value, 1) for like in likeness(reduction_stages(picture), known)] == [1.0, 0.0, 0.0]
    assert [round(like.value, 1) for like in likeness(reduction_stages(film()), known)] == [0.0, 1.0, 0.0]
    assert likeness(reduction_stages(film()), []) == [] and chance_of(0.0) == 1.0
    flat = Video(np.full((5, 8, 8, 3), 90, np.uint8), 8.0)
    assert likeness(reduction_stages(flat), known)[1].value < 0.5


def test_a_more_alike_video_is_never_likelier_to_be_foreign():
    chances = [chance_of(alike) for alike in np.linspace(-1, 1, 201)]
    assert all(a >= b for a, b in itertools.pairwise(chances)) and 0 < chances[-1] < 1e-3
