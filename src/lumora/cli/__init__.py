"""The command line: one class for each verb, whose fields are its flags.

Verbs import what they need when they run, so that `--help` is quick.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib.metadata import version
from typing import Protocol, runtime_checkable

import tyro

from lumora.cli.data import DataCaption, DataEncode, DataIngest
from lumora.cli.edit import Connect, Edit, Extend, Infill, Loop, Storyboard
from lumora.cli.evaluate import Evaluate
from lumora.cli.feedback import Appeal, Report, Review
from lumora.cli.generate import Generate
from lumora.cli.keys import KeysCreate, KeysList, KeysRevoke
from lumora.cli.models import ModelsCheck, ModelsInfo, ModelsList, ModelsPull, ModelsRemove
from lumora.cli.moderate import Moderate
from lumora.cli.provenance import Detect, Verify
from lumora.cli.redteam import RedTeam
from lumora.cli.reproduce import Reproduce
from lumora.cli.serve import Serve
from lumora.cli.session import discard_output, error_sentence, session
from lumora.cli.train import TrainAll, TrainCodec, TrainDistill, TrainFinetune, TrainTransformer, WorldRender
from lumora.cli.world import WorldContactSheet, WorldSample
from lumora.terminal import check_unicode, say, warn

ABOUT = "An open, self-hosted Sora: from a sentence to a video."
USER_ERROR, HANGUP, INTERRUPTED, BROKEN_PIPE = 2, 129, 130, 141


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
    "data ingest": DataIngest,
    "data caption": DataCaption,
    "data encode": DataEncode,
    "train all": TrainAll,
    "train codec": TrainCodec,
    "train transformer": TrainTransformer,
    "train finetune": TrainFinetune,
    "train distill": TrainDistill,
    "evaluate": Evaluate,
    "moderate": Moderate,
    "redteam": RedTeam,
    "report": Report,
    "appeal": Appeal,
    "review": Review,
    "models list": ModelsList,
    "models info": ModelsInfo,
    "models pull": ModelsPull,
    "models remove": ModelsRemove,
    "models check": ModelsCheck,
    "serve": Serve,
    "keys create": KeysCreate,
    "keys list": KeysList,
    "keys revoke": KeysRevoke,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the verb of a command line and returns its exit code."""
    return exit_code(lambda: _parse(list(sys.argv[1:] if argv is None else argv)).run())


def exit_code(work: Callable[[], int | None]) -> int:
    """The exit code of `work`: 2 after a mistake of the user, which is printed in one sentence, 130 after Ctrl-C, and
    141 if nobody reads the output. SIGHUP, or a terminal that was closed, ends with 129 and SIGTERM with 143."""
    try:
        with session():
            return work() or 0
    except BrokenPipeError:
        discard_output()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        sentence = error_sentence(error)
        if sentence is None:
            raise
        try:
            warn(f"lumora: {sentence}")
        except OSError as unwritable:
            if unwritable.errno == errno.EIO:  # the terminal was closed, so the mistake is not the user's
                return HANGUP
        return USER_ERROR


def _parse(words: list[str]) -> Verb:
    if words == ["--version"]:
        say(f"lumora {version('lumora')}")
        raise SystemExit(0)
    verb = " ".join(words[:2]) if " ".join(words[:2]) in VERBS else " ".join(words[:1])
    if verb in VERBS:
        words = [verb, *words[len(verb.split()) :]]
    elif verb and not verb.startswith("-"):
        raise ValueError(_unknown_verb(words))
    try:
        return _unmarked(_run_parser([_MARK + w if _is_text(w) else w for w in words]))
    except _ParserError as error:
        raise ValueError(_unknown_flag(verb, words) or str(error)) from None


class _ParserError(Exception):
    """What the parser says of wrong words, in one sentence."""


def _run_parser(words: list[str]) -> Verb:
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            return tyro.extras.subcommand_cli_from_dict(VERBS, prog="lumora", description=ABOUT, args=words)
    except SystemExit as leaving:
        if leaving.code:
            raise _ParserError(_one_sentence(stderr.getvalue())) from None
        raise


_MARK = "\ue000"
"""A private Unicode character; put before a text that begins with "-", so that it is not parsed as a flag."""


def _is_text(word: str) -> bool:
    """Whether a word that begins with "-" is a prompt: no flag contains white space."""
    return word.startswith("-") and any(character.isspace() for character in word)


def _unmarked(verb: Verb) -> Verb:
    texts = {name: value.removeprefix(_MARK) for name, value in vars(verb).items() if isinstance(value, str)}
    for text in texts.values():
        check_unicode(text)
    return dataclasses.replace(verb, **texts) if texts and dataclasses.is_dataclass(verb) else verb


def _unknown_verb(words: list[str]) -> str:
    """A sentence for a verb that does not exist, with the nearest ones that do."""
    close = [name for typed in (" ".join(words[:2]), words[0]) for name in get_close_matches(typed, VERBS, 2)]
    close += [name for name in VERBS if name.startswith(f"{words[0]} ")]
    meant = " or ".join(f"`lumora {name}`" for name in dict.fromkeys(close))
    return f"There is no verb {words[0]!r}{f'; did you mean {meant}?' if meant else '.'} See lumora --help."


def _unknown_flag(verb: str, words: list[str]) -> str | None:
    """A sentence for the first flag that the verb does not have; None if it has them all."""
    flags = [word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)]
    known = set(re.findall(r"--[a-z][a-z-]*", _help_of(verb)))
    for flag in (flag for flag in flags if flag not in known):
        close = get_close_matches(flag[2:], [name[2:] for name in known], 1)  # the hyphens would make all flags alike
        meant = f"; did you mean --{close[0]}?" if close else "."
        return f"There is no flag {flag}{meant} See lumora {f'{verb} ' if verb in VERBS else ''}--help."
    return None


def _help_of(verb: str) -> str:
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.suppress(SystemExit, _ParserError):
        _run_parser([verb, "--help"] if verb in VERBS else ["--help"])
    return stdout.getvalue()


def _one_sentence(box: str) -> str:
    """The mistake out of the box that tyro prints: a title, the mistake, a rule, advice; ASCII on plain terminals."""
    _, *lines = box.replace("│", " ").splitlines() or [""]
    body = re.split(r"^[ ]*[─-]{9,}[ ]*$", "\n".join(lines).lstrip(" -\n"), maxsplit=1, flags=re.MULTILINE)[0]
    explained = " " * 10  # what a missing flag is for stands under it, further in
    text = " ".join(line.strip() for line in body.splitlines() if not line.startswith(explained))
    hint = re.search(r"lumora[\w ]* --help", box)
    return f"{text.strip().rstrip('.')}. See {hint[0] if hint else 'lumora --help'}."
