"""The documents hold: their commands run as printed and in order, their flags and links exist, and they stay short.

```bash and ```python blocks are executed, page by page, with few steps and clips. Commands in other blocks, which take
hours or need another machine, are parsed. Of commands in a sentence or a table the verb and the flags are checked.
"""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from lumora.cli import VERBS, main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PRESENT = [*PAGES, *sorted((ROOT / "docs" / "experiments").glob("*.md"))]
ALL_PAGES = [*PRESENT, ROOT / "CHANGELOG.md"]  # which also names what is gone
EXECUTED = ("bash", "python")
WIDTH, README_LINES = 100, 150

MAKING = ["generate", "extend", "loop", "connect", "infill", "edit", "storyboard"]
NO_CLIPS = ["--ood", "0", "--physics", "0", "--diversity", "0", "--memorization", "0", "--multi-shot", "0"]
SMALL = {verb: ["--steps", "2"] for verb in MAKING} | {
    "evaluate": ["--num-clips", "1", "--steps", "2", "--workers", "0", *NO_CLIPS],
    "redteam": ["--suite", "quick"],
    "world render": ["--workers", "0"],
    "train all": ["--workers", "0"],
}
"""What is added to a command, so that it takes seconds; the last of two equal flags counts."""
EXIT_CODES = {"verify": {0, 3}, "moderate": {0, 1}, "redteam": {0, 1}}
"""Of commands that answer by their exit code; of all others it is 0."""


@dataclass(frozen=True)
class Block:
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """Its commands as words, without comments; a line that ends in a backslash or an open quote goes on."""
        commands: list[list[str]] = []
        pending = ""
        for line in self.text.splitlines():
            pending += line
            try:
                words = shlex.split(pending.replace("\\\n", " "), comments=True)
            except ValueError:  # an open quote
                pending += "\n"
                continue
            if pending.endswith("\\"):
                pending = pending[:-1] + " "
                continue
            commands, pending = [*commands, *_simple(words)], ""
        assert not pending, f"line {self.line}: a quote is not closed"
        return commands


def _simple(words: list[str]) -> Iterator[list[str]]:
    """The commands between && of one line."""
    command: list[str] = []
    for word in [*words, "&&"]:
        if word == "&&":
            if command:
                yield command
            command = []
        else:
            command.append(word)


@cache
def blocks(page: Path) -> list[Block]:
    found = []
    for fence in re.finditer(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        line = page.read_text()[: fence.start()].count("\n") + 1
        found.append(Block(line, fence[1], fence[2]))
    return found


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def verb_of(words: list[str]) -> str | None:
    """The verb of `lumora …`, None where there is none."""
    for length in (2, 1):
        if " ".join(words[:length]) in VERBS:
            return " ".join(words[:length])
    return None


@cache
def flags_of(verb: str) -> set[str]:
    said = io.StringIO()
    with pytest.raises(SystemExit), contextlib.redirect_stdout(said):
        main([*verb.split(), "--help"])
    return {"--help", *re.findall(r"--[a-z][\w-]*|-o\b", said.getvalue())}


def script_of(words: list[str]) -> Path:
    """The file that `python …` runs."""
    if words[0] == "-m":
        found = find_spec(words[1])
        assert found and found.origin, f"there is no module {words[1]}"
        return Path(found.origin)
    return ROOT / words[0]


def check_flags(words: list[str]) -> None:
    """That a command's verb or script, and its flags, exist."""
    program, *rest = words
    flags = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word) and word not in ("-m", "-c")}
    if program == "lumora":
        verb = verb_of(rest)
        if verb is None:
            known = {"--help", "--version"} | {verb.split()[0] for verb in VERBS}
            assert not rest or (rest[0] in known and len(rest) == 1), f"there is no `lumora {rest[0]}`"
        else:
            assert flags <= flags_of(verb), f"lumora {verb} has no {flags - flags_of(verb)}"
    elif program in ("python", "python3") and rest[0] != "-c":
        source = script_of(rest)
        assert source.is_file(), f"there is no {rest[0]}"
        text = source.read_text()
        if told_elsewhere := re.search(r"from (\S+) import main", text):
            text += script_of(["-m", told_elsewhere[1]]).read_text()
        fields = {f"--{name.replace('_', '-')}" for name in re.findall(r"\b(\w+): ", text)}  # of what tyro parses
        known = {flag for flag in flags if f'"{flag}"' in text} | fields
        assert flags <= known, f"{source.name} has no {flags - known}"
    elif program == "torchrun" and "lumora" in rest:
        check_flags(["lumora", *rest[rest.index("lumora") + 1 :]])
    elif program == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in rest if "=" not in word} <= set(targets), f"make has no {rest}"


def run(words: list[str]) -> None:
    """One command of a page, in this process; other programs than lumora are checked only."""
    check_flags(words)
    if words[0] != "lumora":
        return
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = main([*words[1:], *SMALL.get(verb_of(words[1:]) or "", [])])
        except SystemExit as leaving:  # --help
            code = leaving.code or 0
    expected = EXIT_CODES.get(verb_of(words[1:]) or "", {0})
    assert code in expected, f"{shlex.join(words)} ends with {code}: {said.getvalue()}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_runs_as_printed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    monkeypatch.chdir(tmp_path)
    if page.name != "safety.md":
        request.getfixturevalue("quick_review")
    names: dict[str, object] = {}
    for file in page_files(page):
        (tmp_path / file[0]).write_text(file[1])
    for block in blocks(page):
        if block.language == "bash":
            for words in block.commands:
                run(words)
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block.text, f"{page.name}:{block.line}", "exec"), names)


def page_files(page: Path) -> Iterator[tuple[str, str]]:
    """Names and texts of files that the page asks to save: "Save this as `name`:", then a block."""
    for saved in re.finditer(r"[Ss]ave this as `([\w.-]+)`:\n\n```\w*\n(.*?)^```$", page.read_text(), re.M | re.S):
        yield saved[1], saved[2]


@pytest.mark.parametrize("page", PRESENT, ids=name_of)
def test_printed_flags_exist(page: Path):
    for block in blocks(page):
        if block.language in ("", "bash", "sh"):
            for words in block.commands:
                check_flags([word for word in words if word != "…"])
    for command in re.findall(r"`((?:lumora|python|python3|torchrun|make) [^`]+)`", prose(page)):
        check_flags([word for word in shlex.split(command) if word != "…"])


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_lines_are_short_and_links_lead_somewhere(page: Path):
    for line in prose(page).splitlines():
        free = line.startswith("|") or re.search(r"https?://|\]\(", line)
        assert free or len(line) <= WIDTH, line
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose(page)):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


@pytest.mark.parametrize(
    "command",
    ["lumora generate x -o a.mp4 --secs 2", "lumora genrate x", "python benchmarks/tasks.py --clip 3", "make vidoe"],
)
def test_a_wrong_command_is_seen(command: str):
    with pytest.raises(AssertionError):
        check_flags(shlex.split(command))
