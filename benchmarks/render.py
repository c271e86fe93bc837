"""Measures the renderer: milliseconds per frame and clips per second, for presets of the world and frame sizes.

    python benchmarks/render.py [--device cuda] [--num-clips 16]

Sampling and physics are not measured. On a CPU the processor time of one thread is measured, which other load on the
machine changes little; on a GPU wall-clock time. The best of three runs is printed.
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
    parser.add_argument("--num-clips", type=int, default=16)
    parser.add_argument("--presets", nargs="+", default=["simple", "medium", "full"])
    parser.add_argument("--samples", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'preset':8} {'size':>12} {'ms/frame':>9} {'clips/s':>8}")
    for preset in options.presets:
        for shape in SHAPES:
            seconds = best_of_three(preset, shape, options.num_clips, options.device, options.samples)
            frame = 1000 * seconds / (options.num_clips * shape.num_frames)
            size = f"{shape.num_frames}x{shape.height}x{shape.width}"
            print(f"{preset:8} {size:>12} {frame:9.2f} {options.num_clips / seconds:8.1f}", flush=True)


def best_of_three(preset: str, shape: VideoShape, clips: int, device: str, samples: int) -> float:
    """Seconds to render `clips` clips."""
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
