"""Variants of a prompt: the text itself, and the text with obfuscations undone.

Every variant is checked beside the original and never instead of it, so nothing that a rule changes wrongly is lost.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Callable, Container
from dataclasses import dataclass
from itertools import chain
from string import ascii_lowercase

HOMOGLYPHS = str.maketrans(
    "аеорсухкмтнвіјѕԁһӏԛԝьгпзАВЕКМНОРСТУХІЈЅαβγεηικνορτυχωςσμ",
    "aeopcyxkmthbijsdhlqwbrnsABEKMHOPCTYXIJSabyenikvoptuxwcou",
)
"""Cyrillic and Greek letters that look like Latin ones."""
STROKED = {"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe"}
STROKED_LETTERS = str.maketrans(STROKED)
"""Letters of European languages that do not consist of a letter and an accent."""
LEET = str.maketrans("0134578@$!|+€", "oieastbasiite")
EMOJI = {
    "🔫": "gun",
    "🔪": "knife",
    "🗡": "dagger",
    "🩸": "blood",
    "🔞": "nsfw porn",
    "💣": "bomb",
    "💀": "dead",
    "☠": "dead",
    "⚰": "corpse",
    "🧨": "explosive",
    "💊": "pills",
    "💉": "syringe",
    "👶": "baby",
    "🧒": "child",
    "👧": "girl",
    "👦": "boy",
    "👩": "woman",
    "👨": "man",
    "🔥": "fire",
    "🗳": "ballot box",
    "🐷": "pig",
    "🐀": "rat",
    "🐒": "monkey",
    "✡": "jewish",
    "☪": "muslim",
}
"""The meaning of emoji whose Unicode name does not tell it."""
_LETTER_BY_NAME = re.compile(
    r"(?:LATIN (?:SMALL |CAPITAL )?LETTER (?:SMALL CAPITAL )?|NEGATIVE (?:SQUARED|CIRCLED) LATIN CAPITAL LETTER |"
    r"REGIONAL INDICATOR SYMBOL LETTER )([A-Z])(?: WITH .*)?$"
)
_LEET_TOKEN = re.compile(r"[^\s.,;:?\"()]*[a-z][^\s.,;:?\"()]*")
_TOKEN_WITH_DIGIT = re.compile(r"[^\W_]*\d[^\W_]*")
_MEASURE = re.compile(r"\d+[a-z]{1,4}|[a-z]{1,3}\d+|\d+x\d+|\d+:\d+")
"""24fps, 4k, 90s, f1, mp4, 640x480: digits that are probably meant as digits."""
_SPACED_LETTERS = re.compile(r"(?<![^\W_])(?:[^\W_][ .\-_*|/]{1,3}){3,}[^\W_](?![^\W_])")
_INNER_PUNCTUATION = re.compile(r"(?<=[^\W_])[*_|~^•·.+=]+(?=[^\W_])")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE = re.compile(r"[^.!?;:\n]*[.!?;:\n]*")
_SHORT_WORDS = frozenset(re.findall(r"\w+", "a i of in on to at is it by he me my we us be an as so no up do go or if"))
_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+|(?<=[。！？；])|(?<=[\u3040-\u9fff][!?;:])|\n+")
"""Between two sentences. NFKC makes ASCII of Chinese punctuation, which no space follows."""
WINDOW_WORDS = 16
_WINDOW_UNIT = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{1,2}\s*|[^\s\u3040-\u30ff\u3400-\u9fff]+\s*")
"""A word with the space after it; two letters of Chinese or Japanese, which has no spaces, count as a word."""
_LOST = "~"
"""Marks a letter that belongs to no known word."""
_MIN_CORRECTED = 5
"""Shorter words are too close to too many others to be corrected."""
_MIN_SPLIT, _MIN_LOSSY_SPLIT = 10, 16
"""Letters from which a word is split into known words; from which a third of the letters may belong to none."""
_MIN_DECODED_SHARE = 0.4
"""Share of a text's unknown words that must become known for a cipher to be accepted."""


def _never(sentence: str) -> bool:
    return False


@dataclass(frozen=True)
class KnownWords:
    """English words, which tell plain text from ciphers and misspellings."""

    words: Container[str]
    """Casefolded and without accents; words of English and of the corpus, and listed names."""
    is_foreign: Callable[[str], bool] = _never
    """Whether a casefolded sentence is in another language. None of its words is corrected, split or deciphered:
    that would turn correct foreign words into English ones."""

    def __contains__(self, word: str) -> bool:
        return word in self.words


def variants(text: str, vocabulary: KnownWords) -> list[str]:
    """The different variants of a text: first the text itself, then normalized, spelling-corrected and deciphered."""
    found = [" ".join(text.split())]
    for decoded in (text, *_base64_decoded(text)):
        normalized = normalize(decoded, vocabulary)
        deciphered = (_deciphered(normalized, vocabulary, decode) for decode in (_rot13, _reversed))
        found += [normalized, _corrected(normalized, vocabulary), *deciphered]
    return list({variant.casefold(): variant for variant in found if variant}.values()) or [""]


