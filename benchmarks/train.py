"""Measures training speed against the peak of a matrix product, and the share of time that the optimizer takes.

    python benchmarks/train.py --preset cpu --threads 2

The data is random, because only its shapes matter. Prints a line for the codec and one for the transformer.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lumora.codec import Codec
from lumora.data.datasets import FrameDataset, LatentDataset
from lumora.data.latent_cache import latent_path, save_latent_shard
from lumora.model.transformer import Transformer
from lumora.presets import PRESETS, Preset
from lumora.train.distributed import DistContext, dist_context
from lumora.train.loop import Objective, read_log, train
from lumora.train.objectives import CodecObjective, FlowObjective

CAPTION_TOKENS = (12, 30, 90)
"""Lengths of a short caption, a sentence and a paragraph."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4, help="steps that are measured, after as many to warm up")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    preset = PRESETS[options.preset]()
    with tempfile.TemporaryDirectory() as folder, dist_context() as dist:
        for objective, name in (
            (_codec_objective(preset, Path(folder), dist), "codec"),
            (_flow_objective(preset, Path(folder), dist), "transformer"),
        ):
            config = replace(getattr(preset, name), max_steps=2 * options.steps, log_every=options.steps)
            train(objective, config, Path(folder) / name, dist)
            entry = read_log(Path(folder) / name)[-1]
            share = _optimizer_seconds(objective) * entry["clips_per_s"] / objective.clips_per_step
            print(
                f"{name}: {entry['clips_per_s']:.2f} clips/s, {entry['gflops']:.0f} GFLOP/s, "
                f"{100 * entry['mfu']:.0f} % of peak, the optimizer {100 * share:.0f} % of the time"
            )


def _codec_objective(preset: Preset, folder: Path, dist: DistContext) -> CodecObjective:
    shape, generator = preset.buckets[0], np.random.default_rng(0)
    size = (preset.codec.batch_size, shape.num_frames, shape.height, shape.width, 3)
    np.save(folder / "frames-00000.npy", generator.integers(0, 256, size, np.uint8))
    return CodecObjective(Codec(preset.model.codec), FrameDataset(folder), preset.codec, dist)


def _flow_objective(preset: Preset, folder: Path, dist: DistContext) -> FlowObjective:
    shape, codec, count = preset.buckets[0], preset.model.codec, preset.transformer.batch_size
    size = (
        1 + (shape.num_frames - 1) // codec.temporal_compression,
        shape.height // codec.spatial_compression,
        shape.width // codec.spatial_compression,
    )
    latents = torch.randn(2, count, codec.latent_channels, *size).bfloat16()
    captions = [[(torch.randn(length, 384).bfloat16(), size[0])] for length in CAPTION_TOKENS]
    subject = torch.zeros(count, *size, dtype=torch.uint8)
    save_latent_shard(latent_path(folder, 0), shape, latents, subject, [captions] * (2 * count))
    transformer = Transformer(preset.model.transformer)
    return FlowObjective(transformer, LatentDataset(folder), preset.model, preset.transformer, dist)


def _optimizer_seconds(objective: Objective) -> float:
    """Seconds of one update, the best of three."""
    optimizer = objective.optimizer()
    for parameter in objective.module.parameters():
        parameter.grad = torch.randn_like(parameter)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
