"""`lumora models`: the catalogue, downloads from a stand-in of the hub over HTTP, and the check of a model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_stub import COMMIT, HubStub, hub_stub
from tiny_models import save_tiny_model

from lumora.backends.diffusers.catalog import catalog, models_for
from lumora.backends.diffusers.diffusers_planning import capabilities, prepare
from lumora.backends.diffusers.families import FAMILIES
from lumora.backends.diffusers.hub import files_to_read
from lumora.backends.diffusers.model_files import model_digest
from lumora.cli import main
from lumora.request.spec import Request


def run(words: list[str], home: Path, hub: HubStub | None = None) -> tuple[int, str]:
    """A command in a process of its own, whose cache of the hub is `home`; the exit code and what it prints."""
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_ENDPOINT": hub.url if hub else "http://127.0.0.1:9", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", "lumora", *words], capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout + done.stderr


def pull_in_a_process(home: Path, hub: HubStub, name: str) -> tuple[int, str]:
    """One file beside a model, twice; the exit code and whether it is found, and sent once."""
    code = (
        "from lumora.backends.diffusers.hub import find_file, pull_file\n"
        "from lumora.backends.diffusers.catalog import HubFile\n"
        f"file = HubFile('someone/tiny', {name!r}, {COMMIT!r})\n"
        "path = pull_file(file)\n"
        "print(path.read_bytes() == b'weights', find_file(file) == path == pull_file(file))"
    )
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_ENDPOINT": hub.url}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout.strip() or done.stderr


def test_a_model_is_pulled_continued_used_and_removed(tmp_path: Path):
    folder, home = tmp_path / "repository", tmp_path / "home"
    save_tiny_model("wan", folder)
    (folder / "README.md").write_text("not needed")
    (folder / "transformer" / "old.bin").write_bytes(b"not read")
    large, part = "vae/large.safetensors", 10 << 20  # bytes that the hub's client keeps at a time
    (folder / large).write_bytes(bytes(part + 1000))
    with hub_stub(folder, "someone/tiny") as hub:
        hub.break_off[large] = part + 100
        code, said = run(["models", "pull", "someone/tiny"], home, hub)
        assert code == 0 and f"commit {COMMIT}" in said and said.startswith("Licence: "), said
        names = [name for name, _ in hub.sent]
        assert "README.md" not in names and not any(name.endswith(".bin") for name in names)
        assert [wanted for name, wanted in hub.sent if name == large] == ["", f"bytes={part}-"]
        num_sent = len(hub.sent)
        assert run(["models", "pull", "someone/tiny"], home, hub)[0] == 0
        assert all(name == "model_index.json" for name, _ in hub.sent[num_sent:])  # nothing again
        assert hub.revisions == ["main", COMMIT]  # the second time that of the first, whatever "main" is now
        (folder / "lora.safetensors").write_bytes(b"weights")
        assert pull_in_a_process(home, hub, "lora.safetensors") == (0, "True True")
        code, said = pull_in_a_process(home, hub, "none.safetensors")
        assert code == 1 and "someone/tiny has no file none.safetensors" in said
        code, said = run(["models", "pull", "someone/other"], home, hub)
        assert code == 2 and "There is no model someone/other" in said
    assert run(["models", "pull", "someone/tiny", "--offline"], home)[0] == 0
    code, said = run(["models", "check", "someone/tiny", "--small"], home)
    assert code == 0 and "It runs: 5 frames of 208x128" in said, said
    snapshot = next(home.rglob(f"snapshots/{COMMIT}"))
    for extra in ("README.md", "transformer/old.bin", "lora.safetensors"):
        (folder / extra).unlink()
    (snapshot / "lora.safetensors").unlink()
    assert model_digest(snapshot) == model_digest(folder)  # by the names of blobs, and by their content
    assert run(["models", "remove", "someone/tiny"], home)[0] == 0
    code, said = run(["models", "pull", "someone/tiny", "--offline"], home)
    assert code == 2 and "not on this machine" in said
    code, said = run(["models", "pull", "someone/tiny"], home)
    assert code == 2 and "The hub cannot be reached" in said and "Traceback" not in said


def test_every_model_of_the_catalogue_is_complete_and_plans_its_default():
    for name, entry in catalog().items():
        assert entry.name == name and entry.family in FAMILIES and entry.license.endswith(".")
        limits = capabilities(entry)
        assert entry.resolution.width % limits.size_step == entry.resolution.height % limits.size_step == 0
        assert entry.num_frames % entry.calls.frame_step == 1
        if "text" in limits.tasks:
            plan = prepare(Request("a ball"), entry)
            assert (plan.num_frames, plan.size, plan.warnings) == (entry.num_frames, entry.resolution, ())
    assert all(models_for(task) for family in FAMILIES.values() for task in family.tasks)


def test_models_are_listed_and_described(capsys: pytest.CaptureFixture[str]):
    assert main(["models", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n{name}: " in listed for name in catalog())
    assert main(["models", "info", "wan2.2-5b"]) == 0
    said = capsys.readouterr().out
    assert (
        "Licence: Apache-2.0" in said and "24 GB card (estimate): Memory plan" in said and "nudity classifier" in said
    )
    assert main(["models", "info", "wan2.2"]) == 2
    assert "did you mean wan2.2-5b" in capsys.readouterr().err


def test_only_files_that_are_read_are_downloaded():
    index = {"_class_name": "WanPipeline", "transformer": ["diffusers", "X"], "image_encoder": [None, None]}
    names = ["model_index.json", "README.md", "transformer/config.json", "transformer/model.fp16.safetensors"]
    names += ["transformer/model.safetensors", "transformer/model.bin", "image_encoder/model.safetensors"]
    chosen = files_to_read(names, index, "a/b")
    assert chosen == ["model_index.json", "transformer/config.json", "transformer/model.safetensors"]
    with pytest.raises(ValueError, match="no safetensors of its transformer"):
        files_to_read(["transformer/model.bin"], index, "a/b")
