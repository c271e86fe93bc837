"""Finds the files to ingest: everything in a folder, or what the metadata.jsonl of a `videofolder` names."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lumora.data.footage.records import SourceFile

METADATA = "metadata.jsonl"
IGNORED_SUFFIXES = frozenset((".txt", ".json", ".jsonl", ".csv", ".md", ".srt", ".vtt", ".part"))
"""Files beside footage that are not footage, and are not counted as unreadable."""


def find_sources(folder: Path) -> list[SourceFile]:
    """All files of `folder` and its subfolders in the order of their names, each with its caption.

    With a metadata.jsonl (lines of `file_name` and `text`), only the files that it names. Without, a file's caption is
    the text of the .txt file of the same name, if there is one. Raises ValueError, in one sentence, for a folder
    without files and for a wrong line of the metadata.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    metadata = folder / METADATA
    captions = _read_metadata(metadata) if metadata.is_file() else _find_files(folder)
    if not captions:
        raise ValueError(f"There are no files in {folder}.")
    return [_source(folder, name, caption) for name, caption in sorted(captions.items())]


def _read_metadata(file: Path) -> dict[str, str]:
    captions = {}
    for number, row in enumerate(file.read_text("utf-8-sig").splitlines(), 1):
        if not row.strip():
            continue
        try:
            entry = json.loads(row)
            name, text = str(entry["file_name"]), str(entry.get("text", ""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"Line {number} of {file} needs file_name, and may have text.") from error
        if not (file.parent / name).resolve().is_relative_to(file.parent.resolve()):
            raise ValueError(f"Line {number} of {file} names a file outside of its folder: {name}.")
        if not (file.parent / name).is_file():
            raise ValueError(f"Line {number} of {file} names a file that does not exist: {name}.")
        captions[name] = text
    return captions


def _find_files(folder: Path) -> dict[str, str]:
    """Names and captions. Hidden files are not footage."""
    captions = {}
    for parent, subfolders, names in os.walk(folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() not in IGNORED_SUFFIXES and path.is_file():
                text = path.with_suffix(".txt")
                caption = text.read_text("utf-8", "replace").strip() if text.is_file() else ""
                captions[path.relative_to(folder).as_posix()] = caption
    return captions


def _source(folder: Path, name: str, caption: str) -> SourceFile:
    status = (folder / name).stat()
    return SourceFile(name, status.st_size, status.st_mtime_ns, caption)
