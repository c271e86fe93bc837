"""What `lumora verify` answers for signed files that were changed.

    python benchmarks/tamper.py [--flips N] [--num-clips N]

Clips of noise over a gradient are signed. Then single bits are flipped in the media data (mdat) and in the index
(moov), ends are cut off, the stream is remuxed, and a tampered clip becomes the parent of a new file.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from lumora.media.video import Video
from lumora.provenance.manifest import Ingredient, read, sign

CUTS = (1, 10, 100, 1000)
"""Bytes that are cut off at the end."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=500, help="in all clips together, half in mdat and half in moov")
    parser.add_argument("--num-clips", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LUMORA_STATE"] = folder
        measure(Path(folder), options.flips, options.num_clips)


def measure(folder: Path, flips: int, clips: int) -> None:
    states: dict[str, Counter[str]] = {name: Counter() for name in ("mdat", "moov", "cut", "remuxed", "parent")}
    generator, changed = np.random.default_rng(0), folder / "changed.mp4"
    for number in range(clips):
        clip = signed(folder, f"{number}.mp4", number)
        content = clip.read_bytes()
        for name, begin, end in boxes(content):
            for position in generator.integers(begin, end, flips // (2 * clips)):
                flipped = bytearray(content)
                flipped[position] ^= 1 << int(generator.integers(8))
                changed.write_bytes(flipped)
                states[name][read(changed).state] += 1
        (parent,) = read(signed(folder, "child.mp4", number, Ingredient(changed, "parentOf"))).ingredients
        states["parent"][parent["state"]] += 1
        for removed in CUTS:
            changed.write_bytes(content[:-removed])
            states["cut"][read(changed).state] += 1
        states["remuxed"][read(remuxed(clip, changed)).state] += 1
    for name, counts in states.items():
        print(f"{name:12} {', '.join(f'{state} {count}' for state, count in counts.items())}")


def signed(folder: Path, name: str, seed: int, *parents: Ingredient) -> Path:
    gradient = np.tile(np.linspace(40, 160, 64)[None, :, None, None], (17, 1, 64, 3))
    noisy = gradient + np.random.default_rng(seed).normal(0, 8, gradient.shape)
    unsigned = Video(noisy.clip(0, 255).astype(np.uint8), 8.0).save(folder / "unsigned.mp4")
    sign(unsigned, folder / name, ".mp4", name, {"record": f"{seed:08x}"}, parents)
    return folder / name


def boxes(content: bytes) -> Iterator[tuple[str, int, int]]:
    """Name, begin and end of the content of an MP4's mdat and moov."""
    begin = 0
    while begin < len(content):
        size, name = int.from_bytes(content[begin : begin + 4], "big"), content[begin + 4 : begin + 8].decode()
        if name in ("mdat", "moov"):
            yield name, begin + 8, begin + size
        begin += size


def remuxed(source: Path, path: Path) -> Path:
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return path


if __name__ == "__main__":
    main()
