"""Measures time and peak memory of `lumora generate` for a clip of 2 s, from the start of the process to its end.

    python benchmarks/generate.py [--weights FOLDER] [--random] [--runs N] [--steps K] [--threads N]

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
        weights = write_random_weights(folder) if options.random else options.weights
        from_the_shell(folder / "clip.mp4", weights, options)
        inside(weights, options.steps)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--random", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # before torch is imported, here and in the children
    return options


def write_random_weights(folder: Path) -> Path:
    from safetensors.torch import save_file

    from lumora.codec import Codec
    from lumora.config import ModelConfig, to_json
    from lumora.model.transformer import Transformer

    config = ModelConfig()
    (folder / "model.json").write_text(to_json(config))
    for name, network in {"codec": Codec(config.codec), "transformer": Transformer(config.transformer)}.items():
        numbers = {key: w.bfloat16().contiguous() for key, w in network.state_dict().items()}
        save_file(numbers, folder / f"{name}.safetensors")
    return folder


def from_the_shell(out: Path, weights: Path | None, options: argparse.Namespace) -> None:
    command = [sys.executable, "-m", "lumora", "generate", PROMPT, "-o", str(out), "--steps", str(options.steps)]
    command += ["--weights", str(weights)] if weights else []
    seconds = []
    for _ in range(options.runs):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = (children.ru_utime + children.ru_stime) / options.runs
    print(f"load of this machine       {os.getloadavg()[0]:6.2f} on {os.cpu_count()} cores, {options.threads} threads")
    print(f"lumora generate, 2 s clip  {statistics.median(seconds):6.2f} s (median of {options.runs})")
    print(f"  processor time           {processor:6.2f} s")
    print(f"  peak memory              {children.ru_maxrss / 2**20:6.2f} GiB")
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import lumora.backends.lumora.pipeline"], check=True)
    print(f"  imports                  {time.perf_counter() - began:6.2f} s")


def inside(weights: Path | None, steps: int) -> None:
    """The time of each part, in one process."""
    from lumora.backends.lumora.pipeline import Pipeline
    from lumora.backends.lumora.planning import prepare
    from lumora.request.spec import Request

    began = time.perf_counter()
    pipeline = Pipeline.from_pretrained(weights)
    loaded = time.perf_counter()
    ticks: list[float] = []
    request = Request(PROMPT, num_inference_steps=steps)
    pipeline.generate(request, lambda done, total: ticks.append(time.perf_counter()))
    ended = time.perf_counter()
    print(f"  loading                  {loaded - began:6.2f} s")
    print(f"  prompt and first step    {ticks[0] - loaded:6.2f} s")
    if steps > 1:
        print(f"  each further step        {(ticks[-1] - ticks[0]) / (steps - 1):6.3f} s")
    decoding = ended - ticks[-1]
    frames = prepare(request, pipeline.config).num_frames
    print(f"  decoding                 {decoding:6.2f} s, {1e3 * decoding / frames:.1f} ms a frame")


if __name__ == "__main__":
    main()
