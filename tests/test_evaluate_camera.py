"""Camera paths are estimated from pixels: of images with known motion, and of renders."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.evaluate.instruments.camera_path import MIN_AMOUNTS, MOVES, CameraPath, estimate_camera_path, true_path
from lumora.world.clip import make_scene
from lumora.world.physics import camera_path
from lumora.world.render import render
from lumora.world.scene import Camera, CameraMove


def ending(right: float = 0, up: float = 0, aside: float = 0, ahead: float = 0) -> CameraPath:
    """A path of five frames with these final values."""
    return CameraPath(*np.outer([right, up, aside, ahead, 0], np.linspace(0, 1, 5)))


@given(st.sampled_from(sorted(MOVES)), st.floats(0.6, 3))
def test_a_move_is_named_after_its_largest_component(move: CameraMove, times: float):
    part, sign = MOVES[move]
    path = ending(**{part: sign * times * MIN_AMOUNTS[part]})
    assert path.move == move
    assert ending(**{part: sign * 0.4 * MIN_AMOUNTS[part]}).move == "static"


@given(st.floats(0.2, 1), st.sampled_from([-1, 1]))
def test_an_orbit_rotates_against_its_translation(turn: float, side: int):
    assert ending(right=side * turn, aside=-side * 2 * turn).move == "orbit"
    assert ending(right=side * turn, aside=side * 2 * turn).move == ("pan right" if side > 0 else "pan left")


def test_a_single_frame_has_no_motion():
    path = estimate_camera_path(np.zeros((1, 16, 16, 3), np.uint8), np.zeros((1, 16, 16), bool))
    assert path.move == "static" and len(path.right) == len(path.pitch) == 1


def moved(move: CameraMove, speed: float) -> CameraPath:
    """The path of a camera 1.5 m above the ground."""
    return true_path(*camera_path(Camera((0.0, -4.0, 1.5), (0.0, 0.0, 0.6), move, speed), np.arange(17) / 8))


@pytest.mark.parametrize(
    ("move", "speed"), [*((move, 0.2) for move in MOVES if "move" not in move), ("move in", 0.9), ("move out", 0.9)]
)
def test_the_true_path_has_the_name_and_amount_of_the_move(move: CameraMove, speed: float):
    path = moved(move, speed)
    part, sign = MOVES[move]
    assert path.move == move
    if part != "ahead":
        assert getattr(path, part)[-1] == pytest.approx(sign * speed * 2)
    assert moved("orbit", -0.4).move == "orbit"


@settings(max_examples=5)
@given(step=st.integers(-2, 2), sideways=st.booleans(), seed=st.integers(0, 9))
def test_a_shifting_image_is_a_rotating_camera(step: int, sideways: bool, seed: int):
    across, down = (step, 0) if sideways else (0, step)
    rough = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(seed))
    wide = 255 * torch.nn.functional.interpolate(rough, size=120, mode="bicubic")[0, 0].clamp(0, 1)
    frames = torch.stack([wide[28 - down * i : 92 - down * i, 28 - across * i : 92 - across * i] for i in range(5)])
    objects = np.zeros(frames.shape, bool)
    frames[:, 10:16, 10:16], objects[:, 10:16, 10:16] = 0, True  # a static object in the middle of the frame
    path = estimate_camera_path(frames.byte()[..., None].expand(-1, -1, -1, 3).numpy(), objects)
    pixel = 2 * np.tan(0.4) / 64
    # Sideways, rotation and translation look alike if the image does not show distances.
    assert path.up[-1] == pytest.approx(4 * down * pixel, abs=0.03)
    assert abs(path.right[-1]) < 0.03 if across == 0 else path.right[-1] * across < 0


def test_the_path_of_renders_is_near_the_true_one():
    shape, right, apart = VideoShape(17, 64, 64), [], []
    for index in range(8):
        scene, trajectory = make_scene("simple", 31, index, shape)
        drawn = render([scene], [trajectory], 64, 64)
        found = estimate_camera_path(drawn.frames[0].numpy(), (drawn.subject[0] >= 0).numpy())
        true = true_path(trajectory.camera_positions, trajectory.camera_targets)
        right.append(found.move == scene.camera.move)
        apart.append([found.right[-1] - true.right[-1], found.up[-1] - true.up[-1]])
    assert np.mean(right) > 0.7 and np.median(np.abs(apart)) < 0.02
