"""Edits of clips: what words change changes, and what a clip shows is known where it was made here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import noise

from lumora import Condition, Pipeline, Request
from lumora.cli import main
from lumora.cli.edit import Edit
from lumora.config import Resolution
from lumora.request.serialization import source_caption

HOW: dict[str, Any] = {"size": Resolution(48, 32), "num_inference_steps": 1, "guidance_scale": 1.0}


def test_an_edit_without_new_words_changes_nothing_however_long_the_clip_is(pipeline: Pipeline):
    """Piece by piece: each sees the pieces before it as they were in the source, and as they became."""
    known = Condition(noise(25), strength=0.6, source_prompt="A ball rolls.")
    how: dict[str, Any] = {**HOW, "num_inference_steps": 4}
    words = "a huge green robot jumps in snow at night while the camera pans to the left"
    same, other = (
        pipeline.generate(Request(change, 25 / 8, **how, conditions=(known,))).frames for change in ("", words)
    )
    through = pipeline.generate(Request("", 25 / 8, **how, conditions=(Condition(noise(25), strength=1e-4),))).frames
    unchanged, changed = (np.abs(made.astype(int) - through).mean() for made in (same, other))
    float32 = next(pipeline.transformers.parameters()).dtype.itemsize == 4
    # Rounding of bfloat16 alone changes pixels: 0.16 against 1.11 in float32, 0.59 against 1.28 in bfloat16.
    assert unchanged < (0.5 if float32 else 1.0) and changed > (2 if float32 else 1.6) * unchanged


@pytest.mark.usefixtures("quick_review")
def test_a_clip_that_was_made_here_is_known_to_show_what_was_asked_for(weights: Path, tmp_path: Path, capsys: Any):
    unknown = noise(9).save(tmp_path / "clip.mp4")
    first, second, third = (tmp_path / f"{n}.mp4" for n in range(3))
    how = ["--model", str(weights), "--steps", "1"]
    assert main(["generate", "A ball rolls.", "-o", str(first), "--seconds", "1", *how]) == 0
    assert main(["edit", str(first), "now at night", "-o", str(second), *how]) == 0
    assert "The clip shows: A ball rolls." in capsys.readouterr().out
    assert main(["edit", str(second), "in snow", "-o", str(third), *how]) == 0
    assert "The clip shows: A ball rolls, now at night" in capsys.readouterr().out
    replay = ["reproduce", str(second), "--inputs", str(first), "-o", str(third), "--overwrite"]
    assert main([*replay, "--model", str(weights)]) == 0
    assert Edit(clip=unknown, output=third, prompt="now at night").source() == ""
    assert "has no known caption" in capsys.readouterr().out
    assert Edit(clip=first, output=third, prompt="now at night", source_prompt="a cube").source() == "a cube"


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        (None, ""),
        ([1], ""),
        ({"prompt": 1, "conditions": []}, ""),
        ({"prompt": "a ball", "conditions": [3, {"strength": 0}]}, "a ball"),
        ({"prompt": "at night", "conditions": [{"strength": 0.6, "source_prompt": "A ball. "}]}, "A ball, at night"),
        ({"prompt": "at night", "conditions": [{"strength": 0.6, "source_prompt": ["x"]}]}, "at night"),
        ({"prompt": "at night", "conditions": [{}]}, "at night"),
        ({"prompt": "x" * 3_000, "conditions": []}, "x" * 2_000),
    ],
)
def test_what_a_recipe_tells_of_its_video(recipe: Any, told: str):
    assert source_caption(recipe) == told
