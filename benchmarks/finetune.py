"""Teaches the default model a look that its world does not have, ink drawings, from 50 clips, and measures what it
learnt and what it lost.

    python benchmarks/finetune.py --run-dir /tmp/ink                   # adapters (LoRA)
    python benchmarks/finetune.py --run-dir /tmp/ink-all --all-weights

The look: gray ink lines on white paper, drawn from the edges of renders. A generated clip counts as an ink drawing if
it is nearly without color and mostly as bright as paper. The same command continues an interrupted run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import lumora
from lumora.config import VideoShape
from lumora.data.footage.ingest import IngestConfig, ingest, processes
from lumora.data.footage.screening import Screening
from lumora.evaluate.instruments.probe import Probe
from lumora.media.video import Video
from lumora.request.spec import Request
from lumora.service.batch import make_videos
from lumora.train.finetune import FinetuneConfig, finetune
from lumora.world.caption import caption
from lumora.world.clip import make_clip, make_scene
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
    source, out = folder / "footage", folder / "dataset"
    source.mkdir(parents=True, exist_ok=True)
    lines = []
    for index in range(clips):
        clip = make_clip("plain", TRAIN_SEED, index, VideoShape(17, 128, 128, 8.0))
        Video(ink(np.asarray(clip.frames)), 8.0).save(source / f"{index:03}.mp4")
        text = caption(clip.facts, "sentence", np.random.default_rng([TRAIN_SEED, index])).text
        lines.append(json.dumps({"file_name": f"{index:03}.mp4", "text": LOOK + text[0].lower() + text[1:]}))
    (source / "metadata.jsonl").write_text("\n".join(lines))
    limits = Screening(max_shake=1.0, max_text=1.0)
    summary = ingest(source, out, IngestConfig(str(source), limits, reviewed=False), processes(0), None)
    print(f"{len(summary.kept)} clips of {clips} are kept: {dict(summary.reasons)}")
    return out


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
            readings = probe.read_clips([torch.from_numpy(frames) for frames in videos])
            shown = [r.shows(f, c.facts) for r, c in zip(readings, captions, strict=True) for f in c.facts]
            known = [fact for fact in shown if fact is not None]
            line += f", {np.mean(known):.1%} of {len(known)} facts"
        print(line, flush=True)
        Video(np.concatenate([v[[0, 8, 16]].transpose(1, 0, 2, 3).reshape(1, 64, 192, 3) for v in videos[:8]], axis=1),
              1.0).save(model.parent / f"{'ink' if look else 'plain'}.png")  # fmt: skip


def is_ink(frames: np.ndarray) -> bool:
    saturation = (frames.max(axis=-1).astype(int) - frames.min(axis=-1)).mean()
    return bool(saturation < MAX_SATURATION and frames.mean() > MIN_BRIGHTNESS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--max-steps", type=int, default=600)
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
