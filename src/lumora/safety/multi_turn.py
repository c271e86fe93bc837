"""Requests in several prompts, generated from the corpus: the shots of a storyboard, or a clip and its edits.

What no prompt asks for by itself, all of them may ask for together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from lumora.safety.corpus import Part, sample_sentences, sample_stories

MultiTurnKind: TypeAlias = Literal["story", "split", "mixed"]
"""A story in steps; one sentence split into pieces; one request among harmless ones."""
KINDS: tuple[MultiTurnKind, ...] = get_args(MultiTurnKind)
NUM_STEPS = 3


@dataclass(frozen=True)
class MultiTurnRequest:
    group: str
    """A category of the policy, or a group that must not be refused."""
    kind: str
    steps: tuple[str, ...]
    """Prompts, in the order in which they are sent."""


def sample_multi_turn(
    group: str, parts: Sequence[Part], count: int, generator: np.random.Generator
) -> list[MultiTurnRequest]:
    """`count` requests of a group of each kind, from entries of these parts of the corpus only."""
    cores = [sentence.core for sentence in sample_sentences(group, parts, 4 * count, generator)]
    longest = sorted(cores, key=lambda text: -len(text.split()))[:count]  # short sentences cannot be split
    harmless = iter([s.core for s in sample_sentences("benign", parts, (NUM_STEPS - 1) * count, generator)])
    steps = {
        "story": sample_stories(group, parts, count, generator),
        "split": [split_words(text) for text in longest],
        "mixed": [(next(harmless), text, next(harmless)) for text in cores[:count]],
    }
    return [MultiTurnRequest(group, kind, request) for kind in KINDS for request in steps[kind]]


def split_words(text: str) -> tuple[str, ...]:
    """The words in NUM_STEPS pieces of about the same length; fewer if there are fewer words."""
    pieces = np.array_split(np.array(text.split(), dtype=object), NUM_STEPS)
    return tuple(" ".join(piece) for piece in pieces if len(piece))
