"""How fast training is, against the measured matrix-multiply peak, and how much of it the optimizer takes.

    python benchmarks/train.py --preset cpu --threads 2

Data is random: only its shapes matter. Prints a line for the codec and one for the transformer.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from lumora.codec import Codec
from lumora.data.datasets import FrameDataset, LatentDataset
from lumora.data.latent_cache import latent_path
from lumora.model.transformer import Transformer
from lumora.presets import PRESETS, Preset
from lumora.train.distributed import DistContext, dist_context
from lumora.train.loop import Objective, read_log, train
from lumora.train.objectives import CodecObjective, FlowObjective

CAPTION_TOKENS = (12, 30, 90)
"""Of a short caption, a sentence and a paragraph."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    preset = PRESETS[options.preset]()
    with tempfile.TemporaryDirectory() as folder, dist_context() as here:
        for task, name in (
            (_codec(preset, Path(folder), here), "codec"),
            (_transformer(preset, Path(folder), here), "transformer"),
        ):
            config = replace(getattr(preset, name), steps=2 * options.steps, log_every=options.steps)
            train(task, config, Path(folder) / name, here)
            entry = read_log(Path(folder) / name)[-1]
            share = _optimizer_seconds(task) * entry["clips_per_s"] / task.clips
            print(
                f"{name}: {entry['clips_per_s']:.2f} clips/s, {entry['gflops']:.0f} GFLOP/s, "
                f"{100 * entry['of_peak']:.0f} % of peak, the optimizer {100 * share:.0f} % of the time"
            )


def _codec(preset: Preset, folder: Path, here: DistContext) -> CodecObjective:
    shape, pixels = preset.buckets[0], np.random.default_rng(0)
    frames = pixels.integers(
        0, 256, (preset.codec.batch_size, shape.num_frames, shape.height, shape.width, 3), np.uint8
    )
    np.save(folder / "frames-00000.npy", frames)
    return CodecObjective(Codec(preset.model.codec), FrameDataset(folder), preset.codec, here)


def _transformer(preset: Preset, folder: Path, here: DistContext) -> FlowObjective:
    shape, codec, count = preset.buckets[0], preset.model.codec, preset.transformer.batch_size
    size = (
        codec.latent_channels,
        1 + (shape.num_frames - 1) // codec.temporal_compression,
        shape.height // codec.spatial_compression,
        shape.width // codec.spatial_compression,
    )
    lengths = torch.tensor(CAPTION_TOKENS).repeat(2 * count)
    content = {
        "latents": torch.randn(2, count, *size).bfloat16(),
        "fps": torch.full((count,), shape.fps),
        "text": torch.randn(int(lengths.sum()), 384).bfloat16(),
        "captions": torch.tensor([0, *lengths.cumsum(0).tolist()]),
        "first": torch.arange(2 * count + 1) * len(CAPTION_TOKENS),
    }
    save_file(content, latent_path(folder, 0))
    return FlowObjective(
        Transformer(preset.model.transformer), LatentDataset(folder), preset.model, preset.transformer, here
    )


def _optimizer_seconds(task: Objective) -> float:
    """Of one update, the best of three."""
    optimizer = task.optimizer()
    for parameter in task.module.parameters():
        parameter.grad = torch.randn_like(parameter)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
