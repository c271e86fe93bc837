"""Makes the default weights from scratch. The same command continues an interrupted run.

    python runs/default.py                      # in data/stage, with two processes
    python runs/default.py --install            # and copies the result to src/lumora/weights
    python runs/default.py --preset tiny-stage --run-dir /tmp/tiny --workers 0    # a test in seconds
    python runs/default.py --preset cpu         # a small model of one resolution, in data/cpu

The preset `stage` is a curriculum (see `lumora.train.curriculum`), which may start from the model in the folder
`--init-model`, and with the stage `--first-stage`. The presets of one resolution have these stages: clips of the world,
the codec, latents and encoded captions, the transformer; `--until` stops after one of them. `--max-minutes` stops after
a time, with a checkpoint and exit code 3.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lumora.backends.lumora.weights import DEFAULT_FOLDER, model_files
from lumora.config import HIGH_NOISE_TRANSFORMER
from lumora.diffusion.defaults import FEW_STEPS
from lumora.presets import CURRICULA, PRESETS, Preset
from lumora.train.checkpoint import TrainProgress
from lumora.train.curriculum import run_curriculum
from lumora.train.run import encode_latents_stage, render_clips_stage, train_codec, train_transformer

STAGES = ("clips", "codec", "latents", "transformer")


def main(argv: list[str] | None = None) -> int:
    """Returns 0 when all stages are finished and 3 when the time ended before."""
    options = _options(argv)
    run_dir = options.run_dir or Path("data") / options.preset
    deadline = time.monotonic() + 60 * options.max_minutes if options.max_minutes else None
    if options.preset in CURRICULA:
        return _curriculum(options, run_dir, deadline)
    preset = PRESETS[options.preset]()
    stages = _stages(preset, run_dir, options.workers)
    for stage in STAGES[: STAGES.index(options.until) + 1]:
        print(f"{time.strftime('%H:%M:%S')} {stage}", file=sys.stderr, flush=True)
        progress = stages[stage](_minutes_left(deadline))
        if progress and _stopped_early(progress):
            return 3
    if options.install:
        _install(run_dir / "weights")
    return 0


def _curriculum(options: argparse.Namespace, run_dir: Path, deadline: float | None) -> int:
    curriculum = CURRICULA[options.preset]()
    minutes_left = partial(_minutes_left, deadline)
    progress = run_curriculum(
        curriculum, run_dir, options.init_model, options.workers, minutes_left, first_stage=options.first_stage
    )
    if _stopped_early(progress):
        return 3
    if options.install:
        _install(run_dir / "weights")
    return 0


def _install(weights: Path) -> None:
    """Makes the model in the folder `weights` the default. Files that only the model before it has are removed."""
    files = model_files(weights)
    for name in (f"{HIGH_NOISE_TRANSFORMER}.safetensors", FEW_STEPS):
        (DEFAULT_FOLDER / name).unlink(missing_ok=True)
    for file in files:
        shutil.copy(file, DEFAULT_FOLDER / file.name)


def _stopped_early(progress: TrainProgress) -> bool:
    """Whether the run has steps left; prints a message if so."""
    if progress.step < progress.max_steps:
        message = f"Stopped at step {progress.step} of {progress.max_steps}; run the same command to continue."
        print(message, file=sys.stderr)
    return progress.step < progress.max_steps


def _stages(preset: Preset, run_dir: Path, workers: int) -> dict[str, Callable[[float | None], TrainProgress | None]]:
    """Each stage as a function of the minutes that are left."""
    return {
        "clips": lambda minutes: render_clips_stage(preset, run_dir, workers),
        "codec": lambda minutes: train_codec(preset, run_dir, minutes),
        "latents": lambda minutes: encode_latents_stage(preset, run_dir, workers),
        "transformer": lambda minutes: train_transformer(preset, run_dir, minutes),
    }


def _minutes_left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic()) / 60


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=[*PRESETS, *CURRICULA], default="stage")
    parser.add_argument("--init-model", type=Path, help="folder of a trained model that a curriculum starts from")
    parser.add_argument("--first-stage", help="stage of a curriculum to begin with, usually after --init-model")
    parser.add_argument("--run-dir", type=Path, help="folder for all files of the run (default: data/PRESET)")
    parser.add_argument("--workers", type=int, default=2, help="processes that render; 0: render in this process")
    parser.add_argument("--max-minutes", type=float, help="training time of this session")
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1], help="last stage of a preset of one resolution")
    parser.add_argument("--install", action="store_true", help="make the result the default model")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
