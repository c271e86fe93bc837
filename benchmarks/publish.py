"""Measures what moderation, watermark, signature and registration add to generating a clip of 2 s.

    python benchmarks/publish.py [--runs N] [--steps K]

Processor time is measured, which other load on the machine changes little.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROMPT = "a red ball bounces past a blue cube on a meadow"


def processor_time(code: str) -> float:
    before = os.times()
    subprocess.run([sys.executable, "-c", code], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, help="denoising steps (default: the model's)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LUMORA_STATE"] = folder
        measure(Path(folder), options.runs, options.steps)


def measure(folder: Path, runs: int, steps: int | None) -> None:
    from lumora.backends.lumora.backend import LumoraBackend
    from lumora.request.spec import Request
    from lumora.service.moderation import Moderation, check_texts
    from lumora.service.publish import publish

    start = time.process_time()
    backend = LumoraBackend()
    pipeline = backend.pipeline
    loaded = time.process_time() - start
    request = Request(PROMPT, num_inference_steps=steps)
    start = time.process_time()
    video = pipeline.generate(request)
    made = time.process_time() - start
    start = time.process_time()
    moderation = Moderation.load()
    moderators_loaded = time.process_time() - start
    saved, published = [], []
    for number in range(runs):
        start = time.process_time()
        video.save(folder / "plain.mp4")
        saved.append(time.process_time() - start)
        start = time.process_time()
        check_texts(request, moderation)
        publish(video, request, folder / f"{number}.mp4", moderation, backend.identity())
        published.append(time.process_time() - start)
    base = processor_time("import lumora.backends.lumora.pipeline")
    imports = (
        processor_time("import lumora.backends.lumora.pipeline, lumora.service.publish, lumora.safety.moderators")
        - base
    )
    before = base + loaded + made + statistics.median(saved)
    added = imports + moderators_loaded + statistics.median(published) - statistics.median(saved)
    print(f"imports, loading, making, encoding   {before:6.2f} s")
    print(f"moderation, watermark, signature     {added:6.3f} s: +{added / before:.1%}", end=" ")
    print(f"(imports {imports:.3f} s, loading {moderators_loaded:.3f} s, the first file {published[0]:.3f} s)")


if __name__ == "__main__":
    main()
