"""What marking, signing and registering add to making a 2 s clip, in processor time (a busy machine stretches it less).

python benchmarks/deliver.py [--runs N] [--steps K]
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
from typing import Any

from lumora.safety.verdict import Panel, Verdict

PROMPT = "a red ball bounces past a blue cube on a meadow"


class Allows:
    """A check that costs nothing."""

    def check(self, content: Any, /) -> Verdict:
        return Verdict({})


def processor_time_of(code: str) -> float:
    before = os.times()
    subprocess.run([sys.executable, "-c", code], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LUMORA_STATE"] = folder
        measure(Path(folder), options.runs, options.steps)


def measure(folder: Path, runs: int, steps: int) -> None:
    from lumora.deliver import deliver
    from lumora.generate.pipeline import Pipeline
    from lumora.generate.recipe import model_digest
    from lumora.generate.request import Request

    began = time.process_time()
    pipeline = Pipeline.load()
    loaded = time.process_time() - began
    request = Request(PROMPT, width=pipeline.config.shape.width, height=pipeline.config.shape.height, steps=steps)
    began = time.process_time()
    video = pipeline.generate(request)
    made = time.process_time() - began
    saved, delivered = [], []
    for number in range(runs):
        began = time.process_time()
        video.save(folder / "plain.mp4")
        saved.append(time.process_time() - began)
        began = time.process_time()
        about, allows = {"model": {"sha256": model_digest()}}, Panel([Allows()])
        deliver(request, folder / f"{number}.mp4", lambda _: video, allows, allows, about)
        delivered.append(time.process_time() - began)
    base = processor_time_of("import lumora.generate.pipeline")
    imports = processor_time_of("import lumora.generate.pipeline, lumora.deliver") - base
    before = base + loaded + made + statistics.median(saved)
    added = imports + statistics.median(delivered) - statistics.median(saved)
    print(f"imports, loading, making, encoding   {before:6.2f} s")
    print(f"marking, signing, registering        {added:6.3f} s: +{added / before:.1%} ", end="")
    print(f"(imports {imports:.3f} s, the first file with new keys {delivered[0]:.3f} s)")


if __name__ == "__main__":
    main()
