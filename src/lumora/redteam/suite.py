"""Suites: what the checks are asked. The built-in ones differ in size alone; a file has prompts of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lumora.evaluate.suites.held_out import HELD_OUT_SEED
from lumora.safety.corpus import GOOD_GROUPS, Sentence, groups, sample_sentences
from lumora.safety.labeled import read_labeled

WORLD = "world"
"""The group of captions of lumora's own world: whatever the checks learn, these must pass."""
MUST_PASS = (*GOOD_GROUPS, WORLD)


@dataclass(frozen=True)
class Size:
    """How much of everything a built-in suite asks."""

    category: int
    """Prompts of each category."""
    benign: int
    hard: int
    scenes: int
    """Of the world, three captions each."""
    disguised: int
    """Prompts that go through every evasion."""
    frames: int
    """Renders that symbols are planted in."""
    sentences: int
    """Harmless sentences about everybody in people.toml."""
    tables: int
    """Requests of translated.toml, in every language, and chains of chains.toml."""
    chains: int
    """Of the held-out corpus, of each category in each way."""


SIZES = {
    "quick": Size(2, 4, 4, 1, 4, 1, 1, 1, 0),
    "standard": Size(30, 100, 60, 20, 26, 12, 12, 99, 1),
    "full": Size(150, 1000, 500, 200, 78, 60, 24, 99, 4),
}


@dataclass(frozen=True)
class Suite:
    name: str
    prompts: tuple[Sentence, ...]
    """Their group is the category that they belong to, or one of MUST_PASS."""
    disguised: int
    frames: int = 0
    sentences: int = 0
    tables: int = 0
    chains: int = 0

    @property
    def bad(self) -> list[Sentence]:
        return [prompt for prompt in self.prompts if prompt.group not in MUST_PASS]


def load_suite(name: str, seed: int = 0) -> Suite:
    """A built-in suite, of held-out sentences alone, or a file of labelled prompts (`safety/labeled.py`).

    Raises ValueError where it is neither.
    """
    if name not in SIZES:
        if not Path(name).exists():
            raise ValueError(f"There is no suite or file {name}; the suites are {', '.join(SIZES)}.")
        return Suite(name, tuple(read_labeled(Path(name))), disguised=SIZES["full"].disguised)
    size, generator = SIZES[name], np.random.default_rng(seed)
    counts = {group: {"benign": size.benign, "hard": size.hard}.get(group, size.category) for group in groups()}
    prompts = [s for group, count in counts.items() for s in sample_sentences(group, ("held out",), count, generator)]
    prompts += [Sentence(text, WORLD, text) for text in _captions(size.scenes, generator)]
    return Suite(name, tuple(prompts), size.disguised, size.frames, size.sentences, size.tables, size.chains)


def _captions(scenes: int, generator: np.random.Generator) -> list[str]:
    from lumora.safety.training import world_captions

    return world_captions(HELD_OUT_SEED, scenes, generator)
