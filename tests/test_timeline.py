"""Time lines and windows: what is given lies where it was put, and everything else is made once."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.backends.lumora.windows import plan_windows
from lumora.backends.timeline.compositing import ConditionFrames
from lumora.backends.timeline.segments import Segment, make_segments
from lumora.config import Resolution
from lumora.media.video import Video
from lumora.request.conditions import Condition, Shot

TIME = 4


def clip(frames: int, fps: float = 8.0) -> Video:
    """Every frame has a grey of its own."""
    grey = (20 + 5 * np.arange(frames)).astype(np.uint8)
    return Video(np.broadcast_to(grey[:, None, None, None], (frames, 4, 4, 3)).copy(), fps)


def shots() -> st.SearchStrategy[list[Shot]]:
    return st.lists(st.builds(Shot, st.just("x"), st.floats(0.1, 5), st.booleans()), min_size=1, max_size=4)


def things() -> st.SearchStrategy[list[Condition]]:
    videos = st.builds(clip, st.integers(1, 40), st.sampled_from([4.0, 8.0, 12.0, 30.0]))
    starts = st.one_of(st.just("end"), st.just(0.0), st.floats(0, 4))
    return st.lists(st.builds(Condition, videos, starts, st.sampled_from([0.0, 0.0, 0.5])), max_size=4)


def known(take: Segment) -> np.ndarray:
    """Mean strength of each latent frame's frames, by the definition."""
    by_frame = {frame: place.strength for frame, place in take.frame_sources.items()}
    return np.array([np.mean([by_frame.get(f, 1.0) for f in take.grid.frames_of(n)]) for n in range(take.num_latents)])


@settings(max_examples=200)
@given(shots(), things(), st.sampled_from([4.0, 8.0, 24.0]), st.booleans())
def test_latent_frames_tile_every_take(shots: list[Shot], things: list[Condition], fps: float, loop: bool):
    begins = 0
    for take in make_segments(shots, things, fps, TIME, loop):
        assert take.first_frame == begins and take.num_frames >= 1
        begins += take.num_frames
        held = [f for n in range(take.num_latents) for f in take.grid.frames_of(n)]
        assert (
            held == list(range(take.grid.offset, take.num_decoded_frames))
            or take.num_decoded_frames == take.num_frames == take.grid.offset + 1
        )
        assert len(take.frame_strengths()) == 1 + TIME * (take.num_latents - 1)
        assert set(range(take.grid.offset)) <= set(take.kept_frames())  # what no latent frame holds is given
        assert all(0 <= f < take.num_decoded_frames for f in take.frame_sources)
        ends = [0, *(end for _, end in take.shot_ends)]
        assert all(a <= b for a, b in pairwise(ends)) and ends[-1] == take.num_latents


@settings(max_examples=200)
@given(shots(), st.sampled_from([4.0, 8.0, 24.0]))
def test_cuts_are_within_half_a_latent_frame_and_errors_do_not_add_up(shots: list[Shot], fps: float):
    asked = 0.0
    line = make_segments([Shot(s.prompt, s.seconds) for s in shots], [], fps, TIME)
    assert len(line) == len(shots)
    for shot, take in zip(shots, line, strict=True):
        asked += shot.seconds * fps
        if shot.seconds * fps > TIME:
            assert abs(take.first_frame + take.num_frames - asked) <= TIME / 2 + 1e-6


@given(st.integers(1, 30), st.integers(0, 30), st.integers(1, 30))
def test_beginnings_and_ends_fill_latent_frames_whatever_their_length(first: int, gap: int, last: int):
    """Of a clip before and one behind, nothing but what is made is left between."""
    seconds = (first + gap + last) / 8
    (take,) = make_segments([Shot("x", seconds)], [Condition(clip(first)), Condition(clip(last), "end")], 8.0, TIME)
    assert abs(take.num_frames - (first + gap + last)) <= TIME / 2 or gap < TIME / 2
    assert take.frame_sources[take.num_frames - 1].frame_index == last - 1 and take.frame_sources[
        0
    ].condition_index in (0, 1)
    if gap >= TIME:
        assert set(np.unique(known(take))) <= {0.0, 1.0}
        assert {f for f in range(take.num_frames) if f not in take.frame_sources} == set(
            range(first, take.num_frames - last)
        )


