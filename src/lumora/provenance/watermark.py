"""An invisible watermark with a 32-bit payload: keyed spread spectrum with informed embedding.

The watermark shifts the low-frequency DCT coefficients of a video's luma (`dct.py`), which survive codecs, resizing and
new frame rates (Cox, Kilian, Leighton and Shamoon, "Secure spread spectrum watermarking for multimedia", 1997). The key
draws a sign for every coefficient, and assigns one bit of the payload to it; the bit keeps or inverts the sign. A
coefficient that already has the right sign is not changed, and neither is one so far on the wrong side that changing it
would cost too much (informed embedding: Cox, Miller and McKellips, "Watermarking as communications with side
information", 1999). Only signs are read, so contrast and brightness do not matter; the size of a coefficient sets the
weight of its sign. Embedder and reader both work on the residual that a trained network leaves of the video
(`extractor.py`), which contains little of the content.

The p-value of a reading assumes nothing about videos. Without the key its signs are fair coin flips. So for a file that
was made without the key, each bit's score (the weighted sum of signs over the root of the sum of squared weights) is
sub-Gaussian, whatever the weights are. For the sum S of the squares of B independent scores, Chernoff's bound is

    P(S ≥ s) ≤ (s/B)^(B/2) · exp((B − s)/2)    for s ≥ B,

the bound of a χ² variable with B degrees of freedom. It is multiplied by the number of alignments tried (Bonferroni).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float, Int, UInt64

from lumora.media.video import Video
from lumora.provenance.dct import (
    ALIGNMENTS,
    NUM_TIME_FREQUENCIES,
    CropBox,
    ReducedVideo,
    reduced,
    search_stages,
    space_basis,
    spatial_coefficients,
    temporal_coefficients,
    time_basis,
    watermark_band,
)
from lumora.provenance.extractor import Extractor, soft_weights, watermark_residual

BITS = 32
"""Size of the payload. A 2 s clip of 64×64 pixels has 17 · 52 coefficients, 27 or 28 a bit."""
MIN_PSNR = 42.3
"""Of the watermarked video against the original, in dB."""
MAX_SHIFT = 1.5
"""No coefficient is shifted by more than this many margins."""
MAX_MARGIN = 64.0
"""Upper limit of the search for the margin, in grey levels."""


@dataclass(frozen=True)
class WatermarkReading:
    """The result of reading a video with a key, under all alignments that were tried."""

    boxes: list[CropBox]
    scores: Float[np.ndarray, "p bits"]
    """For each alignment and bit: the sign is the bit, the absolute value its clarity in standard deviations."""

    @cached_property
    def p_value(self) -> float:
        """Upper bound of the probability that a video made without the key scores as high under any alignment."""
        return min(1.0, float(self._corrected_tails.min()))

    @property
    def num_alignments(self) -> int:
        return len(self.scores)

    @property
    def box(self) -> CropBox:
        """The crop box with the lowest p-value."""
        return self.boxes[int(self._corrected_tails.argmin())]

    @property
    def payload(self) -> int:
        """The payload as read under the alignment with the lowest p-value."""
        scores = self.scores[int(self._corrected_tails.argmin())]
        return sum(1 << bit for bit, score in enumerate(scores) if score > 0)

    def p_values_of(self, payloads: Sequence[int], alignments: Sequence[int] | None = None) -> Float[np.ndarray, " n"]:
        """For each payload an upper bound of the probability that a video made without the key agrees with it so well.

        With `alignments`, which must be found without the key, each payload is tested at its own alignment; otherwise
        at the best of all. The bound is exp(−z²/2) for z standard deviations (Hoeffding).
        """
        z = np.maximum(_signs_of_payload(payloads) @ self.scores.T / math.sqrt(BITS), 0)
        if alignments is not None:
            return np.exp(-(z[np.arange(len(alignments)), list(alignments)] ** 2) / 2)
        return np.minimum(1.0, (_corrections(self.num_alignments) * np.exp(-(z**2) / 2)).min(axis=1))

    @cached_property
    def _corrected_tails(self) -> Float[np.ndarray, " p"]:
        return _corrections(self.num_alignments) * chernoff_tails(self.scores)


def embed(video: Video, payload: int, key: bytes, extractor: Extractor | None = None) -> Video:
    """The video with `payload` (0 to 2^BITS − 1) as its watermark, at MIN_PSNR or better.

    `extractor` is the network that will read it, by default the one that comes with lumora.
    """
    clip, count = reduced(video), len(video.frames)
    size, band = watermark_band(count)
    basis, signs = time_basis(clip.times), signs_of(payload, key, count)
    residual = ReducedVideo(watermark_residual(clip, extractor), clip.fps)
    found = spatial_coefficients(temporal_coefficients(residual.luma, basis), size, band, CropBox())
    allowed = 255**2 / 10 ** (MIN_PSNR / 10)
    budget, marked = allowed - 1 / 12, video.frames  # the mean square error of rounding is 1/12
    for _ in range(2):  # the second time with the budget that clipping at black and white saved or rounding exceeded
        grid = np.zeros((count, size, size))
        grid[:, band] = basis @ (signs * _optimal_shifts(signs * found, basis, budget))
        moved, error = _add_pattern(video.frames, grid)
        if error <= allowed:
            marked, budget = moved, budget * allowed / max(error, 1e-3)
        else:
            budget *= 0.98 * allowed / error
    return replace(video, frames=marked)


def read(clip: ReducedVideo, key: bytes, stop_at: float = 1e-6) -> WatermarkReading:
    """Reads a video with the key: first as it is, then under other alignments until the p-value reaches `stop_at`."""
    residual = ReducedVideo(watermark_residual(clip), clip.fps)
    reading = WatermarkReading([], np.zeros((0, BITS)))
    for boxes, coefficients in search_stages(residual):
        scores = np.concatenate([reading.scores, _bit_scores(coefficients, key)])
        reading = WatermarkReading([*reading.boxes, *boxes], scores)
        if reading.p_value <= stop_at:
            break
    return reading


def signs_of(payload: int, key: bytes, frames: int) -> Float[np.ndarray, "q n"]:
    """The sign, 1 or −1, of every coefficient of a video of so many frames, as watermarked with this payload."""
    (bits,) = _signs_of_payload([payload])
    return _key_signs(key, frames) * bits[_bit_of_coefficient(key, frames)]


def chernoff_tails(scores: Float[np.ndarray, "p bits"]) -> Float[np.ndarray, " p"]:
    """The bound on P(S ≥ s) at the top of this module, for each row."""
    total = np.maximum(np.square(scores).sum(axis=1), BITS)
    return np.exp(BITS / 2 * np.log(total / BITS) + (BITS - total) / 2)


def _add_pattern(frames: np.ndarray, grid: Float[np.ndarray, "t s s"]) -> tuple[np.ndarray, float]:
    """The frames with the pattern of these coefficients added to R, G and B, and the mean square error."""
    height, width = frames.shape[1:3]
    rows, columns = (space_basis(pixels, grid.shape[1], 0.0, 1.0) for pixels in (height, width))
    moved, error = np.empty_like(frames), 0.0
    for number, frame in enumerate(frames):  # one at a time: a whole video in float64 would need 24 bytes a pixel
        pattern = (rows @ grid[number] @ columns.T)[..., None]
        changed = np.clip(np.rint(frame + pattern), 0, 255)
        error += float(np.square(changed - frame).sum())
        moved[number] = changed
    return moved, error / frames.size


def _optimal_shifts(
    agreement: Float[np.ndarray, "q n"], basis: Float[np.ndarray, "t q"], budget: float
) -> Float[np.ndarray, "q n"]:
    """How far to shift each coefficient towards its sign, in grey levels, at a mean square error of `budget`.

    `agreement` is the coefficient times its sign. The largest affordable margin is found by bisection.
    """
    low, high = 0.0, MAX_MARGIN
    for _ in range(24):
        margin = (low + high) / 2
        if np.square(basis @ _shifts(agreement, margin)).mean(axis=0).sum() < budget:
            low = margin
        else:
            high = margin
    return _shifts(agreement, low)


def _shifts(agreement: Float[np.ndarray, "q n"], margin: float) -> Float[np.ndarray, "q n"]:
    """What is missing to the margin, at most MAX_SHIFT margins; nothing where the coefficient is too far away."""
    missing = np.clip(margin - agreement, 0.0, MAX_SHIFT * margin)
    return np.where(agreement < -0.9 * MAX_SHIFT * margin, 0.0, missing)


def _bit_scores(coefficients: Float[np.ndarray, "p q n"], key: bytes) -> Float[np.ndarray, "p bits"]:
    """Each bit's sum of weighted signs over the root of the sum of the squared weights."""
    frames = coefficients.shape[1]  # 1 for an image, more for a video: all that the key's draws depend on
    bit_of = np.eye(BITS)[_bit_of_coefficient(key, frames).ravel()]
    weights = soft_weights(coefficients).reshape(len(coefficients), -1)
    sums = (weights * _key_signs(key, frames).ravel()) @ bit_of
    return sums / np.sqrt(np.maximum(np.square(weights) @ bit_of, 1e-12))


