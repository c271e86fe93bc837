"""Random films: the same subjects in one style in several shots with hard cuts.

After a cut the subjects are in another place with other motions, or the same motion continues with another camera.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate, count

import numpy as np

from lumora.config import VideoShape
from lumora.world.sample import (
    FIRST_HELD_OUT_SEED,
    MAX_ATTEMPTS,
    draw_move,
    draw_scene,
    draw_view,
    generator_of,
    rearranged,
)
from lumora.world.sample.camera_setup import moved_camera
from lumora.world.sample.cast import PRESETS, ScenePreset, choice, held_out, with_new_motion
from lumora.world.sample.framing import in_view
from lumora.world.sample.situations import STAGE_SIZES, Arrangement
from lumora.world.scene import GLANCES, LIGHTS, PLACES, CameraMove, Film, Scene

FRAMES_PER_LATENT = 4
"""Cuts are between latent frames, so that no latent frame contains two shots."""
MIN_SHOT_SECONDS = 1.0
MIN_GLANCE_SECONDS = 1.5
"""Minimum length of a shot with a glance."""
SAME_PLACE_SHARE = 0.4
"""Probability that a cut stays in the same place."""
TURNS, NEARER, FARTHER = (0.5, 0.9), (0.65, 0.8), (1.3, 1.6)
"""Changes of the camera at a cut in the same place: rotation in radians, and factors of the distance."""
MAX_PLACE_ATTEMPTS = 10
"""Attempts to place the subjects elsewhere before other subjects are drawn."""
_STREAM = 2
"""Number of the random stream of films, which differs from those of scenes and captions."""


def sample_film(preset: str, seed: int, index: int, shape: VideoShape) -> Film:
    """Film `index` of a seed with the number of frames of `shape`. Presets without films give one shot.

    The first shot has 1 + 4n frames and the others 4n, so all cuts are between latent frames. Raises ValueError as
    `sample_scene` does.
    """
    rng = generator_of(preset, seed, index, _STREAM)
    chosen, training = PRESETS[preset], seed < FIRST_HELD_OUT_SEED
    frames = _draw_lengths(rng, chosen, shape)
    stays = [False, *(rng.random(len(frames) - 1) < SAME_PLACE_SHARE).tolist()]
    actions: list[list[float]] = []
    for length, same in zip(frames, stays, strict=True):
        actions = [*actions, []] if not same else actions
        actions[-1].append(length / shape.fps)
    aspect = shape.width / shape.height
    for _ in count():
        scene = draw_scene(rng, chosen, sum(actions[0]), aspect, training)
        shots = _cut(rng, chosen, scene, actions[0], aspect)
        for seconds in actions[1:]:
            there = _elsewhere(rng, chosen, shots[-1], sum(seconds), aspect, training) if shots else None
            shots = shots + _cut(rng, chosen, there, seconds, aspect) if there else []
        if len(shots) == len(frames):
            return Film(tuple(shots))
    raise AssertionError("itertools.count is infinite")


def _draw_lengths(rng: np.random.Generator, preset: ScenePreset, shape: VideoShape) -> list[int]:
    """Number of frames of each shot; fewer shots than drawn if there are not enough frames."""
    steps = (shape.num_frames - 1) // FRAMES_PER_LATENT
    least = max(1, math.ceil(MIN_SHOT_SECONDS * shape.fps / FRAMES_PER_LATENT))
    wanted = choice(rng, range(1, len(preset.shots) + 1), preset.shots)
    shots = max(1, min(wanted, steps // least))
    extra = rng.multinomial(max(0, steps - shots * least), [1 / shots] * shots)
    lengths = [FRAMES_PER_LATENT * (least + int(more)) for more in extra]
    lengths[0] += 1
    lengths[-1] += shape.num_frames - sum(lengths)
    return lengths


def _elsewhere(
    rng: np.random.Generator, preset: ScenePreset, scene: Scene, seconds: float, aspect: float, training: bool
) -> Scene | None:
    """The same subjects in another place with other motions; None if no suitable arrangement was found."""
    place = choice(rng, [place for place in PLACES if place != scene.place])
    light = choice(rng, LIGHTS) if rng.random() < 0.5 else scene.light
    for _ in range(MAX_PLACE_ATTEMPTS):
        cast = tuple(with_new_motion(rng, preset, s, 0.12 if i == 0 else 0.5) for i, s in enumerate(scene.subjects))
        if training and any(map(held_out, cast)):
            continue
        there = replace(scene, subjects=cast, place=place, light=light, seconds=seconds, begins=0.0)
        there = rearranged(rng, there, _draw_move(rng, preset, seconds), aspect, preset)
        if there is not None:
            return there
    return None


def _cut(
    rng: np.random.Generator, preset: ScenePreset, scene: Scene, seconds: list[float], aspect: float
) -> list[Scene]:
    """The scene as shots of these lengths in seconds with different cameras; empty if no suitable cameras were found.

    Scenes with an event are not cut, because an event might not be visible from another camera or in part.
    """
    if len(seconds) == 1:
        return [scene]
    if scene.event is not None:
        return []
    shots: list[Scene] = []
    for begins, length in zip(accumulate(seconds[:-1], initial=0.0), seconds, strict=True):
        shot = _with_new_camera(rng, preset, replace(scene, begins=begins, seconds=length), bool(shots), aspect)
        if shot is None:
            return []
        shots.append(shot)
    return shots


def _with_new_camera(
    rng: np.random.Generator, preset: ScenePreset, scene: Scene, elsewhere: bool, aspect: float
) -> Scene | None:
    """The scene with a new camera; if `elsewhere`, rotated around the subjects or at another distance."""
    arrangement = Arrangement(scene.subjects, width=STAGE_SIZES[len(scene.subjects) - 1])
    move = _draw_move(rng, preset, scene.seconds)
    for attempt in range(MAX_ATTEMPTS):
        camera = draw_view(rng, arrangement, move, scene.seconds, attempt / MAX_ATTEMPTS)
        if elsewhere and rng.random() < 0.5:
            camera = moved_camera(camera, rng.uniform(*TURNS) * choice(rng, (-1, 1)), 1.0)
        elif elsewhere:
            camera = moved_camera(camera, 0.0, rng.uniform(*choice(rng, (NEARER, FARTHER))))
        shot = replace(scene, camera=camera)
        if in_view(shot, aspect, overlap=0.4):
            return shot
    return None


def _draw_move(rng: np.random.Generator, preset: ScenePreset, seconds: float) -> CameraMove:
    move = draw_move(rng, preset)
    return "static" if move in GLANCES and seconds < MIN_GLANCE_SECONDS else move
