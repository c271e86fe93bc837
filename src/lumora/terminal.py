"""Texts to and from a terminal. Prompts, file names and manifests may hold anything, so all of lumora prints by `say`
and `warn`."""

from __future__ import annotations

import re
import sys

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters and line breaks, marks that reverse the direction of writing, and bytes that are no UTF-8, which
Python keeps as surrogates."""


def printable(text: str) -> str:
    """The text on one line, without what could control a terminal."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def check_unicode(text: str) -> None:
    """Raises ValueError, in one sentence, for undecoded bytes of a shell or half of a surrogate pair in JSON."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("The text is not valid Unicode; type it again, or check its encoding.")


def say(*lines: str) -> None:
    """Prints lines to stdout."""
    for line in lines:
        print(printable(line), flush=True)


def warn(*lines: str) -> None:
    """Prints lines to stderr: warnings, errors and progress."""
    for line in lines:
        print(printable(line), file=sys.stderr, flush=True)


def confirm(question: str) -> bool:
    """Asks on a terminal; False where there is none, or for any other answer than yes."""
    if not (sys.stdin and sys.stderr and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
