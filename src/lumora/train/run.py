"""The stages of making a model, each of which goes on where it was left: clips, codec, latents, transformer, weights.

All share one folder: `frames` and `latents` hold shards, `codec` and `transformer` runs, `weights` what they gave.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from lumora.atomic_io import atomic_write
from lumora.codec import Codec, align_to_pixel_metric, init_linear
from lumora.config import ModelConfig, from_json, to_json
from lumora.data.captions import write_captions
from lumora.data.datasets import FrameDataset, LatentDataset
from lumora.data.latent_cache import encode_latents
from lumora.data.shards import render_dataset
from lumora.model.transformer import Transformer
from lumora.presets import Preset
from lumora.train.checkpoint import TrainProgress
from lumora.train.distributed import dist_context
from lumora.train.loop import CHECKPOINT, train
from lumora.train.objectives import CodecObjective, FlowObjective
from lumora.weights_io import Module, load_weights, save_weights

CODEC = Path("weights") / "codec.safetensors"
LINEAR_SAMPLE = 120
"""Clips of which the codec's linear start is the optimum."""
BASIS_SAMPLE = 60
"""Clips that tell how much each channel of the latent changes a picture."""
PIXEL_POWER = 1.0
"""How far distances of latents are those of pictures, see `weigh_by_pixels`."""


def render_clips_stage(preset: Preset, folder: Path, workers: int = 2, device: str = "cpu") -> None:
    """Renders and words the clips of the world that the preset asks for."""
    render_dataset(
        preset.world,
        preset.seed,
        preset.num_clips,
        preset.buckets,
        folder / "frames",
        workers,
        preset.shard_size,
        device,
    )
    write_captions(folder / "frames")


def train_codec(
    preset: Preset,
    folder: Path,
    minutes: float | None = None,
    device: str | None = None,
    init_from: Path | None = None,
) -> TrainProgress:
    """Trains the codec on the clips in `folder`, or goes on, and exports it.

    It begins with the weights in the file `init_from`, or else as the best linear codec.
    """
    with dist_context(device) as here:
        torch.manual_seed(preset.codec.seed)
        codec, frames = Codec(preset.model.codec), FrameDataset(folder / "frames")
        if init_from is not None:
            load_weights(codec, init_from)
        elif here.main and not (folder / "codec" / CHECKPOINT).exists():
            init_linear(codec, frames.sample(LINEAR_SAMPLE), torch.Generator().manual_seed(preset.codec.seed))
        task = CodecObjective(codec, frames, preset.codec, here)
        progress = train(task, preset.codec, folder / "codec", here, to_json(preset.model.codec), minutes)
        if here.main:
            codec = ema_module(Codec(preset.model.codec), folder / "codec")
            align_to_pixel_metric(codec.eval(), frames.sample(BASIS_SAMPLE), PIXEL_POWER)
            save_weights(codec, folder / CODEC)
    return progress


def encode_latents_stage(preset: Preset, folder: Path, workers: int = 0, device: str | None = None) -> None:
    """Encodes the clips in `folder` and their captions by the exported codec and the text encoder."""
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    encode_latents(folder / "frames", folder / "latents", preset.model.codec, folder / CODEC, workers, place)


def train_transformer(
    preset: Preset,
    folder: Path,
    minutes: float | None = None,
    device: str | None = None,
    init_from: Path | None = None,
    extra_data: Sequence[Path] = (),
) -> TrainProgress:
    """Trains the transformer on the latents in `folder`, or goes on; `start` is a file of weights to begin with.

    `also` are folders of other trainings with the same codec, whose latents it sees too; named twice, twice as often.
    Raises ValueError for one with another codec.
    """
    model = preset.model
    for other in extra_data:
        if (other / CODEC).read_bytes() != (folder / CODEC).read_bytes():
            raise ValueError(f"The latents in {other} are of another codec than those in {folder}.")
    with dist_context(device) as here:
        torch.manual_seed(preset.transformer.seed)
        transformer = Transformer(model.transformer)
        if init_from is not None:
            load_weights(transformer, init_from)
        latents = LatentDataset(folder / "latents", also=[other / "latents" for other in extra_data])
        task = FlowObjective(transformer, latents, model, preset.transformer, here)
        progress = train(task, preset.transformer, folder / "transformer", here, to_json(model), minutes)
        if here.main:
            export_model(preset, folder)
    return progress


def export_model(preset: Preset, folder: Path, decay: float | None = None) -> None:
    """Writes what `lumora generate --weights` reads: the averages with a decay, by default the longest, of the run."""
    weights = folder / "weights"
    transformer = ema_module(Transformer(preset.model.transformer), folder / "transformer", decay)
    save_weights(transformer, weights / "transformer.safetensors")
    with atomic_write(weights / "model.json") as part:
        part.write_text(to_json(preset.model))


def ema_module(module: Module, run: Path, decay: float | None = None) -> Module:
    """`module` with the average of a run's weights over its past with this decay, by default the longest.

    Raises ValueError for one that the run lacks.
    """
    averages = torch.load(run / CHECKPOINT, map_location="cpu", weights_only=True)["averages"]
    name = str(decay) if decay is not None else max(averages, key=float)
    if name not in averages:
        raise ValueError(f"The run in {run} keeps averages of decay {', '.join(averages)}, not {name}.")
    module.load_state_dict(averages[name], strict=False)  # integers, if any, are no averages
    return module


def read_model(folder: Path) -> ModelConfig:
    return from_json(ModelConfig, (folder / "model.json").read_text())
