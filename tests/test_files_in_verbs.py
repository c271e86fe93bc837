"""Every file that users have, in every verb that takes one: right, or one clear sentence before anything is made."""

import os
import resource
from pathlib import Path

import pytest
from fuzzing import fuzz
from quick_verbs import MAKING, READING, make, make_again, run, without_networks

from lumora.provenance.manifest import read

CASES = Path(__file__).parent / "cases"
REFUSED = {"README.md", "cover.m4a", "cut.png", "empty.mp4", "text.mp4", "zero.mp4"}
WARNED = {"alpha.webm", "half.mkv", "half.mp4", "hlg.mov", "interlaced.mp4", "pq.mp4"}
"""What was done to them, or what is missing, is said."""
STILL_SUFFIXES = {".avif", ".jpg", ".png"}
"""No case with such a name has several frames, so there is nothing to infill."""
SLOW = {"slomo120_40s.mp4"}
"""It has many frames, so one verb alone makes a video of it."""


@pytest.mark.parametrize("name", sorted(os.listdir(CASES)))
def test_every_case_in_every_verb(name: str, tmp_path: Path, weights: Path):
    file, state, folder = CASES / name, tmp_path / "state", tmp_path / "folder"
    folder.mkdir()
    with without_networks(state):
        outcomes = {name: run(verb(file)) for name, verb in READING.items()}
        assert outcomes["verify"].code == 5 and not outcomes["verify"].err
        assert not state.exists(), "Reading needs no state folder, which may be read-only."
        for verb in ("detect", "moderate"):
            if name in REFUSED:
                assert outcomes[verb].is_one_sentence and str(file) in outcomes[verb].err
            else:
                assert outcomes[verb].code == {"detect": 3, "moderate": 0}[verb]
                assert bool(outcomes[verb].err) == (name in WARNED), outcomes[verb].err
        outcome = make_again(file, (), folder / "out.png", weights)
        assert outcome.is_one_sentence and str(file) in outcome.err and not os.listdir(folder)
        for verb in ("extend",) if name in SLOW else MAKING:
            outcome = make(verb, file, CASES / "quad.png", folder / "out.png", weights)
            if name in REFUSED or (verb == "infill" and file.suffix in STILL_SUFFIXES):
                assert outcome.is_one_sentence and str(file) in outcome.err and not os.listdir(folder)
                continue
            assert outcome.code == 0, outcome.err
            is_warned = name in WARNED and not (verb == "generate" and "half" in name)  # whose first frame is whole
            assert (f"lumora: {name}: " in outcome.err) == is_warned, outcome.err
            assert read(folder / "out.png").state == "trusted" and os.listdir(folder) == ["out.png"]
            if verb in ("connect", "edit"):  # whether the inputs are recognized by what was read of them
                again = make_again(folder / "out.png", (file, CASES / "quad.png"), folder / "again.png", weights)
                assert again.code == 0 and "the frames are the same" in again.out, again.err
                os.remove(folder / "again.png")
            os.remove(folder / "out.png")


def test_mutated_files_are_read_or_refused_with_one_sentence(tmp_path: Path, weights: Path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts = fuzz(200, 0, tmp_path, weights)
    assert sum(counts["extend"].values()) == 200 and min(counts["extend"].values()) > 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_500_000
