"""The folder of one user's, or one operator's, secrets and records: keys, certificates, the index of what was
delivered."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from lumora.atomic_io import error_reason


def state_folder() -> Path:
    """`$LUMORA_STATE`, else `lumora` in the user's folder for state (`$XDG_STATE_HOME`, ~/.local/state); made when
    missing.

    Nobody but its owner may look in. Raises OSError, in a sentence, where it can't be made.
    """
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(os.environ.get("LUMORA_STATE") or Path(home) / "lumora")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"The folder of keys and records, {folder}, can't be made ({error.strerror}); name another in LUMORA_STATE."
        ) from None
    return folder


def watermark_key() -> bytes:
    """32 random bytes, drawn on first use. Whoever has them can find the mark, and remove it; without them nobody
    finds it."""
    return secret(state_folder() / "watermark.key", lambda: secrets.token_bytes(32))


def write_secret(path: Path, content: bytes) -> None:
    """Writes `path` whole, readable by its owner alone (0600)."""
    part = _secret_part(path, content)
    try:
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def secret(path: Path, make: Callable[[], bytes]) -> bytes:
    """What `path` holds; where it isn't there yet, what `make` gives, which it holds from now on.

    Of several processes that come at once, one makes it and all get the same.
    """
    if not path.exists():
        part = _secret_part(path, make())
        try:
            with contextlib.suppress(FileExistsError):
                os.link(part, path)  # unlike a rename, it never replaces what another process has just made
        finally:
            part.unlink(missing_ok=True)
    return path.read_bytes()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """A file that only grows, made where it is missing and readable by its owner alone: to be read and added to by one
    process at a time. What was written is on the disk when the next one comes.

    Raises OSError, in a sentence, where that can't be done.
    """
    import fcntl  # not on Windows, where all but this works

    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # closing the file lets go of it, also when the process dies
            file.seek(0)
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(f"{path} can't be used: {error_reason(error)}.") from error


def _secret_part(path: Path, content: bytes) -> Path:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return part
