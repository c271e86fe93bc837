"""How surely `lumora detect` finds a delivered video again, after what people do to videos.

    python benchmarks/detect.py [--clips N] [--size S] [--keys K] [--strangers N] [--index-size N] [--preset simple]

Clips of the simulated world (other seeds than training has), marked, registered and encoded as they are delivered, then
changed. For each change: the share that is found at a false positive rate of 10⁻⁶ by the mark alone, without the index,
and by all together; the share of which at least "cannot tell" is said, by all together and by looks alone; each with
95 % Wilson intervals; and the share of the payload's bits that are read.
The null distribution: K wrong keys on the delivered clips (the scores that the bound is about), and other clips of the
world, that were never delivered, against the index.
"""

from __future__ import annotations

import argparse
import math
import secrets
import time

import numpy as np

from lumora.config import VideoShape
from lumora.evaluate.metrics.proportions import Proportion
from lumora.media.video import Video
from lumora.provenance import dct as waves
from lumora.provenance import watermark
from lumora.provenance.attacks import all_attacks, encoded
from lumora.provenance.detect import LIKEST, NOT_OURS, OURS, informed_p_value, joined, joint_p_values, with_index
from lumora.provenance.extractor import counting, watermark_residual
from lumora.provenance.fingerprint import chance_of, fingerprint_of, likeness
from lumora.provenance.index import PublishedRecord
from lumora.provenance.informed_detector import reference_dct_of
from lumora.world.clip import make_clip


def clip(preset: str, seed: int, number: int, shape: VideoShape) -> np.ndarray:
    return make_clip(preset, seed, number, shape).frames.numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--preset", default="simple")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--strangers", type=int, default=100, help="clips that were never delivered")
    parser.add_argument("--index-size", type=int, default=1000, help="records that the index is taken to hold")
    parser.add_argument("--change", action="append", help="only this one; may be given again")
    options = parser.parse_args()
    generator, key = np.random.default_rng(0), secrets.token_bytes(32)
    shape = VideoShape(17, options.size, options.size, 8.0)
    originals = [Video(clip(options.preset, 314, n, shape), shape.fps) for n in range(options.clips)]
    payloads = [secrets.randbits(32) for _ in originals]
    marked = [watermark.embed(video, payload, key) for video, payload in zip(originals, payloads, strict=True)]
    pairs = list(zip(originals, marked, strict=True))
    quality = [10 * math.log10(255**2 / np.square(a.frames - b.frames.astype(float)).mean()) for a, b in pairs]
    print(f"{options.clips} clips of {options.size}x{options.size}, mark at {min(quality):.2f} dB and more")
    print_null(originals, options.keys)
    known = [
        PublishedRecord(f"{payload:08x}", "", {}, b"", fingerprint_of(video), reference_dct_of(video))
        for video, payload in zip(originals, payloads, strict=True)
    ]
    strangers = [Video(clip(options.preset, 315, n, shape), shape.fps) for n in range(options.strangers)]
    if strangers:
        print_strangers(strangers, known, key)
    columns = "".join(f"{title:>24s}" for title in ("mark alone", "all together", "at least a trace", "by looks alone"))
    print(f"{'':24s}{columns}   bits read   seconds")
    for name, change in all_attacks(generator).items():
        if options.change and name not in options.change:
            continue
        print_found(name, [change(encoded(v, 16)) for v in marked], known, key, options.index_size)


