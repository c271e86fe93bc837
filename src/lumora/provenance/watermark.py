"""A mark in the pixels that nobody sees and that the holder of the key finds again: spread spectrum with informed
embedding.

The mark moves the luma of a video along slow waves, in space and in time (a DCT of the whole frame, up to `WAVES` half
waves a side, by a DCT of two seconds), because those survive codecs, resizing and new frame rates. The key draws for
every wave a sign, and a bit of the payload that the sign is multiplied by. Where the pictures have that sign already,
nothing is added; where they stand far against it, neither, for it would cost too much (Cox, Miller and McKellips,
"Watermarking as communications with side information", 1999). What is found is the sign of each wave, so contrast and
brightness don't matter.

How sure a reading is needs no assumption about pictures. To whoever lacks the key its signs are fair coins, so for a
file that was made without it each bit's sum of n signs over √n is sub-Gaussian, and the squares of all bits add up to
S with P(S ≥ s) ≤ (s/bits)^(bits/2) · exp((bits − s)/2)  (Chernoff), times the number of places that were tried.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from lumora.video import Video

BITS = 32
"""Of the payload. A 2 s clip of 64×64 pixels has 17 · 46 waves, 24 a bit."""
PSNR = 42.3
"""Of the marked video against the unmarked one, in dB, at least."""
WAVES, STILL_WAVES = 8.0, 28.0
"""Most half waves a side; a picture lacks the waves in time, and gets more in space."""
TIMES, TIMES_SECONDS = 17, 2.0
"""Waves in time, and the duration of a half wave of the slowest one."""
CAP = 1.5
"""A wave is moved by no more than so many margins."""
TIME_RIDGE, SPACE_RIDGE = 3.0, 0.1
"""Against waves that few frames, or a part of the frame, can't tell apart; of least squares."""
SIDE = 64
"""Pixels of the longer side of what is read; the waves are far longer."""
LUMA = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Box:
    """The part of the original frame that a video shows, in shares of its height and width."""

    top: float = 0.0
    left: float = 0.0
    height: float = 1.0
    width: float = 1.0


@dataclass(frozen=True)
class Reading:
    """What was found at the best of all places that were tried."""

    p_value: float
    """Chance, at most, that a video made without the key gives as much."""
    scores: tuple[float, ...]
    """A number a bit: its sign is the bit, its size in standard deviations how clear that is."""
    box: Box
    tried: int

    @property
    def payload(self) -> int:
        return sum(1 << bit for bit, score in enumerate(self.scores) if score > 0)

    def p_values_of(self, payloads: Sequence[int]) -> Float[np.ndarray, " n"]:
        """For each of these payloads the chance, at most, that a video made without the key fits it so well."""
        signs = 2.0 * ((np.array(payloads, np.uint64)[:, None] >> np.arange(BITS, dtype=np.uint64)) & np.uint64(1)) - 1
        fit = np.maximum(signs @ np.array(self.scores) / math.sqrt(BITS), 0)
        return np.minimum(1.0, self.tried * np.exp(-(fit**2) / 2))


def embed(video: Video, payload: int, key: bytes) -> Video:
    """The video with `payload`, of BITS bits, in its pixels; otherwise the same, at no less than PSNR dB."""
    frames, height, width, _ = video.frames.shape
    size, band = _band(frames)
    in_time = _time_waves(np.arange(frames) / video.fps)
    signs = _signs(key, frames) * _spread(payload, key, frames)
    found = _space_part(_time_part(video.frames @ LUMA, in_time), size, band, Box())
    down, across = _space_waves(height, size, 0.0, 1.0), _space_waves(width, size, 0.0, 1.0)
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


def read(video: Video, key: bytes, enough: float = 1e-6) -> Reading:
    """What the key finds in a video: first as it is, then, unless that gives a p-value of `enough`, in other cuts of
    it.

    These are parts of the frame of the same shape, other beginnings and other speeds.
    """
    luma = _reduced(video)
    tried, best = 0, Reading(1.0, (0.0,) * BITS, Box(), 1)
    for start, speed, boxes in _SEARCH:
        moments = start + speed * np.arange(len(luma)) / video.fps
        planes = _time_part(luma, _time_waves(moments))
        for box in boxes:
            tried += 1
            scores = _scores(planes, len(luma), box, key)
            if np.square(scores).sum() > np.square(best.scores).sum():
                best = Reading(0.0, tuple(scores.tolist()), box, 1)
        best = replace(best, tried=tried, p_value=min(1.0, tried * _tail(best.scores)))
        if best.p_value <= enough:
            break
    return best


