"""Nothing is lost by writing a file, any name is a name, and nothing that others wrote controls the terminal."""

import io
import logging
import os
import pty
import shutil
import signal
import stat
import subprocess
import sys
import warnings
from collections import namedtuple
from pathlib import Path

import pytest

from lumora.atomic_io import atomic_write, check_output
from lumora.cli import VERBS, main
from lumora.cli.flags import OutputVerb
from lumora.cli.provenance import Verify
from lumora.media.video import Video
from lumora.provenance.manifest import read
from lumora.request.spec import Request
from lumora.terminal import confirm, printable, say, warn

Capture = pytest.CaptureFixture[str]
LUMORA = [sys.executable, "-m", "lumora"]

WRITING = {
    "generate": ["a ball", "-o", "out.mp4"],
    "extend": ["in.mp4", "-o", "out.mp4"],
    "loop": ["in.mp4", "-o", "out.mp4"],
    "connect": ["in.mp4", "in.mp4", "-o", "out.mp4"],
    "infill": ["in.mp4", "-o", "out.mp4"],
    "edit": ["in.mp4", "now at night", "-o", "out.mp4"],
    "storyboard": ["board.toml", "-o", "out.mp4"],
    "reproduce": ["in.mp4", "-o", "out.mp4"],
    "detect": ["in.mp4", "--save-manifest", "out.mp4"],
    "world sample": ["-o", "out.mp4"],
    "world contact-sheet": ["-o", "out.mp4"],
    "review": ["--export", "out.mp4"],
    "evaluate": ["--output-dir", "report"],
    "redteam": ["--output-dir", "report"],
}
"""Every verb that writes a file that the user names, with arguments. `train` and `world render` continue a folder."""


def no_work(*_: object, **__: object) -> None:
    raise AssertionError("An output is checked before any work.")


def test_every_verb_with_an_output_is_an_output_verb():
    assert {name for name, verb in VERBS.items() if issubclass(verb, OutputVerb)} == set(WRITING)  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", WRITING)
def test_no_verb_replaces_a_file_that_exists_unasked(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    monkeypatch.chdir(tmp_path)
    for name in ("service.moderation.Moderation.load", "backends.lumora.pipeline.load_codec", "media.video.Video.load"):
        monkeypatch.setattr(f"lumora.{name}", no_work)
    for module in ("evaluate.runner.run_evaluation", "redteam.attack_suite_runner.run_redteam"):
        monkeypatch.setattr(f"lumora.{module}", no_work)
    (tmp_path / "report").mkdir()
    (tmp_path / "board.toml").write_text('[[shot]]\nprompt = "a ball"\n')
    for file in (tmp_path / "out.mp4", tmp_path / "report" / "report.json"):
        file.write_text("old")
    assert main([*verb.split(), *WRITING[verb]]) == 2
    assert "exists; give another name, or overwrite it (--overwrite)" in capsys.readouterr().err
    assert (tmp_path / "out.mp4").read_text() == (tmp_path / "report" / "report.json").read_text() == "old"


def test_a_file_is_replaced_if_the_flag_or_the_user_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    out = tmp_path / "out.png"
    words = ["world", "contact-sheet", "--preset", "simple", "--num-clips", "1", "--size", "32x32", "-o", str(out)]
    out.write_text("old")
    assert main([*words, "--overwrite"]) == 0 and Video.load(out).frames.any()
    out.write_text("old")
    answers = [False, True]
    monkeypatch.setattr("lumora.terminal.confirm", lambda question: answers.pop(0))
    assert main(words) == 2 and out.read_text() == "old"
    assert main(words) == 0 and Video.load(out).frames.any()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "expected"), [("y\n", True), ("Yes\n", True), ("\n", False), ("", False)])
