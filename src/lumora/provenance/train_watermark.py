"""Trains the watermark's extractor, in a quarter of an hour on one CPU core.

    python -m lumora.provenance.train_watermark data/plain/frames data/films/frames --out extractor.safetensors

Each example is a clip that is watermarked for the extractor as it is at that time, with a key of its own, then attacked
(`attacks.py`) and encoded with the real codec. No gradient goes through the codec or the embedder: the embedder has no
parameters of its own. The loss is the mean of −log(1 + softplus(z)), with z the score of the correct payload in
standard deviations, so that examples that are hard to read count as much as easy ones.

Clips come from folders of frames. Three of four come from the first folder. The last shards of each folder are held
out. Weights are saved about every minute, together with the state of the training in a .pt file, from which an
interrupted training continues.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.attacks import crop, reencode, screen_recording, shift_hue
from lumora.provenance.dct import (
    ALIGNMENTS,
    CropBox,
    reduced,
    space_basis,
    spatial_gram,
    temporal_estimator,
    time_basis,
    watermark_band,
)
from lumora.provenance.extractor import Extractor, temporal_median
from lumora.terminal import say

LEARNING_RATE, WARMUP_STEPS = 2e-3, 50
BATCH_SIZE, POOL_SIZE, STEPS_PER_CLIP = 4, 480, 4
"""Examples in a step, examples that are kept to draw from, and steps after which a clip adds two new ones."""
INITIAL_CLIPS, VALIDATION_CLIPS = 32, 16
"""Each clip gives two examples."""
HELD_OUT_SHARDS = 2
"""Of each folder."""
FPS = 8.0
"""Frame rate of the folders' clips."""
LOG_SECONDS = 45

AttackedVideo: TypeAlias = tuple[Video, float, CropBox]
"""A video, its start in the original in seconds, and the part of the original frame that it shows."""


@dataclass(frozen=True)
class WatermarkExample:
    """An attacked video as tensors, with its true alignment and the signs of its watermark."""

    luma: Float[Tensor, "t h w"]
    median: Float[Tensor, "t h w"]
    time_estimator: Float[Tensor, "q t"]
    rows: Float[Tensor, "half_h s"]
    columns: Float[Tensor, "half_w s"]
    space_estimator: Float[Tensor, "n n"]
    """The inverse of `spatial_gram`."""
    signs: Float[Tensor, "q n"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="with frames-*.npy, uint8 (n, t, h, w, 3), 8 frames/s")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15.0, help="of CPU time, earlier runs included")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    train(options.folders, options.out, 60 * options.minutes, options.seed)


