"""The renderer: geometry, consistency of batches and sizes, and agreement with the scene."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.world.render import render, renderer
from lumora.world.scene import (
    CHARACTERS,
    COLORS,
    EMOTIONS,
    HALF_EXTENT,
    KINDS,
    LIGHTS,
    MATERIALS,
    PLACES,
    SOLIDS,
    Camera,
    Color,
    Emotion,
    Kind,
    Light,
    Material,
    Place,
    Scene,
    Size,
    Subject,
)
from lumora.world.trajectory import Trajectory

CAMERA = Camera((0.0, -4.5, 1.4), (0.0, 0.0, 0.5))


def subject(
    kind: Kind = "ball",
    color: Color = "red",
    x: float = 0.0,
    y: float = 0.0,
    z: float | None = None,
    size: Size = "large",
    material: Material = "matte",
    emotion: Emotion | None = None,
    heading: float = 0.0,
) -> Subject:
    position = (x, y, HALF_EXTENT[size] if z is None else z)
    return Subject(kind, color, material, size, position, heading, emotion=emotion)


def scene(
    *subjects: Subject, place: Place = "meadow", light: Light = "noon", camera: Camera = CAMERA, seed: int = 0
) -> Scene:
    return Scene(subjects, place, light, camera, 2.0, texture_seed=seed)


def still(scene, frames=1):
    """A trajectory without motion."""
    count = len(scene.subjects)
    angles = np.array([s.heading / 2 for s in scene.subjects])
    turn = np.stack([np.cos(angles), 0 * angles, 0 * angles, np.sin(angles)], -1)
    return Trajectory(
        times=np.arange(frames) / 8.0,
        positions=np.tile(
            np.array([s.position for s in scene.subjects], dtype=float).reshape(count, 3), (frames, 1, 1)
        ),
        rotations=np.tile(turn, (frames, 1, 1)),
        velocities=np.zeros((frames, count, 3)),
        bites=np.zeros((frames, count)),
        gait=np.zeros((frames, count)),
        camera_positions=np.tile(np.array(scene.camera.position, dtype=float), (frames, 1)),
        camera_targets=np.tile(np.array(scene.camera.target, dtype=float), (frames, 1)),
    )


def draw(*scenes, height=64, width=64, **options):
    return render(scenes, [still(s) for s in scenes], height, width, **options)


def render_frames(*scenes, **options):
    """(B, H, W, 3) floats from 0 to 1."""
    return draw(*scenes, **options).frames[:, 0].float() / 255


# --- geometry ---------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    ball=st.tuples(st.floats(-1, 1), st.floats(-1.5, 2), st.floats(0.3, 1.2)),
    eye=st.tuples(st.floats(-3, 3), st.floats(-7, -4), st.floats(0.5, 3)),
    size=st.sampled_from([(72, 96), (96, 72), (80, 80)]),
)
def test_a_ball_is_at_its_projected_position(ball, eye, size):
    height, width = size
    camera = Camera(eye, (0.0, 0.0, 0.6), field_of_view=1.1)
    mask = draw(scene(subject(x=ball[0], y=ball[1], z=ball[2]), camera=camera), height=height, width=width).subject[
        0, 0
    ]
    forward = np.array(camera.target) - np.array(eye)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1.0))
    right /= np.linalg.norm(right)
    offset = np.array(ball) - np.array(eye)
    focal = 0.5 * min(height, width) / math.tan(0.55)
    column = width / 2 + focal * offset @ right / (offset @ forward)
    row = height / 2 - focal * offset @ np.cross(right, forward) / (offset @ forward)
    rows, columns = np.nonzero(mask.numpy() == 0)
    inside = rows.min() > 0 and columns.min() > 0 and rows.max() < height - 1 and columns.max() < width - 1
    if inside:  # a sphere's image is an ellipse, whose middle is a little off the centre's
        assert columns.mean() + 0.5 == pytest.approx(column, abs=0.6)
        assert rows.mean() + 0.5 == pytest.approx(row, abs=0.6)
        distance = np.linalg.norm(offset)
        assert len(rows) == pytest.approx(
            math.pi * (focal * 0.5) ** 2 / (distance**2 - 0.25), rel=0.05, abs=2 * math.sqrt(len(rows))
        )


@pytest.mark.parametrize("place", [p for p in PLACES if p != "street"])
def test_the_depth_of_the_ground_is_exact(place):
    depth = draw(scene(subject(x=50.0), place=place), height=40, width=56).depth[0, 0].double().numpy()
    forward = np.array(CAMERA.target) - np.array(CAMERA.position)
    forward /= np.linalg.norm(forward)
    up = np.array([0, -forward[2], forward[1]])
    y = (20 - (np.arange(28, 40) + 0.5)) / (20 / math.tan(0.4))
    expected = -CAMERA.position[2] / (forward[2] + y * up[2])
    np.testing.assert_allclose(depth[28:], np.tile(expected[:, None], (1, 56)), rtol=1e-3)


def test_the_nearer_subject_occludes_the_farther():
    far, near = subject(y=1.0), subject(y=-1.0, color="blue")
    both, alone = draw(scene(far, near)), draw(scene(far))
    covered = (both.subject == 1) & (alone.subject == 0)
    assert covered.sum() > 50
    assert (both.depth[covered] < alone.depth[covered]).all()
    swapped = draw(scene(near, far))
    assert torch.equal(swapped.subject == 0, both.subject == 1)
    assert torch.equal(swapped.frames, both.frames)


def test_resolutions_are_consistent():
    one = scene(subject("cat", emotion="happy", x=-0.6), subject("crate", "blue", x=0.7), place="beach")
    small, large = render_frames(one, height=48, width=80), render_frames(one, height=96, width=160)
    halved = large.view(1, 48, 2, 80, 2, 3).mean((2, 4))
    assert (small - halved).abs().mean() < 0.012


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_height_of_its_size(kind):
    """From far away the silhouette has twice the height of the half extent."""
    camera = Camera((0.0, -40.0, 0.5), (0.0, 0.0, 0.5), field_of_view=0.04)
    emotion = "happy" if kind in CHARACTERS else None
    mask = draw(scene(subject(kind, emotion=emotion), camera=camera)).subject[0, 0] == 0
    pixels_per_metre = 32 / math.tan(0.02) / 40
    assert int(mask.any(1).sum()) == pytest.approx(pixels_per_metre, rel=0.06)
    across = int(mask.any(0).sum()) / pixels_per_metre
    assert 0.5 < across < 1.4


# --- the same picture -------------------------------------------------------------------------------------------------


def cast():
    """Scenes with every place, kind and material."""
    triples = [KINDS[i : i + 3] for i in range(0, len(KINDS), 3)]
    for number, (place, kinds) in enumerate(zip(PLACES, itertools.cycle(triples), strict=False)):
        subjects = [
            subject(kind, COLORS[(3 * number + i) % 10], 0.9 * (i - 1), material=MATERIALS[i], size="small")
            for i, kind in enumerate(kinds)
        ]
        yield scene(*subjects, place=place, light=LIGHTS[number % 4], seed=number)


def test_rendering_is_deterministic():
    scenes = list(cast())
    assert torch.equal(draw(*scenes).frames, draw(*scenes).frames)


def test_batched_clips_equal_single_clips(monkeypatch):
    scenes = list(cast())
    monkeypatch.setitem(renderer._MAX_PIXELS, "cpu", 10**9)
    together = draw(*scenes)
    for number, one in enumerate(scenes):
        alone = draw(one)
        assert (together.subject[number] == alone.subject[0]).float().mean() > 0.9995
        assert (together.frames[number].int() - alone.frames[0].int()).abs().float().mean() < 0.02


def test_a_clip_rendered_in_pieces_equals_the_whole(monkeypatch):
    one = scene(subject(x=-0.8), subject("duck", "blue", x=0.8, emotion="sad"), place="room")
    path = still(one, 6)
    path.camera_positions[:, 0] = np.linspace(-2, 2, 6)
    whole = render([one], [path], 32, 32)
    monkeypatch.setitem(renderer._MAX_PIXELS, "cpu", 2 * 32 * 32)
    pieces = render([one], [path], 32, 32)
    assert (whole.frames.int() - pieces.frames.int()).abs().float().mean() < 0.02
    assert torch.equal(whole.subject, pieces.subject)


def test_only_edges_are_supersampled():
    one = scene(subject())
    rough, fine = draw(one, samples=1), draw(one, samples=4)
    changed = (rough.frames != fine.frames).any(-1)[0, 0]
    mask = (rough.subject[0, 0] == 0).float()[None, None]
    inner = -torch.nn.functional.max_pool2d(-mask, 3, 1, 1)
    outer = torch.nn.functional.max_pool2d(mask, 3, 1, 1)
    border = (outer - inner)[0, 0].bool()
    assert changed.sum() > 20
    assert not (changed & ~border).any()
    exact, rough_error, fine_error = render_frames(one, samples=256), rough.frames[:, 0] / 255, fine.frames[:, 0] / 255
    assert (fine_error - exact).abs().sum() < 0.5 * (rough_error - exact).abs().sum()


def test_all_tensors_are_on_the_given_device():
    with torch.device("meta"):  # a tensor made anywhere but on the device asked for cannot meet the others
        draw(*cast(), height=24, width=24, device="cpu")


# --- what is seen -----------------------------------------------------------------------------------------------------


def test_a_bite_changes_the_image_permanently():
    one = scene(subject("cookie", "brown"))
    path = still(one, 4)
    path.bites[2:] = 1
    area = (render([one], [path], 64, 64).subject[0] == 0).sum((1, 2))
    assert area[0] == area[1]
    assert area[2] == area[3]
    assert 0.6 * area[0] < area[2] < 0.9 * area[0]


@pytest.mark.parametrize("place", PLACES)
def test_night_is_darker_than_noon(place):
    noon, sunset, night, overcast = render_frames(
        *(scene(subject(), place=place, light=light) for light in ("noon", "sunset", "night", "overcast"))
    )
    assert night.mean() < 0.7 * noon.mean()
    assert night.mean() < 0.85 * min(sunset.mean(), overcast.mean())
    assert (sunset[..., 0] - sunset[..., 2]).mean() > (noon[..., 0] - noon[..., 2]).mean() + 0.05


@pytest.mark.parametrize("light", LIGHTS)
def test_colors_are_distinguishable_in_every_place(light):
    """The mean color of a ball is closer to that of the same name in any other place than to that of another name."""
    materials = ("matte", "shiny")
    scenes = [
        scene(subject(color=color, material=material), place=place, light=light)
        for place in ("meadow", "snow", "desert", "street")
        for material in materials
        for color in COLORS
    ]
    drawn = draw(*scenes, height=32, width=32)
    seen = [(f / 255)[m == 0].mean(0) for f, m in zip(drawn.frames[:, 0], drawn.subject[:, 0], strict=True)]
    table = torch.stack(seen).view(-1, len(COLORS), 3)
    for row in table:
        distance = (row[:, None] - table.mean(0)[None]).norm(dim=-1)
        assert distance.argmin(1).tolist() == list(range(len(COLORS)))
    least = torch.pdist(table.mean(0)).min()
    assert least > 0.08


@pytest.mark.parametrize("kind", CHARACTERS)
@pytest.mark.parametrize("heading", [0.0, 1.57])
def test_emotions_are_visible_in_the_face(kind, heading):
    """From the front and from the side, towards which the head turns."""
    scenes = [scene(subject(kind, "yellow", emotion=e, heading=heading)) for e in EMOTIONS]
    faces = render_frames(*scenes, height=128, width=128)
    size = (draw(scenes[0], height=128, width=128).subject >= 0).sum()
    for a, b in itertools.combinations(faces, 2):
        assert ((a - b).abs().amax(-1) > 0.2).sum() > 0.025 * size


def test_walking_moves_the_legs():
    one = scene(subject("robot", "blue", x=-0.8, heading=1.57), subject("ball", x=0.8))
    path = still(one, 2)
    path.gait[1] = 1.2
    first, second = render([one], [path], 64, 64).frames[0].int()
    left, right = (first - second)[:, :32].abs().sum(), (first - second)[:, 33:].abs().sum()
    assert left > 500
    assert right == 0


@pytest.mark.parametrize("place", PLACES)
def test_subjects_cast_shadows_on_the_ground(place):
    one, gone = scene(subject(z=1.0), place=place), scene(subject(x=60.0, z=1.0), place=place)
    shown, empty = draw(one), draw(gone)
    ground = (shown.subject[0, 0] < 0) & torch.isfinite(shown.depth[0, 0])
    ground[:34] = False
    ratio = (shown.frames[0, 0] + 1.0).mean(-1)[ground] / (empty.frames[0, 0] + 1.0).mean(-1)[ground]
    assert ratio.min() < 0.75
    assert ratio.max() < 1.01


def test_subjects_cast_shadows_on_each_other():
    """A ball in front of the sun shadows the one behind it."""
    toward = np.array([0.40, -0.52, 0.76]) / np.linalg.norm([0.40, -0.52, 0.76])
    pair = []
    for side in (-1, 1):
        hide = toward * np.array([side, 1, 1]) * 1.3
        pair.append(subject("ball", "blue", x=hide[0], y=hide[1], z=0.6 + hide[2], size="small"))
    lit = draw(scene(subject(z=0.6)))
    shaded = draw(scene(subject(z=0.6), *pair))
    same = (lit.subject == 0) & (shaded.subject == 0)
    change = shaded.frames[same].float().mean(-1) - lit.frames[same].float().mean(-1)
    assert change.max() <= 1
    assert change.min() < -25


def test_metal_and_shiny_surfaces_have_highlights():
    matte, shiny, metal = render_frames(*(scene(subject(color="blue", material=m)) for m in MATERIALS))
    assert shiny.amax(-1).amax() > 0.95
    assert (shiny - matte).abs().max() > 0.3
    assert (metal - matte).abs().max() > 0.2


def test_decoration_depends_on_its_seed_and_keeps_subjects():
    a, b = draw(scene(subject(), seed=1)), draw(scene(subject(), seed=2))
    assert torch.equal(a.subject, b.subject)
    assert (a.frames != b.frames).float().mean() > 0.3


def test_a_scene_without_subjects_is_rendered():
    drawn = draw(scene(), scene(subject()))
    assert (drawn.subject[0] == -1).all()
    assert (drawn.subject[1] == 0).any()


def test_unusual_cameras_are_rendered():
    for place, eye, target in itertools.product(
        PLACES, [(0.0, 0.0, 5.0), (6.0, 3.0, 0.4), (0.0, 0.3, 0.5)], [(0.0, 0.0, 0.5)]
    ):
        drawn = draw(scene(subject(), place=place, camera=replace(CAMERA, position=eye, target=target)))
        assert drawn.frames.float().std() > 1
        assert not torch.isnan(drawn.depth).any()


@pytest.mark.parametrize("size", [(1, 1), (16, 100), (100, 16)])
def test_any_size_is_rendered(size):
    drawn = draw(scene(subject()), height=size[0], width=size[1])
    assert drawn.frames.shape == (1, 1, *size, 3)


def test_invalid_arguments_are_rejected():
    one = scene(subject())
    with pytest.raises(ValueError, match="one trajectory for each"):
        render([one, one], [still(one)], 8, 8)
    with pytest.raises(ValueError, match="same number of frames"):
        render([one, one], [still(one), still(one, 2)], 8, 8)
    with pytest.raises(ValueError, match="positive"):
        render([one], [still(one)], 0, 8)


@settings(max_examples=8)
@given(st.sampled_from(SOLIDS), st.sampled_from([color for color in COLORS if color not in ("black", "white")]))
def test_solids_of_an_unpainted_scene_have_one_color(kind: Kind, color: Color) -> None:
    painted = scene(subject(kind, color), light="overcast")

    def spread_of_hue(some: Scene) -> float:
        drawn = draw(some)
        seen = drawn.frames[0, 0][drawn.subject[0, 0] == 0].float()
        return float((seen / seen.sum(1, keepdim=True)).std(0).amax())

    assert spread_of_hue(replace(painted, unpainted=True)) < 0.85 * spread_of_hue(painted)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SOLIDS])
def test_what_is_no_solid_keeps_its_patterns_in_an_unpainted_scene(kind: Kind) -> None:
    painted = scene(subject(kind))
    assert torch.equal(draw(painted).frames, draw(replace(painted, unpainted=True)).frames)