def _corrections(alignments: int) -> Float[np.ndarray, " p"]:
    """The factor of each alignment's p-value: a weighted Bonferroni correction (Genovese, Roeder and Wasserman, 2006)
    that gives half of the error rate to the video as it is, and half to all other alignments together."""
    return np.where(np.arange(alignments) == 0, 2.0, 2.0 * (len(ALIGNMENTS) - 1))


def _signs_of_payload(payloads: Sequence[int]) -> Float[np.ndarray, "n bits"]:
    """1 where the bit is set and −1 elsewhere."""
    bits = np.array(payloads, np.uint64)[:, None] >> np.arange(BITS, dtype=np.uint64) & np.uint64(1)
    return 2.0 * bits - 1


@lru_cache(8)
def _key_signs(key: bytes, frames: int) -> Float[np.ndarray, "q n"]:
    return 1.0 - 2.0 * (_key_stream(key, b"signs", frames) & np.uint64(1)).astype(float)


@lru_cache(8)
def _bit_of_coefficient(key: bytes, frames: int) -> Int[np.ndarray, "q n"]:
    """Which bit of the payload each coefficient carries. Numbers of coefficients per bit differ by one at most."""
    draws = _key_stream(key, b"bits", frames)
    return (np.argsort(np.argsort(draws.ravel())) % BITS).reshape(draws.shape)


def _key_stream(key: bytes, purpose: bytes, frames: int) -> UInt64[np.ndarray, "q n"]:
    """64 bits for each coefficient, derived from the key alone by SHAKE256. The labels are part of the format."""
    in_space = int(watermark_band(frames)[1].sum())
    in_time = 1 if frames == 1 else NUM_TIME_FREQUENCIES
    stream = hashlib.shake_256(key + purpose + (b" of a still" if frames == 1 else b" of a video"))
    return np.frombuffer(stream.digest(8 * in_time * in_space), "<u8").reshape(in_time, in_space)
