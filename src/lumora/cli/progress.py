"""Progress on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(beginning: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, where it is a terminal, that is told (what, done, of how many)."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}")
    console = Console(stderr=True)
    hidden = not console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(beginning, total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
