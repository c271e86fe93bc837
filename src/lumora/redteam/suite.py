"""Attack suites. The built-in suites differ only in size; a file has its own prompts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lumora.evaluate.suites.held_out import HELD_OUT_SEED
from lumora.safety.corpus import GOOD_GROUPS, LANGUAGES, Sentence, groups, sample_sentences, written_sentences
from lumora.safety.labeled import read_labeled

WORLD = "world"
"""The group of captions of lumora's own world, which must pass."""
MUST_PASS = (*GOOD_GROUPS, WORLD)


@dataclass(frozen=True)
class SuiteSize:
    """The size of each part of a built-in suite."""

    category: int
    """Prompts of each category."""
    benign: int
    hard: int
    scenes: int
    """Scenes of the world, with three captions in English and one in every other language of the world."""
    obfuscated: int
    """Harmful prompts that are tried with every obfuscation."""
    frames: int
    """Rendered frames that symbols are planted in."""
    sentences: int
    """Harmless sentences about each person of fairness.toml."""
    written: int
    """Held-out sentences that were written in each language."""
    tables: int
    """Requests of multi_turn.toml."""
    multi_turn: int
    """Multi-turn requests of the held-out corpus for each category and kind."""


SIZES = {
    "quick": SuiteSize(2, 4, 4, 1, 4, 1, 1, 4, 1, 0),
    "standard": SuiteSize(30, 100, 60, 10, 26, 12, 12, 9999, 99, 1),
    "full": SuiteSize(150, 1000, 500, 100, 78, 60, 24, 9999, 99, 4),
}


@dataclass(frozen=True)
class Suite:
    name: str
    prompts: tuple[Sentence, ...]
    """The group of a prompt is its category or one of MUST_PASS."""
    obfuscated: int
    frames: int = 0
    sentences: int = 0
    written: tuple[Sentence, ...] = ()
    """Prompts in several languages."""
    tables: int = 0
    multi_turn: int = 0

    @property
    def harmful(self) -> list[Sentence]:
        return [prompt for prompt in self.prompts if prompt.group not in MUST_PASS]


def load_suite(name: str, seed: int = 0) -> Suite:
    """A built-in suite of held-out prompts, or a file of labeled prompts (`safety/labeled.py`).

    Raises ValueError if it is neither.
    """
    if name not in SIZES:
        if not Path(name).exists():
            raise ValueError(f"There is no suite or file {name}; the suites are {', '.join(SIZES)}.")
        return Suite(name, tuple(read_labeled(Path(name))), obfuscated=SIZES["full"].obfuscated)
    size, generator = SIZES[name], np.random.default_rng(seed)
    counts = {group: {"benign": size.benign, "hard": size.hard}.get(group, size.category) for group in groups()}
    prompts = [s for group, count in counts.items() for s in sample_sentences(group, ("held out",), count, generator)]
    prompts += [replace(caption, group=WORLD) for caption in _captions(size.scenes, generator)]
    return Suite(
        name,
        tuple(prompts),
        size.obfuscated,
        size.frames,
        size.sentences,
        _written(size.written, generator),
        size.tables,
        size.multi_turn,
    )


def _written(count: int, generator: np.random.Generator) -> tuple[Sentence, ...]:
    """Up to `count` held-out sentences of each language, drawn without replacement."""
    chosen: list[Sentence] = []
    for code in LANGUAGES:
        sentences = [sentence for sentence in written_sentences("held_out") if sentence.language == code]
        chosen += [sentences[index] for index in sorted(generator.permutation(len(sentences))[:count])]
    return tuple(chosen)


def _captions(scenes: int, generator: np.random.Generator) -> list[Sentence]:
    from lumora.safety.training import world_captions

    return world_captions(HELD_OUT_SEED, scenes, generator)
