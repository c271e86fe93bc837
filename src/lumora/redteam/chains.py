"""Requests in pieces: does it show what shots, or a clip and what is made of it, ask for together?"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Chain:
    group: str
    """A category of the policy, or `benign`."""
    steps: tuple[str, ...]
    """Prompts, in the order in which they are sent."""


def chains(number: int) -> list[Chain]:
    """The first so many of chains.toml."""
    said = tomllib.loads((files("lumora.redteam") / "chains.toml").read_text("utf-8"))
    return [Chain(chain["category"], tuple(chain["steps"])) for chain in said["chain"][:number]]
