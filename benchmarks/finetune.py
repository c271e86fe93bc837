"""Teaches the default model a look that its world does not have, ink drawings, from 50 clips, and measures what it
learnt and what it lost.

    python benchmarks/finetune.py --run-dir /tmp/ink                   # adapters (LoRA)
    python benchmarks/finetune.py --run-dir /tmp/ink-all --all-weights

The look: gray ink lines on white paper, drawn from the edges of renders. A generated clip counts as an ink drawing if
it is nearly without color and mostly as bright as paper. The same command continues an interrupted run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from world_footage import count_facts, ingest_clips, strip

import lumora
from lumora.config import VideoShape
from lumora.evaluate.instruments.probe import Probe
from lumora.request.spec import Request
from lumora.service.batch import make_videos
from lumora.train.finetune import FinetuneConfig, finetune
from lumora.world.caption import caption
from lumora.world.clip import Clip, make_scene
from lumora.world.facts import facts_of

LOOK = "an ink drawing of "
SHAPE = VideoShape(17, 64, 64, 8.0)
TRAIN_SEED, TEST_SEED = 700, 32_000
MAX_SATURATION, MIN_BRIGHTNESS = 20.0, 170.0
"""Of an ink drawing, in gray levels: the mean difference of the largest and the smallest channel, and the mean."""
DEFAULT_MODEL = Path(lumora.__file__).parent / "weights"


def ink(frames: np.ndarray) -> np.ndarray:
    """Dark lines where the brightness changes, and faint shading, on white paper."""
    gray = frames.astype(np.float32).mean(axis=-1)
    down, right = np.gradient(gray, axis=(1, 2))
    lines = np.clip(np.hypot(down, right) * 6, 0, 210)
    paper = 255 - 0.12 * (255 - gray)
    return np.repeat(np.clip(paper - lines, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def make_dataset(folder: Path, clips: int) -> Path:
    """Ink drawings of clips of `plain`, with captions, ingested. At four times the size of the model, as footage is."""

    def describe(clip: Clip, index: int) -> str:
        text = caption(clip.facts, "sentence", np.random.default_rng([TRAIN_SEED, index])).text
        return LOOK + text[0].lower() + text[1:]

    shape = VideoShape(17, 128, 128, 8.0)
    ingest_clips(folder / "footage", folder / "dataset", clips, TRAIN_SEED, shape, describe, ink)
    return folder / "dataset"


def measure(model: Path, count: int) -> None:
    """The share of ink drawings where they are asked for and where not, and the probe's score on plain prompts."""
    captions = []
    for index in range(count):
        facts = facts_of(*make_scene("plain", TEST_SEED, index, SHAPE))
        captions.append(caption(facts, "sentence", np.random.default_rng([TEST_SEED, index])))
    probe = Probe.load(DEFAULT_MODEL / "probe.safetensors")
    for look in ("", LOOK):
        prompts = [look + c.text[0].lower() + c.text[1:] if look else c.text for c in captions]
        requests = [Request(prompt, seed=n) for n, prompt in enumerate(prompts)]
        videos = make_videos(requests, model, 0, 8)
        drawings = np.mean([is_ink(frames) for frames in videos])
        line = f"{'with' if look else 'without'} the look in the prompt: {drawings:.0%} ink drawings"
        if not look:
            found, total = np.sum(count_facts(probe, videos, captions), axis=0)
            line += f", {found / total:.1%} of {total} facts"
        print(line, flush=True)
        strip(videos).save(model.parent / f"{'ink' if look else 'plain'}.png")


def is_ink(frames: np.ndarray) -> bool:
    saturation = (frames.max(axis=-1).astype(int) - frames.min(axis=-1)).mean()
    return bool(saturation < MAX_SATURATION and frames.mean() > MIN_BRIGHTNESS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--max-steps", type=int, default=1500)
    parser.add_argument("--all-weights", action="store_true")
    parser.add_argument("--base", action="store_true", help="measure the default model before")
    options = parser.parse_args()
    torch.set_num_threads(1)
    run_dir: Path = options.run_dir
    dataset = run_dir / "dataset"
    if not (dataset / "report.html").exists():
        dataset = make_dataset(run_dir, options.clips)
    if options.base:
        (run_dir / "base").mkdir(exist_ok=True)
        (run_dir / "base" / "weights").symlink_to(DEFAULT_MODEL)
        measure(run_dir / "base" / "weights", options.prompts)
    rank = None if options.all_weights else 16
    config = FinetuneConfig(dataset, DEFAULT_MODEL, rank, options.max_steps)
    progress = finetune(config, run_dir / "run", device="cpu")
    print(f"step {progress.step}, {progress.seconds:.0f} s of training")
    measure(run_dir / "run" / "weights", options.prompts)
