"""Trains the stages of a curriculum in one folder; the same call continues an interrupted one.

`codec` is the run directory of the codec. For each stage NAME, the folder `NAME` is a run directory with the latents of
its clips, a run of each of its transformers and its weights; `NAME-films` has the latents of its multi-shot clips.
`decoder` is the run that tunes the decoder, `few-steps` the one that distills the model, and `weights` the finished
model.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lumora.config import HIGH_NOISE_TRANSFORMER, TRANSFORMER, DistillationConfig
from lumora.data.datasets import LatentDataset
from lumora.data.render_latents import render_latents
from lumora.data.shards import shard_numbers
from lumora.diffusion.defaults import FEW_STEPS
from lumora.model.transformer import Transformer
from lumora.presets import Curriculum, CurriculumStage, Preset
from lumora.terminal import warn
from lumora.train.checkpoint import TrainProgress, read_progress
from lumora.train.distillation import distill
from lumora.train.run import CODEC, render_clips_stage, train_codec, train_transformer
from lumora.train.transplant import transplant
from lumora.train.warm_start import warm_start
from lumora.weights_io import load_weights, save_weights

WEIGHTS = f"{TRANSFORMER}.safetensors"
FILM_REPEATS = 2
"""How often multi-shot clips are used per use of a single-shot clip."""


def run_curriculum(
    curriculum: Curriculum,
    run_dir: Path,
    init_model: Path | None = None,
    workers: int = 2,
    minutes_left: Callable[[], float | None] = lambda: None,
    device: str = "cpu",
    first_stage: str | None = None,
) -> TrainProgress:
    """Starts or resumes the curriculum; returns the progress of the last run, or of one that was interrupted.

    `init_model` is the folder of a trained model: its codec is used, and the first stage starts from its transformer
    (see `warm_start`). `first_stage` leaves out the stages before the one of this name. `minutes_left` is called before
    each run; the time of rendering is not limited. Raises ValueError if there is no stage `first_stage`.
    """
    names = [stage.name for stage in curriculum.stages]
    if first_stage is not None and first_stage not in names:
        raise ValueError(f"The curriculum has the stages {', '.join(names)}, not {first_stage}.")
    progress = _codec(curriculum, run_dir, init_model, workers, minutes_left, device)
    init_from = None
    if init_model is not None:
        init_from = run_dir / "init" / WEIGHTS
        if not init_from.exists():
            save_weights(warm_start(init_model, curriculum.stages[0].clips.model), init_from)
    for i in range(names.index(first_stage or names[0]), len(names)):
        if progress is not None and progress.step < progress.max_steps:
            return progress
        progress = _run_stage(curriculum.stages[: i + 1], run_dir, init_from, workers, minutes_left, device)
        init_from = run_dir / names[i] / "weights" / WEIGHTS
    assert progress is not None and init_from is not None, "A curriculum has at least one stage."
    if progress.step == progress.max_steps:
        progress = _decoder(curriculum.decoder, run_dir, workers, minutes_left, device)
        trained = curriculum.stages[-1].clips.model.transformers()
        for file in ("model.json", *(f"{name}.safetensors" for name in trained)):
            shutil.copy(init_from.with_name(file), run_dir / "weights" / file)
        if progress.step == progress.max_steps:
            progress = _few_steps(curriculum.distillation, run_dir, minutes_left, device)
    return progress


def _codec(
    curriculum: Curriculum,
    run_dir: Path,
    init_model: Path | None,
    workers: int,
    minutes_left: Callable[[], float | None],
    device: str,
) -> TrainProgress | None:
    """Trains the codec, or copies that of `init_model`. Never again afterwards, as the latents belong to it."""
    codec = run_dir / "codec" / CODEC
    if codec.exists():
        return None
    if init_model is not None:
        codec.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(init_model / CODEC.name, codec)
        return None
    _log("codec")
    render_clips_stage(curriculum.codec, run_dir / "codec", workers, device)
    return train_codec(curriculum.codec, run_dir / "codec", minutes_left(), device)


def _decoder(
    preset: Preset, run_dir: Path, workers: int, minutes_left: Callable[[], float | None], device: str
) -> TrainProgress:
    """Tunes the decoder at the last resolution; the latents stay valid, as the encoder does not change."""
    _log("decoder")
    render_clips_stage(preset, run_dir / "decoder", workers, device)
    codec = run_dir / "codec" / CODEC
    progress = train_codec(preset, run_dir / "decoder", minutes_left(), device, codec, decoder_only=True)
    tuned = run_dir / "decoder" / CODEC
    (run_dir / "weights").mkdir(exist_ok=True)
    shutil.copy(tuned if tuned.exists() else codec, run_dir / "weights" / CODEC.name)
    return progress


def _few_steps(
    config: DistillationConfig, run_dir: Path, minutes_left: Callable[[], float | None], device: str
) -> TrainProgress:
    """Distills the finished model to few steps, and adds the adapters to it."""
    _log("few-steps")
    progress = distill(run_dir / "weights", config, run_dir / "few-steps", minutes_left(), device)
    if progress.step == progress.max_steps:
        shutil.copy(run_dir / "few-steps" / "weights" / FEW_STEPS, run_dir / "weights" / FEW_STEPS)
    return progress


def _run_stage(
    stages: Sequence[CurriculumStage],
    run_dir: Path,
    init_from: Path | None,
    workers: int,
    minutes_left: Callable[[], float | None],
    device: str,
) -> TrainProgress:
    """Trains the last of `stages` on its portions and on those of the stages before it. `init_from` is the file of the
    initial weights."""
    stage = stages[-1]
    folders = {run_dir / s.name: s.clips for s in stages} | {run_dir / f"{s.name}-films": s.films for s in stages}
    for folder in folders:
        (folder / CODEC).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(run_dir / "codec" / CODEC, folder / CODEC)
    clips, films = run_dir / stage.name, [run_dir / f"{s.name}-films" for s in stages]
    extra_data = [folder for folder in folders if folder != clips] + films * (FILM_REPEATS - 1)
    names, progress = list(stage.clips.model.transformers()), None
    # A restart goes on with its portion: each call of `train_transformer` reads and writes a checkpoint.
    finished = min(_portions_done(stage, clips, name) for name in names)
    for portion in range(min(finished + 1, stage.num_portions), stage.num_portions + 1):
        share = portion / stage.num_portions
        for folder, preset in folders.items():
            _log(f"latents in {folder}, portion {portion} of {stage.num_portions}")
            render_latents(_first_clips(preset, share), folder / CODEC, folder / "latents", workers, device)
        for name in names:
            _log(f"{name} in {clips}, portion {portion} of {stage.num_portions}")
            stop_step, init = round(share * _max_steps(stage.clips, name)), init_from
            if name == HIGH_NOISE_TRANSFORMER:
                init = _init_high_noise(stages, run_dir, init_from)
            progress = train_transformer(stage.clips, clips, minutes_left(), device, init, extra_data, stop_step, name)
            if progress.step < stop_step:
                return progress
    assert progress is not None, "A stage has at least one portion."
    return progress


def _init_high_noise(stages: Sequence[CurriculumStage], run_dir: Path, init_from: Path | None) -> Path | None:
    """The file of the initial weights of the high-noise transformer of the last stage: the transformer of the stage
    before, in the file `init_from`, adapted to the latents of this stage."""
    if init_from is None or len(stages) == 1:
        return None
    file = run_dir / "init" / f"{stages[-1].name}-{HIGH_NOISE_TRANSFORMER}.safetensors"
    if not file.exists():
        before, model = stages[-2].clips.model, stages[-1].clips.model.transformers()[HIGH_NOISE_TRANSFORMER]
        folders = [run_dir / stage.name / "latents" for stage in stages[-2:]]
        shared = sorted(set.intersection(*(set(shard_numbers(folder, "latents")) for folder in folders)))
        old, new = load_weights(Transformer(before.transformer), init_from), Transformer(model.transformer)
        explained = transplant(old, new, *(LatentDataset(folder, shared) for folder in folders))
        _log(f"{HIGH_NOISE_TRANSFORMER}: tokens of {stages[-2].name} explain {explained:.1%} of the variance")
        save_weights(new, file)
    return file


def _portions_done(stage: CurriculumStage, run_dir: Path, name: str) -> int:
    progress = read_progress(run_dir / name)
    return progress.step * stage.num_portions // _max_steps(stage.clips, name) if progress else 0


def _max_steps(preset: Preset, name: str) -> int:
    max_steps = preset.schedule(name).max_steps
    assert max_steps is not None, "The steps of a stage are divided among its portions."
    return max_steps


def _first_clips(preset: Preset, share: float) -> Preset:
    """`preset` with this share of its clips, rounded up to whole shards."""
    shards = math.ceil(share * preset.num_clips / preset.shard_size)
    return replace(preset, num_clips=min(preset.num_clips, shards * preset.shard_size))


def _log(message: str) -> None:
    warn(f"{time.strftime('%H:%M:%S')} {message}")
