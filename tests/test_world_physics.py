"""Simulation: momentum, gravity, rest, rolling without slip, and camera moves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.world.physics import camera_path, simulate
from lumora.world.physics.subject_motion import DIRECTION_VECTORS, JUMP_HEIGHT
from lumora.world.scene import (
    CAMERA_MOVES,
    DIRECTIONS,
    HALF_EXTENT,
    KINDS,
    Camera,
    Direction,
    Event,
    Kind,
    Motion,
    Scene,
    Size,
    Subject,
    Vector,
)
from lumora.world.trajectory import Trajectory

CAMERA = Camera((0.0, -5.0, 1.5), (0.0, 0.0, 0.6))


def subject(kind: Kind, motion: Motion | None = None, position: Vector | None = None, size: Size = "large") -> Subject:
    return Subject(kind, "red", "matte", size, position or (0.0, 0.0, HALF_EXTENT[size]), 0.0, motion or Motion())


def scene(*subjects: Subject, event: Event | None = None, camera: Camera = CAMERA) -> Scene:
    return Scene(subjects, "meadow", "noon", camera, 2.0, event)


def top_axis(trajectory: Trajectory, index: int) -> np.ndarray:
    """z component of a body's z axis in each frame: 1 upright, 0 lying."""
    x, y = trajectory.rotations[:, index, 1], trajectory.rotations[:, index, 2]
    return 1 - 2 * (x**2 + y**2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("heading", [0.0, 0.3, -0.45])
def test_still_subjects_do_not_move(kind: Kind, heading: float) -> None:
    still = replace(subject(kind, position=(0.3, 0.2, 0.5)), heading=heading)
    trajectory = simulate(scene(still), 8.0, 33)
    assert np.abs(trajectory.positions - trajectory.positions[:1]).max() < 2e-3
    assert np.abs(trajectory.rotations - trajectory.rotations[:1]).max() < 2e-3
    assert not trajectory.contacts


@settings(max_examples=12)
@given(
    st.sampled_from(["ball", "cylinder", "capsule", "ring"]),
    st.sampled_from(DIRECTIONS),
    st.floats(0.3, 2.5),
    st.sampled_from(["small", "large"]),
)
def test_rolling_has_constant_velocity_without_slip(kind: Kind, way: Direction, speed: float, size: Size) -> None:
    rolling = subject(kind, Motion("roll", way, speed), size=size)
    if kind == "ring" and way in ("toward", "away"):
        rolling = replace(rolling, heading=math.pi / 2)
    trajectory = simulate(scene(rolling), 24.0, 25)
    expected = np.array([*DIRECTION_VECTORS[way], 0.0]) * speed
    np.testing.assert_allclose(trajectory.positions[-1] - trajectory.positions[0], [expected], atol=0.05 * speed)
    # Height on the ground is the rolling radius: the angle turned from frame to frame times it is the way made.
    radius = trajectory.positions[:, 0, 2].mean()
    cosine = np.abs((trajectory.rotations[1:, 0] * trajectory.rotations[:-1, 0]).sum(-1))
    way_rolled = radius * (2 * np.arccos(np.clip(cosine, 0, 1))).sum()
    assert way_rolled == pytest.approx(speed, rel=0.05)


@settings(max_examples=10)
@given(
    st.sampled_from(["cube", "cone", "cylinder", "capsule", "crate"]), st.sampled_from(DIRECTIONS), st.floats(0.3, 2.0)
)
def test_sliding_is_straight_without_rotation(kind: Kind, way: Direction, speed: float) -> None:
    trajectory = simulate(scene(subject(kind, Motion("slide", way, speed))), 8.0, 17)
    travel = trajectory.positions[-1, 0] - trajectory.positions[0, 0]
    np.testing.assert_allclose(travel, np.array([*DIRECTION_VECTORS[way], 0.0]) * speed * 2, atol=0.01)
    np.testing.assert_allclose(trajectory.rotations[:, 0], [[1, 0, 0, 0]] * 17, atol=1e-6)


@pytest.mark.parametrize("kind", ["ball", "cube", "cylinder", "cone", "capsule", "ring", "cookie", "crate"])
@pytest.mark.parametrize("size", ["small", "large"])
def test_falling_is_free_fall_until_rest(kind: Kind, size: Size) -> None:
    trajectory = simulate(scene(subject(kind, Motion("fall"), (0.0, 0.0, 2.2), size)), 24.0, 49)
    heights, times = trajectory.positions[:, 0, 2], trajectory.times
    flying = times < math.sqrt(2 * (2.2 - HALF_EXTENT[size]) / 9.81) - 0.02
    np.testing.assert_allclose(heights[flying], 2.2 - 9.81 / 2 * times[flying] ** 2, atol=0.02)
    assert heights[-1] == pytest.approx(HALF_EXTENT[size], abs=0.01)
    assert abs(trajectory.velocities[-1, 0, 2]) < 0.1


@settings(max_examples=8)
@given(st.sampled_from(["ball", "cube", "cylinder", "cone", "capsule", "ring"]), st.floats(1.8, 2.4))
def test_bounces_return_most_of_the_height(kind: Kind, height: float) -> None:
    trajectory = simulate(scene(subject(kind, Motion("bounce", "right", 0.5), (0.0, 0.0, height))), 60.0, 121)
    heights, rising = trajectory.positions[:, 0, 2] - 0.5, trajectory.velocities[:, 0, 2] > 0
    impacts = np.flatnonzero(rising[1:] & ~rising[:-1])
    assert len(impacts) >= 2
    rebound = heights[impacts[0] : impacts[1]].max()
    assert 0.6 < rebound / heights[0] < 0.8  # the square of a restitution of 0.82 is 0.67
    assert rebound > 0.6
    assert trajectory.positions[-1, 0, 0] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("kind", ["ball", "cube", "cat"])
def test_jumps_repeat_with_the_configured_height(kind: Kind) -> None:
    trajectory = simulate(scene(subject(kind, Motion("jump", "left", 0.6))), 60.0, 121)
    heights = trajectory.positions[:, 0, 2] - 0.5
    assert heights.max() == pytest.approx(JUMP_HEIGHT, abs=0.05)
    high = heights > JUMP_HEIGHT / 2
    assert (high[1:] & ~high[:-1]).sum() >= 2
    assert trajectory.positions[-1, 0, 0] < -0.6


def test_spinning_has_its_angular_velocity_and_stays_in_place() -> None:
    trajectory = simulate(scene(subject("cube", Motion("spin", None, 2.0))), 24.0, 25)
    w, z = trajectory.rotations[-1, 0, 0], trajectory.rotations[-1, 0, 3]
    assert 2 * math.atan2(z, w) == pytest.approx(2.0, abs=0.02)
    assert np.abs(trajectory.positions - trajectory.positions[:1]).max() < 2e-3


def test_the_gait_follows_the_distance_walked() -> None:
    trajectory = simulate(scene(subject("cat", Motion("walk", "right", 0.8, start=0.5))), 8.0, 17)
    assert trajectory.positions[-1, 0, 0] == pytest.approx(1.2, abs=0.02)
    assert (trajectory.gait[:5] == 0).all()
    assert (np.diff(trajectory.gait[5:, 0]) > 0).all()
    assert top_axis(trajectory, 0).min() > 0.999


@pytest.mark.parametrize("kind", ["ball", "robot"])
def test_orbits_have_a_constant_radius(kind: Kind) -> None:
    orbiter = subject(kind, Motion("orbit", None, -2.0, 0.0, 1), (1.0, 0.3, 0.3), "small")
    trajectory = simulate(scene(orbiter, subject("cube", position=(0.0, 0.3, 0.5))), 8.0, 17)
    offset = (trajectory.positions[:, 0] - trajectory.positions[:, 1])[:, :2]
    np.testing.assert_allclose(np.linalg.norm(offset, axis=-1), 1.0, atol=0.01)
    turned = np.unwrap(np.arctan2(offset[:, 1], offset[:, 0]))
    assert turned[-1] - turned[0] == pytest.approx(-4.0, abs=0.02)
    assert not trajectory.contacts


def test_collisions_conserve_momentum() -> None:
    first = subject("cube", Motion("slide", "right", 2.0), (-1.2, 0.0, 0.5))
    second = replace(subject("cube", Motion("slide", "left", 0.4), (0.5, 0.0, 0.3), "small"), material="metal")
    trajectory = simulate(scene(first, second), 60.0, 61)
    assert [(c.a, c.b) for c in trajectory.contacts] == [(0, 1)]
    assert trajectory.contacts[0].time == pytest.approx((1.7 - 0.95 * 0.8) / 2.4, abs=0.02)
    masses = np.array([100 * 0.5**3, 200 * 0.3**3])
    momentum = trajectory.velocities[:, :, 0] @ masses
    np.testing.assert_allclose(momentum, momentum[0], rtol=0.02)
    assert trajectory.velocities[-1, 1, 0] > trajectory.velocities[-1, 0, 0]


def test_a_hit_sets_the_target_in_motion() -> None:
    first = subject("ball", Motion("roll", "right", 2.0), (-1.0, 0.0, 0.5))
    trajectory = simulate(scene(first, subject("ball", position=(0.5, 0.0, 0.5))), 60.0, 61)
    assert trajectory.positions[10, 1, 0] == pytest.approx(0.5, abs=1e-3)
    assert trajectory.positions[-1, 1, 0] > 1.0
    assert trajectory.velocities[-1, 0, 0] < trajectory.velocities[-1, 1, 0] < 2.0


def test_a_heavy_ball_topples_a_stack() -> None:
    ball = subject("ball", Motion("roll", "right", 3.3), (-1.4, 0.0, 0.5))
    lower, upper = (subject("crate", position=(x, 0.0, z), size="small") for x, z in ((0.0, 0.3), (-0.12, 0.9)))
    trajectory = simulate(scene(ball, lower, upper, event=Event("topple", 1, 0, 0.3)), 8.0, 33)
    heights = trajectory.positions[:, 2, 2]
    assert heights[:2].min() > 0.88
    assert heights[-8:].max() < 0.6


def test_a_push_moves_its_target() -> None:
    robot = subject("robot", Motion("walk", "right", 1.0), (-1.2, 0.0, 0.5))
    trajectory = simulate(scene(robot, subject("crate"), event=Event("push", 1, 0, 0.3)), 8.0, 17)
    assert trajectory.positions[-1, 1, 0] > 0.6
    assert trajectory.positions[-1, 1, 0] > trajectory.positions[-1, 0, 0] + 0.7
    assert top_axis(trajectory, 1).min() > 0.99


def test_a_bite_is_permanent() -> None:
    cookie, ball = subject("cookie"), subject("ball", position=(1.5, 0.0, 0.5))
    trajectory = simulate(scene(cookie, ball, event=Event("bite", 0, None, 0.9)), 8.0, 17)
    np.testing.assert_array_equal(trajectory.bites[:, 0], trajectory.times >= 0.9)
    assert not trajectory.bites[:, 1].any()


def test_motion_does_not_depend_on_the_frame_rate() -> None:
    rolling = scene(subject("ball", Motion("roll", "right", 1.0)), subject("cube", position=(1.6, 0.0, 0.5)))
    slow, fast = simulate(rolling, 8.0, 17), simulate(rolling, 24.0, 49)
    np.testing.assert_allclose(slow.positions, fast.positions[::3], atol=0.02)
    again = simulate(rolling, 8.0, 17)
    np.testing.assert_array_equal(slow.positions, again.positions)


def test_invalid_frame_rates_and_counts_are_rejected() -> None:
    for fps, frames in ((0.0, 5), (8.0, 0)):
        with pytest.raises(ValueError, match="frame"):
            simulate(scene(subject("ball")), fps, frames)


def bearing(positions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Angle of the view in radians, to the left of +y."""
    view = targets - positions
    return np.arctan2(-view[:, 0], view[:, 1])


@pytest.mark.parametrize("move", CAMERA_MOVES)
def test_camera_moves_have_their_speed(move: str) -> None:
    camera = replace(CAMERA, move=move, speed=0.4, follows=0 if move == "follow" else None)
    times = np.array([0.0, 0.5, 1.0])
    followed = np.array([[0.0, 0.0, 0.5], [0.5, 0.1, 0.9], [1.0, 0.2, 0.5]])
    positions, targets = camera_path(camera, times, followed)
    np.testing.assert_allclose(positions[0], CAMERA.position)
    np.testing.assert_allclose(targets[0], CAMERA.target, atol=1e-12)
    view = targets - positions
    length = np.linalg.norm(view, axis=-1)
    rise = np.arcsin(view[:, 2] / length)
    stayed = bool(np.allclose(positions, CAMERA.position))
    moved = np.linalg.norm(positions[-1] - positions[0])
    match move:
        case "static":
            assert stayed
            assert np.allclose(targets, CAMERA.target)
        case "pan left" | "pan right":
            assert stayed
            assert bearing(positions, targets)[-1] == pytest.approx(0.4 if move == "pan left" else -0.4)
        case "tilt up" | "tilt down":
            assert stayed
            assert rise[-1] - rise[0] == pytest.approx(0.4 if move == "tilt up" else -0.4)
        case "move in" | "move out":
            assert moved == pytest.approx(0.4)
            assert (positions[-1, 1] > CAMERA.position[1]) == (move == "move in")
        case "orbit":
            assert np.allclose(targets, CAMERA.target)
            np.testing.assert_allclose(length, length[0])
            assert bearing(positions, targets)[-1] == pytest.approx(0.4)
        case "follow":
            np.testing.assert_allclose(positions[-1] - positions[0], [1.0, 0.2, 0.0])
            np.testing.assert_allclose(view[-1], view[0])


def test_a_following_camera_without_a_subject_is_rejected() -> None:
    with pytest.raises(ValueError, match="follow"):
        camera_path(replace(CAMERA, move="follow"), np.zeros(1))
