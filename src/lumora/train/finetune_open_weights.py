"""Fine-tunes an open-weight model on ingested footage: adapters (LoRA) by peft, in the format that diffusers loads.

The run directory holds the encoded windows of the dataset, the run with its checkpoints, and in `weights` the LoRA file
for `lumora generate --model … --lora`. A model with two transformers has a file for each.
"""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict
from torch import Tensor, nn

from lumora.backends.diffusers.diffusers_backend import DiffusersBackend
from lumora.backends.diffusers.loaded_model import LoadedModel
from lumora.config import OptimizerConfig, TrainConfig
from lumora.data.datasets import EpochSampler
from lumora.data.footage.tar_shards import shard_paths
from lumora.train.checkpoint import TrainProgress
from lumora.train.distributed import dist_context
from lumora.train.loop import train
from lumora.train.open_weights_data import encode_for_open_weights
from lumora.train.optimizer import MuonAdam, make_optimizer
from lumora.train.run import load_ema
from lumora.train.throughput import count_flops

ADAPTED = ("to_q", "to_k", "to_v", "to_out.0")
"""Layers that get an adapter, as in the training scripts of diffusers."""
TRAINABLE = ("wan", "wan2.2-5b", "wan-vace", "ltx", "ltx-condition")
"""Families that are trained by flow matching and whose latents can be encoded."""


@dataclass(frozen=True)
class OpenWeightsFinetuneConfig:
    """What is fine-tuned on what, and for how long."""

    dataset: Path
    """A dataset of `lumora data ingest` whose clips have captions."""
    rank: int = 16
    max_steps: int = 1500
    batch_size: int = 1
    learning_rate: float = 1e-4

    def schedule(self) -> TrainConfig:
        optimizer = OptimizerConfig(
            muon_lr=0.0, adam_lr=self.learning_rate, betas=(0.9, 0.99), cooldown_fraction=0.5, ema_decays=(0.99,)
        )
        return TrainConfig(self.batch_size, self.max_steps, optimizer=optimizer)


def finetune_open_weights(
    backend: DiffusersBackend,
    config: OpenWeightsFinetuneConfig,
    run_dir: Path,
    max_minutes: float | None = None,
    device: str | None = None,
) -> TrainProgress:
    """Starts or resumes a run in this process, and writes the LoRA files.

    Raises ValueError, in one sentence, for a model that cannot be fine-tuned, a dataset that is none, clips without
    captions, and a run directory of another run.
    """
    entry = backend.entry
    check_trainable(backend)
    shard_paths(config.dataset)  # before the model is loaded
    with dist_context(device) as dist:
        if dist.world_size > 1:
            raise ValueError("Adapters of an open-weight model are trained in one process; start one.")
        model = LoadedModel(entry, backend.folder, dist.device, [], None)
        pipe = model.pipeline(entry.calls.text_pipeline or "")
        files = encode_for_open_weights(config.dataset, run_dir / "encoded", pipe, entry)
        pipe.text_encoder = pipe.vae = None  # their memory is for the training
        torch.manual_seed(0)
        objective = AdapterObjective(pipe, files, config)
        identity = f"{backend.identity()['sha256']} {config!r}"
        progress = train(objective, config.schedule(), run_dir / "transformer", dist, identity, max_minutes)
        load_ema(objective.module, run_dir / "transformer")
        _export(pipe, run_dir / "weights")
    return progress


def check_trainable(backend: DiffusersBackend) -> None:
    """Raises ValueError, in one sentence, for a model that cannot be fine-tuned."""
    entry = backend.entry
    if entry.family not in TRAINABLE:
        raise ValueError(f"{entry.name} cannot be fine-tuned; models of these families can: {', '.join(TRAINABLE)}.")
    if entry.noise_levels:
        raise ValueError(f"{entry.name} was distilled to few steps, which training would undo; name its base model.")


