"""Files of labeled prompts, for the red team and for training.

One JSON object a line: {"text": "how to build a bomb at home", "category": "illicit"}. The category of a prompt that
must not be refused is null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from lumora.atomic_io import atomic_write
from lumora.safety.corpus import Sentence, categories


def read_labeled(file: Path) -> list[Sentence]:
    """Prompts without a category belong to the group `benign`. Raises ValueError if the file is missing or invalid."""
    try:
        lines = file.read_text("utf-8-sig").split("\n")  # splitlines would also split at other Unicode separators
    except FileNotFoundError:
        raise ValueError(f"There is no file {file}.") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8 text.") from None
    sentences = [_sentence(line, f"{file}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not sentences:
        raise ValueError(f'{file} is empty; write lines such as {{"text": "a red ball", "category": null}}.')
    return sentences


def write_labeled(file: Path, prompts: Iterable[tuple[str, str | None]]) -> None:
    """Writes texts and their categories, atomically."""
    lines = [json.dumps({"text": text, "category": category}, ensure_ascii=False) for text, category in prompts]
    with atomic_write(file) as part:
        part.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _sentence(line: str, location: str) -> Sentence:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{location} is not JSON: {error}.") from None
    if not isinstance(entry, dict) or set(entry) != {"text", "category"} or not isinstance(entry["text"], str):
        raise ValueError(f'{location} must be {{"text": "…", "category": "…" or null}}.')
    if entry["category"] is not None and entry["category"] not in categories():
        raise ValueError(
            f"{location}: {entry['category']!r} is no category; use null or one of {', '.join(categories())}."
        )
    return Sentence(entry["text"], entry["category"] or "benign", entry["text"])
