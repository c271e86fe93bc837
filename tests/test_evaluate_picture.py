"""Pictures are compared as they should be: with distributions, clips and trainings whose answer is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.evaluate.instruments.camera_path import CameraPath
from lumora.evaluate.instruments.features import Features, features_of, frechet_distance, version
from lumora.evaluate.instruments.probe import Probe
from lumora.evaluate.metrics.camera_control import amount, camera_control
from lumora.evaluate.metrics.estimates import estimate, mean, ratio, table
from lumora.evaluate.metrics.image_quality import ImageStatistics, compare, diversity
from lumora.evaluate.metrics.memorization import alike_clips, memorization
from lumora.evaluate.report.chart import Series, chart
from lumora.evaluate.suites.corruptions import NOISE, blurred, degraded
from lumora.evaluate.suites.held_out import Case, held_out_captions, retold
from lumora.world.facts import Fact, facts_of
from lumora.world.physics import simulate
from lumora.world.sample import rearranged, sample_scene
from lumora.world.scene import Camera, Scene

SHAPE = VideoShape(9, 32, 32)


@pytest.fixture(scope="module")
def probe() -> Probe:
    torch.manual_seed(0)
    return Probe(width=32)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return held_out_captions("simple", 5, "short", SHAPE)


def clips_of(cases: list[Case]) -> list[np.ndarray]:
    return [case.real for case in cases if case.real is not None]


@settings(max_examples=20)
@given(shift=st.floats(-3, 3), scale=st.floats(0.2, 3))
def test_the_distance_of_normal_distributions(shift: float, scale: float):
    """In one dimension it is (μ₁ − μ₂)² + (σ₁ − σ₂)², in two independent ones twice that."""
    a = np.random.default_rng(0).standard_normal((400, 2))
    mean, cov = a.mean(0), np.linalg.cholesky(np.linalg.inv(np.cov(a, rowvar=False)))
    a = (a - mean) @ cov  # exactly 0 and 1
    assert frechet_distance(a, shift + scale * a) == pytest.approx(2 * (shift**2 + (scale - 1) ** 2), abs=1e-6)
    assert math.isnan(frechet_distance(a[:1], a))


def test_estimates_hold_the_value_and_shrink_with_more_clips():
    values = np.random.default_rng(1).standard_normal(400)
    few, many = estimate(mean, values[:40]), estimate(mean, values)
    assert few.low < few.value < few.high and many.high - many.low < few.high - few.low
    assert many.high - many.low == pytest.approx(2 * 1.96 / 20, rel=0.2)
    assert few == estimate(mean, values[:40])
    assert estimate(ratio, np.full(9, 2.0), np.full(9, 4.0)).value == 0.5
    nothing = estimate(mean, values[:0])
    assert nothing.of == 0 and "–" in table({"model": {"row": nothing}})


def test_a_video_that_stands_still_is_found_out(probe: Probe, cases: list[Case]):
    real = clips_of(cases)
    still = [np.repeat(frames[:1], len(frames), axis=0) for frames in real]
    both = {
        name: (features_of(probe, clips), ImageStatistics.of(clips))
        for name, clips in (("still", still), ("same", real))
    }
    columns = compare(both, both["same"])
    assert columns["still"]["motion"].value == columns["still"]["moves as much"].value == 0
    assert columns["still"]["distance"].value > columns["same"]["distance"].value == pytest.approx(0, abs=1e-9)
    assert columns["same"]["sharpness"].value == columns["same"]["moves as much"].value == 1


def test_blur_is_less_sharp_and_noise_flickers(cases: list[Case]):
    real, worse = clips_of(cases), degraded(clips_of(cases))
    looks = {name: ImageStatistics.of(clips) for name, clips in {"real": real, **worse}.items()}
    assert (looks["blur"].sharpness < looks["real"].sharpness).all()
    assert (looks["noise"].flicker > looks["real"].flicker + NOISE / 3).all()
    flat = np.full((2, 8, 8, 3), 77, np.uint8)
    assert np.array_equal(blurred(flat), flat)
    assert np.array_equal(degraded(real)["noise"][1], worse["noise"][1])


def test_features_belong_to_their_weights(probe: Probe, cases: list[Case]):
    features = features_of(probe, clips_of(cases))
    assert features.gist.shape == (5, 32) and len(features.layout) == 5
    assert np.allclose(features_of(probe, clips_of(cases)[:2]).gist, features.gist[:2], atol=1e-2)
    other = Probe(width=32)
    assert version(probe) != version(other)
    other.trunk.load_state_dict(probe.trunk.state_dict())
    assert version(probe) == version(other)


def made_of(layout: np.ndarray) -> Features:
    return Features(layout.astype(float), layout.astype(np.float32))


def test_who_makes_the_same_again_and_again_is_not_diverse():
    rng = np.random.default_rng(0)
    real = [made_of(rng.standard_normal((4, 8))) for _ in range(6)]
    same = [made_of(np.repeat(f.layout[:1], 4, axis=0)) for f in real]
    assert diversity(same, real).value == pytest.approx(0, abs=1e-3)
    assert diversity(real, real).value == 1
    assert diversity([made_of(f.layout / 2) for f in real], real).value == pytest.approx(0.5)


def test_who_copies_is_found_out_and_who_makes_is_not():
    rng = np.random.default_rng(0)
    real, trained, unseen, new = (made_of(rng.standard_normal((60, 8))) for _ in range(4))
    copied = made_of(trained.layout + 0.05 * rng.standard_normal((60, 8)))
    thief, maker = memorization(copied, real, trained, unseen), memorization(new, real, trained, unseen)
    assert thief.nearer["model"].value > 0.95 and thief.distance["ratio"].value < 0.2
    low, high = maker.nearer["model"].interval()
    assert low < 0.5 < high and maker.distance["ratio"].value == pytest.approx(1, abs=0.2)


def test_a_clip_like_each_scene_is_drawn_anew(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lumora.evaluate.metrics.memorization.SEARCHED", 6)
    scenes = [sample_scene("simple", 0, index, 1.0) for index in (2, 4)]
    trained, unseen = alike_clips("simple", scenes, SHAPE)
    again = clips_of(held_out_captions("simple", 5, "short", SHAPE, seed=0))
    assert len(trained) == len(unseen) == 2
    assert np.array_equal(trained[0], again[2]) and np.array_equal(trained[1], again[4])
    assert not np.array_equal(unseen[0], trained[0])


def test_of_real_clips_that_retell_a_prompt_all_of_it_is_true(cases: list[Case]):
    told, again = (retold(cases[0], "simple", SHAPE, 2, np.random.default_rng(3)) for _ in range(2))
    assert len(told) == 2 and not np.array_equal(told[0], told[1]) and np.array_equal(told[0], again[0])


def test_the_same_cast_elsewhere():
    scene = sample_scene("simple", 0, 1)
    other = rearranged(np.random.default_rng(0), scene, "pan left")
    assert other is not None and other.camera.move == "pan left" and other.place == scene.place
    assert [s.kind for s in other.subjects] == [s.kind for s in scene.subjects]
    assert other.subjects[0].position != scene.subjects[0].position
    assert Fact("camera", "pan left") in facts_of(other, simulate(other, 8.0, 9))


def test_the_camera_is_held_against_what_was_asked():
    def case(move: str) -> Case:
        camera = Camera((0.0, -4.0, 1.5), (0.0, 0.0, 0.6), move, 0.2)  # type: ignore[arg-type]
        fact = Fact("camera", move)
        return Case("captions", "", (fact,), (fact,), None, Scene((), "room", "noon", camera, 2.0))

    shape, turn = VideoShape(17, 32, 32), 0.4 * np.linspace(0, 1, 17)
    left = CameraPath(-turn, 0 * turn, 0 * turn, 0 * turn, 0 * turn)
    right = CameraPath(turn / 2, 0 * turn, 0 * turn, 0 * turn, 0 * turn)
    asked = [case("pan left"), case("pan left"), case("static"), Case("captions", "", (), ())]
    found = camera_control(asked, shape, {"model": [left, right, left, left]})
    assert found.moves["model"]["pan left"].value == found.sides["model"]["pan left"].value == 0.5
    assert found.moves["model"]["static"].value == 0 and found.moves["model"]["total"].stated == 3
    assert found.amounts["model"]["pan left"].value == pytest.approx((1 - 0.5) / 2)
    assert found.errors["model"]["pan left"].value == pytest.approx((0 + 1.5) / 2)
    assert amount(CameraPath(turn, turn, -turn, turn, turn), "orbit") == pytest.approx(0.4)
    assert amount(CameraPath(turn, turn, turn, turn, turn), "orbit") == pytest.approx(-0.4)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=4), st.booleans())
def test_a_chart_stays_in_its_picture(points: list[tuple[float, float]], log: bool):
    svg = chart([Series("<a>", [x for x, _ in points], [y for _, y in points], joined=False)], "x", "y & z", log)
    drawn = sum(not log or (x > 0 and y > 0) for x, y in points)
    assert svg.count("<circle") == drawn and "<a>" not in svg and "&amp;" in svg
