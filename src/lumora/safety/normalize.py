"""A prompt's readings: as it stands, and as people and networks would read it once disguises are taken off.

What is normalised is read beside the original and never instead of it, so nothing that a rule mangles is lost.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Callable, Container
from itertools import chain
from string import ascii_lowercase

LOOKALIKES = str.maketrans(
    "аеорсухкмтнвіјѕԁһӏԛԝьгпзАВЕКМНОРСТУХІЈЅαβγεηικνορτυχωςσμ",
    "aeopcyxkmthbijsdhlqwbrnsABEKMHOPCTYXIJSabyenikvoptuxwcou",
)
"""Cyrillic and Greek letters that pass for Latin ones."""
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
"""What pictures stand for where their Unicode name would not tell."""
_LETTER_BY_NAME = re.compile(
    r"(?:LATIN (?:SMALL |CAPITAL )?LETTER (?:SMALL CAPITAL )?|NEGATIVE (?:SQUARED|CIRCLED) LATIN CAPITAL LETTER |"
    r"REGIONAL INDICATOR SYMBOL LETTER )([A-Z])(?: WITH .*)?$"
)
_LEET_TOKEN = re.compile(r"[^\s.,;:?\"()]*[a-z][^\s.,;:?\"()]*")
_WITH_FIGURES = re.compile(r"[^\W_]*\d[^\W_]*")
_MEASURE = re.compile(r"\d+[a-z]{1,4}|[a-z]{1,3}\d+|\d+x\d+|\d+:\d+")
"""24fps, 4k, 90s, f1, mp4, 640x480: digits that are meant, unless others of the text are not."""
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W_][ .\-_*|/]{1,3}){3,}[^\W_](?![^\W_])")
_PIERCED = re.compile(r"(?<=[^\W_])[*_|~^•·.+=]+(?=[^\W_])")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_WORD = re.compile(r"[^\W\d_]+")


def readings(text: str, known: Container[str]) -> list[str]:
    """The different readings of a text, the text itself first; `known` holds the words of a language, in small
    letters."""
    found = [" ".join(text.split())]
    for decoded in (text, *_hidden(text)):
        plain = plainly(decoded, known)
        redeemed = (_redeemed(plain, known, decode) for decode in (_rot13, _backwards))
        found += [plain, _corrected(plain, known), *redeemed]
    return list({reading.casefold(): reading for reading in found if reading}.values()) or [""]


def plainly(text: str, known: Container[str]) -> str:
    """Small Latin letters without marks, lookalikes, figures for letters, holes between letters, and unseen
    characters."""
    text = unicodedata.normalize("NFKC", "".join(_spoken(c) for c in text))
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc", "Co", "Cn") or c in "\n\t")
    text = _without_marks(text).casefold()
    latin = bool(re.search("[a-z]", text))
    text = re.sub(r"\w+", lambda m: _latin(m[0], latin), text)
    text = _SPACED.sub(lambda m: _closed(m[0]), text)
    told = _LEET_TOKEN.sub(lambda m: _unleet(m[0], known), text)
    text = told if told == text else _WITH_FIGURES.sub(lambda m: _word_in_figures(m[0], known), told)
    text = _PIERCED.sub("", text)
    return " ".join(_WORD.sub(lambda m: _cut(m[0], known), text).split())


def windows(text: str, size: int = 16) -> list[str]:
    """The text, its sentences, and of long ones their stretches of `size` words, so that padding dilutes nothing."""
    sentences = [s for s in re.split(r"(?<=[.!?;:])\s+|\n+", text) if s.strip()]
    found = [text, *sentences]
    for words in (sentence.split() for sentence in sentences):
        if len(words) > size:
            found += [" ".join(words[start : start + size]) for start in range(0, len(words) - size // 2, size // 2)]
    return list(dict.fromkeys(found))


def _spoken(c: str) -> str:
    """A picture's word with room around it, a letter in disguise as the letter, all else as it is."""
    if c.isascii():
        return c
    if c in EMOJI:
        return f" {EMOJI[c]} "
    name = unicodedata.name(c, "")
    letter = _LETTER_BY_NAME.match(name)
    if letter:
        return letter[1].lower()
    if unicodedata.category(c) == "So" and unicodedata.normalize("NFKC", c) == c:
        return f" {name.lower()} "
    return "" if "EMOJI MODIFIER" in name else c


def _without_marks(text: str) -> str:
    """Without accents on Latin letters, which hide words as easily as they write them; those of other scripts stay."""
    kept: list[str] = []
    for c in unicodedata.normalize("NFD", text):
        if not (unicodedata.combining(c) and kept and kept[-1].isascii()):
            kept.append(c)
    return unicodedata.normalize("NFC", "".join(kept))