def print_found(name: str, videos: list[Video], known: list[PublishedRecord], key: bytes, records: int) -> None:
    """As `detect` decides, for an index of so many records of which one is the right one; as many others are taken to
    look more alike as `chance_of` expects."""
    mark, seen, both, open_, bits = [], [], [], [], []
    began = time.process_time()
    for video, record in zip(videos, known, strict=True):
        payload = int(record.record, 16)
        reading, (like,) = (
            watermark.read(video, key, enough=0.0),
            likeness(waves.reduction_stages(video), [record.fingerprint]),
        )
        (joint,) = joint_p_values(reading, [payload], [like])
        signs, luma = watermark.signs_of(payload, key, len(video.frames)), waves.reduced(video)
        others = (records - 1) * chance_of(like.value)
        close = (others + 1) * (others + 2) * informed_p_value(luma, video.fps, record, like, signs)
        p_value = joined(reading, [records * joint, close if others < LIKEST else 1.0])
        mark.append(reading.p_value <= OURS)
        seen.append(records * chance_of(like.value) <= NOT_OURS)
        both.append(p_value <= OURS)
        open_.append(p_value < NOT_OURS)
        bits.append(32 - (reading.payload ^ payload).bit_count())
    took = (time.process_time() - began) / len(videos)
    shares = "".join(f"{said(found):>24s}" for found in (mark, both, open_, seen))
    print(f"{name:24s}{shares}{np.mean(bits) / 32:12.3f}{took:10.3f}", flush=True)


def said(found: list[bool]) -> str:
    low, high = Proportion(sum(found), len(found)).interval()
    return f"{np.mean(found):.1%} [{low:.1%}, {high:.1%}]"


def print_strangers(strangers: list[Video], known: list[PublishedRecord], key: bytes) -> None:
    """What is said of clips that were never delivered, whole, against an index of all that were."""
    p_values, alike = [], []
    for video in strangers:
        reading = watermark.read(video, key, enough=0.0)
        likes = likeness(waves.reduction_stages(video), [record.fingerprint for record in known])
        p_values.append(joined(reading, with_index(video, reading, known, likes, key)))
        alike += [like.value for like in likes]
    print(f"{len(strangers)} clips that were never delivered: ours {said([p <= OURS for p in p_values])}", end=", ")
    print(f"a trace {said([p < NOT_OURS for p in p_values])}, smallest p {min(p_values):.1e}")
    counts = ", ".join(f"{np.mean(np.array(alike) >= a):.1e} from {a:.1f} on" for a in (0.3, 0.4, 0.5, 0.6))
    print(f"{len(alike):,} pairs of them and a delivered clip: likest {max(alike):.3f}; {counts}")


def print_null(videos: list[Video], keys: int) -> None:
    """Wrong keys: signs and bits drawn at random, on the weighted waves of real clips."""
    totals, each = [], max(1, keys // len(videos))
    for video in videos:
        _, found = next(waves.reduction_stages_of(watermark_residual(video), video.fps))
        signs = counting(found).ravel().astype(np.float32)
        generator = np.random.default_rng(len(totals))
        for begin in range(0, each, 10_000):
            many = min(10_000, each - begin)
            bits = generator.permutation(len(signs)) % watermark.BITS  # one grouping for many keys, new signs for each
            drawn = generator.integers(0, 256, (many, -(-len(signs) // 8)), dtype=np.uint8)
            coins = np.unpackbits(drawn, axis=1)[:, : len(signs)].astype(np.float32) * 2 - 1
            groups = np.eye(watermark.BITS, dtype=np.float32)[bits]
            scores = (coins * signs) @ groups / np.sqrt(np.square(signs) @ groups)
            totals.append(np.square(scores).sum(axis=1))
    total = np.sort(np.concatenate(totals))[::-1]
    needed = next(s for s in np.arange(32, 200, 0.1) if float(watermark._tails(np.array([[math.sqrt(s)]]))[0]) <= OURS)
    print(f"{len(total):,} wrong keys: highest S {total[0]:.1f}; the bound asks {needed:.1f} for 1e-6;", end=" ")
    for level in (1e-2, 1e-4):
        said_p = float(watermark._tails(np.array([[math.sqrt(float(total[int(level * len(total))]))]]))[0])
        print(f"at rate {level:g} the bound says {said_p:.1e};", end=" ")
    print()


if __name__ == "__main__":
    main()
