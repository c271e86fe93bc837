"""Fine-tunes a trained model on an ingested dataset of footage: all weights, or adapters (LoRA) alone.

The run directory holds the latents of the dataset, the clips of the world that are mixed in, the run with its
checkpoints, and in `weights` the model that `lumora generate --model` loads; `weights/lora.safetensors` are the
adapters alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from lumora.config import ModelConfig, to_json
from lumora.data.datasets import LatentDataset
from lumora.data.footage.footage_latents import encode_footage
from lumora.data.render_latents import render_latents
from lumora.model.lora_layers import add_lora, merge_lora, save_lora
from lumora.model.noise_experts import Transformers, load_transformers, transformers_by_name
from lumora.presets import Preset, finetuning
from lumora.train.checkpoint import TrainProgress, read_progress
from lumora.train.distributed import dist_context
from lumora.train.loop import train
from lumora.train.objectives import FlowObjective
from lumora.train.run import copy_codec, load_ema, read_model_config, save_model

LORA = Path("weights") / "lora.safetensors"


@dataclass(frozen=True)
class FinetuneConfig:
    """What is fine-tuned on what, and for how long."""

    dataset: Path
    """A dataset of `lumora data ingest` whose clips have captions."""
    model: Path
    """The folder of the model that is fine-tuned."""
    lora_rank: int | None = 16
    """Rank of the adapters; None trains all weights."""
    max_steps: int = 1500
    batch_size: int = 8
    prior_world: str = "stage"
    """Preset of the world whose clips are mixed in."""
    prior_clips: int = 800
    """Number of these clips. They keep what the model knew, as the prior images of DreamBooth (arXiv:2208.12242,
    section 3.2) do. 0: none, for a model that was trained on something else."""


def finetune(
    config: FinetuneConfig, run_dir: Path, max_minutes: float | None = None, device: str | None = None
) -> TrainProgress:
    """Starts or resumes a fine-tuning run, and exports the model.

    Raises ValueError for a model or a dataset that is none, clips without captions, and a run directory of another run.
    """
    model = read_model_config(config.model)
    with dist_context(device) as dist:
        if dist.is_main:
            _prepare_data(config, model, run_dir, dist.device.type)
        dist.wait_for_all()  # until the data are there
        latents = _latents(config, run_dir)
        schedule = finetuning(config.max_steps, config.batch_size, config.lora_rank)
        start, progress = time.monotonic(), None
        for name, transformer in transformers_by_name(_adapted_transformers(config, model)).items():
            part, minutes = model.transformers()[name], (time.monotonic() - start) / 60
            torch.manual_seed(0)
            objective = FlowObjective(transformer, latents, part, schedule, dist)
            left = None if max_minutes is None else max(0.0, max_minutes - minutes)
            progress = train(objective, schedule, run_dir / name, dist, to_json(part) + repr(config), left)
            if progress.step < progress.max_steps:
                break
        if dist.is_main and all(read_progress(run_dir / name) for name in model.transformers()):
            _export(config, model, run_dir)
    assert progress is not None, "A model has a transformer."
    return progress


def _adapted_transformers(config: FinetuneConfig, model: ModelConfig) -> Transformers:
    """The transformers of the model, with new adapters if they are asked for."""
    torch.manual_seed(0)
    transformers = load_transformers(model, config.model)
    if config.lora_rank is not None:
        add_lora(transformers, config.lora_rank)
    return transformers


def _prepare_data(config: FinetuneConfig, model: ModelConfig, run_dir: Path, device: str) -> None:
    codec = copy_codec(config.model, run_dir)
    encode_footage(config.dataset, run_dir / "latents", model, codec, device)
    if config.prior_clips:
        prior = Preset(model, config.prior_world, num_clips=config.prior_clips, buckets=(model.shape,), shard_size=50)
        render_latents(prior, codec, run_dir / "prior", workers=0, device=device)


def _latents(config: FinetuneConfig, run_dir: Path) -> LatentDataset:
    """The footage and the clips of the world; about half of the samples are footage, as in DreamBooth (section 3.2)."""
    footage = LatentDataset(run_dir / "latents")
    if not config.prior_clips:
        return footage
    repeats = max(1, round(config.prior_clips / len(footage)))
    return LatentDataset(run_dir / "prior", extra_folders=[run_dir / "latents"] * repeats)


def _export(config: FinetuneConfig, model: ModelConfig, run_dir: Path) -> None:
    """Writes the longest EMA of each run as a model, and its adapters."""
    transformers = _adapted_transformers(config, model)
    for name, transformer in transformers_by_name(transformers).items():
        load_ema(transformer, run_dir / name)
    if config.lora_rank is not None:
        save_lora(transformers.state_dict(), run_dir / LORA)
        transformers = load_transformers(model, config.model)
        merge_lora(transformers, run_dir / LORA)
    save_model(transformers, model, run_dir / "weights")
