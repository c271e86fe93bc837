"""From a sentence to a picture, and from the picture to a video.

python examples/generate.py OUT_FOLDER [WEIGHTS_FOLDER]
"""

import sys
from dataclasses import replace
from pathlib import Path

from lumora import Given, Pipeline, Request


def main(out: Path, weights: Path | None = None) -> None:
    pipeline = Pipeline.load(weights)
    request = Request("a red ball on a meadow", seconds=0.0, seed=7, steps=20)
    picture = pipeline.generate(request)  # of 0 seconds: one frame
    picture.save(out / "picture.png")

    moving = replace(request, prompt="the red ball bounces to the right", seconds=2.0, given=(Given(picture),))
    video = pipeline.generate(moving, progress=lambda step, steps: print(f"\rstep {step} of {steps}", end=""))
    print(f"\n{video.save(out / 'video.mp4')}: {len(video.frames)} frames at {video.fps:g} a second")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
