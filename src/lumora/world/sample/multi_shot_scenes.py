"""Films by chance: one cast, in one style, in several shots with hard cuts between them.

A cut leads to another place, where the same cast does something else; or to another view of the same action, which goes
on meanwhile.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate, count

import numpy as np

from lumora.config import VideoShape
from lumora.world.sample import FIRST_HELD_OUT_SEED, TRIES, draw_move, draw_scene, draw_view, generator_of, restaged
from lumora.world.sample.camera_setup import seen_from
from lumora.world.sample.cast import PRESETS, Preset, choice, held_out, with_deed
from lumora.world.sample.framing import in_view
from lumora.world.sample.situations import STAGE, Play
from lumora.world.scene import GLANCES, LIGHTS, PLACES, CameraMove, Film, Scene

GRID = 4
"""Frames of a latent frame. Cuts fall between two of them, so that no latent frame shows two shots."""
LEAST_SECONDS = 1.0
"""Of a shot."""
GLANCE_SECONDS = 1.5
"""Less is too short to look away and back."""
STAYS = 0.4
"""Share of cuts that stay in the place."""
TURNS, NEARER, FARTHER = (0.5, 0.9), (0.65, 0.8), (1.3, 1.6)
"""How another view differs: radians around the middle, or how many times as far."""
AGAIN = 10
"""Times that a cast is sent elsewhere before another is chosen."""
_STREAM = 2
"""Keeps the draws of films apart from those of scenes and captions."""


def sample_film(preset: str, seed: int, index: int, shape: VideoShape) -> Film:
    """Film `index` of a seed, of exactly the frames of `shape`; of a preset without films it has one shot.

    The first shot has 1 + 4n frames, the others 4n, so all cuts lie between latent frames. Raises ValueError as
    `sample_scene` does.
    """
    rng = generator_of(preset, seed, index, _STREAM)
    chosen, training = PRESETS[preset], seed < FIRST_HELD_OUT_SEED
    frames = _draw_lengths(rng, chosen, shape)
    stays = [False, *(rng.random(len(frames) - 1) < STAYS).tolist()]
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
    raise AssertionError("The count of casts has no end.")


def _draw_lengths(rng: np.random.Generator, preset: Preset, shape: VideoShape) -> list[int]:
    """Frames of each shot; fewer shots than drawn where there is no time for them."""
    steps = (shape.num_frames - 1) // GRID
    least = max(1, math.ceil(LEAST_SECONDS * shape.fps / GRID))
    wish = choice(rng, range(1, len(preset.shots) + 1), preset.shots)
    shots = max(1, min(wish, steps // least))
    extra = rng.multinomial(max(0, steps - shots * least), [1 / shots] * shots)
    lengths = [GRID * (least + int(more)) for more in extra]
    lengths[0] += 1
    lengths[-1] += shape.num_frames - sum(lengths)
    return lengths


def _elsewhere(
    rng: np.random.Generator, preset: Preset, scene: Scene, seconds: float, aspect: float, training: bool
) -> Scene | None:
    """The cast in another place, with something else to do; None where it can't be seen there."""
    place = choice(rng, [place for place in PLACES if place != scene.place])
    light = choice(rng, LIGHTS) if rng.random() < 0.5 else scene.light
    for _ in range(AGAIN):
        cast = tuple(with_deed(rng, preset, s, 0.12 if i == 0 else 0.5) for i, s in enumerate(scene.subjects))
        if training and any(map(held_out, cast)):
            continue
        there = replace(scene, subjects=cast, place=place, light=light, seconds=seconds, begins=0.0)
        there = restaged(rng, there, _draw_move(rng, preset, seconds), aspect, preset)
        if there is not None:
            return there
    return None


def _cut(rng: np.random.Generator, preset: Preset, scene: Scene, seconds: list[float], aspect: float) -> list[Scene]:
    """The action of `scene` in shots of so many seconds, each seen from elsewhere; none where no view shows all.

    An event is not cut in two: seen from elsewhere, or in part, it would be another one or none.
    """
    if len(seconds) == 1:
        return [scene]
    if scene.event is not None:
        return []
    shots: list[Scene] = []
    for begins, length in zip(accumulate(seconds[:-1], initial=0.0), seconds, strict=True):
        shot = _refilmed(rng, preset, replace(scene, begins=begins, seconds=length), bool(shots), aspect)
        if shot is None:
            return []
        shots.append(shot)
    return shots


def _refilmed(rng: np.random.Generator, preset: Preset, scene: Scene, elsewhere: bool, aspect: float) -> Scene | None:
    """The same stretch of the action by another camera: turned around it, nearer or farther off, if `elsewhere`."""
    play = Play(scene.subjects, width=STAGE[len(scene.subjects) - 1])
    move = _draw_move(rng, preset, scene.seconds)
    for attempt in range(TRIES):
        camera = draw_view(rng, play, move, scene.seconds, attempt / TRIES)
        if elsewhere and rng.random() < 0.5:
            camera = seen_from(camera, rng.uniform(*TURNS) * choice(rng, (-1, 1)), 1.0)
        elif elsewhere:
            camera = seen_from(camera, 0.0, rng.uniform(*choice(rng, (NEARER, FARTHER))))
        shot = replace(scene, camera=camera)
        if in_view(shot, aspect, overlap=0.4):
            return shot
    return None


def _draw_move(rng: np.random.Generator, preset: Preset, seconds: float) -> CameraMove:
    move = draw_move(rng, preset)
    return "static" if move in GLANCES and seconds < GLANCE_SECONDS else move