def _scores(planes: Float[np.ndarray, "q h w"], frames: int, box: Box, key: bytes) -> Float[np.ndarray, " bits"]:
    """Each bit's sum of signs, over the root of how many there are."""
    size, band = _band(frames)
    agree = np.sign(_space_part(planes, size, band, box)) * _signs(key, frames)
    bits = _bit_of_wave(key, frames)
    sums = np.bincount(bits.ravel(), agree.ravel(), minlength=BITS)
    return sums / np.sqrt(np.maximum(np.bincount(bits.ravel(), minlength=BITS), 1))


def _tail(scores: Sequence[float]) -> float:
    """The bound on P(S ≥ s) that stands at the top."""
    total = float(np.square(scores).sum())
    return math.exp(BITS / 2 * math.log(total / BITS) + (BITS - total) / 2) if total > BITS else 1.0


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


def _time_part(luma: Float[np.ndarray, "t h w"], in_time: Float[np.ndarray, "t q"]) -> Float[np.ndarray, "q h w"]:
    """How much of each wave in time there is in every pixel: least squares, with a ridge for waves that frames can't
    tell apart."""
    gram = in_time.T @ in_time / len(luma) + TIME_RIDGE / len(luma) * np.eye(in_time.shape[1])
    return np.tensordot(np.linalg.solve(gram, in_time.T / len(luma)), luma, axes=1)


def _space_part(
    planes: Float[np.ndarray, "q h w"], size: int, band: Bool[np.ndarray, "s s"], box: Box
) -> Float[np.ndarray, "q n"]:
    """How much of each wave in space there is in every plane, of which `box` is seen: least squares again."""
    down = _space_waves(planes.shape[1], size, box.top, box.height)
    across = _space_waves(planes.shape[2], size, box.left, box.width)
    found = ((down.T @ planes @ across)[:, band] / (len(down) * len(across))).T
    if box == Box():
        return found.T  # the waves of a whole frame are orthogonal
    rows, columns = np.nonzero(band)
    gram_down, gram_across = down.T @ down / len(down), across.T @ across / len(across)
    gram = gram_down[np.ix_(rows, rows)] * gram_across[np.ix_(columns, columns)]
    return np.linalg.solve(gram + SPACE_RIDGE * np.eye(len(gram)), found).T


def _time_waves(moments: Float[np.ndarray, " t"]) -> Float[np.ndarray, "t q"]:
    """Cosines of mean square 1 at these moments in seconds; a picture has the first one alone."""
    numbers = np.arange(TIMES if len(moments) > 1 else 1)
    return np.where(numbers, math.sqrt(2), 1.0) * np.cos(np.pi * numbers * moments[:, None] / TIMES_SECONDS)


def _space_waves(pixels: int, size: int, begin: float, length: float) -> Float[np.ndarray, "pixels size"]:
    """Cosines of mean square 1 over a whole side, at the centres of the pixels of a part of it."""
    places = begin + length * (np.arange(pixels) + 0.5) / pixels
    return np.where(np.arange(size), math.sqrt(2), 1.0) * np.cos(np.pi * np.arange(size) * places[:, None])


@lru_cache(8)
def _band(frames: int) -> tuple[int, Bool[np.ndarray, "s s"]]:
    """How many waves a side, and which of their pairs are used: all slow ones but the three slowest."""
    most = STILL_WAVES if frames == 1 else WAVES
    size = math.ceil(most)
    speed = np.hypot(*np.mgrid[:size, :size])
    return size, (speed >= 1.5) & (speed < most)


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
    waves = int(_band(frames)[1].sum())
    times = 1 if frames == 1 else TIMES
    stream = hashlib.shake_256(key + purpose + (b" of a still" if frames == 1 else b" of a video"))
    return np.frombuffer(stream.digest(8 * times * waves), "<u8").reshape(times, waves)


def _reduced(video: Video) -> Float[np.ndarray, "t h w"]:
    """Its luma, of no more than SIDE pixels a side."""
    luma = (video.frames @ LUMA).astype(np.float32)
    height, width = (min(SIDE, n) for n in luma.shape[1:])
    if (height, width) == luma.shape[1:]:
        return luma
    return np.stack([np.asarray(Image.fromarray(f).resize((width, height), Image.Resampling.BOX)) for f in luma])


def _crops() -> list[Box]:
    """Parts of the frame of its own shape, down to 0.6 of a side, in steps that the waves forgive."""
    boxes = []
    for side in np.arange(0.96, 0.6, -0.04):
        places = np.linspace(0, 1 - side, 1 + math.ceil((1 - side) / 0.06))
        boxes += [Box(top, left, side, side) for top in places.tolist() for left in places.tolist()]
    return boxes


_SEARCH = (
    (0.0, 1.0, [Box()]),
    *((0.0, speed, [Box()]) for speed in (0.5, 2.0)),
    *((start / 8, 1.0, [Box()]) for start in range(1, 17)),
    (0.0, 1.0, _crops()),
)
"""Start in seconds, speed, and parts of the frame."""
