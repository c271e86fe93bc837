"""The end of a prompt that a model does not read, counted with its own tokenizer."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tokenizers import Tokenizer

SHORT_CHARACTERS = 100
"""Texts up to this length are read whole by every model."""


def unread_end(folder: Path, text: str, max_tokens: int) -> str:
    """The end of `text` that lies beyond `max_tokens`; empty if all of it is read, or if the model in `folder` has no
    tokenizer.json."""
    file = folder / "tokenizer" / "tokenizer.json"
    if len(text) <= SHORT_CHARACTERS or not file.is_file():
        return ""
    encoding = _tokenizer(file).encode(text)
    if len(encoding.ids) <= max_tokens:
        return ""
    # The last token that is read is the one that ends the text.
    return text[encoding.offsets[max_tokens - 1][0] :].strip()


@cache
def _tokenizer(file: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    return tokenizer
