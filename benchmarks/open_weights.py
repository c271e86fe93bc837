"""Measures what lumora adds around the bare call of a diffusers pipeline: planning, frames, progress and callbacks.

    python benchmarks/open_weights.py [--model FOLDER] [--size WxH] [--frames N] [--steps K] [--runs R]

Without a folder a tiny model with random weights is built. Processor time is measured, and both ways take turns, so
that other load on the machine changes little. Checks, watermark and signature: benchmarks/publish.py.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--size", default="256x256")
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or tiny_model(Path(folder))
        width, height = map(int, options.size.split("x"))
        measure(model, width, height, options.frames, options.steps, options.runs)


def tiny_model(folder: Path) -> Path:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from tiny_models import save_tiny_model

    save_tiny_model("wan", folder / "wan")
    return folder / "wan"


def measure(model: Path, width: int, height: int, num_frames: int, steps: int, runs: int) -> None:
    from lumora.backends.diffusers.catalog import entry_of_folder
    from lumora.backends.diffusers.diffusers_backend import DiffusersBackend
    from lumora.config import Resolution
    from lumora.request.spec import Request

    entry = replace(entry_of_folder(model), num_frames=num_frames)
    backend = DiffusersBackend(entry, model)
    request = Request("a red ball", num_frames / entry.fps, Resolution(width, height), num_inference_steps=steps)
    backend.run(backend.prepare(request))  # loads the model
    pipe = backend._runner._model.pipeline(entry.calls.text_pipeline)  # type: ignore[union-attr, arg-type]
    settings = {"height": height, "width": width, "num_frames": num_frames, "guidance_scale": entry.guidance_scale}
    bare, around = [], []
    frames = made = None
    for _ in range(runs):
        start = time.process_time()
        generator = torch.Generator().manual_seed(0)
        frames = pipe("a red ball", num_inference_steps=steps, generator=generator, **settings).frames[0]
        bare.append(time.process_time() - start)
        start = time.process_time()
        made = backend.run(backend.prepare(request), progress=lambda *_: None).frames
        around.append(time.process_time() - start)
    assert frames is not None and made is not None
    same = np.array_equal((255 * np.asarray(frames)).round().astype(np.uint8), made)
    ratios = [b / a - 1 for a, b in zip(bare, around, strict=True)]
    print(f"bare call: {statistics.median(bare):.2f} CPU-s (median of {runs})")
    print(f"with lumora: {statistics.median(around):.2f} CPU-s")
    spread = f"{100 * min(ratios):+.1f} to {100 * max(ratios):+.1f}"
    print(f"overhead: {100 * statistics.median(ratios):+.1f} % ({spread} %), frames equal: {same}")


if __name__ == "__main__":
    main()
