"""Trains the eye of the mark, in a quarter of an hour of a processor.

    python -m lumora.provenance.train_watermark data/plain/frames data/films/frames --out mark.safetensors [--minutes 15]

Clips from folders of frames (the first is drawn from three times as often as the others together) are marked for the
eye as it is at that time, with another key each, changed as people change videos, through the real codec, and read. No
gradient goes through the codec: the embedding follows from the eye and has nothing else to learn. What grows is the
logarithm of a reading's clearness, so that what is hardly read counts as much as what is read well.
The last shards of each folder are held out. Each minute or so it saves, and beside the weights what it needs to go on
when it is started again (.pt).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.attacks import cropped, encoded, hue_turned, screen_recorded
from lumora.provenance.dct import (
    PLACES,
    CropBox,
    mixing,
    place,
    reading_in_time,
    reduced,
    space_waves,
    time_waves,
    used_waves,
)
from lumora.provenance.extractor import Extractor, still

RATE, WARM = 2e-3, 50
"""Adam's, after so many steps."""
BATCH, KEPT, EVERY = 4, 480, 4
"""Examples a step, most examples that are drawn from, and steps after which there are two new ones."""
FIRST, UNSEEN = 32, 16
"""Clips to begin with, and held-out ones; each gives two examples."""
HELD_OUT = 2
"""Shards of each folder."""

Seen: TypeAlias = tuple[Video, float, CropBox]
"""A changed video, which second of the marked one it begins with, and which part of the frame it shows."""


@dataclass(frozen=True)
class WatermarkExample:
    luma: Float[Tensor, "t h w"]
    calm: Float[Tensor, "t h w"]
    in_time: Float[Tensor, "q t"]
    down: Float[Tensor, "half_h s"]
    across: Float[Tensor, "half_w s"]
    apart: Float[Tensor, "n n"]
    """Tells the waves apart that a part of a frame mixes."""
    signs: Float[Tensor, "q n"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="with frames-*.npy, uint8 (n, t, h, w, 3), at 8 a second")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15.0, help="of a processor")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    train(options.folders, options.out, 60 * options.minutes, options.seed)


def train(folders: list[Path], out: Path, seconds: float, seed: int) -> None:
    """Goes on where it was stopped; `seconds` are of a processor, those of before included."""
    eye, kept = Extractor(), out.with_suffix(".pt")
    optimizer = torch.optim.AdamW(eye.parameters(), lr=RATE, weight_decay=1e-4)
    step, spent = 0, 0.0
    if kept.exists():
        saved = torch.load(kept, weights_only=True)
        eye.load_state_dict(saved["eye"])
        optimizer.load_state_dict(saved["optimizer"])
        step, spent = saved["step"], saved["spent"]
    generator, other = np.random.default_rng([seed, step]), np.random.default_rng(77)
    learnt_from, held_out = _shards(folders, slice(-HELD_OUT)), _shards(folders, slice(-HELD_OUT, None))
    unseen = [example for _ in range(UNSEEN) for example in _drawn(Extractor(), held_out, other)]
    examples = [example for _ in range(FIRST) for example in _drawn(eye, learnt_from, generator)]
    began = said = time.process_time()
    while spent < seconds:
        if step % EVERY == 0:
            examples = [*examples, *_drawn(eye, learnt_from, generator)][-KEPT:]
        rate = RATE * min(1.0, (step + 1) / WARM) * max(0.05, min(1.0, (1 - spent / seconds) / 0.6))
        _learn(eye, optimizer, rate, _alike(examples, generator))
        step, spent, began = step + 1, spent + time.process_time() - began, time.process_time()
        if step == 1 or began - said > 45 or spent >= seconds:
            with torch.inference_mode():
                clear = np.mean([float(clearness(eye, [example])) for example in unseen])
            print(f"step {step}, {spent:.0f} s: held-out examples at {clear:.2f} deviations", flush=True)
            state = {"eye": eye.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "spent": spent}
            torch.save(state, kept)
            save_file(eye.state_dict(), out)
            said = began = time.process_time()


def clearness(eye: Extractor, examples: list[WatermarkExample]) -> Float[Tensor, " b"]:
    """By how many standard deviations of fair coins each is read, with its payload known."""
    parts = [[getattr(example, name) for example in examples] for name in WatermarkExample.__dataclass_fields__]
    luma, calm, in_time, down, across, apart, signs = (torch.stack(part) for part in parts)
    seen = torch.einsum("bqt,bthw->bqhw", in_time, eye.extract(luma.float(), calm.float()))
    grid = torch.einsum("bqhw,bhi,bwj->bqij", seen, down, across) / (seen.shape[2] * seen.shape[3])
    rows, columns = np.nonzero(used_waves(2)[1])
    counts = eye.soft_weights(grid[:, :, rows, columns] @ apart)
    return (signs * counts).sum(dim=(1, 2)) / counts.square().sum(dim=(1, 2)).sqrt()


