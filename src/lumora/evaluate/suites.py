"""What a model is asked for when it is measured: prompts, the facts they state, and what it really looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from lumora.config import VideoShape
from lumora.evaluate.vocabulary import outside_prompts
from lumora.world.caption import Length, caption
from lumora.world.clip import make_scene
from lumora.world.facts import Fact, facts_of
from lumora.world.render import render

HELD_OUT_SEED = 20_251
"""No training uses the clips of this seed."""


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


def held_out_captions(
    preset: str, clips: int, length: Length, shape: VideoShape, seed: int = HELD_OUT_SEED
) -> list[Case]:
    """Captions of clips that nothing was trained on, with these clips as they really are."""
    cases = []
    for index in range(clips):
        scene, trajectory = make_scene(preset, seed, index, shape)
        words = caption(facts_of(scene, trajectory), length, np.random.default_rng([seed, index]))
        frames = render([scene], [trajectory], shape.height, shape.width).frames[0].numpy()
        cases.append(Case("captions", words.text, words.facts, words.facts, frames))
    return cases


def outside_words() -> list[Case]:
    """Prompts in words that no caption of the world uses; what is looked for is what these words say."""
    return [Case(p.group, p.prompt, p.stated, p.asked) for p in outside_prompts()]