def train(folders: list[Path], out: Path, seconds: float, seed: int) -> None:
    """Trains for `seconds` of CPU time in total and writes the weights to `out`. Continues from `out`'s .pt file."""
    extractor = Extractor()
    optimizer = torch.optim.AdamW(extractor.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    step, spent = _restore(out.with_suffix(".pt"), extractor, optimizer)
    generator, validation_generator = np.random.default_rng([seed, step]), np.random.default_rng(77)
    training, held_out = _shards(folders, slice(-HELD_OUT_SHARDS)), _shards(folders, slice(-HELD_OUT_SHARDS, None))
    validation = _examples(Extractor(), held_out, validation_generator, VALIDATION_CLIPS)
    pool = _examples(extractor, training, generator, INITIAL_CLIPS)
    started = logged = time.process_time()
    while spent < seconds:
        if step % STEPS_PER_CLIP == 0:
            pool = [*pool, *_examples(extractor, training, generator, 1)][-POOL_SIZE:]
        decay = max(0.05, min(1.0, (1 - spent / seconds) / 0.6))
        learning_rate = LEARNING_RATE * min(1.0, (step + 1) / WARMUP_STEPS) * decay
        _optimizer_step(extractor, optimizer, learning_rate, _batch(pool, generator))
        now = time.process_time()
        step, spent, started = step + 1, spent + now - started, now
        if step == 1 or now - logged > LOG_SECONDS or spent >= seconds:
            with torch.inference_mode():
                score = np.mean([float(watermark_scores(extractor, [example])) for example in validation])
            say(f"step {step}, {spent:.0f} s: held-out score {score:.2f} standard deviations")
            state = {"extractor": extractor.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save({**state, "step": step, "spent": spent}, out.with_suffix(".pt"))
            save_file(extractor.state_dict(), out)
            logged = started = time.process_time()


def watermark_scores(extractor: Extractor, examples: list[WatermarkExample]) -> Float[Tensor, " b"]:
    """For each example the score of the correct payload, in standard deviations of fair coin flips."""
    fields = [[getattr(example, name) for example in examples] for name in WatermarkExample.__dataclass_fields__]
    luma, median, time_estimator, rows, columns, space_estimator, signs = (torch.stack(field) for field in fields)
    planes = torch.einsum("bqt,bthw->bqhw", time_estimator, extractor.extract(luma.float(), median.float()))
    grid = torch.einsum("bqhw,bhi,bwj->bqij", planes, rows, columns) / (planes.shape[2] * planes.shape[3])
    row_index, column_index = np.nonzero(watermark_band(2)[1])
    weights = extractor.soft_weights(grid[:, :, row_index, column_index] @ space_estimator)
    return (signs * weights).sum(dim=(1, 2)) / weights.square().sum(dim=(1, 2)).sqrt()


def example_of(attacked: AttackedVideo, signs: Float[np.ndarray, "q n"]) -> WatermarkExample:
    """An attacked video at the alignment that a reader would use, with the signs of its watermark."""
    video, start, shown = attacked
    clip, box = reduced(video), _nearest_box(shown)
    size, band = watermark_band(len(clip.luma))
    height, width = ((pixels + 1) // 2 for pixels in clip.luma.shape[1:])
    rows, columns = space_basis(height, size, box.top, box.height), space_basis(width, size, box.left, box.width)
    gram = spatial_gram(rows, columns, band)
    space_estimator = np.eye(len(gram)) if box == CropBox() else np.linalg.inv(gram)
    time_estimator = temporal_estimator(time_basis(start + clip.times))
    fields = (clip.luma, temporal_median(clip), time_estimator, rows, columns, space_estimator, signs)
    return WatermarkExample(*(torch.from_numpy(np.ascontiguousarray(field, np.float32)) for field in fields))


def _restore(path: Path, extractor: Extractor, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    """Loads the state of an interrupted training; returns its steps and seconds."""
    if not path.exists():
        return 0, 0.0
    saved: dict[str, Any] = torch.load(path, weights_only=True)
    if "extractor" not in saved:
        raise ValueError(f"{path} was written by an older version; remove it to start again.")
    extractor.load_state_dict(saved["extractor"])
    optimizer.load_state_dict(saved["optimizer"])
    return saved["step"], saved["spent"]


def _optimizer_step(
    extractor: Extractor, optimizer: torch.optim.Optimizer, learning_rate: float, batch: list[WatermarkExample]
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    loss = -torch.log(1 + F.softplus(watermark_scores(extractor, batch))).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(extractor.parameters(), 1.0)
    optimizer.step()


def _batch(pool: list[WatermarkExample], generator: np.random.Generator) -> list[WatermarkExample]:
    """Random examples of one shape."""
    shape = pool[generator.integers(len(pool))].luma.shape
    same_shape = [example for example in pool if example.luma.shape == shape]
    return [same_shape[n] for n in generator.permutation(len(same_shape))[:BATCH_SIZE]]


def _shards(folders: list[Path], part: slice) -> list[list[Path]]:
    return [sorted(folder.glob("frames-*.npy"))[part] for folder in folders]


def _examples(
    extractor: Extractor, shards: list[list[Path]], generator: np.random.Generator, clips: int
) -> list[WatermarkExample]:
    return [example for _ in range(clips) for example in _examples_of_clip(extractor, shards, generator)]


def _examples_of_clip(
    extractor: Extractor, shards: list[list[Path]], generator: np.random.Generator
) -> list[WatermarkExample]:
    """Two examples: a random clip, watermarked once and attacked twice."""
    folder = 0 if len(shards) == 1 or generator.random() < 0.75 else int(generator.integers(1, len(shards)))
    clips = np.load(shards[folder][generator.integers(len(shards[folder]))], mmap_mode="r")
    frames = np.array(clips[generator.integers(len(clips))])
    video = Video(frames[:, :, ::-1].copy() if generator.random() < 0.5 else frames, FPS)
    payload, key = int(generator.integers(2**watermark.BITS)), generator.bytes(32)
    marked = reencode(watermark.embed(video, payload, key, extractor), 16)
    signs = watermark.signs_of(payload, key, len(frames))
    return [example_of(_random_attack(marked, generator), signs) for _ in range(2)]


def _nearest_box(shown: CropBox) -> CropBox:
    """The crop box of the search that is nearest to the true one."""

    def distance(box: CropBox) -> float:
        down = box.top + box.height / 2 - shown.top - shown.height / 2
        across = box.left + box.width / 2 - shown.left - shown.width / 2
        return 2 * abs(box.height - shown.height) + abs(down) + abs(across)

    return min((alignment.box for alignment in ALIGNMENTS), key=distance)


def _random_attack(video: Video, generator: np.random.Generator) -> AttackedVideo:
    frames, crf = video.frames, int(generator.integers(18, 26))
    match int(generator.integers(10)):
        case 0:
            return video, 0.0, CropBox()
        case 1 | 2:
            return reencode(video, int(generator.integers(22, 32))), 0.0, CropBox()
        case 3:
            half = video.resize(frames.shape[1] // 2, frames.shape[2] // 2)
            return reencode(half, int(generator.integers(24, 34))), 0.0, CropBox()
        case 4 | 5 | 6:
            part, box = crop(video, generator.uniform(0.64, 0.95), generator)
            return reencode(part, crf), 0.0, box
        case 7:
            return reencode(Video(frames[::2], video.fps / 2), crf), 0.0, CropBox()
        case 8:
            removed = int(generator.integers(1, 7))
            return reencode(Video(frames[removed:], video.fps), crf), removed / video.fps, CropBox()
        case _:
            recorded = generator.random() < 0.7
            changed = screen_recording(video) if recorded else shift_hue(video, generator.uniform(0, 360))
            return reencode(changed, 20), 0.0, CropBox()


if __name__ == "__main__":
    main()