def _learn(eye: Extractor, optimizer: torch.optim.Optimizer, rate: float, examples: list[WatermarkExample]) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = -torch.log(1 + F.softplus(clearness(eye, examples))).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(eye.parameters(), 1.0)
    optimizer.step()


def _alike(examples: list[WatermarkExample], generator: np.random.Generator) -> list[WatermarkExample]:
    """Some of one shape."""
    shape = examples[generator.integers(len(examples))].luma.shape
    fitting = [example for example in examples if example.luma.shape == shape]
    return [fitting[n] for n in generator.permutation(len(fitting))[:BATCH]]


def _shards(folders: list[Path], part: slice) -> list[list[Path]]:
    return [sorted(folder.glob("frames-*.npy"))[part] for folder in folders]


def _drawn(eye: Extractor, shards: list[list[Path]], generator: np.random.Generator) -> list[WatermarkExample]:
    """A clip, marked and changed in two ways."""
    folder = 0 if len(shards) == 1 or generator.random() < 0.75 else int(generator.integers(1, len(shards)))
    clips = np.load(shards[folder][generator.integers(len(shards[folder]))], mmap_mode="r")
    frames = np.array(clips[generator.integers(len(clips))])
    video = Video(frames[:, :, ::-1].copy() if generator.random() < 0.5 else frames, 8.0)
    payload, key = int(generator.integers(2**watermark.BITS)), generator.bytes(32)
    marked = encoded(watermark.embed(video, payload, key, eye), 16)
    signs = watermark.signs_of(payload, key, len(frames))
    return [example_of(_changed(marked, generator), signs) for _ in range(2)]


def example_of(seen: Seen, signs: Float[np.ndarray, "q n"]) -> WatermarkExample:
    video, start, shown = seen
    luma = reduced(video)
    calm, box = still(luma, video.fps), _nearest(shown)
    in_time = reading_in_time(time_waves(start + np.arange(len(luma)) / video.fps))
    size, band = used_waves(len(luma))
    down, across = (
        space_waves((pixels + 1) // 2, size, begin, length)
        for pixels, begin, length in zip(luma.shape[1:], (box.top, box.left), (box.height, box.width), strict=True)
    )
    mixed = mixing(down, across, band)
    apart = np.eye(len(mixed)) if box == CropBox() else np.linalg.inv(mixed)
    parts = (luma, calm, in_time, down, across, apart, signs)
    return WatermarkExample(*(torch.from_numpy(np.ascontiguousarray(part, np.float32)) for part in parts))


def _nearest(shown: CropBox) -> CropBox:
    """Of the places that a reader tries."""

    def off(box: CropBox) -> float:
        down = box.top + box.height / 2 - shown.top - shown.height / 2
        across = box.left + box.width / 2 - shown.left - shown.width / 2
        return 2 * abs(box.height - shown.height) + abs(down) + abs(across)

    return min((place(number)[2] for number in range(PLACES)), key=off)


def _changed(video: Video, generator: np.random.Generator) -> Seen:
    """As people change videos, some way or other."""
    frames, crf = video.frames, int(generator.integers(18, 26))
    match int(generator.integers(10)):
        case 0:
            return video, 0.0, CropBox()
        case 1 | 2:
            return encoded(video, int(generator.integers(22, 32))), 0.0, CropBox()
        case 3:
            half = video.resize(frames.shape[1] // 2, frames.shape[2] // 2)
            return encoded(half, int(generator.integers(24, 34))), 0.0, CropBox()
        case 4 | 5 | 6:
            part, box = cropped(video, generator.uniform(0.64, 0.95), generator)
            return encoded(part, crf), 0.0, box
        case 7:
            return encoded(Video(frames[::2], video.fps / 2), crf), 0.0, CropBox()
        case 8:
            cut = int(generator.integers(1, 7))
            return encoded(Video(frames[cut:], video.fps), crf), cut / video.fps, CropBox()
        case _:
            other = screen_recorded(video) if generator.random() < 0.7 else hue_turned(video, generator.uniform(0, 360))
            return encoded(other, 20), 0.0, CropBox()


if __name__ == "__main__":
    main()