def normalize(text: str, vocabulary: KnownWords) -> str:
    """Lowercase Latin letters: accents, homoglyphs, leet, letter spacing and invisible characters are undone.

    Sentences in another language than English keep their accents.
    """
    text = unicodedata.normalize("NFKC", "".join(map(_to_letters, text)))
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc", "Co", "Cn") or c in "\n\t")
    text = _SENTENCE.sub(lambda match: _without_hiding_accents(match[0].casefold(), vocabulary), text)
    has_latin = bool(re.search("[a-z]", text))
    text = re.sub(r"\w+", lambda match: _to_latin(match[0], has_latin), text)
    text = _SPACED_LETTERS.sub(lambda match: _join_letters(match[0]), text)
    without_leet = _LEET_TOKEN.sub(lambda match: _undo_leet(match[0], vocabulary), text)
    if without_leet != text:
        without_leet = _TOKEN_WITH_DIGIT.sub(lambda match: _digits_to_word(match[0], vocabulary), without_leet)
    text = _INNER_PUNCTUATION.sub("", without_leet)
    return " ".join(_convert_unknown_words(text, vocabulary, _split_joined_words).split())


def windows(text: str) -> list[str]:
    """The text, its sentences, and stretches of long ones, so that padding dilutes nothing.

    What ends in a colon, such as "make it look real:", is judged with what it introduces.
    """
    found, introduction = [text], ""
    for sentence in _sentences(text):
        if sentence.endswith(":"):
            introduction = f"{introduction} {sentence}".strip()
        else:
            found += [f"{introduction} {sentence}".strip(), *pieces(sentence)]
            introduction = ""
    return list(dict.fromkeys(found))