def _latin(token: str, among_latin: bool) -> str:
    """Lookalikes are put right in words of two scripts, and in words of lookalikes alone among Latin ones."""
    put_right = token.translate(LOOKALIKES)
    mixed = any(c.isascii() and c.isalpha() for c in token)
    return put_right if (put_right.isascii() and (mixed or among_latin)) or mixed else token


def _unleet(token: str, known: Container[str]) -> str:
    core = token.strip("!+|'-")
    if core.isalpha() or _MEASURE.fullmatch(core):
        return token
    return _lettered(core, known)


def _word_in_figures(token: str, known: Container[str]) -> str:
    """15 as is, 53x as sex, 0f as of, where that makes a word: only where other figures stood for letters, for else
    they are meant."""
    word = _lettered(token, known)
    return word if word in known or word in _SHORT else token


def _lettered(token: str, known: Container[str]) -> str:
    """With letters for figures; a 1 is an i, or an l where that alone makes a word."""
    as_i, as_l = token.translate(LEET), token.replace("1", "l").replace("|", "l").translate(LEET)
    return as_l if as_l in known and as_i not in known else as_i


def _closed(spaced: str) -> str:
    """Letters with holes between them as words again: wider holes part words."""
    gaps = re.findall(r"(?<=[^\W_])[^\w]+|_+", spaced)
    if len(set(gaps)) > 1 and min(gaps, key=len) != max(gaps, key=len):
        narrow = min(gaps, key=len)
        parts = re.split(rf"[ .\-_*|/]{{{len(narrow) + 1},}}", spaced)
    else:
        parts = [spaced]
    return " ".join(re.sub(r"[\W_]", "", part) for part in parts)


def _cut(word: str, known: Container[str]) -> str:
    """A long unknown word as the fewest known ones that make it up, if there are such; of a very long one, which is a
    sentence without its spaces, a third may be of unknown words."""
    if len(word) < 10 or not word.isascii() or not word.isalpha() or word in known:
        return word
    best: list[tuple[int, float, list[str]]] = [(0, 0.0, [])]
    """For every place in the word the letters lost before it, a cost of the known words, and all pieces."""
    for end in range(1, len(word) + 1):
        lost, cost, parts = best[-1]
        options = [(lost + 1, cost, [*parts, word[end - 1] + _LOST])]
        for start in range(max(0, end - 14), end):
            part = word[start:end]
            if part in known if len(part) > 2 else part in _SHORT:
                lost, cost, parts = best[start]
                options.append((lost, cost + 1 + 2 / len(part), [*parts, part]))
        best.append(min(options))
    lost, _, parts = best[-1]
    if lost > (len(word) // 3 if len(word) >= 16 else 0):
        return word
    return re.sub(rf"{_LOST} (?=.{_LOST})", "", " ".join(parts)).replace(_LOST, "")


_LOST = "~"
"""Marks a letter that belongs to no known word."""
_SHORT = frozenset(re.findall(r"\w+", "a i of in on to at is it by he me my we us be an as so no up do go or if"))


def _hidden(text: str) -> list[str]:
    """What stands in base64 in a text, where it is readable, each in the place of its code."""
    found = []
    for match in _BASE64.finditer(text):
        code = match[0].rstrip("=").translate(str.maketrans("-_", "+/"))
        try:
            plain = base64.b64decode(code + "=" * (-len(code) % 4), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            continue
        if plain.isprintable() and sum(c.isalpha() or c == " " for c in plain) > 0.8 * len(plain):
            found.append(text[: match.start()] + plain + text[match.end() :])
    return found


def _redeemed(text: str, known: Container[str], decode: Callable[[str], str]) -> str:
    """The text with its unknown words decoded, if that makes sense of a good part of them; else the text as it is."""
    strange = [word for word in _WORD.findall(text) if len(word) > 3 and word not in known]
    sense = sum(decode(word) in known for word in strange)
    if not strange or sense < 0.4 * len(strange):
        return text
    return _WORD.sub(lambda m: m[0] if m[0] in known and len(m[0]) > 3 else decode(m[0]), text)


def _corrected(text: str, known: Container[str]) -> str:
    """The text with every long unknown word as the known one that a single slip of the pen parts it from."""
    return _WORD.sub(lambda m: m[0] if m[0] in known else _meant(m[0], known), text)


def _meant(word: str, known: Container[str]) -> str:
    if len(word) < 5 or not word.isascii():
        return word
    cuts = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    swapped = (head + tail[1] + tail[0] + tail[2:] for head, tail in cuts if len(tail) > 1)
    without = (head + tail[1:] for head, tail in cuts if tail)
    added = (head + letter + tail for head, tail in cuts for letter in ascii_lowercase)
    other = (head + letter + tail[1:] for head, tail in cuts if tail for letter in ascii_lowercase)
    return next((option for option in chain(swapped, without, added, other) if option in known), word)


def _rot13(word: str) -> str:
    return codecs.encode(word, "rot13")


def _backwards(word: str) -> str:
    return word[::-1]
