"""Finds clips that show the same as another one, also at another size, rate, format or quality.

A clip is compared by three of its pictures, at a sixth, a half and five sixths of its length: first by a perceptual
hash, the signs of the low frequencies of a discrete cosine transform (Zauner, "Implementation and benchmarking of
perceptual image hash functions", 2010), which is quick; then, because footage of one scene can have equal hashes, by
the colors of small pictures.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8
from scipy.fft import dctn

from lumora.data.footage.records import FootageClip

POSITIONS = (1 / 6, 1 / 2, 5 / 6)
HASH_SIDE = 8
MAX_HASH_DISTANCE = 0.15
"""Share of the bits that may differ."""
MAX_COLOR_DISTANCE, MAX_LOCAL_DISTANCE = 8.0, 24.0
"""Gray levels by which pictures may differ in the mean, and in the 2 % of their pixels that differ most: the same
meadow with another ball is another clip."""
MAX_LENGTH_RATIO = 1.25
"""Of the longer to the shorter clip."""


@dataclass(frozen=True)
class _Print:
    bits: np.ndarray
    pixels: np.ndarray
    seconds: float


def mark_duplicates(clips: Sequence[FootageClip]) -> list[FootageClip]:
    """The clips in their order; one that shows the same as an earlier, larger or equally large one is marked.

    Clips that are left out already stay as they are. Of equal clips the one with the most pixels is kept, then the
    first.
    """
    order = sorted(range(len(clips)), key=lambda i: (-clips[i].width * clips[i].height, i))
    candidates = [i for i in order if clips[i].reason is None]
    prints = {i: _print(clips[i]) for i in candidates}
    kept: list[int] = []
    bits = np.empty((len(candidates), 3 * HASH_SIDE**2), bool)
    result = list(clips)
    for index in candidates:
        own = prints[index]
        distances = (bits[: len(kept)] != own.bits).mean(axis=1)
        near = (kept[i] for i in np.flatnonzero(distances <= MAX_HASH_DISTANCE))
        original = next((i for i in near if _same(own, prints[i])), None)
        if original is None:
            bits[len(kept)] = own.bits
            kept.append(index)
        else:
            detail = f"It shows the same as {clips[original].source}, from frame {clips[original].begin} on."
            result[index] = replace(clips[index], reason="duplicate", detail=detail, file="")
    return result


def perceptual_hash(pictures: Sequence[UInt8[np.ndarray, "s s 3"]]) -> str:
    """192 bits, hexadecimal, of three small pictures."""
    bits = []
    for picture in pictures:
        gray = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        low = np.asarray(dctn(gray, norm="ortho"))[:HASH_SIDE, :HASH_SIDE].ravel()
        bits.append(low > np.median(low[1:]))
    return np.packbits(np.concatenate(bits)).tobytes().hex()


def encode_thumbnails(pictures: Sequence[UInt8[np.ndarray, "s s 3"]]) -> str:
    """16 × 16 pixels of each picture, base64."""
    halved = [p.reshape(16, 2, 16, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8) for p in pictures]
    return base64.b64encode(np.stack(halved).tobytes()).decode("ascii")


def _print(clip: FootageClip) -> _Print:
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(clip.perceptual_hash), np.uint8)).astype(bool)
    pixels = np.frombuffer(base64.b64decode(clip.thumbnails), np.uint8).astype(np.float32).reshape(3, -1)
    return _Print(bits, pixels, clip.seconds)


def _same(one: _Print, other: _Print) -> bool:
    if (one.seconds == 0) != (other.seconds == 0):  # a picture and a video
        return False
    if max(one.seconds, other.seconds) > MAX_LENGTH_RATIO * min(one.seconds, other.seconds):
        return False
    distance = np.abs(one.pixels - other.pixels)
    return bool(distance.mean() <= MAX_COLOR_DISTANCE and np.percentile(distance, 98) <= MAX_LOCAL_DISTANCE)
