"""Requests in pieces: does it show what shots, or a clip and what is made of it, ask for together?"""

from __future__ import annotations

import numpy as np

from lumora.redteam.prompt_tables import read_table
from lumora.safety.corpus import GOOD_GROUPS, groups
from lumora.safety.multi_turn import MultiTurnRequest, sample_multi_turn

WRITTEN = "written"
"""The way of those of chains.toml, which no list of the corpus has."""
PASSING = 5
"""Chains that must pass, for each one of a category: there are two groups of them, and thirteen categories."""


def held_out(each: int, generator: np.random.Generator) -> list[MultiTurnRequest]:
    """So many of each category in each way, of the corpus's held-out part alone, and of what must pass."""
    if not each:
        return []
    counts = {group: PASSING * each if group in GOOD_GROUPS else each for group in groups()}
    return [
        chain for group, count in counts.items() for chain in sample_multi_turn(group, ("held out",), count, generator)
    ]


def by_hand(number: int) -> list[MultiTurnRequest]:
    """The first so many of chains.toml."""
    said = read_table("multi_turn.toml")
    return [MultiTurnRequest(chain["category"], WRITTEN, tuple(chain["steps"])) for chain in said["chain"][:number]]
