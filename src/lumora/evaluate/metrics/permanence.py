"""Permanence: what is there stays there, and nothing comes from nothing.

Read by the tables of colours (`tracking`), on videos whose real clips keep their cast from beginning to end: it is no
fault that a thing rolls out of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lumora.evaluate.instruments.color_tracker import SEEN, Sighting
from lumora.evaluate.metrics.proportions import Proportion

Cast = frozenset[str]


def casts(sighting: Sighting, parts: int = 3) -> list[Cast]:
    """The colours of what is seen in each third of the clip."""
    found: list[set[str]] = [set() for _ in range(parts)]
    for color, track in sighting.tracks.items():
        for part, areas in enumerate(np.array_split(track.areas, parts)):
            if (areas > 0).mean() >= SEEN:
                found[part].add(color)
    return [frozenset(colors) for colors in found]


def permanence(real: Sequence[Sighting], made: Sequence[Sighting]) -> dict[str, dict[str, Proportion]]:
    """How many of the videos keep their cast, lose nothing of it, and add nothing to it, where the real ones do; and
    how many of all the real ones do, as far as the instrument can tell (`real clips`)."""
    found = [casts(r) for r in real]
    steady = [casts(m) for parts, m in zip(found, made, strict=True) if len(set(parts)) == 1]
    return {"generated": _kept(steady), "real clips": _kept(found)}


def _kept(clips: Sequence[list[Cast]]) -> dict[str, Proportion]:
    return {
        "cast stays": Proportion(sum(len(set(parts)) == 1 for parts in clips), len(clips)),
        "nothing vanishes": Proportion(sum(parts[0] <= parts[-1] for parts in clips), len(clips)),
        "nothing appears": Proportion(sum(parts[-1] <= parts[0] for parts in clips), len(clips)),
    }
