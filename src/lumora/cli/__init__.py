"""The command line: a class a verb, its fields the flags. Verbs import what they need, so `--help` is quick."""

from __future__ import annotations

import contextlib
import io
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import tyro

from lumora.cli.edit import Connect, Edit, Extend, Infill, Loop, Storyboard
from lumora.cli.evaluate import Evaluate
from lumora.cli.feedback import Appeal, Report, Review
from lumora.cli.generate import Generate
from lumora.cli.moderate import Moderate
from lumora.cli.provenance import Detect, Verify
from lumora.cli.redteam import RedTeam
from lumora.cli.reproduce import Reproduce
from lumora.cli.train import TrainAll, TrainCodec, TrainTransformer, WorldRender
from lumora.cli.world import WorldContactSheet, WorldSample

ABOUT = "An open, self-hosted Sora: from a sentence to a video."
USER_ERROR, INTERRUPTED, TERMINATED = 2, 130, 143


@runtime_checkable
class Verb(Protocol):
    def run(self) -> int | None: ...


VERBS: dict[str, Callable[..., Verb]] = {
    "generate": Generate,
    "extend": Extend,
    "loop": Loop,
    "connect": Connect,
    "infill": Infill,
    "edit": Edit,
    "storyboard": Storyboard,
    "verify": Verify,
    "detect": Detect,
    "reproduce": Reproduce,
    "world sample": WorldSample,
    "world contact-sheet": WorldContactSheet,
    "world render": WorldRender,
    "train all": TrainAll,
    "train codec": TrainCodec,
    "train transformer": TrainTransformer,
    "evaluate": Evaluate,
    "moderate": Moderate,
    "redteam": RedTeam,
    "report": Report,
    "appeal": Appeal,
    "review": Review,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the verb and returns the exit code: 2 after a user's mistake and one sentence, 130 after Ctrl-C; SIGTERM
    ends with 143."""
    try:
        with _cleaning_up():
            return _parse(list(sys.argv[1:] if argv is None else argv)).run() or 0
    except (ValueError, OSError) as error:
        print(f"lumora: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED


@contextlib.contextmanager
def _cleaning_up() -> Iterator[None]:
    """SIGTERM, too, ends by an exception: what was begun is removed, and no pixel of it is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _parse(words: list[str]) -> Verb:
    if " ".join(words[:2]) in VERBS:
        words = [" ".join(words[:2]), *words[2:]]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.extras.subcommand_cli_from_dict(VERBS, prog="lumora", description=ABOUT, args=words)
    except SystemExit as leaving:
        if leaving.code:
            raise ValueError(_one_sentence(said.getvalue())) from None
        raise


def _one_sentence(box: str) -> str:
    """What tyro says in a box: a title, the mistake, a rule, advice; in ASCII where the terminal knows no more."""
    _, *lines = box.replace("│", " ").splitlines() or [""]
    body = re.split(r"^[ ]*[─-]{9,}[ ]*$", "\n".join(lines).lstrip(" -\n"), maxsplit=1, flags=re.MULTILINE)[0]
    explained = " " * 10  # what a missing flag is for stands under it, further in
    text = " ".join(line.strip() for line in body.splitlines() if not line.startswith(explained))
    hint = re.search(r"lumora[\w ]* --help", box)
    return f"{text.strip().rstrip('.')}. See {hint[0] if hint else 'lumora --help'}."
