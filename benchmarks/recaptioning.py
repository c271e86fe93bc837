"""Compares two models that are trained on the same pictures: one with their short captions, one with our captioner's.

    python benchmarks/recaptioning.py --run-dir /tmp/recaption

Both continue the default weights with new text layers, so that nothing but these captions tells them what words mean.
The pictures are footage to lumora: ingested with short captions (`lumora data ingest`), and for the second model
described by the world's captioner (`lumora data caption`). Pictures, not videos, as in the ablation of DALL·E 3 (Betker
et al. 2023, section 3), because they cost less. The score is the share of the facts of held-out prompts that the probe
finds: of short prompts, of the same prompts expanded, and of descriptive ones. The same command continues.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import torch
from world_footage import count_facts, describe_difference, ingest_clips, strip

import lumora
from lumora.config import OptimizerConfig, TrainConfig, VideoShape
from lumora.data.datasets import LatentDataset
from lumora.data.footage.captioning import caption_dataset
from lumora.data.footage.footage_latents import encode_footage
from lumora.evaluate.instruments.probe import Probe
from lumora.evaluate.instruments.world_captioner import WorldCaptioner
from lumora.model.transformer import Transformer
from lumora.request.spec import Request
from lumora.service.batch import make_videos
from lumora.service.prompt_expander import WorldExpander
from lumora.train.distributed import dist_context
from lumora.train.loop import train
from lumora.train.objectives import FlowObjective
from lumora.train.run import copy_codec, load_ema, read_model_config, save_model
from lumora.train.warm_start import warm_start
from lumora.world.caption import caption
from lumora.world.clip import Clip, make_scene
from lumora.world.facts import facts_of

SHAPE = VideoShape(1, 64, 64, 8.0)
TRAIN_SEED, TEST_SEED = 710, 33_000
DEFAULT_MODEL = Path(lumora.__file__).parent / "weights"
NEW = ("text_proj.", "pooled_text_proj.", "null_text", "text_refiner.", "text_position_embedding")
"""Names of the layers that read text begin so."""


def make_datasets(folder: Path, pictures: int) -> None:
    """`short` and `described` in `folder`: the same pictures of `plain` with short captions, and described too."""

    def describe(clip: Clip, index: int) -> str:
        return caption(clip.facts, "short", np.random.default_rng([TRAIN_SEED, index])).text

    ingest_clips(folder / "footage", folder / "short", pictures, TRAIN_SEED, SHAPE, describe)
    shutil.copytree(folder / "short", folder / "captioning")
    caption_dataset(folder / "captioning", WorldCaptioner.load())
    (folder / "captioning").rename(folder / "described")


def train_model(dataset: Path, run: Path, max_steps: int) -> Path:
    """The model of one dataset, in the folder that is returned."""
    model = read_model_config(DEFAULT_MODEL)
    encode_footage(dataset, run / "latents", model, copy_codec(DEFAULT_MODEL, run))
    optimizer = OptimizerConfig(0.003, adam_lr=1e-3, cooldown_fraction=0.5, ema_decays=(0.98, 0.99))
    config = TrainConfig(batch_size=32, max_steps=max_steps, optimizer=optimizer)
    transformer = warm_start(DEFAULT_MODEL, model)
    torch.manual_seed(0)
    fresh = Transformer(model.transformer).state_dict()
    transformer.load_state_dict({k: w for k, w in fresh.items() if k.startswith(NEW)}, strict=False)
    with dist_context("cpu") as dist:
        objective = FlowObjective(transformer, LatentDataset(run / "latents"), model, config, dist)
        train(objective, config, run / "transformer", dist)
    save_model(load_ema(transformer, run / "transformer"), model, run / "weights")
    return run / "weights"


def measure(models: dict[str, Path], count: int, out: Path) -> None:
    """Prints the shares of found facts, and their differences between the models with a bootstrap interval."""
    probe, expander = Probe.load(DEFAULT_MODEL / "probe.safetensors"), WorldExpander()
    facts = [facts_of(*make_scene("plain", TEST_SEED, index, SHAPE)) for index in range(count)]
    for style in ("short", "expanded", "paragraph"):
        writing = "short" if style == "expanded" else style
        captions = [caption(f, writing, np.random.default_rng([TEST_SEED, n])) for n, f in enumerate(facts)]
        prompts = [expander.expand(c.text, n) if style == "expanded" else c.text for n, c in enumerate(captions)]
        counts = []
        for name, model in models.items():
            requests = [Request(p, seconds=0.0, size=SHAPE.resolution, fps=8.0, seed=n) for n, p in enumerate(prompts)]
            videos = make_videos(requests, model, 0, 8)
            counts.append(count_facts(probe, videos, captions))
            found, total = np.sum(counts[-1], axis=0)
            print(f"{style} prompts, {name}: {found} of {total} facts, {found / total:.1%}", flush=True)
            strip(videos).save(out / f"{style}-{name}.png")
        print(f"    {describe_difference(counts)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--prompts", type=int, default=80)
    parser.add_argument("--max-steps", type=int, default=600)
    options = parser.parse_args()
    torch.set_num_threads(1)
    run_dir: Path = options.run_dir
    if not (run_dir / "described").exists():
        make_datasets(run_dir, options.pictures)
    trained = {
        name: train_model(run_dir / name, run_dir / f"model-{name}", options.max_steps)
        for name in ("short", "described")
    }
    measure(trained, options.prompts, run_dir)
