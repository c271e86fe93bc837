"""A mark in the pixels that nobody sees and that the holder of the key finds again: spread spectrum with informed
embedding.

The mark moves the luma of a video along slow waves, in space and in time (`waves.py`), because those survive codecs,
resizing and new frame rates. The key draws for every wave a sign, and a bit of the payload that the sign is multiplied
by. Where the pictures have that sign already, nothing is added; where they stand far against it, neither, for it would
cost too much (Cox, Miller and McKellips, "Watermarking as communications with side information", 1999). What is found
is the sign of each wave, so contrast and brightness don't matter; a wave's size says how much its sign counts. Both are
of what a learned eye leaves of a video (`eye.py`), which takes most of the pictures off.

How sure a reading is needs no assumption about pictures. To whoever lacks the key its signs are fair coins, so for a
file that was made without it each bit's sum of ±weights over the root of their squares' sum is sub-Gaussian, whatever
the weights are that the key has no part in, and the squares of all bits add up to S with
P(S ≥ s) ≤ (s/bits)^(bits/2) · exp((bits − s)/2)  (Chernoff), times the number of places that are tried.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float

from lumora.media.video import Video
from lumora.provenance.dct import (
    PLACES,
    TIMES,
    CropBox,
    reduction_stages_of,
    space_part,
    space_waves,
    time_part,
    time_waves,
    used_waves,
)
from lumora.provenance.extractor import Extractor, counting, watermark_residual

BITS = 32
"""Of the payload. A 2 s clip of 64×64 pixels has 17 · 52 waves, 27 or 28 a bit."""
PSNR = 42.3
"""Of the marked video against the unmarked one, in dB, at least."""
CAP = 1.5
"""A wave is moved by no more than so many margins."""


@dataclass(frozen=True)
class WatermarkReading:
    """What was found at all places that were tried."""

    boxes: list[CropBox]
    scores: Float[np.ndarray, "p bits"]
    """A number a place and bit: its sign is the bit, its size in standard deviations how clear that is."""

    @cached_property
    def p_value(self) -> float:
        """Chance, at most, that a video made without the key gives as much at any of them."""
        return min(1.0, float((_trials(self.tried) * _tails(self.scores)).min()))

    @property
    def box(self) -> CropBox:
        """Of the clearest place."""
        return self.boxes[self._clearest]

    @property
    def tried(self) -> int:
        return len(self.scores)

    @property
    def payload(self) -> int:
        """As the clearest place has it."""
        return sum(1 << bit for bit, score in enumerate(self.scores[self._clearest]) if score > 0)

    @cached_property
    def _clearest(self) -> int:
        return int((_trials(self.tried) * _tails(self.scores)).argmin())

    def p_values_of(self, payloads: Sequence[int], places: Sequence[int] | None = None) -> Float[np.ndarray, " n"]:
        """For each of these payloads the chance, at most, that a video made without the key fits it so well: at the
        place of that payload, which was found without the key, or at any."""
        signs = 2.0 * ((np.array(payloads, np.uint64)[:, None] >> np.arange(BITS, dtype=np.uint64)) & np.uint64(1)) - 1
        fits = np.maximum(signs @ self.scores.T / math.sqrt(BITS), 0)
        if places is not None:
            return np.exp(-(fits[np.arange(len(places)), list(places)] ** 2) / 2)
        return np.minimum(1.0, (_trials(self.tried) * np.exp(-(fits**2) / 2)).min(axis=1))


def embed(video: Video, payload: int, key: bytes, eye: Extractor | None = None) -> Video:
    """The video with `payload`, of BITS bits, in its pixels; otherwise the same, at no less than PSNR dB. It is made
    for the `eye` that comes with lumora, unless that is still to learn."""
    frames, height, width, _ = video.frames.shape
    size, band = used_waves(frames)
    in_time = time_waves(np.arange(frames) / video.fps)
    signs = signs_of(payload, key, frames)
    found = space_part(time_part(watermark_residual(video, eye), in_time), size, band, CropBox())
    down, across = space_waves(height, size, 0.0, 1.0), space_waves(width, size, 0.0, 1.0)
    allowed = 255**2 / 10 ** (PSNR / 10)
    budget, marked = allowed - 1 / 12, video.frames  # rounding costs a twelfth
    for _ in range(2):  # once more, because what lies outside of black and white is cut off and costs nothing
        grid = np.zeros((frames, size, size))
        grid[:, band] = in_time @ (signs * _affordable(signs * found, in_time, budget))
        moved = np.clip(np.rint(video.frames + (down @ grid @ across.T)[..., None]), 0, 255)
        cost = float(np.square(moved - video.frames).mean())
        if cost <= allowed:
            marked, budget = moved.astype(np.uint8), budget * allowed / max(cost, 1e-3)
        else:
            budget *= 0.98 * allowed / cost
    return replace(video, frames=marked)


def read(video: Video, key: bytes, enough: float = 1e-6) -> WatermarkReading:
    """What the key finds in a video: first as it is, then, unless that gives a p-value of `enough`, in other cuts of
    it."""
    reading = WatermarkReading([], np.zeros((0, BITS)))
    for boxes, waves in reduction_stages_of(watermark_residual(video), video.fps):
        scores = _scores(waves, key)
        reading = WatermarkReading([*reading.boxes, *boxes], np.concatenate([reading.scores, scores]))
        if reading.p_value <= enough:
            break
    return reading


def signs_of(payload: int, key: bytes, frames: int) -> Float[np.ndarray, "q n"]:
    """1 or −1 of every wave of a video of so many frames, as it is marked with this payload."""
    return _signs(key, frames) * _spread(payload, key, frames)


def _scores(waves: Float[np.ndarray, "p q n"], key: bytes) -> Float[np.ndarray, "p bits"]:
    """Each bit's sum of weighted signs, over the root of the sum of the weights' squares."""
    frames = waves.shape[1]  # one in a picture, and in a video some
    of_bit = np.eye(BITS)[_bit_of_wave(key, frames).ravel()]
    counts = counting(waves).reshape(len(waves), -1)
    return (counts * _signs(key, frames).ravel()) @ of_bit / np.sqrt(np.maximum(np.square(counts) @ of_bit, 1e-12))


def _tails(scores: Float[np.ndarray, "p bits"]) -> Float[np.ndarray, " p"]:
    """The bound on P(S ≥ s) that stands at the top, of each place."""
    total = np.maximum(np.square(scores).sum(axis=1), BITS)
    return np.exp(BITS / 2 * np.log(total / BITS) + (BITS - total) / 2)


def _trials(places: int) -> Float[np.ndarray, " p"]:
    """What the p-value of each place is multiplied by: a weighted Bonferroni bound, that counts a video as it is for as
    much as all other places together."""
    return np.where(np.arange(places) == 0, 2.0, 2.0 * (PLACES - 1))


def _affordable(
    agreeing: Float[np.ndarray, "q n"], in_time: Float[np.ndarray, "t q"], budget: float
) -> Float[np.ndarray, "q n"]:
    """How far to move each wave, in grey levels towards its sign, so that their mean square together is `budget`."""
    least, most = 0.0, 64.0
    for _ in range(24):
        margin = (least + most) / 2
        if np.square(in_time @ _moves(agreeing, margin)).mean(axis=0).sum() < budget:
            least = margin
        else:
            most = margin
    return _moves(agreeing, least)


def _moves(agreeing: Float[np.ndarray, "q n"], margin: float) -> Float[np.ndarray, "q n"]:
    return np.where(agreeing < -0.9 * CAP * margin, 0.0, np.clip(margin - agreeing, 0.0, CAP * margin))


@lru_cache(8)
def _signs(key: bytes, frames: int) -> Float[np.ndarray, "q n"]:
    return 1.0 - 2.0 * (_drawn(key, b"signs", frames) & np.uint64(1)).astype(float)


@lru_cache(8)
def _bit_of_wave(key: bytes, frames: int) -> np.ndarray:
    """Which bit of the payload each wave carries; every bit has as many, but for one more or less."""
    draws = _drawn(key, b"bits", frames)
    return (np.argsort(np.argsort(draws.ravel())) % BITS).reshape(draws.shape)


def _spread(payload: int, key: bytes, frames: int) -> Float[np.ndarray, "q n"]:
    bits = 2.0 * np.array([payload >> bit & 1 for bit in range(BITS)]) - 1
    return bits[_bit_of_wave(key, frames)]


def _drawn(key: bytes, purpose: bytes, frames: int) -> np.ndarray:
    """64 random bits a wave, of the key alone."""
    waves = int(used_waves(frames)[1].sum())
    times = 1 if frames == 1 else TIMES
    stream = hashlib.shake_256(key + purpose + (b" of a still" if frames == 1 else b" of a video"))
    return np.frombuffer(stream.digest(8 * times * waves), "<u8").reshape(times, waves)
