"""The stages of training a model: clips, codec, latents, transformer. Each continues where it was interrupted.

All stages of a model share a folder, its run directory: `frames` and `latents` are datasets, `codec` and `transformer`
are runs with a checkpoint and a log, and `weights` is the model that `lumora generate --model` loads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from lumora.atomic_io import atomic_write
from lumora.codec import Codec, align_to_pixel_metric, init_linear
from lumora.config import TRANSFORMER, ModelConfig, from_json, to_json
from lumora.data.captions import write_captions
from lumora.data.datasets import FrameDataset, LatentDataset
from lumora.data.latent_cache import encode_latents
from lumora.data.shards import DatasetConfig
from lumora.data.world_clips import render_dataset
from lumora.model.noise_experts import Transformers, transformers_by_name
from lumora.model.transformer import Transformer
from lumora.presets import Preset
from lumora.train.checkpoint import TrainProgress, read_ema, read_progress
from lumora.train.distributed import dist_context
from lumora.train.loop import train
from lumora.train.objectives import CodecObjective, FlowObjective
from lumora.weights_io import Module, load_weights, save_weights

CODEC = Path("weights") / "codec.safetensors"
LINEAR_INIT_CLIPS = 120
"""Clips from which the initial linear layers of the codec are computed."""
METRIC_PIXELS = 60 * 64 * 64
"""The effect of each latent channel on the pixels is measured from so many pixels, first frames of clips counted."""
PIXEL_METRIC_EXPONENT = 1.0
"""How closely distances of latents follow distances of pixels (see `align_to_pixel_metric`)."""


def render_clips_stage(preset: Preset, run_dir: Path, workers: int = 2, device: str = "cpu") -> None:
    """Renders the clips of the world that `preset` asks for, and writes their captions."""
    config = DatasetConfig.of_preset(preset)
    render_dataset(config, preset.num_clips, run_dir / "frames", workers, device)
    write_captions(run_dir / "frames")


def train_codec(
    preset: Preset,
    run_dir: Path,
    max_minutes: float | None = None,
    device: str | None = None,
    init_from: Path | None = None,
    decoder_only: bool = False,
) -> TrainProgress:
    """Starts or resumes the training of the codec on the clips in `run_dir`, and exports its weights
    when it is finished.

    The initial weights are those in the .safetensors file `init_from`, or else the best linear codec. With
    `decoder_only` the encoder and the scale of the latents stay as they are.
    """
    with dist_context(device) as dist:
        torch.manual_seed(preset.codec.seed)
        codec, frames = Codec(preset.model.codec), FrameDataset(run_dir / "frames")
        if init_from is not None:
            load_weights(codec, init_from)
        elif dist.is_main and read_progress(run_dir / "codec") is None:
            init_linear(codec, frames.sample(LINEAR_INIT_CLIPS), torch.Generator().manual_seed(preset.codec.seed))
        if decoder_only:
            codec.encoder.requires_grad_(False)
            codec.standardize.momentum = 0.0
        objective = CodecObjective(codec, frames, preset.codec, dist)
        description = to_json(preset.model.codec)
        progress = train(objective, preset.codec, run_dir / "codec", dist, description, max_minutes)
        if dist.is_main and progress.step == progress.max_steps:
            codec = load_ema(Codec(preset.model.codec), run_dir / "codec")
            if not decoder_only:
                pixels = preset.buckets[0].height * preset.buckets[0].width
                sample = frames.sample(max(1, METRIC_PIXELS // pixels))
                align_to_pixel_metric(codec.eval(), sample, PIXEL_METRIC_EXPONENT)
            save_weights(codec, run_dir / CODEC)
    return progress


def encode_latents_stage(preset: Preset, run_dir: Path, workers: int = 0, device: str | None = None) -> None:
    """Encodes the clips in `run_dir` by the exported codec, and their captions by the text encoder.

    A run directory without `frames` has latents of own footage (`data.footage.footage_latents`), and nothing is to be
    encoded.
    """
    if not (run_dir / "frames").exists() and any((run_dir / "latents").glob("latents-*")):
        return
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model, frames, latents = preset.model, run_dir / "frames", run_dir / "latents"
    encode_latents(frames, latents, model.codec, run_dir / CODEC, workers, device)


def train_transformer(
    preset: Preset,
    run_dir: Path,
    max_minutes: float | None = None,
    device: str | None = None,
    init_from: Path | None = None,
    extra_data: Sequence[Path] = (),
    stop_step: int | None = None,
    name: str = TRANSFORMER,
) -> TrainProgress:
    """Starts or resumes the training of a transformer on the latents in `run_dir`, and exports it.

    `init_from` is a .safetensors file with the initial weights. `extra_data` are run directories with the same codec,
    whose latents are used too; one that is listed twice is used twice. `stop_step` ends this call earlier, on the same
    schedule. `name` is that of one of the model's transformers (`ModelConfig.transformers`), each of which has a run of
    its own.
    Raises ValueError for data of another codec.
    """
    for other in extra_data:
        if (other / CODEC).read_bytes() != (run_dir / CODEC).read_bytes():
            raise ValueError(f"The latents in {other} are of another codec than those in {run_dir}.")
    model, schedule = preset.model.transformers()[name], preset.schedule(name)
    with dist_context(device) as dist:
        torch.manual_seed(schedule.seed)
        transformer = Transformer(model.transformer)
        if init_from is not None:
            load_weights(transformer, init_from)
        latents = LatentDataset(run_dir / "latents", extra_folders=[other / "latents" for other in extra_data])
        objective = FlowObjective(transformer, latents, model, schedule, dist)
        progress = train(objective, schedule, run_dir / name, dist, to_json(model), max_minutes, stop_step)
        if dist.is_main:
            average = load_ema(Transformer(model.transformer), run_dir / name)
            save_weights(average, run_dir / "weights" / f"{name}.safetensors")
            _write_model_config(preset.model, run_dir / "weights")
    return progress


def save_model(transformers: Transformers, model: ModelConfig, weights: Path) -> None:
    """Writes transformers and the model.json that describes them to the folder `weights`, which has the codec."""
    for name, transformer in transformers_by_name(transformers).items():
        save_weights(transformer, weights / f"{name}.safetensors")
    _write_model_config(model, weights)


def _write_model_config(model: ModelConfig, weights: Path) -> None:
    with atomic_write(weights / "model.json") as part:
        part.write_text(to_json(model))


def copy_codec(model: Path, run_dir: Path) -> Path:
    """Copies the codec of the model in a folder to a run directory, and returns its path there.

    Raises ValueError if the run directory has another codec, whose latents it may hold.
    """
    codec, content = run_dir / CODEC, (model / CODEC.name).read_bytes()
    if codec.exists() and codec.read_bytes() != content:
        raise ValueError(f"{run_dir} has another codec; choose another --run-dir or another --model.")
    codec.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(codec) as part:
        part.write_bytes(content)
    return codec


def load_ema(module: Module, run: Path, decay: float | None = None) -> Module:
    """`module` with the EMA of a run with `decay`, by default the longest. Raises ValueError if the run lacks it."""
    module.load_state_dict(read_ema(run, decay), strict=False)  # integer buffers are not averaged
    return module


def read_model_config(folder: Path) -> ModelConfig:
    return from_json(ModelConfig, (folder / "model.json").read_text())
