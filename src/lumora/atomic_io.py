"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A name next to `path` to write to; the file gets its own name when all has gone well and is removed otherwise.

    Raises OSError, in a sentence, where it can't be written; the folder must be there.
    """
    with temporary_file(path) as part:
        yield part
        # A full disk must speak before the name is given, not after; and a power cut must not leave the name empty.
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)


@contextlib.contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """A name next to `path` to write to, gone afterwards; the system's errors say in a sentence what is wrong."""
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        if path.is_dir():
            raise OSError(f"{path} is a folder; give the name of a file.")
        if not path.parent.is_dir():
            raise OSError(f"There is no folder {path.parent}; make it first.")
        yield part
    except Exception as error:
        if getattr(error, "errno", None) is None:  # FFmpeg's errors have one too, and aren't all OSErrors
            raise
        raise OSError(f"{path} can't be written: {error_reason(error)}.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def error_reason(error: BaseException) -> str:
    """What went wrong in words, without the file's name, which the sentence around it already says."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[:1].lower() + text[1:].rstrip(".")