def pieces(text: str) -> list[str]:
    """The sentences of a text, with overlapping stretches of WINDOW_WORDS words in place of longer ones."""
    found: list[str] = []
    for sentence in _sentences(text):
        words = _WINDOW_UNIT.findall(sentence)
        if len(words) <= WINDOW_WORDS:
            found.append(sentence)
        else:
            starts = range(0, len(words) - WINDOW_WORDS // 2, WINDOW_WORDS // 2)
            found += ["".join(words[start : start + WINDOW_WORDS]).strip() for start in starts]
    return list(dict.fromkeys(found))


def _sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def without_accents(text: str) -> str:
    """Removes the accents of Latin letters, which can hide words; marks of other scripts stay."""
    kept: list[str] = []
    for c in unicodedata.normalize("NFD", text):
        if not (unicodedata.combining(c) and kept and kept[-1].isascii()):
            kept.append(c)
    return unicodedata.normalize("NFC", "".join(kept))


def _without_hiding_accents(sentence: str, vocabulary: KnownWords) -> str:
    plain = without_accents(sentence).translate(STROKED_LETTERS)
    return sentence if plain != sentence and vocabulary.is_foreign(sentence) else plain


def _convert_unknown_words(text: str, vocabulary: KnownWords, convert: Callable[[str, KnownWords], str]) -> str:
    """Converts the words of English sentences that are not in the vocabulary."""

    def convert_word(match: re.Match[str]) -> str:
        return match[0] if match[0] in vocabulary else convert(match[0], vocabulary)

    def convert_sentence(match: re.Match[str]) -> str:
        return match[0] if vocabulary.is_foreign(match[0]) else _WORD.sub(convert_word, match[0])

    return _SENTENCE.sub(convert_sentence, text)


def _to_letters(c: str) -> str:
    """An emoji as its word between spaces, a letter in disguise as the letter, everything else unchanged."""
    if c.isascii() or c.casefold() in STROKED or unicodedata.normalize("NFD", c)[0].isascii():
        return c  # accents and strokes are removed later, unless the sentence is in a language that has them
    if c in EMOJI:
        return f" {EMOJI[c]} "
    name = unicodedata.name(c, "")
    letter = _LETTER_BY_NAME.match(name)
    if letter:
        return letter[1].lower()
    if unicodedata.category(c) == "So" and unicodedata.normalize("NFKC", c) == c:
        return f" {name.lower()} "
    return "" if "EMOJI MODIFIER" in name else c


def _to_latin(token: str, among_latin: bool) -> str:
    """Replaces homoglyphs in words that mix scripts, and in words of homoglyphs alone if the text has Latin letters."""
    latin = token.translate(HOMOGLYPHS)
    mixed = any(c.isascii() and c.isalpha() for c in token)
    return latin if (latin.isascii() and (mixed or among_latin)) or mixed else token


def _undo_leet(token: str, vocabulary: Container[str]) -> str:
    core = token.strip("!+|'-")
    if core.isalpha() or _MEASURE.fullmatch(core):
        return token
    return _leet_to_letters(core, vocabulary)


def _digits_to_word(token: str, vocabulary: Container[str]) -> str:
    """Reads 15 as "is" and 0f as "of" if that makes a word. Used only if the text has other leet: digits alone may be
    meant as digits."""
    word = _leet_to_letters(token, vocabulary)
    return word if word in vocabulary or word in _SHORT_WORDS else token


def _leet_to_letters(token: str, vocabulary: Container[str]) -> str:
    """A 1 is an i, or an l if only that makes a word."""
    as_i, as_l = token.translate(LEET), token.replace("1", "l").replace("|", "l").translate(LEET)
    return as_l if as_l in vocabulary and as_i not in vocabulary else as_i


def _join_letters(spaced: str) -> str:
    """Joins single letters to words; wider gaps separate words."""
    gaps = re.findall(r"(?<=[^\W_])[^\w]+|_+", spaced)
    narrow = min(gaps, key=len)
    if len(set(gaps)) > 1 and narrow != max(gaps, key=len):
        parts = re.split(rf"[ .\-_*|/]{{{len(narrow) + 1},}}", spaced)
    else:
        parts = [spaced]
    return " ".join(re.sub(r"[\W_]", "", part) for part in parts)


def _split_joined_words(word: str, vocabulary: KnownWords) -> str:
    """Splits a long unknown word into as few known words as possible, if it consists of known words.

    Of a very long one, which is a sentence without its spaces, a third of the letters may belong to no word.
    """
    if len(word) < _MIN_SPLIT or not word.isascii() or not word.isalpha():
        return word
    best: list[tuple[int, float, list[str]]] = [(0, 0.0, [])]
    """For every position in the word: letters lost before it, cost of the known words, and all pieces."""
    for end in range(1, len(word) + 1):
        lost, cost, parts = best[-1]
        options = [(lost + 1, cost, [*parts, word[end - 1] + _LOST])]
        for start in range(max(0, end - 14), end):
            part = word[start:end]
            if part in vocabulary if len(part) > 2 else part in _SHORT_WORDS:
                lost, cost, parts = best[start]
                options.append((lost, cost + 1 + 2 / len(part), [*parts, part]))
        best.append(min(options))
    lost, _, parts = best[-1]
    if lost > (len(word) // 3 if len(word) >= _MIN_LOSSY_SPLIT else 0):
        return word
    return re.sub(rf"{_LOST} (?=.{_LOST})", "", " ".join(parts)).replace(_LOST, "")


def _base64_decoded(text: str) -> list[str]:
    """The text with one base64 string replaced by its content, for every such string whose content is readable."""
    found = []
    for match in _BASE64.finditer(text):
        code = match[0].rstrip("=").translate(str.maketrans("-_", "+/"))
        try:
            content = base64.b64decode(code + "=" * (-len(code) % 4), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            continue
        if content.isprintable() and sum(c.isalpha() or c == " " for c in content) > 0.8 * len(content):
            found.append(text[: match.start()] + content + text[match.end() :])
    return found


def _deciphered(text: str, vocabulary: KnownWords, decode: Callable[[str], str]) -> str:
    """The text with its unknown words decoded if that makes enough of them known; else the text unchanged."""
    unknown = [word for word in _WORD.findall(text) if len(word) > 3 and word not in vocabulary]
    decoded = sum(decode(word) in vocabulary for word in unknown)
    if not unknown or decoded < _MIN_DECODED_SHARE * len(unknown) or vocabulary.is_foreign(text):
        return text
    return _WORD.sub(lambda match: match[0] if match[0] in vocabulary and len(match[0]) > 3 else decode(match[0]), text)


def _corrected(text: str, vocabulary: KnownWords) -> str:
    """The text with every long unknown word replaced by a known word at edit distance one, if there is one."""
    return _convert_unknown_words(text, vocabulary, _correct_word)


def _correct_word(word: str, vocabulary: KnownWords) -> str:
    if len(word) < _MIN_CORRECTED or not word.isascii():
        return word
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    transposed = (head + tail[1] + tail[0] + tail[2:] for head, tail in cuts if len(tail) > 1)
    deleted = (head + tail[1:] for head, tail in cuts if tail)
    inserted = (head + letter + tail for head, tail in cuts for letter in ascii_lowercase)
    replaced = (head + letter + tail[1:] for head, tail in cuts if tail for letter in ascii_lowercase)
    return next((option for option in chain(transposed, deleted, inserted, replaced) if option in vocabulary), word)


def _rot13(word: str) -> str:
    return codecs.encode(word, "rot13")


def _reversed(word: str) -> str:
    return word[::-1]
