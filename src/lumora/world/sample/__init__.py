"""Scenes by chance: scene n of a seed is always the same, and can be made alone.

`cast` chooses who and what, `situations` how they meet, `staging` where and how fast, `lens` the camera; `framing` says
whether it can all be seen.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from lumora.world.sample.camera_setup import draw_camera
from lumora.world.sample.cast import PRESETS, Preset, choice, held_out
from lumora.world.sample.closeup import closeup
from lumora.world.sample.framing import apart, in_view
from lumora.world.sample.situations import SITUATIONS, Hall, Play, spread_out
from lumora.world.scene import GLANCES, LIGHTS, PLACES, Camera, CameraMove, Scene

__all__ = ["FIRST_HELD_OUT_SEED", "PRESETS", "held_out", "restaged", "sample_scene"]

FIRST_HELD_OUT_SEED = 1_000
"""Seeds from here on are for evaluation alone. In the scenes of smaller ones some combinations of kind, colour and
motion never occur (`cast.held_out`): so it can be measured what a model makes of them."""

TRIES = 40
"""Stagings tried before a scene is cast anew; the camera steps back a little with each."""
CASTS = 50
"""Casts tried before the camera stands still instead, and then as many before everybody goes their own way."""


def sample_scene(preset: str, seed: int, index: int, seconds: float = 2.0, aspect: float = 1.0) -> Scene:
    """Scene `index` of a seed, for a picture of width / height = `aspect`.

    Seeds below FIRST_HELD_OUT_SEED are for training, and leave some combinations out.
    Raises ValueError for an unknown preset, a negative seed or index, or an impossible length or shape.
    """
    rng = generator_of(preset, seed, index)
    if not (0 <= seconds <= 600 and 0.2 <= aspect <= 5):
        raise ValueError(f"A scene lasts 0 to 600 seconds at an aspect of 0.2 to 5, not {seconds} and {aspect}.")
    return draw_scene(rng, PRESETS[preset], seconds, aspect, seed < FIRST_HELD_OUT_SEED)


def generator_of(preset: str, seed: int, index: int, *stream: int) -> np.random.Generator:
    """For the draws of scene `index` of a seed; others than those of the scene itself have a `stream` of their own.

    Raises ValueError for an unknown preset, or a negative seed or index.
    """
    if preset not in PRESETS:
        raise ValueError(f"There is no preset {preset!r}; choose one of {', '.join(PRESETS)}.")
    if seed < 0 or index < 0:
        raise ValueError(f"Seed and index count from 0 up; they are {seed} and {index}.")
    return np.random.default_rng([seed, index, list(PRESETS).index(preset), *stream])


def draw_scene(rng: np.random.Generator, preset: Preset, seconds: float, aspect: float, training: bool) -> Scene:
    """A scene of a preset; in training some combinations never occur."""
    # What is settled here stays through all tries, so that what is hard to frame is not rarer.
    place, light, texture = choice(rng, PLACES), choice(rng, LIGHTS), int(rng.integers(2**31))
    decoration = _decoration(preset, texture)
    situation = SITUATIONS[choice(rng, tuple(preset.situations), tuple(preset.situations.values()))]
    move = draw_move(rng, preset)
    # Where there is but one style nothing is drawn, so that the scenes of those presets are what they ever were.
    style, *others = preset.styles
    style = choice(rng, (style, *others)) if others else style
    if move == "follow" or move in GLANCES:
        situation = SITUATIONS["at large"]
    hall = Hall(seconds, min(max(aspect, 1.0), 1.8))
    for cast in itertools.count():
        if cast == CASTS:
            move = "static"
        if cast == 2 * CASTS:
            situation = SITUATIONS["at large"]
        stage = situation(rng, preset, move == "follow")
        for attempt in range(TRIES):
            play = stage(rng, hall)
            if training and any(map(held_out, play.subjects)):
                break
            camera = draw_view(rng, play, move, seconds, attempt / TRIES, preset.gentle)
            scene = Scene(
                play.subjects, place, light, camera, seconds, play.event, decoration, style, unpainted=preset.unpainted
            )
            if not in_view(scene, aspect, play.overlap) or not (play.touching or apart(scene)):
                continue
            near = _nearest(rng, scene, preset, aspect)
            if near is not None:
                return near
    raise AssertionError("The count of casts has no end.")


def _nearest(rng: np.random.Generator, scene: Scene, preset: Preset, aspect: float) -> Scene | None:
    """The scene as close as its preset wants it; a camera that glances aside stays where it is."""
    return closeup(rng, scene, aspect) if preset.close and scene.camera.move not in GLANCES else scene


def _decoration(preset: Preset, texture: int) -> int:
    if preset.unpainted:
        return 0
    return texture % preset.decorations if preset.decorations else texture


def draw_move(rng: np.random.Generator, preset: Preset) -> CameraMove:
    return "static" if rng.random() < preset.static else choice(rng, preset.moves)


def restaged(
    rng: np.random.Generator,
    scene: Scene,
    move: CameraMove,
    aspect: float = 1.0,
    preset: Preset = PRESETS["simple"],
) -> Scene | None:
    """The same cast somewhere else, at large, filmed anew by a camera that makes `move`, with other decoration; None
    where no staging of so many tries can be seen. Of `preset` counts how large the stage is and how near the camera."""
    stage, hall = spread_out(scene.subjects, preset.stage_size), Hall(scene.seconds, min(max(aspect, 1.0), 1.8))
    for attempt in range(TRIES):
        play = stage(rng, hall)
        camera = draw_view(rng, play, move, scene.seconds, attempt / TRIES)
        decoration = scene.texture_seed if scene.unpainted else _decoration(preset, int(rng.integers(2**31)))
        other = replace(scene, subjects=play.subjects, camera=camera, event=None, texture_seed=decoration)
        if in_view(other, aspect, play.overlap) and apart(other):
            near = _nearest(rng, other, preset, aspect)
            if near is not None:
                return near
    return None


def draw_view(
    rng: np.random.Generator, play: Play, move: CameraMove, seconds: float, back: float, gentle: float = 1.0
) -> Camera:
    """A camera near enough for the smallest subjects to be well seen; `back` from 0 to 1 is how far it steps back, and
    `gentle` its speed relative to the usual one."""
    airborne = any(subject.motion.verb in ("fall", "bounce") for subject in play.subjects)
    largest = max(subject.half_extent for subject in play.subjects)
    distance = rng.uniform(4.0, 4.6) * play.width * (1.0 if largest > 0.4 else 0.88) * (1 + 0.35 * back)
    height, near = 1.1 if airborne else 0.65, min(play.width, 1.0)
    camera = draw_camera(rng, move, seconds, height * near**0.5, distance, near)
    camera = replace(camera, speed=gentle * camera.speed)
    if move != "follow":
        return camera
    x, y, _ = play.subjects[0].position
    return replace(
        camera,
        position=(camera.position[0] + x, camera.position[1] + y, camera.position[2]),
        target=(camera.target[0] + x, camera.target[1] + y, camera.target[2]),
        follows=0,
    )
