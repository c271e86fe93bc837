"""How reliably `lumora detect` recognizes published videos after attacks, and how rarely it takes others for ours.

    python benchmarks/detect.py [--num-clips N] [--size WxH] [--preset simple] [--keys K] [--foreign N] [--index-size N]
    python benchmarks/detect.py --footage FOLDER --size 832x480 --frames 81 --fps 16 [--more]

Clips of the simulated world, with other seeds than the training data, or of the videos and photographs in a folder, are
watermarked, registered, encoded as they are published, and attacked; `--more` adds attacks on large videos. For each
attack it prints the share that is found at a false positive rate of 10⁻⁶ by the
watermark alone, without the index, and by all evidence together; the share that is not answered with "not ours", by all
evidence and by fingerprints alone; each with 95 % Wilson intervals; and the share of payload bits that are read.

Two null distributions check the p-values: K wrong keys on the published clips, and clips that were never published.
"""

from __future__ import annotations

import argparse
import math
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

import numpy as np
from footage_clips import footage_clips

from lumora.config import Resolution, VideoShape
from lumora.evaluate.metrics.proportions import Proportion
from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.attacks import all_attacks, reencode
from lumora.provenance.dct import ReducedVideo, reduced, search_stages
from lumora.provenance.detect import (
    MAX_INFORMED,
    NOT_OURS_P_VALUE,
    OURS_P_VALUE,
    combined_p_value,
    fisher_p_values,
    index_p_values,
    informed_p_value,
)
from lumora.provenance.extractor import soft_weights, watermark_residual
from lumora.provenance.fingerprint import fingerprint_of, fingerprint_p_value, match_fingerprints
from lumora.provenance.index import PublishedRecord
from lumora.provenance.informed_detector import reference_dct_of
from lumora.world.clip import make_clip

PUBLISHED_SEED, FOREIGN_SEED = 314, 315
BATCH_KEYS = 10_000


