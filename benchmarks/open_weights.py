"""Measures what lumora adds around the bare call of a diffusers pipeline: planning, frames, progress and callbacks.

    python benchmarks/open_weights.py [--model FOLDER | --wide] [--size WxH] [--frames N] [--steps K] [--pairs P]

Without a folder a tiny model with random weights is built; `--wide` gives it the width of Wan 2.1 1.3B and its whole
decoder, but two layers. Processor time is measured in pairs of calls whose order alternates, so that other load on the
machine changes little. What lumora does outside the pipeline's call and in its callbacks is also measured directly.
Checks, watermark and signature: benchmarks/publish.py.
"""

from __future__ import annotations

import argparse
import functools
import math
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lumora.config import Resolution


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--wide", action="store_true")
    parser.add_argument("--size", type=Resolution.parse, default=Resolution(256, 256))
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = options.model or (wide_model(folder / "wan") if options.wide else tiny_model(folder / "wan"))
        measure(model, options.size, options.frames, options.steps, options.pairs, folder / "unfinished")


def tiny_model(folder: Path) -> Path:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from tiny_models import save_tiny_model

    save_tiny_model("wan", folder)
    return folder


def wide_model(folder: Path) -> Path:
    """The tiny model with another transformer, of the width of Wan 2.1 1.3B, and with Wan's own autoencoder."""
    import diffusers

    torch.manual_seed(0)
    parts: dict[str, Any] = diffusers.WanPipeline.from_pretrained(tiny_model(folder)).components  # pyright: ignore[reportPrivateImportUsage]
    parts["vae"] = diffusers.AutoencoderKLWan()  # pyright: ignore[reportPrivateImportUsage]
    parts["transformer"] = diffusers.WanTransformer3DModel(  # pyright: ignore[reportPrivateImportUsage]
        num_attention_heads=12, ffn_dim=8960, num_layers=2, text_dim=parts["transformer"].config.text_dim
    )
    diffusers.WanPipeline(**parts).save_pretrained(folder)  # pyright: ignore[reportPrivateImportUsage]
    return folder


def measure(model: Path, size: Resolution, num_frames: int, steps: int, pairs: int, unfinished: Path) -> None:
    from lumora.backends.diffusers.catalog import entry_of_folder
    from lumora.backends.diffusers.denoising import DenoisingLoop
    from lumora.backends.diffusers.diffusers_backend import DiffusersBackend
    from lumora.request.spec import Request

    entry = replace(entry_of_folder(model), num_frames=num_frames)
    backend = DiffusersBackend(entry, model)
    request = Request("a red ball", num_frames / entry.fps, size, num_inference_steps=steps)
    backend.run(backend.prepare(request))  # loads the model
    pipe = backend._runner._model.pipeline(entry.calls.text_pipeline)  # type: ignore[union-attr, arg-type]
    settings = {"height": size.height, "width": size.width, "num_frames": num_frames, "output_type": "np"}

    def bare() -> np.ndarray:
        generator = torch.Generator().manual_seed(0)
        guidance = entry.guidance_scale
        made = pipe("a red ball", num_inference_steps=steps, guidance_scale=guidance, generator=generator, **settings)
        return (255 * made.frames[0]).round().astype(np.uint8)

    def around() -> np.ndarray:
        return backend.run(backend.prepare(request), lambda *_: None, threading.Event(), unfinished).frames

    inside, callbacks = Stopwatch(), Stopwatch()
    inside.watch(type(pipe), "__call__")
    callbacks.watch(DenoisingLoop, "_after_step")
    times: dict[Callable[[], np.ndarray], list[float]] = {bare: [], around: []}
    frames, own = {}, []
    for pair in range(pairs):
        unfinished.unlink(missing_ok=True)
        for way in (bare, around) if pair % 2 else (around, bare):
            inside.seconds = callbacks.seconds = 0.0
            start = time.process_time()
            frames[way] = way()
            times[way].append(time.process_time() - start)
            if way is around:
                own.append((times[way][-1] - inside.seconds + callbacks.seconds) / times[way][-1])
        print(f"pair {pair + 1}: {times[bare][-1]:.2f} and {times[around][-1]:.2f} CPU-s", flush=True)
    medians = [statistics.median(times[way]) for way in (bare, around)]
    ratios = sorted(b / a - 1 for a, b in zip(times[bare], times[around], strict=True))
    low, high, confidence = median_interval(ratios)
    print(f"bare call: {medians[0]:.2f} CPU-s (median), with lumora: {medians[1]:.2f} CPU-s")
    print(f"outside the pipeline's call and in callbacks: {100 * statistics.median(own):.2f} % of lumora's time")
    print(
        f"overhead: {100 * statistics.median(ratios):+.2f} % ({100 * low:+.2f} to {100 * high:+.2f} % with "
        f"{100 * confidence:.0f} % confidence), frames equal: {np.array_equal(frames[bare], frames[around])}"
    )


@dataclass
class Stopwatch:
    """Adds up the processor time of the calls of a method."""

    seconds: float = 0.0

    def watch(self, kind: type, name: str) -> None:
        method = getattr(kind, name)

        @functools.wraps(method)
        def timed(*args: Any, **options: Any) -> Any:
            start = time.process_time()
            try:
                return method(*args, **options)
            finally:
                self.seconds += time.process_time() - start

        setattr(kind, name, timed)


def median_interval(ordered: Sequence[float]) -> tuple[float, float, float]:
    """The narrowest interval of order statistics that covers the median with 95 % confidence, or the widest one."""
    n = len(ordered)
    for cut in reversed(range((n + 1) // 2)):
        confidence = 1 - 2 * sum(math.comb(n, k) for k in range(cut + 1)) / 2**n
        if confidence >= 0.95 or cut == 0:
            return ordered[cut], ordered[n - 1 - cut], confidence
    raise ValueError("There are no values.")


if __name__ == "__main__":
    main()
