"""Is a request refused in another language too? Held-out ones, each in every language of translated.toml."""

from __future__ import annotations

from dataclasses import dataclass

from lumora.redteam.prompt_tables import read_table

ORIGINAL = "English"
"""The language that the checks have learnt."""


@dataclass(frozen=True)
class Translated:
    language: str
    group: str
    """A category of the policy, or `benign` or `hard`."""
    text: str


def translated(requests: int) -> list[Translated]:
    """The first so many requests, each in every language."""
    said = read_table("translations.toml")
    return [
        Translated(language, request["category"], text)
        for request in said["request"][:requests]
        for language, text in request.items()
        if language != "category"
    ]
