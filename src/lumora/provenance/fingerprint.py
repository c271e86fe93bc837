"""What a video looks like, in some hundred small numbers, and how alike another one is.

They are its slow waves (`waves.py`), each against the clearest ones. So a codec, another size, rate or colour hardly
changes them, and a part of the frame, another beginning and another speed are found by the same search as the mark.
They are taken before the video is marked, so they know nothing of the key, and what the mark says is a second witness.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int8

from lumora.media.video import Video
from lumora.provenance.dct import Stage, reduction_stages

Fingerprint: TypeAlias = Int8[np.ndarray, "_"]
"""17 · 52 numbers of a video, those in space alone of a picture."""

CLEAR = 0.9
"""This share of the waves is weaker than those that count in full."""


def fingerprint_of(video: Video) -> Fingerprint:
    _, waves = next(reduction_stages(video))
    return np.rint(127 * _weighed(waves[0])).astype(np.int8).ravel()


@dataclass(frozen=True)
class Likeness:
    value: float = 0.0
    """The correlation of looks at the likest place, from 0 to 1."""
    place: int = 0
    """Its number, as `stages` goes through them."""


def likeness(seen: Iterable[Stage], others: Sequence[Fingerprint]) -> list[Likeness]:
    """How much a video, of which the `stages` are `seen`, looks like each of others; not at all like a picture, if it
    is none itself."""
    best, began, known = [Likeness()] * len(others), 0, np.zeros((0, 0))
    for _, waves in seen:
        looks = _of_length_one(np.stack([_weighed(each).ravel() for each in waves]))
        fitting = [number for number, other in enumerate(others) if len(other) == looks.shape[1]]
        if not fitting:
            break
        if began == 0:
            known = _of_length_one(np.stack([others[number] for number in fitting]).astype(float))
        alike = looks @ known.T
        for number, place, value in zip(
            fitting, alike.argmax(axis=0).tolist(), alike.max(axis=0).tolist(), strict=True
        ):
            best[number] = max(best[number], Likeness(value, began + place), key=lambda found: found.value)
        began += len(waves)
    return best


def chance_of(likeness: float) -> float:
    """How often, at most, a foreign video looks that much like a given one of ours.

    The line lies above all that was measured: of 72,010 pairs of clips of the simulated world, each with the whole
    search from both sides, 10 % were alike by .212, 1 % by .354, .1 % by .530, .01 % by .705, and one by .847. It ends
    at 1.8 · 10⁻⁵, a little more than one in so many pairs: more than that no likeness proves.
    """
    return min(1.0, 10 ** -((min(likeness, 1.0) - 0.05) / 0.2))


def _weighed(waves: Float[np.ndarray, "q n"]) -> Float[np.ndarray, "q n"]:
    return np.clip(waves / max(float(np.quantile(np.abs(waves), CLEAR)), 1e-9), -1, 1)


def _of_length_one(rows: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m k"]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
