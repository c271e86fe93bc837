"""From the shell: quick to start, one sentence and exit code 2 for a mistake, and never half a file."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias, get_args

import numpy as np
import pytest

from lumora.cli import VERBS, main
from lumora.cli.flags import TrainPreset
from lumora.cli.generate import Generate
from lumora.media.video import Video

Capture: TypeAlias = pytest.CaptureFixture[str]
LUMORA = [sys.executable, "-m", "lumora"]


def test_help_imports_nothing_heavy():
    code = "import sys; from lumora.cli import main\ntry: main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert not loaded & {"torch", "numpy", "av", "mujoco", "PIL", "tokenizers"}
    assert all(verb in run.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_each_of_its_flags(verb: str, capsys: Capture):
    with pytest.raises(SystemExit) as leaving:
        main([*verb.split(), "--help"])
    assert not leaving.value.code
    assert f"usage: lumora {verb}" in capsys.readouterr().out


MISTAKES = {
    "unknown verb": (["genrate", "a ball"], "genrate"),
    "unknown flag": (["generate", "a ball", "-o", "out.mp4", "--secs", "3"], "--secs"),
    "missing output": (["generate", "a ball"], "--output"),
    "not a number": (["generate", "a ball", "-o", "out.mp4", "--seconds", "two"], "not a number"),
    "not a size": (["generate", "a ball", "-o", "out.mp4", "--size", "big"], "such as 128x128"),
    "unknown suffix": (["generate", "a ball", "-o", "out.avi"], ".mp4, .gif, .webp or .png"),
    "no folder": (["generate", "a ball", "-o", "none/out.mp4"], "no folder"),
    "empty prompt": (["generate", "  ", "-o", "out.mp4"], "empty"),
    "long prompt": (["generate", "ball " * 1000, "-o", "out.mp4"], "2,000"),
    "size between steps": (["generate", "a ball", "-o", "out.mp4", "--size", "16x64"], "Width"),
    "size too large": (["generate", "a ball", "-o", "out.mp4", "--size", "4096x64"], "1,024"),
    "too much": (["generate", "x", "-o", "out.mp4", "--size", "1024x1024", "--seconds", "60", "--fps", "60"], "tokens"),
    "no image": (["generate", "a ball", "-o", "out.mp4", "--image", "none.png"], "no file none.png"),
    "broken image": (["generate", "a ball", "-o", "out.mp4", "--image", "broken.png"], "broken.png can't be read"),
    "image from the net": (["generate", "x", "-o", "out.mp4", "--image", "http://127.0.0.1:9/a.png"], "no file"),
    "not an aspect": (["generate", "a ball", "-o", "out.mp4", "--aspect-ratio", "wide"], "such as 16:9"),
    "not a keyframe": (["generate", "a ball", "-o", "out.mp4", "--keyframe", "a.png"], "such as 1.5=image.png"),
    "size and aspect": (
        ["generate", "x", "-o", "out.mp4", "--aspect-ratio", "1:1", "--size", "64x64"],
        "either a size or",
    ),
    "no clip": (["extend", "none.mp4", "-o", "out.mp4"], "no file none.mp4"),
    "no board": (["storyboard", "none.toml", "-o", "out.mp4"], "no file none.toml"),
    "no model": (["generate", "a ball", "-o", "out.mp4", "--model", "none"], "no model"),
    "no such verb": (["generat", "a ball"], "did you mean `lumora generate`?"),
    "half a verb": (["world", "sheet"], "`lumora world contact-sheet`"),
    "no such flag": (
        ["extend", "a.mp4", "--aspect", "1:1", "-o", "out.mp4"],
        "did you mean --aspect-ratio? See",
    ),
    "world's size": (["world", "sample", "-o", "out.mp4", "--size", "2x2"], "16"),
}


def _no_expensive_work(*_: object, **__: object) -> None:
    raise AssertionError("Bad input is refused before anything is loaded.")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_sentence_before_any_work(
    mistake: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lumora.backends.lumora.weights.DEFAULT_FOLDER", weights)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    words, expected = MISTAKES[mistake]
    for name in ("service.moderation.Moderation.load", "backends.lumora.pipeline.Pipeline.from_pretrained"):
        monkeypatch.setattr(f"lumora.{name}", _no_expensive_work)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert expected in said and said.count("\n") == 1 and said.startswith("lumora: ") and said.endswith(".\n")
    assert os.listdir(tmp_path) == ["broken.png"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "codec", "--run-dir", ".", "--preset", "tiny"], "no clips in"),
        (["train", "transformer", "--run-dir", ".", "--preset", "tiny"], "no clips"),
        (["train", "all", "--run-dir", ".", "--dataset", "none"], "metadata.jsonl"),
        (["evaluate", "--probe", "none.safetensors", "--num-clips", "1"], "none.safetensors"),
        (["evaluate", "wan2.2-5b", "--num-clips", "1"], "open-weight models and other servers are not measured"),
    ],
)
def test_training_and_measuring_need_what_they_work_on(
    words: list[str], expected: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lumora.backends.lumora.weights.DEFAULT_FOLDER", weights)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert expected in said and said.startswith("lumora: ") and said.count("\n") == 1


def test_the_training_presets_are_those_that_there_are():
    from lumora.presets import PRESETS

    assert get_args(TrainPreset) == tuple(PRESETS)


def test_generate_writes_what_was_asked_for(weights: Path, tmp_path: Path, capsys: Capture):
    common = ["--model", str(weights), "--steps", "2", "--seed", "5"]
    clip, still = tmp_path / "clip.mp4", tmp_path / "still.png"
    assert (
        main(["generate", "a ball", "-o", str(clip), "--seconds", "1", "--size", "48x32", "--fps", "9", *common]) == 0
    )
    assert str(clip) in capsys.readouterr().out
    video = Video.load(clip)
    assert video.frames.shape == (9, 32, 48, 3) and video.fps == pytest.approx(9)
    assert main(["generate", "a ball", "-o", str(still), "--size", "32x32", "--image", str(clip), *common]) == 0
    assert "48x32 is resized to 32x32 (crop)" in capsys.readouterr().out
    assert Video.load(still).frames.shape[0] == 1
    assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "still.png"]


def test_a_disk_that_fills_up_meanwhile_is_an_error_too(weights: Path, tmp_path: Path):
    out = tmp_path / "clip.gif"
    limited = f"ulimit -f 8; exec {' '.join(LUMORA)} generate 'a ball' -o {out} --model {weights} --steps 1"
    # Python would cut the bytecode that it writes off at the limit, which breaks all later imports.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, env=environment)
    assert run.returncode == 2 and "can't be written" in run.stderr and not os.listdir(tmp_path)


def test_progress_is_shown_and_ctrl_c_leaves_quietly(weights: Path, tmp_path: Path):
    command = [*LUMORA, "generate", "a ball", "-o", str(tmp_path / "clip.mp4"), "--model", str(weights)]
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*command, "--steps", "1000", "--seconds", "30"],
        stderr=theirs,
        # A test run in the background may ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    os.close(theirs)
    said, told = "", False
    with open(ours, "rb", buffering=0) as terminal, contextlib.suppress(OSError):  # a closed terminal is an OSError
        while part := terminal.read(4096).decode(errors="replace"):
            said += part
            if re.search(r"/\d+000\b", said) and not told:
                process.send_signal(signal.SIGINT)
                told = True
    assert process.wait(timeout=20) == 130
    assert "Loading the model" in said and "Generating the video" in said
    assert "Traceback" not in said and set(os.listdir(tmp_path)) <= {"clip.mp4.work"}  # from which it goes on


def test_a_world_clip_comes_with_what_is_true_of_it(tmp_path: Path):
    out = tmp_path / "clip.mp4"
    words = ["world", "sample", "--seed", "3", "--index", "1", "--size", "64x48", "--seconds", "1", "-o", str(out)]
    assert main(words) == 0
    assert Video.load(out).frames.shape == (9, 48, 64, 3)
    about = json.loads(out.with_suffix(".json").read_text())
    assert set(about["captions"]) == {"short", "sentence", "paragraph"}
    assert all(caption["text"] and caption["facts"] for caption in about["captions"].values())
    assert all(fact in about["facts"] for caption in about["captions"].values() for fact in caption["facts"])
    places = [fact["value"] for fact in about["facts"] if fact["category"] == "place"]
    assert places == [about["scene"]["place"]]
    content = out.read_bytes()
    assert main([*words, "--overwrite"]) == 0 and out.read_bytes() == content


def test_a_contact_sheet_shows_many_clips(tmp_path: Path):
    out = tmp_path / "sheet.png"
    assert (
        main(["world", "contact-sheet", "--preset", "simple", "--num-clips", "3", "--size", "32x32", "-o", str(out)])
        == 0
    )
    picture = Video.load(out).frames[0]
    assert picture.std(axis=(0, 1)).min() > 10 and np.prod(picture.shape) > 3 * 4 * 32 * 32


def test_a_prompt_may_begin_with_a_dash_and_the_version_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    prompts: list[str] = []
    monkeypatch.setattr(Generate, "run", lambda self: prompts.append(self.prompt))
    out = ["-o", str(tmp_path / "out.mp4")]
    assert main(["generate", "-5 degrees and --snow", *out]) == main(["generate", *out, "--", "-x"]) == 0
    assert prompts == ["-5 degrees and --snow", "-x"]
    with pytest.raises(SystemExit) as leaving:
        main(["--version"])
    assert leaving.value.code == 0 and re.fullmatch(r"lumora \d+\.\d+\.\d+\n", capsys.readouterr().out)
