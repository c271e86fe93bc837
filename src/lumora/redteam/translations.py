"""Held-out requests in every language of translations.toml."""

from __future__ import annotations

from dataclasses import dataclass

from lumora.redteam.prompt_tables import read_table

ORIGINAL = "English"
"""The language that the checks were trained on."""


@dataclass(frozen=True)
class TranslatedPrompt:
    language: str
    group: str
    """A category of the policy, or `benign` or `hard`."""
    text: str


def translated_prompts(requests: int) -> list[TranslatedPrompt]:
    """The first `requests` requests, each in every language."""
    table = read_table("translations.toml")
    return [
        TranslatedPrompt(language, request["category"], text)
        for request in table["request"][:requests]
        for language, text in request.items()
        if language != "category"
    ]
