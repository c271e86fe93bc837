"""Requests in pieces, made of the corpus: the shots of a storyboard, or a clip and the prompts by which it is edited.

What no piece asks for by itself all of them may ask for together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from lumora.safety.corpus import Part, sentences, told

Way: TypeAlias = Literal["told", "cut up", "among others"]
"""As a story; as one sentence cut into pieces; as one request among harmless ones."""
WAYS: tuple[Way, ...] = get_args(Way)
PIECES = 3


@dataclass(frozen=True)
class MultiTurnRequest:
    group: str
    """As a sentence's: a category of the policy, or one of what must not be refused."""
    way: str
    steps: tuple[str, ...]
    """Prompts, in the order in which they are sent."""


def chains(group: str, parts: Sequence[Part], count: int, generator: np.random.Generator) -> list[MultiTurnRequest]:
    """`count` chains of a group in each of the WAYS, of entries of these parts of the corpus alone."""
    said = [sentence.bare for sentence in sentences(group, parts, 4 * count, generator)]
    longest = sorted(said, key=lambda text: -len(text.split()))[:count]  # a short one has no pieces
    others = iter([sentence.bare for sentence in sentences("benign", parts, (PIECES - 1) * count, generator)])
    steps = {
        "told": told(group, parts, count, generator),
        "cut up": [cut_up(text) for text in longest],
        "among others": [(next(others), text, next(others)) for text in said[:count]],
    }
    return [MultiTurnRequest(group, way, each) for way in WAYS for each in steps[way]]


def cut_up(text: str) -> tuple[str, ...]:
    """The words in three pieces of about as many; fewer where there are fewer words."""
    pieces = np.array_split(np.array(text.split(), dtype=object), PIECES)
    return tuple(" ".join(piece) for piece in pieces if len(piece))
