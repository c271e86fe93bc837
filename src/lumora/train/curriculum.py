"""A curriculum from its first clip to its last weights, in one folder; each part goes on where it was left.

`codec` holds pixels and the codec that is tuned on them; for each stage `NAME` holds the latents of its clips, the
training and its weights, and `NAME-films` the latents of its films.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lumora.data.render_latents import render_latents
from lumora.presets import Curriculum, CurriculumStage
from lumora.train.checkpoint import TrainProgress
from lumora.train.run import CODEC, render_clips_stage, train_codec, train_transformer

FILM_REPEATS = 2
"""Times that a film is seen for each time that a clip is."""


def run_curriculum(
    curriculum: Curriculum,
    folder: Path,
    init_codec: Path | None = None,
    workers: int = 2,
    minutes_left: Callable[[], float | None] = lambda: None,
    device: str = "cpu",
) -> TrainProgress:
    """Runs or resumes all of it; returns how far the last training is, or that which time or a signal ended.

    `init_codec` is a file of weights that the codec begins with. `minutes_left` is asked before each training; time
    spent on rendering is not limited.
    """
    finished = folder / "codec" / "finished"
    if not finished.exists():  # latents belong to one codec, so it is never exported again
        _say("codec")
        render_clips_stage(curriculum.codec, folder / "codec", workers, device)
        progress = train_codec(curriculum.codec, folder / "codec", minutes_left(), device, init_codec)
        if progress.step < progress.steps:
            return progress
        finished.touch()
    before, progress = None, None
    for stage in curriculum.stages:
        progress = _run_stage(stage, folder, before, workers, minutes_left, device)
        if progress.step < progress.steps:
            break
        before = folder / stage.name / "weights" / "transformer.safetensors"
    assert progress is not None, "A curriculum has a stage at least."
    return progress


def _run_stage(
    stage: CurriculumStage,
    folder: Path,
    before: Path | None,
    workers: int,
    minutes_left: Callable[[], float | None],
    device: str,
) -> TrainProgress:
    """The latents of a stage, then its training, which begins with the weights in the file `before`."""
    clips, films = folder / stage.name, folder / f"{stage.name}-films"
    for preset, out in ((stage.clips, clips), (stage.films, films)):
        _say(f"latents in {out}")
        (out / CODEC).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "codec" / CODEC, out / CODEC)
        render_latents(preset, out / CODEC, out / "latents", workers, device)
    _say(f"transformer in {clips}")
    return train_transformer(stage.clips, clips, minutes_left(), device, before, [films] * FILM_REPEATS)


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
