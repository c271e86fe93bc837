"""A contact sheet that mixes generated clips with renders of the same captions, to be told apart by eye.

    python benchmarks/mixed_clips.py docs/mixed-clips.png [--num-clips N]

Captions are of the first held-out clips of the world on which the default weights were trained. The command prints
which column of each row was generated.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from lumora import Pipeline, Request
from lumora.evaluate.suites.held_out import HELD_OUT_SEED
from lumora.media.contact_sheet import contact_sheet
from lumora.media.video import Video
from lumora.world.clip import make_clip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--num-clips", type=int, default=12)
    options = parser.parse_args()
    pipeline, order = Pipeline.from_pretrained(), np.random.default_rng(HELD_OUT_SEED)
    shape, videos, labels, columns = pipeline.config.shape, [], [], []
    for index in range(options.num_clips):
        clip = make_clip("stage", HELD_OUT_SEED, index, shape)
        caption = clip.captions["sentence"].text
        pair = [Video(clip.frames.numpy(), shape.fps), pipeline.generate(Request(caption, seed=index))]
        generated_first = bool(order.random() < 0.5)
        videos += reversed(pair) if generated_first else pair
        labels += [caption, ""]
        columns.append("left" if generated_first else "right")
    sheet = contact_sheet(videos, columns=2, pictures=6, labels=labels, height=96)
    Image.fromarray(sheet).save(options.out, optimize=True)
    print("generated:", *columns)


if __name__ == "__main__":
    main()
