"""Captions in other languages than English; see `grammar`."""

from __future__ import annotations

from lumora.world.languages.chinese import CHINESE
from lumora.world.languages.czech import CZECH
from lumora.world.languages.french import FRENCH
from lumora.world.languages.german import GERMAN
from lumora.world.languages.grammar import Language, caption_in
from lumora.world.languages.spanish import SPANISH

__all__ = ["LANGUAGES", "Language", "caption_in"]

LANGUAGES: dict[str, Language] = {"cs": CZECH, "de": GERMAN, "es": SPANISH, "fr": FRENCH, "zh": CHINESE}
"""By ISO 639-1 codes."""
