"""Measures time and peak memory of `lumora generate` for a clip of 2 s, from the start of the process to its end.

    python benchmarks/generate.py [--model FOLDER] [--random] [--runs N] [--steps K] [--threads N]

`--random` uses untrained weights of the default size, which are as fast as trained ones.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROMPT = "a red ball bounces past a blue cube on a meadow"


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = write_random_model(folder) if options.random else options.model
        measure_command(folder / "clip.mp4", model, options)
        measure_parts(model, options.steps)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a model")
    parser.add_argument("--random", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, help="denoising steps (default: the model's)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # before torch is imported, here and in the children
    return options


def write_random_model(folder: Path) -> Path:
    from lumora.codec import Codec
    from lumora.config import to_json
    from lumora.model.transformer import Transformer
    from lumora.presets import stage
    from lumora.weights_io import save_weights

    config = stage().stages[-1].clips.model
    (folder / "model.json").write_text(to_json(config))
    save_weights(Codec(config.codec), folder / "codec.safetensors")
    for name, part in config.transformers().items():
        save_weights(Transformer(part.transformer), folder / f"{name}.safetensors")
    return folder


def measure_command(out: Path, model: Path | None, options: argparse.Namespace) -> None:
    command = [sys.executable, "-m", "lumora", "generate", PROMPT, "-o", str(out), "--overwrite"]
    command += ["--steps", str(options.steps)] if options.steps else []
    command += ["--model", str(model)] if model else []
    seconds = []
    for _ in range(options.runs):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = (children.ru_utime + children.ru_stime) / options.runs
    print(f"load of this machine       {os.getloadavg()[0]:6.2f} on {os.cpu_count()} cores, {options.threads} threads")
    print(f"lumora generate, 2 s clip  {statistics.median(seconds):6.2f} s (median of {options.runs})")
    print(f"  processor time           {processor:6.2f} s")
    print(f"  peak memory              {children.ru_maxrss / 2**20:6.2f} GiB")
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import lumora.backends.lumora.pipeline"], check=True)
    print(f"  imports                  {time.perf_counter() - start:6.2f} s")


def measure_parts(model: Path | None, steps: int | None) -> None:
    """The time of each part, in one process."""
    from lumora.backends.lumora.pipeline import Pipeline
    from lumora.backends.lumora.planning import prepare
    from lumora.request.spec import Request

    start = time.perf_counter()
    pipeline = Pipeline.from_pretrained(model)
    loaded = time.perf_counter()
    ticks: list[float] = []
    request = Request(PROMPT, num_inference_steps=steps)
    pipeline.generate(request, lambda done, total: ticks.append(time.perf_counter()))
    ended = time.perf_counter()
    print(f"  loading                  {loaded - start:6.2f} s")
    print(f"  prompt and first step    {ticks[0] - loaded:6.2f} s")
    if len(ticks) > 1:
        print(f"  each further step        {(ticks[-1] - ticks[0]) / (len(ticks) - 1):6.3f} s, {len(ticks)} steps")
    decoding = ended - ticks[-1]
    frames = prepare(request, pipeline.config).num_frames
    print(f"  decoding                 {decoding:6.2f} s, {1e3 * decoding / frames:.1f} ms a frame")
    start = time.perf_counter()
    pipeline.generate(request)
    print(f"a second clip, warm        {time.perf_counter() - start:6.2f} s, sampled and decoded")


if __name__ == "__main__":
    main()