@pytest.mark.parametrize("rate", [2, 4])
def test_a_slower_video_leaves_frames_to_be_made_between(rate: int):
    video = clip(5, 8.0)
    (take,) = make_segments([Shot("x", (4 * rate + 1) / (8 * rate))], [Condition(video)], 8.0 * rate, TIME)
    assert take.num_frames == 4 * rate + 1
    assert {f: place.frame_index for f, place in take.frame_sources.items()} == {rate * i: i for i in range(5)}
    assert known(take)[1:] == pytest.approx(1 - 1 / rate)


def test_a_faster_video_is_thinned_out_to_the_nearest_pictures():
    (take,) = make_segments([Shot("x", 1.0)], [Condition(clip(30, 30.0))], 8.0, TIME)
    assert [take.frame_sources[f].frame_index for f in range(8)] == [0, 4, 7, 11, 15, 19, 22, 26]


def test_a_loop_sees_its_beginning_again_behind_its_end():
    (take,) = make_segments([Shot("x", 25 / 8)], [Condition(clip(13))], 8.0, TIME, loop=True)
    assert take.num_frames == 25 and take.num_decoded_frames == 33
    assert [take.frame_sources[25 + f].frame_index for f in range(8)] == list(range(8))
    assert known(take).tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0]


def test_given_things_stay_with_their_shot():
    board = [Shot("a", 1.3), Shot("b", 1.0), Shot("c", 2.0, hard_cut=False)]
    line = make_segments(board, [Condition(clip(1), shot_index=1), Condition(clip(1), 0.5, shot_index=2)], 8.0, TIME)
    assert [set(take.kept_frames()) for take in line] == [set(), {0, 12}]
    assert line[0].num_frames + line[1].num_frames == pytest.approx(4.3 * 8, abs=2)


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
    plan = plan_windows(unknown, ends, most, seen)
    for number, window in enumerate(plan):
        assert plan[number:] == plan_windows(unknown, ends, most, seen)  # wherever it is left, it goes on
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
    plan = plan_windows(np.array([1.0] * free + [0.0] * 3), [free + 3], 5)
    if len(plan) > 1:
        assert all(later.frames.start < earlier.frames.start for earlier, later in pairwise(plan))
        assert all(later.frames.stop > earlier.frames.start for earlier, later in pairwise(plan))


def test_drafts_cross_fade_between_given_frames_and_hold_outside():
    (take,) = make_segments([Shot("x", 13 / 8)], [Condition(Video(clip(5).frames[::4], 2.0), 0.5)], 8.0, TIME)
    pictures = ConditionFrames.from_segment(
        take, [Condition(Video(clip(5).frames[::4], 2.0), 0.5)], Resolution(4, 4), "crop"
    )
    greys = [int(pictures.draft_frame(f)[0, 0, 0]) for f in range(13)]
    assert greys == [20] * 5 + [25, 30, 35] + [40] * 5


@settings(max_examples=20)
@given(st.integers(-4, 4), st.sampled_from([-60, 60]), st.integers(0, 8))
def test_what_stands_still_stays_as_it_was_given_and_what_moves_is_as_it_was_made(off: int, other: int, column: int):
    """A frame far behind the given one is made anew, with a little noise, and something comes into it."""
    given = np.random.default_rng(0).integers(70, 180, (1, 16, 24, 3), dtype=np.uint8)
    (take,) = make_segments([Shot("x", 17 / 8)], [Condition(Video(given, 8.0))], 8.0, TIME)
    pictures = ConditionFrames.from_segment(take, [Condition(Video(given, 8.0))], Resolution(24, 16), "crop")
    decoded = np.repeat(given + np.uint8(3), 17, axis=0)  # what the codec makes of it
    decoded[1:] += np.int8(off).astype(np.uint8)
    there = np.s_[16, :, column : column + 8]
    decoded[there] += np.int8(other).astype(np.uint8)
    made = decoded[there].copy()
    pictures.restore_kept_frames(take, decoded)
    assert np.array_equal(decoded[:16], np.repeat(given, 16, axis=0))
    assert np.array_equal(decoded[16, :, column + 10 :], given[0, :, column + 10 :])
    assert np.array_equal(decoded[there][:, 2:6], made[:, 2:6])
