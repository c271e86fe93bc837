"""Sentences with a category, or with none, as a file: what a red team asks, and what training may learn besides.

A line of JSON for each: {"text": "how to build a bomb at home", "category": "illicit"}; null as the category of what
must not be refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from lumora.atomic_io import atomic_write
from lumora.safety.corpus import Sentence, categories


def read_labeled(file: Path) -> list[Sentence]:
    """Those without a category belong to the group `benign`. Raises ValueError, in a sentence, for another file."""
    try:
        lines = file.read_text("utf-8").split("\n")  # and not at what else Unicode takes for the end of a line
    except FileNotFoundError:
        raise ValueError(f"There is no file {file}.") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file} is no text in UTF-8.") from None
    found = [_sentence(line, f"{file}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise ValueError(f'{file} is empty; write lines such as {{"text": "a red ball", "category": null}}.')
    return found


def write_labeled(file: Path, sentences: Iterable[tuple[str, str | None]]) -> None:
    """Texts and their categories; the whole file or none."""
    lines = [json.dumps({"text": text, "category": category}, ensure_ascii=False) for text, category in sentences]
    with atomic_write(file) as part:
        part.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _sentence(line: str, where: str) -> Sentence:
    try:
        said = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is not JSON: {error}.") from None
    if not isinstance(said, dict) or set(said) != {"text", "category"} or not isinstance(said["text"], str):
        raise ValueError(f'{where} must be {{"text": "…", "category": "…" or null}}.')
    if said["category"] is not None and said["category"] not in categories():
        raise ValueError(f"{where}: {said['category']!r} is no category, only {', '.join(categories())} and null are.")
    return Sentence(said["text"], said["category"] or "benign", said["text"])
