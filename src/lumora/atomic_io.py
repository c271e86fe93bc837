"""Files that are written completely or not at all, and never over something that was to be kept."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

PROBE_BYTES = 1 << 18
"""Bytes that are written, and removed again, to find out whether a file can be written."""


@contextlib.contextmanager
def atomic_write(path: Path, overwrite: bool = True) -> Iterator[Path]:
    """A temporary file next to `path` to write to. It becomes `path` if the block succeeds and is removed otherwise.

    A file that is replaced keeps its mode, and a symbolic link its target, which is the file that is replaced. Raises
    OSError with one sentence if it can't be written, and FileExistsError if there is a file and `overwrite` is False.
    The folder must exist.
    """
    with temporary_file(path) as part:
        yield part
        # A full disk must raise before the file gets its name, and a power failure must not leave it empty.
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        target = _target(path)
        if target.exists():
            if not overwrite:
                raise FileExistsError(_exists(path))
            shutil.copymode(target, part)
        os.replace(part, target)


@contextlib.contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """A temporary file next to `path` to write to, which is removed afterwards. OSErrors become one sentence."""
    part = None
    try:
        target = _target(path)
        if target.is_dir():
            raise OSError(f"{path} is a folder; give the name of a file.")
        if not target.parent.is_dir():
            raise OSError(f"There is no folder {target.parent if path.is_symlink() else path.parent}; make it first.")
        part = target.with_name(f".{secrets.token_hex(8)}.part")  # short, so that it fits where `path` does
        yield part
    except Exception as error:
        if getattr(error, "errno", None) is None:  # FFmpeg's errors have an errno too, and not all are OSErrors
            raise
        raise OSError(f"{path} can't be written: {error_reason(error)}.") from error
    finally:
        if part:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def check_output(path: Path, inputs: Iterable[Path] = (), overwrite: bool = False, size: int = PROBE_BYTES) -> None:
    """Checks before long work that `path` can be written, and that nothing is lost by it.

    Raises OSError with one sentence if `path` is one of the `inputs`, is read-only or is not a file, or if its name
    isn't valid or its disk has no room for `size` bytes; FileExistsError if there is a file and `overwrite` is False.
    """
    with temporary_file(path) as part:
        target = _target(path)
        if not target.exists():
            _write_probe(target)  # the name may be too long, or not valid on this file system
        else:
            if any(file.exists() and target.samefile(file) for file in inputs):
                raise OSError(f"{path} is also an input; give the output another name.")
            mode = target.stat().st_mode
            if not stat.S_ISREG(mode):
                raise OSError(f"{path} is not a regular file; give another name.")
            if not overwrite:
                raise FileExistsError(_exists(path))
            if not (mode & 0o222 and os.access(target, os.W_OK)):  # root may write to read-only files too
                raise OSError(f"{path} is read-only; give another name, or make it writable.")
            _write_probe(part)
        free = shutil.disk_usage(part.parent).free
        if free < size:
            raise OSError(f"{path} may need {size / 1e6:,.0f} MB, and its disk has {free / 1e6:,.0f} MB left.")


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or the one that caused it, says that there is no space left."""
    return errno.ENOSPC in (getattr(error, "errno", None), getattr(error.__cause__, "errno", None))


def error_reason(error: BaseException) -> str:
    """The message of an error without the file's name, to be used within a sentence."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[:1].lower() + text[1:].rstrip(".")


def _target(path: Path) -> Path:
    """The file that a symbolic link leads to."""
    return Path(os.path.realpath(path))


def _exists(path: Path) -> str:
    return f"{path} exists; give another name, or overwrite it (--overwrite)."


def _write_probe(path: Path) -> None:
    with path.open("xb") as file:
        try:
            file.write(bytes(PROBE_BYTES))
            file.flush()
        finally:
            path.unlink()
