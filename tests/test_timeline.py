"""Time lines and windows: what is given lies where it was put, and everything else is made once."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.backends.lumora.compositing import Pictures
from lumora.backends.lumora.segments import Given, Shot, Take, takes
from lumora.backends.lumora.windows import windows
from lumora.media.video import Video

TIME = 4


def clip(frames: int, fps: float = 8.0) -> Video:
    """Every frame has a grey of its own."""
    grey = (20 + 5 * np.arange(frames)).astype(np.uint8)
    return Video(np.broadcast_to(grey[:, None, None, None], (frames, 4, 4, 3)).copy(), fps)


def shots() -> st.SearchStrategy[list[Shot]]:
    return st.lists(st.builds(Shot, st.just("x"), st.floats(0.1, 5), st.booleans()), min_size=1, max_size=4)


def things() -> st.SearchStrategy[list[Given]]:
    videos = st.builds(clip, st.integers(1, 40), st.sampled_from([4.0, 8.0, 12.0, 30.0]))
    starts = st.one_of(st.just("end"), st.just(0.0), st.floats(0, 4))
    return st.lists(st.builds(Given, videos, starts, st.sampled_from([0.0, 0.0, 0.5])), max_size=4)


def known(take: Take) -> np.ndarray:
    """Mean strength of each latent frame's frames, by the definition."""
    by_frame = {frame: place.strength for frame, place in take.places.items()}
    return np.array([np.mean([by_frame.get(f, 1.0) for f in take.frames_of(n)]) for n in range(take.latents)])


@settings(max_examples=200)
@given(shots(), things(), st.sampled_from([4.0, 8.0, 24.0]), st.booleans())
def test_latent_frames_tile_every_take(shots: list[Shot], things: list[Given], fps: float, loop: bool):
    begins = 0
    for take in takes(shots, things, fps, TIME, loop):
        assert take.begins == begins and take.shown >= 1
        begins += take.shown
        held = [f for n in range(take.latents) for f in take.frames_of(n)]
        assert held == list(range(take.offset, take.frames)) or take.frames == take.shown == take.offset + 1
        assert len(take.strengths()) == 1 + TIME * (take.latents - 1)
        assert set(range(take.offset)) <= set(take.kept())  # what no latent frame holds is given
        assert all(0 <= f < take.frames for f in take.places)
        ends = [0, *(end for _, end in take.shots)]
        assert all(a <= b for a, b in pairwise(ends)) and ends[-1] == take.latents


@settings(max_examples=200)
@given(shots(), st.sampled_from([4.0, 8.0, 24.0]))
def test_cuts_are_within_half_a_latent_frame_and_errors_do_not_add_up(shots: list[Shot], fps: float):
    asked = 0.0
    line = takes([Shot(s.prompt, s.seconds) for s in shots], [], fps, TIME)
    assert len(line) == len(shots)
    for shot, take in zip(shots, line, strict=True):
        asked += shot.seconds * fps
        if shot.seconds * fps > TIME:
            assert abs(take.begins + take.shown - asked) <= TIME / 2 + 1e-6


@given(st.integers(1, 30), st.integers(0, 30), st.integers(1, 30))
def test_beginnings_and_ends_fill_latent_frames_whatever_their_length(first: int, gap: int, last: int):
    """Of a clip before and one behind, nothing but what is made is left between."""
    seconds = (first + gap + last) / 8
    (take,) = takes([Shot("x", seconds)], [Given(clip(first)), Given(clip(last), "end")], 8.0, TIME)
    assert abs(take.shown - (first + gap + last)) <= TIME / 2 or gap < TIME / 2
    assert take.places[take.shown - 1].picture == last - 1 and take.places[0].given in (0, 1)
    if gap >= TIME:
        assert set(np.unique(known(take))) <= {0.0, 1.0}
        assert {f for f in range(take.shown) if f not in take.places} == set(range(first, take.shown - last))


@pytest.mark.parametrize("rate", [2, 4])
def test_a_slower_video_leaves_frames_to_be_made_between(rate: int):
    video = clip(5, 8.0)
    (take,) = takes([Shot("x", (4 * rate + 1) / (8 * rate))], [Given(video)], 8.0 * rate, TIME)
    assert take.shown == 4 * rate + 1
    assert {f: place.picture for f, place in take.places.items()} == {rate * i: i for i in range(5)}
    assert known(take)[1:] == pytest.approx(1 - 1 / rate)