class AdapterObjective:
    """Flow matching (arXiv:2210.02747) of adapters: the transformer predicts noise − latents.

    The module that is trained, averaged and stored holds the adapters alone.
    """

    def __init__(self, pipe: Any, files: list[Path], config: OpenWeightsFinetuneConfig) -> None:
        second = getattr(pipe, "transformer_2", None)
        self.transformers = [pipe.transformer, *([second] if second is not None else [])]
        self.boundary = float(pipe.config.get("boundary_ratio") or 0.0)
        for transformer in self.transformers:
            transformer.requires_grad_(False)
            transformer.add_adapter(LoraConfig(r=config.rank, target_modules=[*ADAPTED], lora_alpha=config.rank))
            if transformer.device.type == "cuda":
                transformer.enable_gradient_checkpointing()
        trained = [p for transformer in self.transformers for p in transformer.parameters() if p.requires_grad]
        for parameter in trained:
            parameter.data = parameter.data.float()
        self.module: nn.Module = nn.ParameterList(trained)
        self.scheduler, self.files, self.config = pipe.scheduler, files, config
        self.clips_per_step = config.batch_size
        self._sampler = EpochSampler(len(files), config.batch_size, 0)

    def shard_units(self) -> list[nn.Module]:
        return [self.module]

    def optimizer(self) -> MuonAdam:
        return make_optimizer(self.module, self.config.schedule().optimizer)

    def flops(self, step: int) -> float:
        return count_flops(lambda: self.loss(step, torch.Generator().manual_seed(0))[0].backward())

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        losses = [self._clip_loss(self.files[index], generator) for index in self._sampler.indices(step)]
        return torch.stack(losses).mean(), {}

    def _clip_loss(self, file: Path, generator: torch.Generator) -> Tensor:
        device = self.transformers[0].device
        arguments = {name: _to(value, device) for name, value in torch.load(file, weights_only=True).items()}
        latents = arguments.pop("hidden_states").float()
        noise = torch.randn(latents.shape, generator=generator).to(device)
        sigma = self._draw_sigma(latents, generator)
        # The first transformer of two is for high noise.
        transformer = self.transformers[0 if sigma >= self.boundary else -1]
        arguments["timestep"] = torch.full_like(
            arguments["timestep"], sigma * self.scheduler.config.num_train_timesteps, dtype=torch.float32
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=transformer.dtype == torch.bfloat16):
            noisy = ((1 - sigma) * latents + sigma * noise).to(transformer.dtype)
            predicted = transformer(hidden_states=noisy, **arguments, return_dict=False)[0]
        return (predicted.float() - (noise - latents)).square().mean()

    def _draw_sigma(self, latents: Tensor, generator: torch.Generator) -> float:
        """A logit-normal noise level (arXiv:2403.03206, eq. 19), shifted as the scheduler shifts those of sampling."""
        config, logit = self.scheduler.config, float(torch.randn((), generator=generator))
        if config.get("use_dynamic_shifting"):
            tokens = (config.base_image_seq_len, config.max_image_seq_len)
            share = (latents.shape[1] - tokens[0]) / (tokens[1] - tokens[0])
            logit += config.base_shift + share * (config.max_shift - config.base_shift)
        else:
            logit += math.log(config.get("flow_shift") or config.get("shift") or 1.0)
        return 1 / (1 + math.exp(-logit))


def _to(value: Any, device: torch.device) -> Any:
    if isinstance(value, tuple):
        return tuple(_to(item, device) for item in value)
    return value.to(device) if isinstance(value, Tensor) else value


def _export(pipe: Any, folder: Path) -> None:
    """Writes `lora.safetensors`, or `lora-high-noise.safetensors` and `lora-low-noise.safetensors`."""
    second = getattr(pipe, "transformer_2", None)
    transformers = {"lora": pipe.transformer}
    if second is not None:
        transformers = {"lora-high-noise": pipe.transformer, "lora-low-noise": second}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as part:
        for name, transformer in transformers.items():
            state = {key: tensor.cpu() for key, tensor in get_peft_model_state_dict(transformer).items()}
            pipe.save_lora_weights(part, transformer_lora_layers=state, weight_name=f"{name}.safetensors")
            os.replace(Path(part) / f"{name}.safetensors", folder / f"{name}.safetensors")