@dataclass
class Counts:
    """One entry for each video under one attack."""

    by_watermark: list[bool] = field(default_factory=list)
    by_all: list[bool] = field(default_factory=list)
    any_trace: list[bool] = field(default_factory=list)
    by_fingerprint: list[bool] = field(default_factory=list)
    bits_read: list[int] = field(default_factory=list)
    p_values: list[float] = field(default_factory=list)
    """Of the watermark alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-clips", type=int, default=100)
    parser.add_argument("--size", type=Resolution.parse, default=Resolution(64, 64))
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--fps", type=float, default=8.0)
    parser.add_argument("--preset", default="simple")
    parser.add_argument("--footage", type=Path, help="a folder of videos and photographs, instead of the world")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--foreign", type=int, default=100, help="clips that were never published")
    parser.add_argument("--index-size", type=int, default=1000, help="records that the index is assumed to hold")
    parser.add_argument("--more", action="store_true", help="attacks on large videos too")
    parser.add_argument("--attack", action="append", help="only this one; can be repeated")
    options = parser.parse_args()
    generator, key = np.random.default_rng(0), secrets.token_bytes(32)
    shape = VideoShape(options.frames, options.size.height, options.size.width, options.fps)
    published, records, clips, worst = [], [], [], math.inf
    for original in islice(originals(options.footage, options.preset, PUBLISHED_SEED, shape), options.num_clips):
        payload = secrets.randbits(32)
        marked = watermark.embed(original, payload, key)
        worst = min(worst, psnr(original, marked))
        fingerprint, reference = fingerprint_of(original), reference_dct_of(original)
        records.append(PublishedRecord(f"{payload:08x}", "", {}, b"", fingerprint, reference))
        published.append(reencode(marked, 16))
        clips.append(reduced(original))
    print(f"{len(published)} clips of {options.size}, watermark at {worst:.2f} dB or better")
    print_wrong_keys(clips, options.keys)
    foreign = originals(None, options.preset, FOREIGN_SEED, shape)  # other parts of the same footage are similar
    if options.foreign:
        print_foreign([reduced(clip) for clip in islice(foreign, options.foreign)], records, key)
    titles = ("watermark alone", "all together", "at least a trace", "fingerprints alone")
    print(f"{'':24s}{''.join(f'{title:>24s}' for title in titles)}   bits read   seconds  median p")
    attacks = all_attacks(generator) | (large_attacks() if options.more else {})
    for name, attack in attacks.items():
        if not options.attack or name in options.attack:
            print_attack(name, attack, published, records, key, options.index_size)


def originals(footage: Path | None, preset: str, seed: int, shape: VideoShape) -> Iterator[Video]:
    """Clips without end."""
    if footage is not None:
        yield from footage_clips(footage, shape, seed)
    for number in count():
        yield Video(make_clip(preset, seed, number, shape).frames.numpy(), shape.fps)


def large_attacks() -> dict[str, Callable[[Video], Video]]:
    """What is done to videos of 480 lines and more."""

    def smaller(video: Video, share: float) -> Video:
        height, width = (2 * round(share * side / 2) for side in video.frames.shape[1:3])
        return video.resize(height, width)

    return {
        "CRF 23": lambda v: reencode(v, 23),
        "CRF 33": lambda v: reencode(v, 33),
        "CRF 38": lambda v: reencode(v, 38),
        "75 % of the size": lambda v: reencode(smaller(v, 0.75), 23),
        "half the size": lambda v: reencode(smaller(v, 0.5), 28),
        "240 lines, CRF 35": lambda v: reencode(smaller(v, 240 / v.frames.shape[1]), 35),
        "GIF": lambda v: as_file(v, ".gif"),
        "GIF, 240 lines, 10 fps": lambda v: as_file(smaller(v, 240 / v.frames.shape[1]).resample_fps(10), ".gif"),
        "WebP": lambda v: as_file(v, ".webp"),
        "30 fps": lambda v: reencode(v.resample_fps(30), 23),
        "12 fps": lambda v: reencode(v.resample_fps(12), 23),
    }


def as_file(video: Video, suffix: str) -> Video:
    with tempfile.TemporaryDirectory() as folder:
        return Video.load(video.save(Path(folder) / f"video{suffix}"))


def psnr(a: Video, b: Video) -> float:
    return 10 * math.log10(255**2 / np.square(a.frames - b.frames.astype(float)).mean())


def print_attack(
    name: str,
    attack: Callable[[Video], Video],
    videos: list[Video],
    records: list[PublishedRecord],
    key: bytes,
    index_size: int,
) -> None:
    counts, seconds = Counts(), 0.0
    for video, record in zip(videos, records, strict=True):
        attacked = attack(video)
        started = time.process_time()
        count_one(counts, reduced(attacked), record, key, index_size)
        seconds += (time.process_time() - started) / len(videos)
    columns = (counts.by_watermark, counts.by_all, counts.any_trace, counts.by_fingerprint)
    shares = "".join(f"{share(found):>24s}" for found in columns)
    line = f"{name:24s}{shares}{np.mean(counts.bits_read) / watermark.BITS:12.3f}{seconds:10.3f}"
    print(f"{line}{np.median(counts.p_values):10.0e}", flush=True)


def count_one(counts: Counts, clip: ReducedVideo, record: PublishedRecord, key: bytes, index_size: int) -> None:
    """Decides as `detect` does for an index of this size that holds the video's record.

    As many other records are assumed to be more similar as `fingerprint_p_value` expects.
    """
    payload = int(record.record, 16)
    reading = watermark.read(clip, key, stop_at=0.0)
    (match,) = match_fingerprints(search_stages(clip), [record.fingerprint])
    (fisher,) = fisher_p_values(reading, [payload], [match])
    by_fingerprint = fingerprint_p_value(match.similarity)
    more_similar = (index_size - 1) * by_fingerprint
    informed = 1.0
    if more_similar < MAX_INFORMED:
        signs = watermark.signs_of(payload, key, len(clip.luma))
        informed = (more_similar + 1) * (more_similar + 2) * informed_p_value(clip, record, match, signs)
    p_value = combined_p_value(reading, [index_size * fisher, informed])
    counts.by_watermark.append(reading.p_value <= OURS_P_VALUE)
    counts.by_all.append(p_value <= OURS_P_VALUE)
    counts.any_trace.append(p_value < NOT_OURS_P_VALUE)
    counts.by_fingerprint.append(index_size * by_fingerprint <= NOT_OURS_P_VALUE)
    counts.p_values.append(reading.p_value)
    counts.bits_read.append(watermark.BITS - (reading.payload ^ payload).bit_count())


def share(found: list[bool]) -> str:
    low, high = Proportion(sum(found), len(found)).interval()
    return f"{np.mean(found):.1%} [{low:.1%}, {high:.1%}]"


def print_foreign(clips: list[ReducedVideo], records: list[PublishedRecord], key: bytes) -> None:
    """The answers for clips that were never published, with the index of all that were."""
    p_values, similarities = [], []
    for clip in clips:
        reading = watermark.read(clip, key, stop_at=0.0)
        matches = match_fingerprints(search_stages(clip), [record.fingerprint for record in records])
        p_values.append(combined_p_value(reading, index_p_values(clip, reading, records, matches, key)))
        similarities += [match.similarity for match in matches]
    ours, trace = ([p <= limit for p in p_values] for limit in (OURS_P_VALUE, NOT_OURS_P_VALUE))
    print(f"{len(clips)} foreign clips: ours {share(ours)}, a trace {share(trace)}, smallest p {min(p_values):.1e}")
    rates = (f"{np.mean(np.array(similarities) >= level):.1e} from {level:.1f} on" for level in (0.3, 0.4, 0.5, 0.6))
    print(f"{len(similarities):,} foreign pairs: highest similarity {max(similarities):.3f}; {', '.join(rates)}")


def print_wrong_keys(clips: list[ReducedVideo], keys: int) -> None:
    """Scores under random signs and random bits, with the weights of real clips, against the bound."""
    per_video = max(1, keys // len(clips))
    totals = [random_key_totals(clip, per_video, np.random.default_rng(n)) for n, clip in enumerate(clips)]
    total = np.sort(np.concatenate(totals))[::-1]
    needed = next(s for s in np.arange(watermark.BITS, 200, 0.1) if bound(float(s)) <= OURS_P_VALUE)
    print(f"{len(total):,} wrong keys: highest S {total[0]:.1f}; the bound needs {needed:.1f} for 1e-6;", end=" ")
    levels = ((level, float(total[int(level * len(total))])) for level in (1e-2, 1e-4))
    print("; ".join(f"at rate {level:g} the bound is {bound(s):.1e}" for level, s in levels))


def random_key_totals(clip: ReducedVideo, keys: int, generator: np.random.Generator) -> np.ndarray:
    """The sum of the squared scores of all bits, for each random key."""
    residual = ReducedVideo(watermark_residual(clip), clip.fps)
    _, coefficients = next(search_stages(residual))
    weights, totals = soft_weights(coefficients).ravel().astype(np.float32), []
    for begin in range(0, keys, BATCH_KEYS):
        count = min(BATCH_KEYS, keys - begin)
        bit_of = generator.permutation(len(weights)) % watermark.BITS  # shared by the batch; signs are drawn anew
        draws = generator.integers(0, 256, (count, -(-len(weights) // 8)), dtype=np.uint8)
        signs = np.unpackbits(draws, axis=1)[:, : len(weights)].astype(np.float32) * 2 - 1
        groups = np.eye(watermark.BITS, dtype=np.float32)[bit_of]
        scores = (signs * weights) @ groups / np.sqrt(np.square(weights) @ groups)
        totals.append(np.square(scores).sum(axis=1))
    return np.concatenate(totals)


def bound(total: float) -> float:
    """The p-value, under one alignment, of scores whose squares add up to this."""
    return float(watermark.chernoff_tails(np.array([[math.sqrt(total)]]))[0])


if __name__ == "__main__":
    main()