def test_a_faster_video_is_thinned_out_to_the_nearest_pictures():
    (take,) = takes([Shot("x", 1.0)], [Given(clip(30, 30.0))], 8.0, TIME)
    assert [take.places[f].picture for f in range(8)] == [0, 4, 7, 11, 15, 19, 22, 26]


def test_a_loop_sees_its_beginning_again_behind_its_end():
    (take,) = takes([Shot("x", 25 / 8)], [Given(clip(13))], 8.0, TIME, loop=True)
    assert take.shown == 25 and take.frames == 33
    assert [take.places[25 + f].picture for f in range(8)] == list(range(8))
    assert known(take).tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0]


def test_given_things_stay_with_their_shot():
    board = [Shot("a", 1.3), Shot("b", 1.0), Shot("c", 2.0, cut=False)]
    line = takes(board, [Given(clip(1), shot=1), Given(clip(1), 0.5, shot=2)], 8.0, TIME)
    assert [set(take.kept()) for take in line] == [set(), {0, 12}]
    assert line[0].shown + line[1].shown == pytest.approx(4.3 * 8, abs=2)


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0, 1.0, 1.0]), min_size=1, max_size=60),
    st.lists(st.integers(1, 59), max_size=3),
    st.integers(3, 12),
    st.integers(1, 2),
)
def test_windows_make_everything_once_and_see_what_is_near(mask: list[float], cuts: list[int], most: int, seen: int):
    unknown = np.array(mask)
    ends = sorted({end for end in cuts if end < len(mask)} | {len(mask)})
    plan = windows(unknown, ends, most, seen)
    for number, window in enumerate(plan):
        assert plan[number:] == windows(unknown, ends, most, seen)  # wherever it is left, it goes on
        made = [f for f in window.frames if unknown[f] > 0]
        assert made and len(window.frames) <= most + seen
        if len(ends) > 1:
            assert len({next(i for i, end in enumerate(ends) if end > f) for f in made}) == 1
        assert ends[window.shot] > made[0]
        for near in (made[0] - 1, made[-1] + 1):
            if 0 <= near < len(mask) and unknown[near] == 0:
                assert near in window.frames
        unknown[made] = 0
    assert not unknown.any()


@given(st.integers(2, 40))
def test_what_leads_up_to_something_is_made_backward(free: int):
    plan = windows(np.array([1.0] * free + [0.0] * 3), [free + 3], 5)
    if len(plan) > 1:
        assert all(later.frames.start < earlier.frames.start for earlier, later in pairwise(plan))
        assert all(later.frames.stop > earlier.frames.start for earlier, later in pairwise(plan))


def test_drafts_cross_fade_between_given_frames_and_hold_outside():
    (take,) = takes([Shot("x", 13 / 8)], [Given(Video(clip(5).frames[::4], 2.0), 0.5)], 8.0, TIME)
    pictures = Pictures.of(take, [Given(Video(clip(5).frames[::4], 2.0), 0.5)], 4, 4, "crop")
    greys = [int(pictures.drafted(f)[0, 0, 0]) for f in range(13)]
    assert greys == [20] * 5 + [25, 30, 35] + [40] * 5


@settings(max_examples=20)
@given(st.integers(-4, 4), st.sampled_from([-60, 60]), st.integers(0, 8))
def test_what_stands_still_stays_as_it_was_given_and_what_moves_is_as_it_was_made(off: int, other: int, column: int):
    """A frame far behind the given one is made anew, with a little noise, and something comes into it."""
    given = np.random.default_rng(0).integers(70, 180, (1, 16, 24, 3), dtype=np.uint8)
    (take,) = takes([Shot("x", 17 / 8)], [Given(Video(given, 8.0))], 8.0, TIME)
    pictures = Pictures.of(take, [Given(Video(given, 8.0))], 16, 24, "crop")
    decoded = np.repeat(given + np.uint8(3), 17, axis=0)  # what the codec makes of it
    decoded[1:] += np.int8(off).astype(np.uint8)
    there = np.s_[16, :, column : column + 8]
    decoded[there] += np.int8(other).astype(np.uint8)
    made = decoded[there].copy()
    pictures.put_back(take, decoded)
    assert np.array_equal(decoded[:16], np.repeat(given, 16, axis=0))
    assert np.array_equal(decoded[16, :, column + 10 :], given[0, :, column + 10 :])
    assert np.array_equal(decoded[there][:, 2:6], made[:, 2:6])
