"""Peak memory and time of the verbs that read a whole file: `verify`, `detect` and `moderate --video`.

    python benchmarks/files.py [--size 1920x1080] [--seconds 60] [--fps 24]

FFmpeg's test pattern is encoded as H.264. Each verb runs in a process of its own, with an empty state folder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
from av.filter import Graph

VERBS = {"verify": ["verify"], "detect": ["detect"], "moderate": ["moderate", "--video"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--fps", type=int, default=24)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pattern.mp4"
        write_pattern(file, options.size, options.seconds, options.fps)
        print(f"{options.seconds} s of {options.size} at {options.fps} fps, {file.stat().st_size / 1e6:.0f} MB")
        for verb, words in VERBS.items():
            measure(verb, [sys.executable, "-m", "lumora", *words, str(file)], Path(folder) / verb)


def write_pattern(file: Path, size: str, seconds: int, fps: int) -> None:
    graph = Graph()
    nodes = [graph.add("testsrc2", f"size={size}:rate={fps}:duration={seconds}"), graph.add("format", "yuv420p")]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    with av.open(str(file), "w") as container:
        stream: Any = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        stream.width, stream.height = map(int, size.split("x"))
        for _ in range(seconds * fps):
            container.mux(stream.encode(graph.pull()))
        container.mux(stream.encode(None))


def measure(verb: str, command: list[str], state: Path) -> None:
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "LUMORA_STATE": str(state)})
    _, status, usage = os.wait4(process.pid, 0)
    seconds, processor = time.monotonic() - begin, usage.ru_utime + usage.ru_stime
    code = os.waitstatus_to_exitcode(status)
    print(f"{verb:10} {usage.ru_maxrss / 1024:6.0f} MB {seconds:6.1f} s, {processor:6.1f} s of processors, exit {code}")


if __name__ == "__main__":
    main()
