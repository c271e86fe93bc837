"""Word lists of 18 languages in Latin script, to recognize the language of a sentence and its correctly spelled words.

A spelling corrector for English turns correct foreign words into English words and brands ("prado" into "prada"), so
the prompt check must know which words not to correct. The lists are in data/languages.txt.xz: the most frequent 10,000
to 30,000 words a language, casefolded and without accents, derived from wordfreq 3.1 (Robyn Speer, CC BY-SA 4.0).
"""

from __future__ import annotations

import lzma
import math
import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache

from lumora.safety.normalize import STROKED_LETTERS, without_accents
from lumora.safety.policy import DATA

ENGLISH = "en"
UNKNOWN_WORD = -7 * math.log(10)
"""Log probability of a word that a language's list lacks; the rarest listed words have 1e-6."""
MIN_COVERAGE = 0.6
"""Share of a sentence's words that must be in a language's list. Ciphered and misspelled English stays below."""
MIN_MARGIN = math.log(100)
"""Log likelihood ratio to English from which a sentence counts as another language."""
_WORD = re.compile(r"[^\W_]*[^\W\d_][^\W_]+")
_HAN, _KANA, _LATIN = re.compile("[\u3400-\u9fff]"), re.compile("[\u3040-\u30ff]"), re.compile("[a-z]")
ALPHABETS = {
    "cs": "áčďéěíňóřšťúůýž", "da": "æøåé", "de": "äöü", "es": "áéíñóúü", "fi": "äöå", "fr": "àâæçéèêëîïôœùûüÿ",
    "hu": "áéíóöőúüű", "it": "àèéìíòóùú", "nb": "æøåé", "nl": "ëïéèöü", "pl": "ąćęłńóśźż", "pt": "áâãàçéêíóôõú",
    "ro": "ăâîșşțţ", "sk": "áäčďéíĺľňóôŕšťúýž", "sv": "åäöé", "tr": "çğıöşüi̇",
}  # fmt: skip
"""The letters that English lacks. A text whose only such letters are those of one language is likely to be in it."""
ACCENTED_COVERAGE = 0.4
"""MIN_COVERAGE for a text with such letters; its likelihood need only be higher than that of English."""

Lexicon = Mapping[str, Mapping[str, float]]
"""Language code -> word -> log probability."""


@cache
def lexicon() -> Lexicon:
    """Reads the word lists: one line for each language and frequency band, "code -log10(probability) words…"."""
    languages: dict[str, dict[str, float]] = {}
    for line in lzma.decompress((DATA / "languages.txt.xz").read_bytes()).decode("ascii").splitlines():
        code, exponent, words = line.split(" ", 2)
        languages.setdefault(code, {}).update(dict.fromkeys(words.split(), -float(exponent) * math.log(10)))
    return languages


@lru_cache(maxsize=4096)
def language_of(sentence: str) -> str:
    """The code of the language whose word frequencies explain a casefolded sentence best.

    Chinese and Japanese are told by their letters. Else it is English unless another language is clearly more likely
    and lists most of the words: every defense against obfuscation stays on for text in no known language.
    """
    if len(_HAN.findall(sentence)) + len(_KANA.findall(sentence)) > len(_LATIN.findall(sentence)) / 3:
        return "ja" if _KANA.search(sentence) else "zh"
    words = _WORD.findall(without_accents(sentence).translate(STROKED_LETTERS))
    if not words:
        return ENGLISH
    log_likelihood = {
        code: sum(frequencies.get(word, UNKNOWN_WORD) for word in words) for code, frequencies in lexicon().items()
    }
    best = max(log_likelihood, key=lambda code: log_likelihood[code])
    coverage = sum(word in lexicon()[best] for word in words) / len(words)
    margin = log_likelihood[best] - log_likelihood[ENGLISH]
    accented = {c for c in unicodedata.normalize("NFC", sentence) if c.isalpha() and not c.isascii()}
    if accented and accented <= set(ALPHABETS.get(best, "")):
        return best if coverage >= ACCENTED_COVERAGE and margin > 0 else ENGLISH
    return best if coverage >= MIN_COVERAGE and margin >= MIN_MARGIN else ENGLISH


def is_foreign(sentence: str) -> bool:
    """Whether a casefolded sentence is clearly in another language than English."""
    return language_of(sentence) != ENGLISH
