"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary file next to `path` to write to. It becomes `path` if the block succeeds and is removed otherwise.

    Raises OSError with one sentence if it can't be written. The folder must exist.
    """
    with temporary_file(path) as part:
        yield part
        # A full disk must raise before the file gets its name, and a power failure must not leave it empty.
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)


@contextlib.contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """A temporary file next to `path` to write to, which is removed afterwards. OSErrors become one sentence."""
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        if path.is_dir():
            raise OSError(f"{path} is a folder; give the name of a file.")
        if not path.parent.is_dir():
            raise OSError(f"There is no folder {path.parent}; make it first.")
        yield part
    except Exception as error:
        if getattr(error, "errno", None) is None:  # FFmpeg's errors have an errno too, and not all are OSErrors
            raise
        raise OSError(f"{path} can't be written: {error_reason(error)}.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def error_reason(error: BaseException) -> str:
    """The message of an error without the file's name, to be used within a sentence."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[:1].lower() + text[1:].rstrip(".")