def test_only_a_terminal_is_asked(answer: str, expected: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    assert (
        confirm("Replace a\x1b[2J?") == expected
        and screen.getvalue() == "Replace a\N{REPLACEMENT CHARACTER}[2J? [y/N] "
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert not confirm("Replace it?")


@pytest.mark.parametrize("how", ["itself", "symbolic link", "hard link", "another spelling"])
def test_an_output_is_never_an_input(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    monkeypatch.chdir(tmp_path)
    Path("in.mp4").write_text("old")
    out = {"itself": "in.mp4", "another spelling": f"../{tmp_path.name}/in.mp4"}.get(how, "out.mp4")
    if how == "symbolic link":
        Path(out).symlink_to("in.mp4")
    elif how == "hard link":
        os.link("in.mp4", out)
    for verb in ("extend", "reproduce"):
        assert main([verb, "in.mp4", "-o", out, "--overwrite"]) == 2
        assert f"{out} is also an input" in capsys.readouterr().err and Path("in.mp4").read_text() == "old"


def test_read_only_and_special_files_are_not_replaced(tmp_path: Path):
    locked, pipe = tmp_path / "a.mp4", tmp_path / "b.mp4"
    locked.write_text("old")
    locked.chmod(0o444)
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=r"a\.mp4 is read-only; .*\.$"):
        check_output(locked, overwrite=True)
    with pytest.raises(OSError, match=r"b\.mp4 is not a regular file; .*\.$"):
        check_output(pipe, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "b.mp4"]


def test_a_link_stays_and_its_target_keeps_its_mode(tmp_path: Path):
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to(target)
    for content in ("created", "replaced"):
        check_output(link, overwrite=True)
        with atomic_write(link) as part:
            assert part.parent == target.parent
            part.write_text(content)
        assert link.is_symlink() and target.read_text() == content
        target.chmod(0o640)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640 and os.listdir(target.parent) == ["target"]
    shutil.rmtree(target.parent)
    with pytest.raises(OSError, match=r"There is no folder .*folder; make it first\.$"):
        check_output(link)


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path):
    path = tmp_path / "file"
    with pytest.raises(FileExistsError, match="exists"), atomic_write(path, overwrite=False) as part:
        part.write_text("new")
        path.write_text("of another program")
    assert path.read_text() == "of another program" and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("stem", ["ü" * 125, "x" * 250, "瓦" * 83], ids=["two bytes", "one byte", "three bytes"])
def test_the_length_of_a_name_is_checked_with_all_suffixes(stem: str, tmp_path: Path, weights: Path, capsys: Capture):
    """255 bytes are the most; `.work` is longer than `.mp4`."""
    too_long, fits = tmp_path / f"{stem}x.mp4", tmp_path / f"{os.fsencode(stem)[:240].decode(errors='ignore')}.mp4"
    words = ["--model", str(weights), "--steps", "1", "--seconds", "0.1"]
    assert main(["generate", "a ball", "-o", str(too_long), *words]) == 2
    assert "can't be written: file name too long." in capsys.readouterr().err and not os.listdir(tmp_path)
    assert main(["generate", "a ball", "-o", str(fits), *words]) == 0 and os.listdir(tmp_path) == [fits.name]


def test_a_full_disk_is_said_before_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(5_000_000))
    check_output(tmp_path / "a.mp4", size=4_000_000)
    with pytest.raises(OSError, match=r"a\.mp4 may need 6 MB, and its disk has 5 MB left\.$"):
        check_output(tmp_path / "a.mp4", size=6_000_000)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["čau 🎈.mp4", os.fsdecode(b"\xff\xfe.mp4"), "a\x1b[2J\nb.mp4", "-x.mp4", "x" * 200])
