"""Random scenes: scene n of a seed is always the same and depends on no other scene.

`cast` draws subjects, `situations` their arrangement, `placement` positions and speeds, `camera_setup` the camera;
`framing` checks that everything is visible.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from lumora.world.sample.camera_setup import draw_camera
from lumora.world.sample.cast import PRESETS, ScenePreset, choice, held_out
from lumora.world.sample.closeup import closeup
from lumora.world.sample.framing import in_view, stay_apart
from lumora.world.sample.situations import SITUATIONS, Arrangement, ClipFormat, spread_out
from lumora.world.scene import GLANCES, LIGHTS, PLACES, Camera, CameraMove, Scene

__all__ = ["FIRST_HELD_OUT_SEED", "PRESETS", "held_out", "rearranged", "sample_scene"]

FIRST_HELD_OUT_SEED = 1_000
"""Seeds from this one on are for evaluation only. In scenes of smaller seeds some combinations of kind, color and
motion never occur (`cast.held_out`), so that generalization to them can be measured."""

MAX_ATTEMPTS = 40
"""Arrangements tried for the same subjects; the camera moves back a little with each."""
MAX_CASTS = 50
"""Sets of subjects tried before the camera becomes static, and again before the situation becomes `at large`."""


def sample_scene(preset: str, seed: int, index: int, seconds: float = 2.0, aspect: float = 1.0) -> Scene:
    """Scene `index` of a seed, for a picture of width / height = `aspect`.

    Seeds below FIRST_HELD_OUT_SEED are for training and leave out held-out combinations.
    Raises ValueError for an unknown preset, a negative seed or index, or an impossible length or shape.
    """
    rng = generator_of(preset, seed, index)
    if not (0 <= seconds <= 600 and 0.2 <= aspect <= 5):
        raise ValueError(f"A scene lasts 0 to 600 seconds at an aspect of 0.2 to 5, not {seconds} and {aspect}.")
    return draw_scene(rng, PRESETS[preset], seconds, aspect, seed < FIRST_HELD_OUT_SEED)


def generator_of(preset: str, seed: int, index: int, *stream: int) -> np.random.Generator:
    """The generator of scene `index` of a seed; `stream` selects an independent one for other purposes.

    Raises ValueError for an unknown preset, or a negative seed or index.
    """
    if preset not in PRESETS:
        raise ValueError(f"There is no preset {preset!r}; choose one of {', '.join(PRESETS)}.")
    if seed < 0 or index < 0:
        raise ValueError(f"Seed and index must not be negative; they are {seed} and {index}.")
    return np.random.default_rng([seed, index, list(PRESETS).index(preset), *stream])


def draw_scene(rng: np.random.Generator, preset: ScenePreset, seconds: float, aspect: float, training: bool) -> Scene:
    """A scene of a preset; without held-out combinations if `training`."""
    # Drawn once for all attempts, so that what is difficult to frame is not less probable.
    place, light, texture = choice(rng, PLACES), choice(rng, LIGHTS), int(rng.integers(2**31))
    decoration = _decoration(preset, texture)
    situation = SITUATIONS[choice(rng, tuple(preset.situations), tuple(preset.situations.values()))]
    move = draw_move(rng, preset)
    # With a single style nothing is drawn, which keeps the random streams of those presets unchanged.
    style, *others = preset.styles
    style = choice(rng, (style, *others)) if others else style
    if move == "follow" or move in GLANCES:
        situation = SITUATIONS["at large"]
    clip_format = ClipFormat(seconds, min(max(aspect, 1.0), 1.8))
    for cast in itertools.count():
        if cast == MAX_CASTS:
            move = "static"
        if cast == 2 * MAX_CASTS:
            situation = SITUATIONS["at large"]
        arrange = situation(rng, preset, move == "follow")
        for attempt in range(MAX_ATTEMPTS):
            arrangement = arrange(rng, clip_format)
            if training and any(map(held_out, arrangement.subjects)):
                break
            camera = draw_view(rng, arrangement, move, seconds, attempt / MAX_ATTEMPTS, preset.camera_speed)
            scene = Scene(
                arrangement.subjects,
                place,
                light,
                camera,
                seconds,
                arrangement.event,
                decoration,
                style,
                unpainted=preset.unpainted,
            )
            if not in_view(scene, aspect, arrangement.overlap) or not (arrangement.touching or stay_apart(scene)):
                continue
            near = _nearest(rng, scene, preset, aspect)
            if near is not None:
                return near
    raise AssertionError("itertools.count is infinite")


def _nearest(rng: np.random.Generator, scene: Scene, preset: ScenePreset, aspect: float) -> Scene | None:
    """The scene with a closer camera if the preset asks for it and the camera does not glance; None if it is
    impossible."""
    return closeup(rng, scene, aspect) if preset.close_up and scene.camera.move not in GLANCES else scene


def _decoration(preset: ScenePreset, texture: int) -> int:
    return texture % preset.decorations if preset.decorations else texture


def draw_move(rng: np.random.Generator, preset: ScenePreset) -> CameraMove:
    return "static" if rng.random() < preset.static_share else choice(rng, preset.moves)


def rearranged(
    rng: np.random.Generator,
    scene: Scene,
    move: CameraMove,
    aspect: float = 1.0,
    preset: ScenePreset = PRESETS["simple"],
) -> Scene | None:
    """The same subjects in a new `at large` arrangement, with a new camera of this move and new decoration.

    `preset` determines the size of the arrangement and the distance of the camera. None if nothing suitable was found
    in `MAX_ATTEMPTS` attempts.
    """
    arrange, clip_format = (
        spread_out(scene.subjects, preset.stage_size),
        ClipFormat(scene.seconds, min(max(aspect, 1.0), 1.8)),
    )
    for attempt in range(MAX_ATTEMPTS):
        arrangement = arrange(rng, clip_format)
        camera = draw_view(rng, arrangement, move, scene.seconds, attempt / MAX_ATTEMPTS, preset.camera_speed)
        decoration = _decoration(preset, int(rng.integers(2**31)))
        other = replace(scene, subjects=arrangement.subjects, camera=camera, event=None, texture_seed=decoration)
        if in_view(other, aspect, arrangement.overlap) and stay_apart(other):
            near = _nearest(rng, other, preset, aspect)
            if near is not None:
                return near
    return None


def draw_view(
    rng: np.random.Generator,
    arrangement: Arrangement,
    move: CameraMove,
    seconds: float,
    back: float,
    camera_speed: float = 1.0,
) -> Camera:
    """A camera close enough for small subjects; `back` from 0 to 1 increases the distance, `camera_speed` scales its
    speed."""
    airborne = any(subject.motion.verb in ("fall", "bounce") for subject in arrangement.subjects)
    largest = max(subject.half_extent for subject in arrangement.subjects)
    distance = rng.uniform(4.0, 4.6) * arrangement.width * (1.0 if largest > 0.4 else 0.88) * (1 + 0.35 * back)
    height, near = 1.1 if airborne else 0.65, min(arrangement.width, 1.0)
    camera = draw_camera(rng, move, seconds, height * near**0.5, distance, near)
    camera = replace(camera, speed=camera_speed * camera.speed)
    if move != "follow":
        return camera
    x, y, _ = arrangement.subjects[0].position
    return replace(
        camera,
        position=(camera.position[0] + x, camera.position[1] + y, camera.position[2]),
        target=(camera.target[0] + x, camera.target[1] + y, camera.target[2]),
        follows=0,
    )
