"""The state folder: keys, certificates and the index of published videos of one user or one operator."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from lumora.atomic_io import error_reason


def state_path() -> Path:
    """The path of the state folder, which may not exist yet: `$LUMORA_STATE`, or `lumora` in `$XDG_STATE_HOME`
    (~/.local/state)."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(os.environ.get("LUMORA_STATE") or Path(home) / "lumora")


def state_folder() -> Path:
    """The state folder, created with mode 0700 if it is missing.

    Raises OSError, with a sentence, where it cannot be created.
    """
    folder = state_path()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error_reason(error)
        raise OSError(
            f"The state folder {folder} cannot be created ({reason}); set LUMORA_STATE to another one."
        ) from None
    return folder


def environment_variable(name: str, former_name: str) -> str | None:
    """The value of an environment variable; None where it is not set or empty.

    Raises ValueError, with a sentence, where the variable is set under the name that older versions used.
    """
    if os.environ.get(former_name):
        raise ValueError(f"The environment variable {former_name} is now called {name}; set that one instead.")
    return os.environ.get(name) or None


def watermark_key() -> bytes:
    """32 random bytes, created on first use. Whoever has the key can find and remove watermarks; nobody else can."""
    return stored_secret(state_folder() / "watermark.key", lambda: secrets.token_bytes(32))


def existing_watermark_key() -> bytes | None:
    """The key, or None where nothing was ever watermarked. Nothing is created.

    Raises OSError, with a sentence, where the file cannot be read.
    """
    path = state_path() / "watermark.key"
    return _read(path) if path.exists() else None


def write_secret(path: Path, content: bytes) -> None:
    """Replaces `path` atomically, with mode 0600. Raises OSError, with a sentence, where it cannot be written."""
    part = _secret_part(path, content)
    try:
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def stored_secret(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of `path`. If it does not exist, it is created with what `make` returns.

    If several processes create it at once, all of them get the content of the first. Raises OSError, with a sentence,
    where it cannot be written or read.
    """
    if not path.exists():
        part = _secret_part(path, make())
        try:
            with contextlib.suppress(FileExistsError):
                os.link(part, path)  # unlike a rename, this never replaces the file of another process
        finally:
            part.unlink(missing_ok=True)
    return _read(path)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """Opens a log file (mode 0600, created if missing) for reading and appending by one process at a time.

    What was written is on the disk before the next process reads. Raises OSError, with a sentence, where the file
    cannot be used.
    """
    try:
        with (
            FileLock(path.with_name(f"{path.name}.lock"), mode=0o600),
            os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "a+b") as file,
        ):
            file.seek(0)
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(f"{path} cannot be used: {error_reason(error)}.") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error_reason(error)}.") from error


def _secret_part(path: Path, content: bytes) -> Path:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OSError(f"{path} cannot be written: {error_reason(error)}; set LUMORA_STATE to another folder.") from None
    return part
