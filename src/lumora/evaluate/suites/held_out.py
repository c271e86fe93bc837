"""Held-out prompts with the facts that they state, and real clips that show them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np

from lumora.config import VideoShape
from lumora.evaluate.frames import Frames
from lumora.evaluate.suites.vocabulary import vocabulary_prompts
from lumora.parallel import run_batches
from lumora.world.caption import Caption, Length, caption
from lumora.world.clip import FilmClip, make_film, make_scene
from lumora.world.facts import Category, Fact, facts_of, value_of
from lumora.world.languages import LANGUAGES, caption_in
from lumora.world.physics import simulate
from lumora.world.render import render
from lumora.world.sample import FIRST_HELD_OUT_SEED, PRESETS, held_out, rearranged, sample_scene
from lumora.world.sample.cast import choice
from lumora.world.scene import LIGHTS, PLACES, SIZES, CameraMove, Scene

HELD_OUT_SEED = 20_251
"""Seed of the clips that no training uses."""
ENGLISH = "en"
assert HELD_OUT_SEED >= FIRST_HELD_OUT_SEED
BATCH_SIZE = 20
"""Clips that a worker renders at a time."""
MAX_TRIES = 10
"""Scenes that are tried for each clip that must match a prompt."""
COMBINATION: tuple[Category, ...] = ("kind", "color", "motion")


@dataclass(frozen=True)
class EvaluationCase:
    """One prompt of the evaluation."""

    group: str
    prompt: str
    stated: tuple[Fact, ...]
    """All facts that the prompt states."""
    asked: tuple[Fact, ...]
    """The facts that are checked."""
    real: Frames | None = None
    """A real clip that shows the prompt, if there is one."""
    scene: Scene | None = None
    """The scene of that clip."""
    true: tuple[Fact, ...] = ()
    """All facts of that clip, stated or not."""


def held_out_captions(
    preset: str,
    clips: int,
    length: Length,
    shape: VideoShape,
    seed: int = HELD_OUT_SEED,
    workers: int = 0,
    language: str = ENGLISH,
) -> list[EvaluationCase]:
    """Captions of clips of a held-out seed with these clips, rendered in this many processes (0: in this one)."""
    return run_batches(partial(_captions, preset, seed, length, shape, language), range(clips), BATCH_SIZE, workers)


def _captions(
    preset: str, seed: int, length: Length, shape: VideoShape, language: str, indices: Sequence[int]
) -> list[EvaluationCase]:
    return [_case("captions", preset, seed, index, length, shape, language) for index in indices]


def held_out_combinations(
    preset: str, clips: int, shape: VideoShape, seed: int = HELD_OUT_SEED
) -> list[EvaluationCase]:
    """Captions of clips with a combination of kind, color and motion that no training uses; the facts of that
    combination are checked."""
    cases: list[EvaluationCase] = []
    seconds, aspect = (shape.num_frames - 1) / shape.fps, shape.width / shape.height
    for index in itertools.count():
        subjects = sample_scene(preset, seed, index, seconds, aspect).subjects
        if not any(map(held_out, subjects)):
            continue
        case = _case("combinations", preset, seed, index, "sentence", shape)
        asked = [
            f
            for f in case.stated
            if f.subject is not None and held_out(subjects[f.subject]) and f.category in COMBINATION
        ]
        cases.append(replace(case, asked=tuple(asked)))
        if len(cases) == clips:
            return cases
    raise AssertionError("The count of scenes has no end.")


def film_world(preset: str) -> str:
    """The preset of films for a preset of clips."""
    return f"{preset.removesuffix('-film')}-film" if preset.startswith(("plain", "stage")) else "film"


def held_out_films(world: str, films: int, shape: VideoShape, seed: int = HELD_OUT_SEED) -> list[FilmClip]:
    """Films of a held-out seed with exactly the number of frames of `shape`."""
    return [make_film(world, seed, index, shape) for index in range(films)]


def caption_of(facts: tuple[Fact, ...], seed: int, index: int, length: Length, language: str = ENGLISH) -> Caption:
    """The caption of clip `index` of a seed; always the same."""
    generator = np.random.default_rng([seed, index])
    if language == ENGLISH:
        return caption(facts, length, generator)
    return caption_in(LANGUAGES[language], facts, length, generator)


def _case(
    group: str, preset: str, seed: int, index: int, length: Length, shape: VideoShape, language: str = ENGLISH
) -> EvaluationCase:
    scene, trajectory = make_scene(preset, seed, index, shape)
    facts = facts_of(scene, trajectory)
    described = caption_of(facts, seed, index, length, language)
    frames = render([scene], [trajectory], shape.height, shape.width).frames[0].numpy()
    return EvaluationCase(group, described.text, described.facts, described.facts, frames, scene, facts)


def matching_clips(
    case: EvaluationCase, preset: str, shape: VideoShape, clips: int, rng: np.random.Generator
) -> list[Frames]:
    """Real clips that show all facts of a prompt and differ in what it leaves open: positions, speeds, appearance, and
    the camera. Returns fewer clips if they are hard to find."""
    assert case.scene is not None
    found: list[Frames] = []
    for _ in range(MAX_TRIES * clips):
        scene = _vary_unstated(rng, case.scene, case.stated, preset)
        move = value_of(case.stated, "camera") or _draw_move(rng, preset)
        scene = rearranged(rng, scene, cast(CameraMove, move), shape.width / shape.height, PRESETS[preset])
        if scene is None or len(found) == clips:
            break
        trajectory = simulate(scene, shape.fps, shape.num_frames)
        if set(case.stated) <= set(facts_of(scene, trajectory)):
            found.append(render([scene], [trajectory], shape.height, shape.width).frames[0].numpy())
    return found


def _vary_unstated(rng: np.random.Generator, scene: Scene, stated: tuple[Fact, ...], preset: str) -> Scene:
    """The scene with another appearance where the prompt does not state it."""

    def is_stated(category: Category, subject: int | None = None) -> bool:
        return value_of(stated, category, subject) is not None

    materials = PRESETS[preset].materials
    subjects = tuple(
        replace(
            subject,
            material=subject.material if is_stated("material", i) else choice(rng, [*materials], [*materials.values()]),
            size=subject.size if is_stated("size", i) else choice(rng, SIZES),
        )
        for i, subject in enumerate(scene.subjects)
    )
    place = scene.place if is_stated("place") else choice(rng, PLACES)
    return replace(
        scene, subjects=subjects, place=place, light=scene.light if is_stated("light") else choice(rng, LIGHTS)
    )


def _draw_move(rng: np.random.Generator, preset: str) -> CameraMove:
    moves: list[CameraMove] = [move for move in PRESETS[preset].moves if move != "follow"]
    return "static" if rng.random() < 0.5 else choice(rng, moves)


def out_of_vocabulary_cases() -> list[EvaluationCase]:
    """Prompts with words that no caption of the world uses; the facts that these words state are checked."""
    return [EvaluationCase(p.group, p.prompt, p.stated, p.asked) for p in vocabulary_prompts()]
