"""Image quality, diversity, memorization and camera control on data with known answers, and plots."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.evaluate.instruments.camera_path import CameraPath
from lumora.evaluate.instruments.features import ClipFeatures, clip_features, features_version, frechet_distance
from lumora.evaluate.instruments.probe import Probe
from lumora.evaluate.metrics.camera_control import compare_camera_paths, move_amount
from lumora.evaluate.metrics.estimates import estimate, mean, ratio
from lumora.evaluate.metrics.image_quality import ImageStatistics, diversity_ratio, quality_columns
from lumora.evaluate.metrics.memorization import compare_with_training, similar_clips
from lumora.evaluate.metrics.metric_table import Curve, Plot, format_columns
from lumora.evaluate.report.plots import plot_curves, plot_points
from lumora.evaluate.suites.corruptions import NOISE, blurred, corrupted
from lumora.evaluate.suites.held_out import EvaluationCase, held_out_captions, matching_clips
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
def cases() -> list[EvaluationCase]:
    return held_out_captions("simple", 5, "short", SHAPE)


def clips_of(cases: list[EvaluationCase]) -> list[np.ndarray]:
    return [case.real for case in cases if case.real is not None]


@settings(max_examples=20)
@given(shift=st.floats(-3, 3), scale=st.floats(0.2, 3))
def test_frechet_distance_of_normal_distributions(shift: float, scale: float):
    """(μ₁ − μ₂)² + (σ₁ − σ₂)² in each of two independent dimensions."""
    a = np.random.default_rng(0).standard_normal((400, 2))
    mean, cov = a.mean(0), np.linalg.cholesky(np.linalg.inv(np.cov(a, rowvar=False)))
    a = (a - mean) @ cov  # exactly 0 and 1
    assert frechet_distance(a, shift + scale * a) == pytest.approx(2 * (shift**2 + (scale - 1) ** 2), abs=1e-6)
    assert math.isnan(frechet_distance(a[:1], a))


def test_intervals_contain_the_value_and_shrink_with_more_clips():
    values = np.random.default_rng(1).standard_normal(400)
    few, many = estimate(mean, values[:40]), estimate(mean, values)
    assert few.low < few.value < few.high and many.high - many.low < few.high - few.low
    assert many.high - many.low == pytest.approx(2 * 1.96 / 20, rel=0.2)
    assert few == estimate(mean, values[:40])
    assert estimate(ratio, np.full(9, 2.0), np.full(9, 4.0)).value == 0.5
    nothing = estimate(mean, values[:0])
    assert nothing.count == 0 and "–" in format_columns({"model": {"row": nothing}})


def test_static_videos_have_no_motion(probe: Probe, cases: list[EvaluationCase]):
    real = clips_of(cases)
    still = [np.repeat(frames[:1], len(frames), axis=0) for frames in real]
    both = {
        name: (clip_features(probe, clips), ImageStatistics.of(clips))
        for name, clips in (("still", still), ("same", real))
    }
    columns = quality_columns(both, both["same"])
    assert columns["still"]["motion"].value == columns["still"]["motion similarity"].value == 0
    assert (
        columns["still"]["Fréchet distance"].value
        > columns["same"]["Fréchet distance"].value
        == pytest.approx(0, abs=1e-9)
    )
    assert columns["same"]["sharpness"].value == columns["same"]["motion similarity"].value == 1


def test_blur_reduces_sharpness_and_noise_adds_flicker(cases: list[EvaluationCase]):
    real, worse = clips_of(cases), corrupted(clips_of(cases))
    looks = {name: ImageStatistics.of(clips) for name, clips in {"real": real, **worse}.items()}
    assert (looks["blur"].sharpness < looks["real"].sharpness).all()
    assert (looks["noise"].flicker > looks["real"].flicker + NOISE / 3).all()
    flat = np.full((2, 8, 8, 3), 77, np.uint8)
    assert np.array_equal(blurred(flat), flat)
    assert np.array_equal(corrupted(real)["noise"][1], worse["noise"][1])


def test_the_features_version_identifies_the_weights(probe: Probe, cases: list[EvaluationCase]):
    features = clip_features(probe, clips_of(cases))
    assert features.pooled.shape == (5, 32) and len(features.layout) == 5
    assert np.allclose(clip_features(probe, clips_of(cases)[:2]).pooled, features.pooled[:2], atol=1e-2)
    other = Probe(width=32)
    assert features_version(probe) != features_version(other)
    other.trunk.load_state_dict(probe.trunk.state_dict())
    assert features_version(probe) == features_version(other)


def made_of(layout: np.ndarray) -> ClipFeatures:
    return ClipFeatures(layout.astype(float), layout.astype(np.float32))


def test_diversity_of_identical_videos_is_zero():
    rng = np.random.default_rng(0)
    real = [made_of(rng.standard_normal((4, 8))) for _ in range(6)]
    same = [made_of(np.repeat(f.layout[:1], 4, axis=0)) for f in real]
    assert diversity_ratio(same, real).value == pytest.approx(0, abs=1e-3)
    assert diversity_ratio(real, real).value == 1
    assert diversity_ratio([made_of(f.layout / 2) for f in real], real).value == pytest.approx(0.5)


def test_copies_are_detected_and_new_videos_are_not():
    rng = np.random.default_rng(0)
    real, trained, unseen, new = (made_of(rng.standard_normal((60, 8))) for _ in range(4))
    copied = made_of(trained.layout + 0.05 * rng.standard_normal((60, 8)))
    copier, creator = (
        compare_with_training(copied, real, trained, unseen),
        compare_with_training(new, real, trained, unseen),
    )
    assert copier.nearer["generated"].value > 0.95 and copier.distance["ratio"].value < 0.2
    low, high = creator.nearer["generated"].interval()
    assert low < 0.5 < high and creator.distance["ratio"].value == pytest.approx(1, abs=0.2)


def test_similar_clips_are_rendered_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lumora.evaluate.metrics.memorization.NUM_SCENES", 6)
    scenes = [sample_scene("simple", 0, index, 1.0) for index in (2, 4)]
    trained, unseen = similar_clips("simple", scenes, SHAPE)
    again = clips_of(held_out_captions("simple", 5, "short", SHAPE, seed=0))
    assert len(trained) == len(unseen) == 2
    assert np.array_equal(trained[0], again[2]) and np.array_equal(trained[1], again[4])
    assert not np.array_equal(unseen[0], trained[0])


def test_matching_clips_are_reproducible_and_differ(cases: list[EvaluationCase]):
    told, again = (matching_clips(cases[0], "simple", SHAPE, 2, np.random.default_rng(3)) for _ in range(2))
    assert len(told) == 2 and not np.array_equal(told[0], told[1]) and np.array_equal(told[0], again[0])


def test_a_restaged_scene_keeps_its_cast():
    scene = sample_scene("simple", 0, 1)
    other = rearranged(np.random.default_rng(0), scene, "pan left")
    assert other is not None and other.camera.move == "pan left" and other.place == scene.place
    assert [s.kind for s in other.subjects] == [s.kind for s in scene.subjects]
    assert other.subjects[0].position != scene.subjects[0].position
    assert Fact("camera", "pan left") in facts_of(other, simulate(other, 8.0, 9))


def test_camera_paths_are_compared_with_the_prompts():
    def case(move: str) -> EvaluationCase:
        camera = Camera((0.0, -4.0, 1.5), (0.0, 0.0, 0.6), move, 0.2)  # type: ignore[arg-type]
        fact = Fact("camera", move)
        return EvaluationCase("captions", "", (fact,), (fact,), None, Scene((), "room", "noon", camera, 2.0))

    shape, turn = VideoShape(17, 32, 32), 0.4 * np.linspace(0, 1, 17)
    left = CameraPath(-turn, 0 * turn, 0 * turn, 0 * turn, 0 * turn)
    right = CameraPath(turn / 2, 0 * turn, 0 * turn, 0 * turn, 0 * turn)
    asked = [case("pan left"), case("pan left"), case("static"), EvaluationCase("captions", "", (), ())]
    found = compare_camera_paths(asked, shape, {"model": [left, right, left, left]})
    assert found.moves["model"]["pan left"].value == found.sides["model"]["pan left"].value == 0.5
    assert found.moves["model"]["static"].value == 0 and found.moves["model"]["total"].count == 3
    assert found.amounts["model"]["pan left"].value == pytest.approx((1 - 0.5) / 2)
    assert found.errors["model"]["pan left"].value == pytest.approx((0 + 1.5) / 2)
    assert move_amount(CameraPath(turn, turn, -turn, turn, turn), "orbit") == pytest.approx(0.4)
    assert move_amount(CameraPath(turn, turn, turn, turn, turn), "orbit") == pytest.approx(-0.4)


def test_plots_are_svg_elements_with_escaped_text():
    pytest.importorskip("matplotlib")
    plot = Plot("x", "y & z", [Curve("<a>", [0.0, 1.0], [0.1, math.nan], [0.0, 0.1], [0.2, 0.3])])
    svg = plot_curves(plot)
    assert svg.startswith("<svg") and svg.rstrip().endswith("</svg>")
    assert "<a>" not in svg and "y &amp; z" in svg and "<metadata>" not in svg
    assert svg == plot_curves(plot), "The same figures give the same bytes."
    points = plot_points(
        [Curve("small", [1.0, 10.0], [2.0, 3.0])], [Curve("small", [1.0, 10.0], [2.0, 3.0])], "x", "y", "log"
    )
    assert points.count(">small<") == 1, "The legend names points and line once."
