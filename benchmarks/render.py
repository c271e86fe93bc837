"""How fast the renderer draws: milliseconds a frame and clips a second, for presets of the world and sizes of picture.

    python benchmarks/render.py [--device cuda] [--clips 16]

Scenes are sampled and moved before the clock starts. Processor time of one thread is measured on a CPU (so
that a busy machine does not count), wall-clock time on a GPU; the best of three runs is shown.
"""

from __future__ import annotations

import argparse
import time

import torch

from lumora.config import VideoShape
from lumora.world.clip import make_scene
from lumora.world.render import render

SHAPES = (VideoShape(17, 64, 64), VideoShape(17, 128, 128), VideoShape(17, 144, 256))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--presets", nargs="+", default=["simple", "medium", "full"])
    parser.add_argument("--samples", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'preset':8} {'size':>12} {'ms/frame':>9} {'clips/s':>8}")
    for preset in options.presets:
        for shape in SHAPES:
            seconds = best_of_three(preset, shape, options.clips, options.device, options.samples)
            frame = 1000 * seconds / (options.clips * shape.num_frames)
            size = f"{shape.num_frames}x{shape.height}x{shape.width}"
            print(f"{preset:8} {size:>12} {frame:9.2f} {options.clips / seconds:8.1f}", flush=True)


def best_of_three(preset: str, shape: VideoShape, clips: int, device: str, samples: int) -> float:
    """Seconds to draw `clips` clips."""
    made = [make_scene(preset, 0, index, shape) for index in range(clips)]
    scenes, trajectories = [scene for scene, _ in made], [trajectory for _, trajectory in made]
    clock = time.process_time if device == "cpu" else time.perf_counter
    best = float("inf")
    for _ in range(3):
        start = clock()
        render(scenes, trajectories, shape.height, shape.width, device, samples).frames.cpu()
        best = min(best, clock() - start)
    return best


if __name__ == "__main__":
    main()
