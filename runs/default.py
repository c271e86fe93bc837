"""The one script that makes the default weights from nothing; started again, it goes on where it was stopped.

    python runs/default.py                     # data/cpu, two processes
    python runs/default.py --preset tiny --folder /tmp/tiny --workers 0      # the same road in seconds
    python runs/default.py --install           # also copies the result to src/lumora/weights
    python runs/default.py --preset stage      # the next default model, in data/stage: codec, 64×64, 128×128

Stages: clips of the world, the codec, their latents and encoded captions, the transformer; then, of the preset `cpu`,
films, on which beside those clips the transformer goes on (the preset `film`). With `--until` it stops after one of
them; with `--minutes` it ends orderly after that time, in whichever training it is. A curriculum (`stage`) goes through
all of its own stages (see `lumora.train.curriculum`); its codec begins with the one in `--init-codec`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lumora.backends.lumora.weights import DEFAULT_FOLDER
from lumora.presets import CURRICULA, PRESETS, Preset, cpu, film
from lumora.train.checkpoint import TrainProgress
from lumora.train.curriculum import run_curriculum
from lumora.train.run import CODEC, encode_latents_stage, render_clips_stage, train_codec, train_transformer

STAGES = ("clips", "codec", "latents", "transformer", "films")

FILM_SEEN = 3
"""Times that a film is seen for each time that a clip is: there are fewer of them."""


def main(argv: list[str] | None = None) -> int:
    """0 when all is made, 3 when time ended it before."""
    options = _options(argv)
    folder = options.folder or Path("data") / options.preset
    ends = time.monotonic() + 60 * options.minutes if options.minutes else None
    if options.preset in CURRICULA:
        return _curriculum(options, folder, ends)
    preset = PRESETS[options.preset]()
    stages = _stages(preset, folder, options.workers)
    chosen = [stage for stage in STAGES[: STAGES.index(options.until) + 1] if stage in stages]
    for stage in chosen:
        print(f"{time.strftime('%H:%M:%S')} {stage}", file=sys.stderr, flush=True)
        progress = stages[stage](_left(ends))
        if progress and _stopped(progress):
            return 3
    if options.install:
        made = folder / "films" if "films" in chosen else folder
        shutil.copytree(made / "weights", DEFAULT_FOLDER, dirs_exist_ok=True)
    return 0


def _curriculum(options: argparse.Namespace, folder: Path, ends: float | None) -> int:
    curriculum = CURRICULA[options.preset]()
    progress = run_curriculum(curriculum, folder, options.init_codec, options.workers, lambda: _left(ends))
    if _stopped(progress):
        return 3
    if options.install:
        shutil.copytree(folder / curriculum.stages[-1].name / "weights", DEFAULT_FOLDER, dirs_exist_ok=True)
    return 0


def _stopped(progress: TrainProgress) -> bool:
    """Whether the training was ended before its last step; then it says so."""
    if progress.step < progress.steps:
        print(f"Stopped at step {progress.step} of {progress.steps}; run it again to go on.", file=sys.stderr)
    return progress.step < progress.steps


def _stages(preset: Preset, folder: Path, workers: int) -> dict[str, Callable[[float | None], TrainProgress | None]]:
    stages = {
        "clips": lambda minutes: render_clips_stage(preset, folder, workers),
        "codec": lambda minutes: train_codec(preset, folder, minutes),
        "latents": lambda minutes: encode_latents_stage(preset, folder, workers),
        "transformer": lambda minutes: train_transformer(preset, folder, minutes),
    }
    if preset == cpu():
        stages["films"] = lambda minutes: _films(folder, workers, minutes)
    return stages


def _films(folder: Path, workers: int, minutes: float | None) -> TrainProgress:
    """Films and their latents, in a folder of their own; the transformer goes on with them and all other clips."""
    preset, films = film(), folder / "films"
    render_clips_stage(preset, films, workers)
    (films / CODEC).parent.mkdir(exist_ok=True)
    shutil.copy(folder / CODEC, films / CODEC)
    encode_latents_stage(preset, films, workers)
    also, start = [folder, *[films] * (FILM_SEEN - 1)], folder / "weights" / "transformer.safetensors"
    return train_transformer(preset, films, minutes, init_from=start, extra_data=also)


def _left(ends: float | None) -> float | None:
    return None if ends is None else max(0.0, ends - time.monotonic()) / 60


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=[*PRESETS, *CURRICULA], default="cpu")
    parser.add_argument("--init-codec", type=Path, help="weights that the codec of a curriculum begins with")
    parser.add_argument("--folder", type=Path, help="where all is kept (default: data/PRESET)")
    parser.add_argument("--workers", type=int, default=2, help="processes that render; 0: none but this one")
    parser.add_argument("--minutes", type=float, help="of this sitting's training")
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1])
    parser.add_argument("--install", action="store_true", help="make the result the default model")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
