"""Sampled scenes: determinism, distribution, visibility of subjects and held-out combinations."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.world.clip import make_clip, make_scene
from lumora.world.physics import camera_path, simulate
from lumora.world.physics.subject_motion import DIRECTION_VECTORS
from lumora.world.sample import FIRST_HELD_OUT_SEED, PRESETS, held_out, sample_scene
from lumora.world.sample.framing import project
from lumora.world.scene import (
    CAMERA_MOVES,
    CHARACTERS,
    COLORS,
    EVENTS,
    GLANCES,
    KINDS,
    LIGHTS,
    PLACES,
    SOLIDS,
    STYLES,
    VERBS,
    Camera,
    Scene,
)
from lumora.world.trajectory import Trajectory

presets = st.sampled_from(tuple(PRESETS))
MANY = 60


def in_picture(scene: Scene, trajectory: Trajectory, aspect: float) -> np.ndarray:
    """(T, N): whether the center of each subject is in the picture."""
    centres, _ = project(scene.camera, trajectory.camera_positions, trajectory.camera_targets, trajectory.positions)
    return np.all(np.abs(centres) < [max(aspect, 1.0), max(1 / aspect, 1.0)], axis=-1)


@pytest.fixture(scope="module", params=tuple(PRESETS))
def many(request: pytest.FixtureRequest) -> tuple[str, list[tuple[Scene, Trajectory]]]:
    scenes = [sample_scene(request.param, 5, index) for index in range(MANY)]
    scenes = [scene for scene in scenes if scene.camera.move not in GLANCES]
    return request.param, [(scene, simulate(scene, 8.0, 17)) for scene in scenes]


@settings(max_examples=20)
@given(presets, st.integers(0, 2**31), st.integers(0, 2**31))
def test_a_seed_and_index_always_give_the_same_scene(preset: str, seed: int, index: int) -> None:
    scene = sample_scene(preset, seed, index)
    sample_scene(preset, seed, index + 1)
    assert sample_scene(preset, seed, index) == scene
    assert sample_scene(preset, seed, index + 1) != scene
    assert sample_scene(preset, seed + 1, index) != scene


def test_subjects_stay_in_the_picture(many: tuple[str, list[tuple[Scene, Trajectory]]]) -> None:
    inside = [in_picture(scene, trajectory, 1.0).mean() for scene, trajectory in many[1]]
    assert np.mean(inside) > 0.985
    assert min(inside) > 0.5


def test_states_are_finite_and_rotations_are_unit_quaternions(many: tuple[str, list[tuple[Scene, Trajectory]]]) -> None:
    for _, trajectory in many[1]:
        for name in ("positions", "rotations", "velocities", "gait", "camera_positions", "camera_targets"):
            assert np.isfinite(getattr(trajectory, name)).all(), name
        np.testing.assert_allclose(np.linalg.norm(trajectory.rotations, axis=-1), 1.0, atol=1e-6)


def test_subjects_move_in_their_planned_direction(many: tuple[str, list[tuple[Scene, Trajectory]]]) -> None:
    right = []
    for scene, trajectory in many[1]:
        for index, subject in enumerate(scene.subjects):
            if subject.motion.direction is None:
                continue
            step = (trajectory.positions[-1, index] - trajectory.positions[0, index])[:2]
            along = step @ np.array(DIRECTION_VECTORS[subject.motion.direction])
            right.append(along > 0.2 and along > 0.7 * np.linalg.norm(step))
    assert len(right) > 15
    assert np.mean(right) > 0.95


def test_subjects_do_not_start_inside_each_other(many: tuple[str, list[tuple[Scene, Trajectory]]]) -> None:
    for _, trajectory in many[1]:
        assert all(contact.time > 0.1 or resting(trajectory, contact.a, contact.b) for contact in trajectory.contacts)


def resting(trajectory: Trajectory, a: int, b: int) -> bool:
    """Whether subject a or b stands on the other."""
    offset = np.abs(trajectory.positions[0, a] - trajectory.positions[0, b])
    return bool(offset[2] > 0.55 and offset[:2].max() < 0.3)


def test_subjects_are_large_enough_to_be_recognized(many: tuple[str, list[tuple[Scene, Trajectory]]]) -> None:
    widths: dict[str, list[float]] = {"small": [], "large": []}
    for scene, trajectory in many[1]:
        _, scale = project(scene.camera, trajectory.camera_positions, trajectory.camera_targets, trajectory.positions)
        for index, subject in enumerate(scene.subjects):
            widths[subject.size].append(float((scale[:, index] * subject.half_extent).mean()))
    assert 0.13 < np.median(widths["small"]) < 0.3
    assert 0.2 < np.median(widths["large"]) < (0.52 if PRESETS[many[0]].close_up else 0.42)
    assert min(widths["small"]) > 0.09


def test_colors_differ_within_a_scene(many: tuple[str, list[tuple[Scene, Trajectory]]]) -> None:
    for scene, _ in many[1]:
        assert len({subject.color for subject in scene.subjects}) == len(scene.subjects)


def test_only_characters_have_emotions_and_walk(many: tuple[str, list[tuple[Scene, Trajectory]]]) -> None:
    for scene, _ in many[1]:
        for subject in scene.subjects:
            assert (subject.emotion is not None) == (subject.kind in CHARACTERS)
            assert subject.motion.verb != "walk" or subject.kind in CHARACTERS


def test_presets_increase_in_variety() -> None:
    counts = dict.fromkeys(PRESETS, 40) | {"simple": 90, "plain": 90, "medium": 90, "full": 150, "film": 110}
    scenes = {preset: [sample_scene(preset, 2, index) for index in range(count)] for preset, count in counts.items()}
    seen: dict[str, dict[str, set]] = {}
    for preset, drawn in scenes.items():
        subjects = [subject for scene in drawn for subject in scene.subjects]
        seen[preset] = {
            "kinds": {subject.kind for subject in subjects},
            "verbs": {subject.motion.verb for subject in subjects},
            "materials": {subject.material for subject in subjects},
            "counts": {len(scene.subjects) for scene in drawn},
            "events": {scene.event.kind for scene in drawn if scene.event},
            "moves": {scene.camera.move for scene in drawn},
        }
        assert {subject.color for subject in subjects} == set(COLORS)
        assert {scene.place for scene in drawn} == set(PLACES)
        assert {scene.light for scene in drawn} == set(LIGHTS)
    simple, medium, full = seen["simple"], seen["medium"], seen["full"]
    assert seen["plain"] == simple
    assert simple["kinds"] == set(SOLIDS)
    assert simple["verbs"] == set(VERBS) - {"walk", "orbit"}
    assert simple["materials"] == {"matte", "shiny"}
    assert simple["counts"] == {1, 2}
    assert simple["moves"] == set(CAMERA_MOVES) - {"follow"}
    assert medium["kinds"] == full["kinds"] == set(KINDS)
    assert medium["verbs"] == full["verbs"] == set(VERBS)
    assert medium["moves"] == full["moves"] == set(CAMERA_MOVES)
    assert simple["events"] == medium["events"] == set()
    assert full["events"] == set(EVENTS) - {"leave"}  # which nobody plans
    assert seen["film"]["moves"] == {*CAMERA_MOVES, *GLANCES} - {"follow"}
    assert {scene.style for scene in scenes["film"]} == set(STYLES)
    assert {scene.style for preset in ("simple", "medium", "full") for scene in scenes[preset]} == {"plain"}
    assert full["counts"] == {1, 2, 3}


def test_the_preset_stage_has_close_cameras() -> None:
    scenes = [sample_scene("stage", 4, index) for index in range(160)]
    heights: dict[str, list[float]] = {"small": [], "large": []}
    for scene in scenes:
        trajectory = simulate(scene, 8.0, 17)
        assert in_picture(scene, trajectory, 1.0).all()
        _, scale = project(scene.camera, trajectory.camera_positions, trajectory.camera_targets, trajectory.positions)
        for index, subject in enumerate(scene.subjects):
            heights[subject.size].append(float((scale[:, index] * subject.half_extent).mean()))
    assert 0.35 < np.median(heights["large"]) < 0.52 and 0.22 < np.median(heights["small"]) < 0.33
    assert len({(scene.place, scene.light, scene.texture_seed) for scene in scenes}) <= 4 * len(PLACES) * len(LIGHTS)
    events = Counter(scene.event.kind for scene in scenes if scene.event)
    assert events["hit"] >= 4 and events["bite"] >= 2
    assert {len(scene.subjects) for scene in scenes} == {1, 2}
    kinds = Counter(subject.kind for scene in scenes for subject in scene.subjects)
    assert set(kinds) == set(KINDS) and max(kinds.values()) < 6 * min(kinds.values())
    assert all(scene.unpainted for scene in scenes)
    assert 0.6 < np.mean([scene.camera.move == "static" for scene in scenes]) < 0.85


def test_the_preset_plain_always_has_the_same_decoration() -> None:
    def decoration(preset: str) -> set[tuple[bool, int]]:
        return {(scene.unpainted, scene.texture_seed) for scene in (sample_scene(preset, 2, n) for n in range(10))}

    assert decoration("plain") == {(True, 0)}
    assert len(decoration("simple")) == 10 and not any(unpainted for unpainted, _ in decoration("simple"))


def test_training_seeds_have_no_held_out_combinations() -> None:
    trained, evaluated = (
        [held_out(subject) for index in range(150) for subject in sample_scene("simple", seed, index).subjects]
        for seed in (FIRST_HELD_OUT_SEED - 1, FIRST_HELD_OUT_SEED)
    )
    assert not any(trained) and 0.02 < np.mean(evaluated) < 0.25


def test_left_and_right_are_equally_frequent() -> None:
    ways = Counter(
        subject.motion.direction for index in range(400) for subject in sample_scene("simple", 3, index).subjects
    )
    share = ways["right"] / (ways["right"] + ways["left"])
    assert 0.36 < share < 0.64  # of some 150 fair draws: three and a half standard deviations


@settings(max_examples=15)
@given(presets, st.integers(0, 10**6), st.sampled_from([9 / 16, 1.0, 16 / 9]), st.sampled_from([0.0, 0.5, 4.0, 60.0]))
def test_subjects_are_visible_at_any_aspect_and_length(preset: str, index: int, aspect: float, seconds: float) -> None:
    scene = sample_scene(preset, 1, index, seconds, aspect)
    assert scene.seconds == seconds
    frames = 9
    fps = (frames - 1) / seconds if seconds else 8.0
    trajectory = simulate(scene, fps, frames if seconds else 1)
    seen = in_picture(scene, trajectory, aspect)
    if scene.camera.move in GLANCES:
        assert seen[0].all() and (seconds == 0 or not seen[frames // 2].any())
    else:
        assert seen.mean() > 0.6


@pytest.mark.parametrize(
    "arguments",
    [("huge", 0, 0), ("simple", -1, 0), ("simple", 0, -1), ("simple", 0, 0, 1e4), ("simple", 0, 0, 2.0, 0.0)],
)
def test_invalid_arguments_are_rejected(arguments: tuple) -> None:
    with pytest.raises(ValueError, match=r"preset|Seed|lasts"):
        sample_scene(*arguments)


@settings(max_examples=25)
@given(st.floats(-0.2, 0.2), st.floats(-1, 1), st.floats(3, 8))
def test_projection_centers_the_target(side: float, x: float, far: float) -> None:
    camera = Camera((x + side, -far, 1.5), (x, 0.0, 0.5))
    positions, targets = camera_path(camera, np.zeros(1))
    points = np.array([[[x, 0.0, 0.5], [x + 0.5, 0.0, 0.5], [x, 0.0, 1.0], [x, -2 * far, 0.5]]])
    centres, scale = project(camera, positions, targets, points)
    np.testing.assert_allclose(centres[0, 0], 0.0, atol=1e-9)
    assert centres[0, 1, 0] > 0.02
    assert centres[0, 2, 1] > 0.02
    assert np.isinf(scale[0, 3])


def test_a_clip_depends_only_on_its_seed_and_index() -> None:
    shape = VideoShape(num_frames=5, height=24, width=32, fps=4.0)
    clip = make_clip("full", 4, 2, shape)
    make_clip("full", 4, 1, shape)
    again = make_clip("full", 4, 2, shape)
    assert clip.frames.shape == (5, 24, 32, 3)
    assert clip.frames.equal(again.frames)
    assert clip.captions == again.captions
    assert clip.scene == again.scene == make_scene("full", 4, 2, shape)[0]
    assert {caption.text for caption in clip.captions.values()} != {""}
    assert all(set(caption.facts) <= set(clip.facts) for caption in clip.captions.values())


def test_a_still_image_is_the_first_frame_of_a_clip() -> None:
    shape = VideoShape(num_frames=17, height=16, width=16, fps=8.0)
    picture, moment = make_scene("simple", 4, 2, replace(shape, num_frames=1))
    scene, trajectory = make_scene("simple", 4, 2, shape)
    assert picture == scene
    np.testing.assert_array_equal(moment.positions[0], trajectory.positions[0])
