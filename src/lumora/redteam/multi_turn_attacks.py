"""Harmful requests in pieces: the shots of a storyboard, or a video and its edits."""

from __future__ import annotations

import numpy as np

from lumora.redteam.prompt_tables import read_table
from lumora.safety.corpus import GOOD_GROUPS, groups
from lumora.safety.multi_turn import MultiTurnRequest, sample_multi_turn

WRITTEN = "written"
"""The kind of the requests in multi_turn.toml, which are written by hand."""
PASSING = 5
"""Requests that must pass per request of a category: they have two groups, and there are thirteen categories."""


def held_out_requests(each: int, generator: np.random.Generator) -> list[MultiTurnRequest]:
    """`each` requests of every category and kind from the held-out part of the corpus, and requests that must pass."""
    if not each:
        return []
    counts = {group: PASSING * each if group in GOOD_GROUPS else each for group in groups()}
    return [
        chain for group, count in counts.items() for chain in sample_multi_turn(group, ("held out",), count, generator)
    ]


def written_requests(number: int) -> list[MultiTurnRequest]:
    """The first `number` requests of multi_turn.toml."""
    table = read_table("multi_turn.toml")
    return [MultiTurnRequest(chain["category"], WRITTEN, tuple(chain["steps"])) for chain in table["chain"][:number]]
