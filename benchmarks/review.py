"""What the frame review finds of planted symbols, and what it sees in clean frames (docs/safety.md, LOG.md).

    python benchmarks/review.py [--frames N] [--side PIXELS]

A symbol is planted in one rendered frame of the world (`full`, held-out seed) at a random place, in a random turn and
one of three dresses: black
on a white square, white on black, or bare in a colour; then the frame goes through JPEG of quality 70.
"""

from __future__ import annotations

import argparse
import io
import time
import tomllib

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from lumora.config import VideoShape
from lumora.evaluate.shares import Share, table
from lumora.safety.frames import FrameReview
from lumora.safety.policy import DATA, Policy
from lumora.safety.symbols import SymbolCheck, drawn, most_alike
from lumora.world.clip import make_clip

HELD_OUT_SEED = 20_251
AREAS = (0.02, 0.05, 0.2)
Frame = UInt8[np.ndarray, "h w 3"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--side", type=int, default=128)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    shape = VideoShape(1, options.side, options.side, 8.0)
    clean = [make_clip("full", HELD_OUT_SEED, n, shape).frames[0].numpy() for n in range(options.frames)]
    review = FrameReview([SymbolCheck(Policy.load())])
    began = time.process_time()
    alike = [most_alike(frame)[1] for frame in clean]
    print(f"clean, whole: likeness median {np.median(alike):.2f}, highest {max(alike):.2f}")
    columns = {"clean": refused(review, clean)}
    spent = 1e3 * (time.process_time() - began) / len(clean)
    print(f"{spent:.0f} ms of a processor a frame, six views and a seventh look")
    outlines = tomllib.loads((DATA / "symbols.toml").read_text("utf-8"))
    for name, outline in ((name, about) for name, about in outlines.items() if isinstance(about, dict)):
        for area in AREAS:
            frames = [planted(frame, outline, area, generator) for frame in clean[:: len(AREAS)]]
            columns[f"{name} {area:.0%}"] = refused(review, frames)
    print(table({"refused": columns}))


def refused(review: FrameReview, frames: list[Frame]) -> Share:
    return Share(sum(not review.check(frame[None]).allowed for frame in frames), len(frames))


def planted(frame: Frame, outline: dict, area: float, generator: np.random.Generator) -> Frame:
    """`area` is that of the symbol's own square; the drawing has a margin of a quarter of it on each side."""
    height, width = frame.shape[:2]
    side = round((area * height * width) ** 0.5 * 1.5)
    turn = float(generator.uniform(-outline["turn"], outline["turn"]))
    ink_on_paper = Image.fromarray((drawn(outline, 4 * side, turn) * 255).astype(np.uint8))
    mask = ink_on_paper.resize((side, side), Image.Resampling.BOX)
    cover = np.asarray(mask)[..., None] / 255
    top, left = (int(generator.integers(0, size - side + 1)) for size in (height, width))
    there = frame[top : top + side, left : left + side].astype(np.float64)
    dress = int(generator.integers(3))
    ground = (np.full_like(there, 255), np.zeros_like(there), there)[dress]
    ink = (np.zeros(3), np.full(3, 255.0), generator.integers(0, 256, 3))[dress]
    result = frame.copy()
    result[top : top + side, left : left + side] = (ground * (1 - cover) + ink * cover).round().astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(result).save(stream, "JPEG", quality=70)
    return np.asarray(Image.open(stream))


if __name__ == "__main__":
    main()
