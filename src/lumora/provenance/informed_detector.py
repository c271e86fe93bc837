"""Reading the watermark with knowledge of the original video (informed detection).

A record of the index stores the low-frequency DCT coefficients of its video from before the watermark was embedded
(`reference_dct_of`). When a file is tested against that record, the reference is aligned with the file in time, place
and tone, and subtracted: the content, which is the strongest noise, is removed, and what remains is the watermark and
what was done to the file.

The p-value again assumes nothing about videos. What remains of a foreign file does not depend on the key, so each
coefficient agrees or disagrees with the key's sign by a fair coin flip. For weights w and every λ > 0

    P(Σ ±w ≥ x) ≤ exp(−λx) · Π cosh(λw)    (Chernoff).

There is one small exception: the reference of a video that extends an older video of ours contains the older watermark.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Float16

from lumora.media.video import Video
from lumora.provenance.dct import (
    NUM_TIME_FREQUENCIES,
    Alignment,
    CropBox,
    ReducedVideo,
    reduced,
    reference_band,
    space_basis,
    spatial_coefficients,
    temporal_coefficients,
    time_basis,
    watermark_band,
)

ReferenceDct: TypeAlias = Float16[np.ndarray, "_"]
"""Coefficients in grey levels: 17 · 121 of a video, frequencies in time by those in space; 640 of an image."""

AlignmentVector: TypeAlias = Float[np.ndarray, " p"]
"""Start in seconds; top, left, height and width as fractions of the original's sides."""

NO_REFERENCE: ReferenceDct = np.zeros(0, np.float16)
"""Of records that were written before references were stored."""

ALIGNMENT_SIGMA = 0.02
"""Standard deviation of the alignment found by the fingerprint, in seconds and fractions of a side. It is the prior of
the refinement: a still scene says nothing about time."""
CORRELATED_PIXELS = 600
"""Neighboring pixels in space and time have correlated errors: so many count as one observation. Of 60, 200, 600 and
2000, this gives the lowest p-values over attacked clips, without a bias of the alignment towards wrong times."""
MAX_FRAMES = 34
"""Frames used to refine an alignment."""
JACOBIAN_STEP = 0.004
"""Step of the finite differences, in seconds and fractions of a side."""
FULL_WEIGHT = 1.5
"""Coefficients of at least so many medians have the full weight."""
HOST_SCALE = 2.0
"""Where the original's coefficient has so many medians the weight is halved: the embedder changes large ones less."""
LAMBDAS = np.array([0.8, 1.0, 1.2, 1.5, 2.0, 3.0])
"""Values of λ that are tried, as multiples of the best one for small weights. The bound holds for each of them."""


def reference_dct_of(video: Video) -> ReferenceDct:
    """The coefficients that are stored of a video before it is watermarked."""
    clip = reduced(video)
    planes = temporal_coefficients(clip.luma, time_basis(clip.times))
    return spatial_coefficients(planes, *reference_band(len(clip.luma)), CropBox()).astype(np.float16).ravel()


def sign_p_value(
    clip: ReducedVideo, reference: ReferenceDct, alignment: Alignment, signs: Float[np.ndarray, "q n"]
) -> float:
    """Upper bound of the probability that a foreign video agrees so well with these signs of a watermark, when it is
    tested at this alignment against the original with this reference."""
    votes = sign_votes(clip, reference, alignment)
    return 1.0 if votes is None else _chernoff_bound(signs * votes)


def sign_votes(clip: ReducedVideo, reference: ReferenceDct, alignment: Alignment) -> Float[np.ndarray, "q n"] | None:
    """For every coefficient a number from −1 to 1: its sign is what was added to the original, its size the weight.

    The key is not used. None without a reference, and where one of both is an image and the other a video.
    """
    times = 1 if len(clip.luma) == 1 else NUM_TIME_FREQUENCIES
    size, band = reference_band(len(clip.luma))
    if len(reference) != times * band.sum():
        return None
    original = np.zeros((times, size, size))
    original[:, band] = reference.astype(float).reshape(times, -1)
    aligned = _subtract_reference(clip, original, alignment)
    marked_size, marked_band = watermark_band(len(clip.luma))
    planes = temporal_coefficients(aligned.difference, aligned.basis)
    added = spatial_coefficients(planes, marked_size, marked_band, aligned.box)
    host = original[:, :marked_size, :marked_size][:, marked_band]
    votes = np.clip(added / _positive(FULL_WEIGHT * np.median(np.abs(added), axis=1, keepdims=True)), -1, 1)
    return votes / (1 + np.square(host / _positive(HOST_SCALE * np.median(np.abs(host), keepdims=True))))


