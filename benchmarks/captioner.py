"""Precision and recall of the facts that the world's captioner states, on held-out renders.

python benchmarks/captioner.py --preset plain --clips 240
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import torch

from lumora.config import VideoShape
from lumora.evaluate.instruments.labeled_clips import rendered_clips
from lumora.evaluate.instruments.world_captioner import CaptionerScore, WorldCaptioner, score

SEED = 42_000
"""No training uses it, and the captioner's limits were chosen on seed 41,000."""


def main(preset: str, count: int, side: int, seed: int) -> None:
    captioner = WorldCaptioner.load()
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for clip in rendered_clips(preset, seed, range(count), VideoShape(17, side, side, 8.0)):
        for category, one in score(captioner.facts(clip.pixels.numpy()), clip.facts).items():
            for name in (category, "all"):
                totals[name] = [a + b for a, b in zip(totals[name], (one.stated, one.right, one.true), strict=True)]
    for name, (stated, right, true) in totals.items():
        one = CaptionerScore(stated, right, true)
        print(f"{name:10} precision {one.precision:6.1%} of {stated:5}, recall {one.recall:6.1%} of {true:5}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="plain")
    parser.add_argument("--clips", type=int, default=240)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    torch.set_num_threads(1)
    main(options.preset, options.clips, options.side, options.seed)
