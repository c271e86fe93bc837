"""The mark read against what is known of the video that it was put into.

A record holds the slow waves of its video from before it was marked (`whole_of`). Where a file is taken for that video,
those are laid over it, in place and time and tone, and taken off: what is left is the mark and what was done to it, and
the pictures, the strongest noise there is, are gone.

How sure this is needs no assumption about pictures either. What is left of a foreign file knows nothing of the key, so
each wave counts for or against by a fair coin, and P(sum ≥ x) ≤ exp(−λx) · ∏ cosh(λ weight) for every λ (Chernoff). One
thing bends it, by far less than it is sharp: a video that goes on from an older one of ours has that one's mark in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Float16

from lumora.media.video import Video
from lumora.provenance.dct import (
    TIMES,
    CropBox,
    place,
    reduced,
    space_part,
    space_waves,
    time_part,
    time_waves,
    used_waves,
    whole_waves,
)

ReferenceDct: TypeAlias = Float16[np.ndarray, "_"]
"""The slow waves in grey levels: 17 · 122 of a video, those in space alone, but more of them, of a picture."""

NOTHING: ReferenceDct = np.zeros(0, np.float16)
"""Of records of before 2026-11-26."""

ASTRAY = 0.02
"""By how much a place that was found by its looks is off, in seconds and shares of a side; no farther is it moved,
unless the pictures say so clearly: those of a still scene say nothing of time."""
ALIKE = 60
"""Pixels next to one another, in space and time, err alike: so many count for one."""
FRAMES = 34
"""No more are laid over one another to find a place."""
CLEAR = 1.5
"""From so many medians on a wave counts in full."""
HOST = 2.0
"""Of a wave of so many medians before it was marked half as much is thought: marking left the strong ones alone."""


def reference_dct_of(video: Video) -> ReferenceDct:
    frames = len(video.frames)
    in_time = time_waves(np.arange(frames) / video.fps)
    waves = space_part(time_part(reduced(video), in_time), *whole_waves(frames), CropBox())
    return waves.astype(np.float16).ravel()


def chance_of_mark(
    luma: Float[np.ndarray, "t h w"], fps: float, whole: ReferenceDct, number: int, signs: Float[np.ndarray, "q n"]
) -> float:
    """Chance, at most, that a foreign video (`waves.reduced`) agrees so well with these signs of a mark, where it is
    taken for the place of this number in the video that `whole` is of."""
    votes = votes_of(luma, fps, whole, number)
    return 1.0 if votes is None else _chance(signs * votes)


def votes_of(
    luma: Float[np.ndarray, "t h w"], fps: float, whole: ReferenceDct, number: int
) -> Float[np.ndarray, "q n"] | None:
    """Of every wave a number, from −1 to 1, whose sign is what was added to it, and whose size says how clear that is;
    the key has no part in it. None where nothing is known, or it is of a video and this is a picture."""
    times = 1 if len(luma) == 1 else TIMES
    size, band = whole_waves(len(luma))
    if len(whole) != times * band.sum():
        return None
    known = np.zeros((times, size, size))
    known[:, band] = whole.astype(float).reshape(times, -1)
    laid = _laid(luma, fps, known, number)
    narrow, used = used_waves(len(luma))
    left = space_part(time_part(laid.left, laid.in_time), narrow, used, laid.box)
    before = known[:, :narrow, :narrow][:, used]
    clear = np.clip(left / _at_least(CLEAR * np.median(np.abs(left), axis=1, keepdims=True)), -1, 1)
    return clear / (1 + np.square(before / _at_least(HOST * np.median(np.abs(before), keepdims=True))))


@dataclass(frozen=True)
class _Laid:
    left: Float[np.ndarray, "t h w"]
    """What a video shows besides what is known."""
    in_time: Float[np.ndarray, "t q"]
    box: CropBox


def _laid(luma: Float[np.ndarray, "t h w"], fps: float, known: Float[np.ndarray, "q s s"], number: int) -> _Laid:
    """What is known laid over a video by Gauss and Newton's way with Levenberg's damping, from the place on that looks
    gave: beginning in seconds, top, left, height, width."""
    start, speed, box = place(number)
    begin = np.array([start, box.top, box.left, box.height, box.width])
    times = speed * np.arange(len(luma)) / fps

    def shown(where: np.ndarray, every: int = 1) -> np.ndarray:
        down = space_waves(luma.shape[1], known.shape[1], where[1], where[3])
        across = space_waves(luma.shape[2], known.shape[1], where[2], where[4])
        in_time = time_waves(where[0] + times)[::every, : len(known)]
        return down @ np.tensordot(in_time, known, axes=1) @ across.T

    every = math.ceil(len(luma) / FRAMES)
    where = _nearest(luma[::every], lambda where: shown(where, every), begin)
    box = box if np.array_equal(where[1:], begin[1:]) else CropBox(*where[1:].tolist())
    return _Laid(luma - _toned(shown(where), luma), time_waves(where[0] + times), box)


def _nearest(
    luma: Float[np.ndarray, "t h w"], shown: Callable[[np.ndarray], np.ndarray], begin: Float[np.ndarray, " p"]
) -> Float[np.ndarray, " p"]:
    """Where what is shown fits best."""
    picture = shown(begin)
    left = luma - _toned(picture, luma)
    worth = 1 / (ALIKE * (float(np.square(left).mean()) + 0.5))  # half a grey level squared: rounding, and more

    def cost(left: np.ndarray, where: np.ndarray) -> float:
        return worth * float(np.square(left).sum()) + float(np.square((where - begin) / ASTRAY).sum())

    where, best, damping = begin, cost(left, begin), 1e-3
    for _ in range(6):
        slopes = _contrast(picture, luma) * np.stack(
            [(shown(where + step) - picture).ravel() / 0.004 for step in 0.004 * np.eye(5)]
        )
        bent = worth * slopes @ slopes.T + np.eye(5) / ASTRAY**2
        pull = worth * slopes @ left.ravel() - (where - begin) / ASTRAY**2
        tried = where + np.linalg.solve(bent + damping * np.diag(np.diag(bent)), pull)
        tried_picture = shown(tried)
        tried_left = luma - _toned(tried_picture, luma)
        gained = best - cost(tried_left, tried)
        if gained <= 0:
            damping *= 10
            continue
        where, picture, left, best, damping = tried, tried_picture, tried_left, best - gained, damping / 4
        if gained < 0.3:
            break
    return where


def _contrast(picture: np.ndarray, luma: np.ndarray) -> float:
    """Of the video over what is shown."""
    level = picture - picture.mean()
    return float((luma * level).sum() / max(np.square(level).sum(), 1e-9))


def _toned(picture: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """What is shown with the brightness, contrast and gamma, as a parabola, that come nearest to the video."""
    level = (picture.ravel() - picture.mean()) / 64
    powers = np.stack([np.ones_like(level), level, level**2])
    tone = np.linalg.lstsq(powers @ powers.T, powers @ luma.ravel(), rcond=None)[0]
    return (tone @ powers).reshape(luma.shape)


def _chance(votes: Float[np.ndarray, "q n"]) -> float:
    """That fair coins give a sum of so much: the best of some λ, each of which holds."""
    total, weights = float(votes.sum()), np.abs(votes).ravel()
    if total <= 0:
        return 1.0
    normal = total / float(np.square(weights).sum())  # the best λ, were the weights small
    logs = [
        float(np.logaddexp(rate * weights, -rate * weights).sum()) - len(weights) * math.log(2) - rate * total
        for rate in normal * np.array([0.8, 1.0, 1.2, 1.5, 2.0, 3.0])
    ]
    return math.exp(min(0.0, max(min(logs), -600.0)))


def _at_least(size: np.ndarray) -> np.ndarray:
    return np.maximum(size, 1e-9)