@dataclass(frozen=True)
class _Aligned:
    difference: Float[np.ndarray, "t h w"]
    """The video minus the reference."""
    basis: Float[np.ndarray, "t q"]
    """In time."""
    box: CropBox


def _subtract_reference(clip: ReducedVideo, original: Float[np.ndarray, "q s s"], alignment: Alignment) -> _Aligned:
    """Refines the alignment, then subtracts the aligned reference from the video. The speed is kept as it is."""
    times, box = alignment.speed * clip.times, alignment.box
    begin = np.array([alignment.start, box.top, box.left, box.height, box.width])
    every = math.ceil(len(times) / MAX_FRAMES)
    refined = _refine_alignment(clip.luma[::every], times[::every], original, begin)
    if not np.array_equal(refined[1:], begin[1:]):
        box = CropBox(*refined[1:].tolist())
    rendered = _render(original, refined, times, clip.luma.shape[1:])
    return _Aligned(clip.luma - _match_tone(rendered, clip.luma), time_basis(refined[0] + times), box)


def _refine_alignment(
    luma: Float[np.ndarray, "t h w"],
    times: Float[np.ndarray, " t"],
    original: Float[np.ndarray, "q s s"],
    begin: AlignmentVector,
) -> AlignmentVector:
    """The alignment at which the reference fits the video best.

    A maximum a posteriori estimate by Levenberg and Marquardt's method: independent Gaussian errors of the pixels, and
    `begin` with ALIGNMENT_SIGMA as the prior. The tone is fitted anew at each alignment (variable projection).
    """
    from scipy.optimize import least_squares  # half a second and 50 MB, which publishing does not need

    def difference(where: AlignmentVector) -> Float[np.ndarray, " n"]:
        return (luma - _match_tone(_render(original, where, times, luma.shape[1:]), luma)).ravel()

    variance = float(np.square(difference(begin)).mean()) + 0.5  # rounding and more, also where the fit is perfect
    scale = 1 / math.sqrt(CORRELATED_PIXELS * variance)

    def residuals(where: AlignmentVector) -> Float[np.ndarray, " m"]:
        return np.concatenate([scale * difference(where), (where - begin) / ALIGNMENT_SIGMA])

    def jacobian(where: AlignmentVector) -> Float[np.ndarray, "m p"]:
        here = residuals(where)
        steps = [residuals(where + step) - here for step in JACOBIAN_STEP * np.eye(5)]
        return np.stack(steps, axis=1) / JACOBIAN_STEP

    jac: Any = jacobian  # scipy's annotations allow strings only
    return least_squares(residuals, begin, jac, method="lm", ftol=1e-4, max_nfev=10).x


def _render(
    original: Float[np.ndarray, "q s s"],
    where: AlignmentVector,
    times: Float[np.ndarray, " t"],
    shape: tuple[int, ...],
) -> Float[np.ndarray, "t h w"]:
    """The frames that these coefficients give at an alignment."""
    rows = space_basis(shape[0], original.shape[1], where[1], where[3])
    columns = space_basis(shape[1], original.shape[1], where[2], where[4])
    basis = time_basis(where[0] + times)[:, : len(original)]
    return rows @ np.tensordot(basis, original, axes=1) @ columns.T


def _match_tone(rendered: Float[np.ndarray, "t h w"], luma: Float[np.ndarray, "t h w"]) -> Float[np.ndarray, "t h w"]:
    """What is rendered, with the brightness, contrast and gamma (as a parabola) that come nearest to the video's."""
    level = (rendered.ravel() - rendered.mean()) / 64
    powers = np.stack([np.ones_like(level), level, level**2])
    tone = np.linalg.lstsq(powers @ powers.T, powers @ luma.ravel(), rcond=None)[0]
    return (tone @ powers).reshape(luma.shape)


def _chernoff_bound(votes: Float[np.ndarray, "q n"]) -> float:
    """The bound at the top of this module, for x the sum of the votes and w their absolute values."""
    total, weights = float(votes.sum()), np.abs(votes).ravel()
    if total <= 0:
        return 1.0
    exponents = [
        float(np.logaddexp(rate * weights, -rate * weights).sum()) - len(weights) * math.log(2) - rate * total
        for rate in total / float(np.square(weights).sum()) * LAMBDAS
    ]
    return math.exp(min(0.0, max(min(exponents), -600.0)))


def _positive(size: np.ndarray) -> np.ndarray:
    return np.maximum(size, 1e-9)
