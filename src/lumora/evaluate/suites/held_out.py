"""What a model is asked for when it is measured: prompts, the facts they state, and what it really looks like."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
from jaxtyping import UInt8

from lumora.config import VideoShape
from lumora.evaluate.suites.vocabulary import outside_prompts
from lumora.parallel import run_batches
from lumora.world.caption import Caption, Length, caption
from lumora.world.clip import FilmClip, make_film, make_scene
from lumora.world.facts import Category, Fact, facts_of, value_of
from lumora.world.physics import simulate
from lumora.world.render import render
from lumora.world.sample import FIRST_HELD_OUT_SEED, PRESETS, held_out, rearranged, sample_scene
from lumora.world.sample.cast import choice
from lumora.world.scene import LIGHTS, PLACES, SIZES, CameraMove, Scene

HELD_OUT_SEED = 20_251
"""No training uses the clips of this seed."""
assert HELD_OUT_SEED >= FIRST_HELD_OUT_SEED
TOGETHER = 20
"""Clips that a process draws before it takes up the next ones."""
RETELLINGS = 10
"""Tries for each clip of which a prompt is to be true."""
COMBINED: tuple[Category, ...] = ("kind", "color", "motion")


@dataclass(frozen=True)
class Case:
    """One prompt that a model is given."""

    group: str
    prompt: str
    stated: tuple[Fact, ...]
    """All that it says."""
    asked: tuple[Fact, ...]
    """What of it is looked for."""
    real: UInt8[np.ndarray, "t h w 3"] | None = None
    """A real clip that shows it, where there is one."""
    scene: Scene | None = None
    """The scene of that clip."""
    true: tuple[Fact, ...] = ()
    """All that is true of it, whether the prompt says it or not."""


def held_out_captions(
    preset: str, clips: int, length: Length, shape: VideoShape, seed: int = HELD_OUT_SEED, workers: int = 0
) -> list[Case]:
    """Captions of clips that nothing was trained on, with these clips as they really are, drawn in so many processes
    (0: in this one)."""
    return run_batches(partial(_captions, preset, seed, length, shape), range(clips), TOGETHER, workers)


def _captions(preset: str, seed: int, length: Length, shape: VideoShape, indices: Sequence[int]) -> list[Case]:
    return [_case("captions", preset, seed, index, length, shape) for index in indices]


def combinations(preset: str, clips: int, shape: VideoShape, seed: int = HELD_OUT_SEED) -> list[Case]:
    """Captions of clips with a combination of kind, colour and motion that no training has seen; what is looked for is
    that combination."""
    cases: list[Case] = []
    seconds, aspect = (shape.num_frames - 1) / shape.fps, shape.width / shape.height
    for index in itertools.count():
        subjects = sample_scene(preset, seed, index, seconds, aspect).subjects
        if not any(map(held_out, subjects)):
            continue
        case = _case("combinations", preset, seed, index, "sentence", shape)
        asked = [
            f for f in case.stated if f.subject is not None and held_out(subjects[f.subject]) and f.category in COMBINED
        ]
        cases.append(replace(case, asked=tuple(asked)))
        if len(cases) == clips:
            return cases
    raise AssertionError("The count of scenes has no end.")


def film_world(preset: str) -> str:
    """The world of the films that show the things of a preset, or more."""
    return "plain-film" if preset in ("plain", "plain-film") else "film"


def held_out_films(world: str, films: int, shape: VideoShape, seed: int = HELD_OUT_SEED) -> list[FilmClip]:
    """Films of this world that nothing was trained on, of exactly the frames of `shape`."""
    return [make_film(world, seed, index, shape) for index in range(films)]


def caption_of(facts: tuple[Fact, ...], seed: int, index: int, length: Length) -> Caption:
    """The caption by which clip `index` of a seed is asked for, always the same."""
    return caption(facts, length, np.random.default_rng([seed, index]))


def _case(group: str, preset: str, seed: int, index: int, length: Length, shape: VideoShape) -> Case:
    scene, trajectory = make_scene(preset, seed, index, shape)
    facts = facts_of(scene, trajectory)
    words = caption_of(facts, seed, index, length)
    frames = render([scene], [trajectory], shape.height, shape.width).frames[0].numpy()
    return Case(group, words.text, words.facts, words.facts, frames, scene, facts)


def retold(
    case: Case, preset: str, shape: VideoShape, clips: int, rng: np.random.Generator
) -> list[UInt8[np.ndarray, "t h w 3"]]:
    """Real clips of which all that a prompt says is true, and in which the rest is as it happens: where things are and
    how fast, the looks that it doesn't tell, the camera. Fewer than so many where they are hard to come by."""
    assert case.scene is not None
    found: list[UInt8[np.ndarray, "t h w 3"]] = []
    for _ in range(RETELLINGS * clips):
        scene = _left_open(rng, case.scene, case.stated, preset)
        move = value_of(case.stated, "camera") or _draw_move(rng, preset)
        scene = rearranged(rng, scene, cast(CameraMove, move), shape.width / shape.height)
        if scene is None or len(found) == clips:
            break
        trajectory = simulate(scene, shape.fps, shape.num_frames)
        if set(case.stated) <= set(facts_of(scene, trajectory)):
            found.append(render([scene], [trajectory], shape.height, shape.width).frames[0].numpy())
    return found


def _left_open(rng: np.random.Generator, scene: Scene, stated: tuple[Fact, ...], preset: str) -> Scene:
    """The scene with other looks, where the prompt says nothing of them."""

    def told(category: Category, subject: int | None = None) -> bool:
        return value_of(stated, category, subject) is not None

    materials = PRESETS[preset].materials
    subjects = tuple(
        replace(
            subject,
            material=subject.material if told("material", i) else choice(rng, [*materials], [*materials.values()]),
            size=subject.size if told("size", i) else choice(rng, SIZES),
        )
        for i, subject in enumerate(scene.subjects)
    )
    place = scene.place if told("place") else choice(rng, PLACES)
    return replace(scene, subjects=subjects, place=place, light=scene.light if told("light") else choice(rng, LIGHTS))


def _draw_move(rng: np.random.Generator, preset: str) -> CameraMove:
    moves: list[CameraMove] = [move for move in PRESETS[preset].moves if move != "follow"]
    return "static" if rng.random() < 0.5 else choice(rng, moves)


def outside_words() -> list[Case]:
    """Prompts in words that no caption of the world uses; what is looked for is what these words say."""
    return [Case(p.group, p.prompt, p.stated, p.asked) for p in outside_prompts()]
