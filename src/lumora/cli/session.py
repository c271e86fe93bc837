"""What surrounds every verb: signals, messages of other libraries, closed pipes and the end of memory."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator

from lumora.atomic_io import error_reason
from lumora.terminal import warn

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_NO_MEMORY = re.compile("out of memory|allocate memory|bad_alloc|bad allocation", re.IGNORECASE)
"""In the messages of PyTorch's RuntimeError and of ONNX Runtime."""


@contextlib.contextmanager
def session() -> Iterator[None]:
    """Signals remove unfinished files, lumora's log goes to stderr as "lumora: …", and nothing of Pillow, FFmpeg and
    other libraries does. Raises BrokenPipeError if nobody reads stdout."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that has no é
    with _signals_raise(), _own_messages_only():
        try:
            yield
        finally:
            if sys.stdout:
                sys.stdout.flush()


def discard_output() -> None:
    """Lets the interpreter end without an error, although nobody reads what it prints."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())


def error_sentence(error: BaseException) -> str | None:
    """What to say of an error; None for one that is a fault of lumora."""
    if isinstance(error, OSError) and error.strerror:  # of the system, without a sentence of lumora
        reason = error_reason(error)
        return f"{error.filename}: {reason}." if error.filename else f"{reason[:1].upper()}{reason[1:]}."
    return str(error) if isinstance(error, (ValueError, OSError)) else memory_sentence(error)


def memory_sentence(error: BaseException) -> str | None:
    """What to say of an error that means that there is no memory left; None for any other error."""
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        return "There is not enough memory; use smaller or shorter videos, or close other programs."
    return None


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """A signal raises SystemExit with 128 + its number, as shells count it, unless it is ignored (nohup)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


class _Warner(logging.Handler):
    """What warnings are printed by where no logging is configured."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] == "lumora":
            warn(f"lumora: {record.getMessage()}")


@contextlib.contextmanager
def _own_messages_only() -> Iterator[None]:
    last_resort, logging.lastResort = logging.lastResort, _Warner(logging.WARNING)
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:  # python -W
                warnings.simplefilter("ignore")
            yield
    finally:
        logging.lastResort = last_resort
