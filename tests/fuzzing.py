"""Mutated files of all formats in `verify`, `detect`, `extend` and `moderate`.

    PYTHONPATH=src:tests python tests/fuzzing.py --files 2000 [--seed N]

A file that is neither read nor refused with one sentence, or that leaves a file, is a failure.
"""

import argparse
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image
from quick_verbs import READING, make, run, without_networks
from signing import signed

CASES = Path(__file__).parent / "cases"
LONG = ("slomo120_40s.mp4",)
"""Cases that take seconds to read."""
VIDEOS = {"a.avi": "mjpeg", "a.mpg": "mpeg1video", "a.ts": "mpeg2video", "a.mov": "mpeg4", "a.mkv": "ffv1"}
IMAGES = ("a.bmp", "a.tif", "a.heic", "a.apng.png", "a.jpg")
CODES = {"verify": {0, 3, 4, 5}, "detect": {0, 3, 4}, "moderate": {0}, "extend": {0}}
"""Exit codes of files that are read."""


def sources(folder: Path) -> list[Path]:
    """The cases, further formats, and signed files."""
    files = [file for file in sorted(CASES.iterdir()) if file.name not in LONG and file.stat().st_size]
    for name, codec in VIDEOS.items():
        _write_video(folder / name, codec)
        files.append(folder / name)
    frames = [Image.new("RGB", (64, 48), (level, 90, 160)) for level in (40, 80, 120)]
    import pillow_heif

    pillow_heif.register_heif_opener()
    for name in IMAGES:
        many: dict[str, Any] = {"save_all": True, "append_images": frames[1:]} if "apng" in name else {}
        frames[0].save(folder / name, **many)
        files.append(folder / name)
    return [*files, *(signed(folder, kind, name="signed") for kind in (".mp4", ".gif", ".webp", ".png"))]


def mutated(content: bytes, generator: random.Random) -> bytes:
    """Some bytes changed, most of them in the header; perhaps a piece removed, repeated or cut off."""
    changed = bytearray(content)
    for _ in range(generator.choice((1, 3, 10, 40))):
        end = len(changed) if generator.random() < 0.4 else min(len(changed), 600)
        changed[generator.randrange(end)] = generator.choice((0, 255, generator.randrange(256)))
    at, length = generator.randrange(len(changed)), generator.randrange(1, 2000)
    match generator.randrange(5):
        case 0:
            del changed[at : at + length]
        case 1:
            changed[at:at] = changed[at : at + length]
        case 2:
            del changed[at:]
    return bytes(changed)


def fuzz(num_files: int, seed: int, folder: Path, model: Path) -> dict[str, Counter[int]]:
    """For each verb how often it ended with which exit code. The same seed gives the same files.

    Raises AssertionError after the last file if any failed; those are in `folder`/failed.
    """
    generator, counts, failures = random.Random(seed), defaultdict(Counter), []
    made, tried, out, failed = (folder / name for name in ("sources", "tried", "out", "failed"))
    for new in (made, tried, out, failed):
        new.mkdir()
    with without_networks(folder / "state"):
        originals = sources(made)
    for number in range(num_files):
        original = originals[number % len(originals)]
        file = tried / original.name
        file.write_bytes(mutated(original.read_bytes(), generator))
        content = file.read_bytes()
        try:
            for verb, code in _tried(file, out, folder, model).items():
                counts[verb][code] += 1
            assert os.listdir(tried) == [file.name]
        except Exception as error:
            (failed / f"{number}-{file.name}").write_bytes(content)
            failures.append(f"{number}-{file.name}: {type(error).__name__}: {error}")
            print(failures[-1], file=sys.stderr, flush=True)
        for left in (*out.iterdir(), *tried.iterdir()):
            left.unlink()
    assert not failures, "\n".join(failures)
    return counts


def _tried(file: Path, out: Path, folder: Path, model: Path) -> dict[str, int]:
    """The exit code of each verb."""
    with without_networks(folder / "no state"):
        outcomes = {name: run(verb(file)) for name, verb in READING.items()}
        assert not (folder / "no state").exists()
    with without_networks(folder / "state"):
        outcomes["extend"] = make("extend", file, file, out / "out.png", model)
    for verb, outcome in outcomes.items():
        if outcome.code == 2:
            assert outcome.is_one_sentence and verb != "verify", (verb, outcome)
        else:
            assert outcome.code in CODES[verb], (verb, outcome)
    assert os.listdir(out) == ["out.png"] * (outcomes["extend"].code == 0)
    return {verb: outcome.code for verb, outcome in outcomes.items()}


def _write_video(path: Path, codec: str) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(25):
            pixels = np.full((48, 64, 3), 16 + 8 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, required=True, help="folder of any model; its networks do not run")
    options = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts = fuzz(options.files, options.seed, Path(folder), options.model)
    for verb, codes in counts.items():
        print(f"{verb:10} {', '.join(f'{codes[code]} with exit code {code}' for code in sorted(codes))}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB, {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
