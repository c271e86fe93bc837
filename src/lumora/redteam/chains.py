"""Requests in pieces: does it show what shots, or a clip and what is made of it, ask for together?"""

from __future__ import annotations

from dataclasses import dataclass

from lumora.redteam.sentences import written


@dataclass(frozen=True)
class Chain:
    group: str
    """A category of the policy, or `benign`."""
    steps: tuple[str, ...]
    """Prompts, in the order in which they are sent."""


def chains(number: int) -> list[Chain]:
    """The first so many of chains.toml."""
    said = written("chains.toml")
    return [Chain(chain["category"], tuple(chain["steps"])) for chain in said["chain"][:number]]
