"""Stems of names in languages that inflect them: "Trumpem" and "Trumpovi" are both "trump" in Czech.

Only case endings of names are removed, so that two cases of one name have one stem. It is no stemmer for other words.
"""

from __future__ import annotations

_CZECH = [
    "ovou", "ovi", "ova", "ove", "ovy", "iho", "eho", "emu", "imu", "ami", "ach", "ech", "ich", "em", "im", "ym", "ho",
    "mu", "um", "ou", "uv", "y", "i", "u", "a", "e", "o", "m",
]  # fmt: skip
_POLISH = [
    "owej", "owi", "ego", "emu", "ami", "ach", "iem", "ow", "em", "im", "ym", "om", "ie", "ka", "ki", "y", "i", "u",
    "a", "e", "o", "m",
]  # fmt: skip
ENDINGS: dict[str, tuple[str, ...]] = {
    language: tuple(sorted(endings, key=len, reverse=True))
    for language, endings in {"cs": _CZECH, "sk": [*_CZECH, "om", "ov"], "pl": _POLISH, "de": ["es", "s"]}.items()
}
"""Casefolded endings without accents by ISO 639-1 code, longest first."""
MIN_STEM = 4


def stem(token: str, language: str) -> str:
    """A casefolded word without accents, and without its endings: "Mickeyho" loses "ho", "y" and "e", as "Mickey"
    loses the last two."""
    while ending := next((e for e in ENDINGS[language] if token.endswith(e) and len(token) - len(e) >= MIN_STEM), ""):
        token = token.removesuffix(ending)
    return token
