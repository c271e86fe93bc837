"""What `lumora verify` says of delivered files that somebody changed (docs/provenance.md, LOG.md).

    python benchmarks/tamper.py [--flips N] [--clips N]

Clips of noise over a slope, marked and signed. Then single bits are flipped in the pictures (mdat) and in their index
(moov), ends are cut off, the stream is packed anew, and a clip that was tampered with is given
as a parent.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from lumora.media.video import Video
from lumora.provenance.manifest import Ingredient, read
from lumora.request.spec import Request
from lumora.safety.policy import Policy
from lumora.safety.verdict import Moderator, Verdict
from lumora.service.moderation import Moderation, ModerationBlocked
from lumora.service.publish import publish

CUTS = (1, 10, 100, 1000)
"""Bytes that are cut off at the end."""


class Allows:
    """A check that costs nothing."""

    def check(self, content: Any, /) -> Verdict:
        return Verdict({})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=500, help="in all clips together, half in mdat and half in moov")
    parser.add_argument("--clips", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LUMORA_STATE"] = folder
        measure(Path(folder), options.flips, options.clips)


def measure(folder: Path, flips: int, clips: int) -> None:
    said: dict[str, Counter[str]] = {name: Counter() for name in ("mdat", "moov", "cut", "packed anew", "parent")}
    generator, changed = np.random.default_rng(0), folder / "changed.mp4"
    for number in range(clips):
        clip = delivered(folder, number)
        content = clip.read_bytes()
        for name, begin, end in boxes(content):
            for place in generator.integers(begin, end, flips // (2 * clips)):
                flipped = bytearray(content)
                flipped[place] ^= 1 << int(generator.integers(8))
                changed.write_bytes(flipped)
                said[name][read(changed).state] += 1
        try:
            delivered(folder, number, [Ingredient(changed, "parentOf")])
            said["parent"]["accepted"] += 1
        except ModerationBlocked:
            said["parent"]["refused"] += 1
        for bytes_less in CUTS:
            changed.write_bytes(content[:-bytes_less])
            said["cut"][read(changed).state] += 1
        said["packed anew"][read(packed_anew(clip, changed)).state] += 1
    for name, states in said.items():
        print(f"{name:12} {', '.join(f'{state} {count}' for state, count in states.items())}")


def delivered(folder: Path, seed: int, parents: list[Ingredient] | None = None) -> Path:
    slope = np.tile(np.linspace(40, 160, 64)[None, :, None, None], (17, 1, 64, 3))
    noisy = slope + np.random.default_rng(seed).normal(0, 8, slope.shape)
    video = Video(noisy.clip(0, 255).astype(np.uint8), 8.0)
    allows = Moderation(Policy.load(), Moderator([Allows()]), Moderator([Allows()]))
    clip = folder / f"{seed}.mp4"
    publish(video, Request("noise", seed=seed), clip, allows, {}, parents or [])
    return clip


def boxes(content: bytes) -> Iterator[tuple[str, int, int]]:
    """Name, begin and end of the bodies of an MP4's mdat and moov."""
    place = 0
    while place < len(content):
        size, name = int.from_bytes(content[place : place + 4], "big"), content[place + 4 : place + 8].decode()
        if name in ("mdat", "moov"):
            yield name, place + 8, place + size
        place += size


def packed_anew(source: Path, path: Path) -> Path:
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return path


if __name__ == "__main__":
    main()