def test_any_name_is_written_signed_continued_and_printed(
    name: str, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    monkeypatch.chdir(tmp_path)
    Path("in" + name).mkdir()
    words = ["--model", str(weights), "--steps", "1", "--size", "48x32"]
    first, second = Path("in" + name, name).with_suffix(".mp4"), Path("in" + name, "2" + name).with_suffix(".gif")
    assert main(["generate", "a ball", "-o", str(first), *words, "--seconds", "0.5"]) == 0
    assert main(["extend", str(first), "-o", str(second), *words, "--seconds", "0.5"]) == 0
    (parent,) = read(second).ingredients
    assert read(second).state == "trusted" and parent["state"] == "trusted"
    assert main(["verify", str(second)]) == 0
    printed = capsys.readouterr()
    lines = (printed.out + printed.err).splitlines()
    assert all(line == printable(line) for line in lines) and sum("trusted" in line for line in lines) == 1
    assert len(os.listdir("in" + name)) == 2


def test_text_that_is_not_unicode_is_refused(capsys: Capture):
    """Bytes of the shell that are no UTF-8, and half of a surrogate pair in JSON, become lone surrogates."""
    with pytest.raises(ValueError, match="not valid Unicode"):
        Request("a ball \udcff")
    assert main(["moderate", "a ball \udcff"]) == 2 and "not valid Unicode" in capsys.readouterr().err


def test_control_characters_never_reach_the_terminal(capsys: Capture):
    say("a\x1b[31mb\r\n\x9b\x07c\u202ed\udcffe", "čau 🎈\xa0瓦")
    assert capsys.readouterr().out == "a?[31mb????c?d?e\nčau 🎈\xa0瓦\n".replace("?", "\N{REPLACEMENT CHARACTER}")
    assert main(["verify", "none\x1b[2J\n.mp4"]) == 2
    assert capsys.readouterr().err == "lumora: There is no file none\ufffd[2J\ufffd.mp4.\n"


def run_with(monkeypatch: pytest.MonkeyPatch, work: object) -> int:
    """Runs `lumora verify` with `work` in its place."""
    monkeypatch.setattr(Verify, "run", work)
    return main(["verify", "a.mp4"])


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_signals_leave_nothing_behind(name: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def work(_: Verify) -> None:
        with atomic_write(tmp_path / "file") as part:
            part.touch()
            os.kill(os.getpid(), getattr(signal, name))

    before = signal.getsignal(getattr(signal, name))
    with pytest.raises(SystemExit) as ended:
        run_with(monkeypatch, work)
    assert ended.value.code == code and not os.listdir(tmp_path)
    assert signal.getsignal(getattr(signal, name)) == before


def test_a_closed_terminal_is_no_mistake_of_the_user(monkeypatch: pytest.MonkeyPatch):
    """Progress may fail to be written before SIGHUP arrives."""
    controller, terminal = pty.openpty()
    monkeypatch.setattr(sys, "stderr", os.fdopen(terminal, "w"))
    os.close(controller)
    assert run_with(monkeypatch, lambda _: warn("50 %")) == 129


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_output_on_a_full_disk_is_one_sentence():
    with open("/dev/full", "w") as full:
        run = subprocess.run([*LUMORA, "--version"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (run.returncode, run.stderr) == (2, "lumora: No space left on device.\n")


def test_nohup_is_respected(monkeypatch: pytest.MonkeyPatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_with(monkeypatch, lambda _: os.kill(os.getpid(), signal.SIGHUP)) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("words", [["--help"], ["review"]])
def test_a_closed_pipe_is_left_quietly(words: list[str], tmp_path: Path):
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "LUMORA_STATE": str(tmp_path)}
    run = subprocess.run([*LUMORA, *words], stdout=writing, stderr=subprocess.PIPE, env=environment)
    os.close(writing)
    assert run.returncode == 141 and not run.stderr


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.")],
)
def test_no_memory_is_a_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    def work(_: Verify) -> None:
        raise error

    assert run_with(monkeypatch, work) == 2
    assert capsys.readouterr().err.startswith("lumora: There is not enough memory; ")
    error = RuntimeError("a defect")
    with pytest.raises(RuntimeError, match="a defect"):
        run_with(monkeypatch, work)


def test_messages_of_other_libraries_do_not_reach_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    def work(_: Verify) -> None:
        warnings.warn("Corrupt EXIF data.", stacklevel=1)
        logging.getLogger("libav").warning("deprecated pixel format used")
        logging.getLogger("lumora.any").warning("The clock is %s.", "wrong\x1b")

    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # those of pytest
    assert run_with(monkeypatch, work) == 0
    assert capsys.readouterr().err == "lumora: The clock is wrong\N{REPLACEMENT CHARACTER}.\n"
