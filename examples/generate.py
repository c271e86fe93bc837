"""Makes an image from a prompt, and a video that starts with the image.

python examples/generate.py OUTPUT_DIR [MODEL_DIR]
"""

import sys
from dataclasses import replace
from pathlib import Path

from lumora import Condition, Pipeline, Request


def main(output_dir: Path, model: Path | None = None) -> None:
    pipeline = Pipeline.from_pretrained(model)
    request = Request("a red ball on a meadow", seconds=0.0, seed=7, num_inference_steps=20)
    image = pipeline.generate(request)  # 0 seconds: a single frame
    image.save(output_dir / "image.png")

    request = replace(request, prompt="the red ball bounces to the right", seconds=2.0, conditions=(Condition(image),))
    video = pipeline.generate(request, progress=lambda step, steps: print(f"\rstep {step} of {steps}", end=""))
    print(f"\n{video.save(output_dir / 'video.mp4')}: {len(video.frames)} frames at {video.fps:g} fps")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
