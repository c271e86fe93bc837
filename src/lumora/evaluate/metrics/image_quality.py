"""Image quality and diversity, compared with real clips of the same prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from einops import reduce
from jaxtyping import Float
from scipy import ndimage

from lumora.evaluate.evaluation_data import EvaluationData, timed
from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.features import ClipFeatures, clip_features, features_version, frechet_distance
from lumora.evaluate.metric import MetricResult
from lumora.evaluate.metrics.estimates import Estimate, EstimateColumns, estimate, mean, ratio
from lumora.evaluate.metrics.metric_table import MetricTable
from lumora.evaluate.suites.held_out import HELD_OUT_SEED, held_out_captions, matching_clips

OTHER_SEED = HELD_OUT_SEED + 2
"""Seed of real clips of other prompts."""
CELL = 4
"""Side in pixels of the cells whose change counts as motion: single pixels change when a video flickers."""
MIN_MOTION = 0.3
"""Gray levels per frame below which a real clip counts as static; its motion is not compared."""
VIDEOS_PER_PROMPT = 4
"""Videos, and real clips, of one prompt whose diversity is measured."""
SEED_STEP = 100_000
"""Distance between the seeds of the videos of one prompt."""


@dataclass(frozen=True)
class ImageStatistics:
    """Statistics of N clips, in gray levels."""

    sharpness: Float[np.ndarray, " n"]
    """Mean absolute Laplacian."""
    flicker: Float[np.ndarray, " n"]
    """Mean absolute second difference in time."""
    motion: Float[np.ndarray, " n"]
    """Mean absolute first difference in time of cells."""

    @classmethod
    def of(cls, videos: Sequence[Frames]) -> ImageStatistics:
        rows = np.array([_statistics(video) for video in videos]).reshape(-1, 3)
        return cls(*rows.T)


def image_quality(data: EvaluationData) -> MetricResult:
    real = data.real_features, ImageStatistics.of(data.real_clips)
    codec = data.corrupted_clips["codec"]
    others = _other_real_clips(data)
    with timed("computing features", len(codec) + len(others)):
        columns = {
            "generated": (data.features, ImageStatistics.of(data.videos)),
            "codec": (clip_features(data.probe, codec), ImageStatistics.of(codec)),
            "other seeds": (clip_features(data.probe, others), ImageStatistics.of(others)),
        }
    table = MetricTable(
        "Similarity to real clips of the same prompts",
        "The Fréchet distance of clip features; sharpness, flicker and motion as ratios, 1 where they are as in real "
        "clips; and the mean of the smaller over the larger motion of each pair. Compare with real clips through the "
        "codec, which the model cannot surpass, and with real clips of other seeds.",
        quality_columns(columns, real),
        f"Feature version {features_version(data.probe)}; distances of other versions or numbers of clips are not "
        "comparable.",
    )
    return MetricResult((table,))


def diversity(data: EvaluationData) -> MetricResult:
    """Compares videos of one prompt with real clips that show the same facts."""
    real = _matching_real_clips(data)
    seeds = [case + n * SEED_STEP for case in real for n in range(1, VIDEOS_PER_PROMPT)]
    more = data.make_videos([data.request(data.cases[seed % SEED_STEP].prompt, seed) for seed in seeds])
    per_case = VIDEOS_PER_PROMPT - 1
    generated = [[data.videos[case], *more[i * per_case : (i + 1) * per_case]] for i, case in enumerate(real)]
    features = ([clip_features(data.probe, clips) for clips in groups] for groups in (generated, real.values()))
    table = MetricTable(
        "Diversity of the videos of one prompt",
        "The mean distance between videos of one prompt, over that between real clips that show all facts of the "
        "prompt.",
        {"generated": {"ratio to real clips": diversity_ratio(*features)}},
    )
    return MetricResult((table,))


def quality_columns(
    columns: dict[str, tuple[ClipFeatures, ImageStatistics]], real: tuple[ClipFeatures, ImageStatistics]
) -> EstimateColumns:
    """Compares each column's clips with the real clips, pairwise of the same prompts."""
    return {name: _quality(*column, *real) for name, column in columns.items()}


def diversity_ratio(generated: Sequence[ClipFeatures], real: Sequence[ClipFeatures]) -> Estimate:
    """The ratio of the mean distances between two clips; each item holds several clips of one prompt."""
    spreads = (np.array([_mean_distance(features) for features in groups]) for groups in (generated, real))
    return estimate(ratio, *spreads)


def layout_distances(a: ClipFeatures, b: ClipFeatures) -> Float[np.ndarray, "n m"]:
    """Euclidean distances between the layout features of clips."""
    squares = (a.layout**2).sum(1)[:, None] + (b.layout**2).sum(1) - 2 * a.layout @ b.layout.T
    return np.sqrt(squares.clip(0))


def _statistics(video: Frames) -> tuple[float, float, float]:
    """Sharpness, flicker and motion of one clip."""
    gray = video.mean(axis=-1, dtype=np.float32)
    height, width = (n // CELL * CELL for n in gray.shape[1:])
    cells = reduce(gray[:, :height, :width], "t (h p) (w q) -> t h w", "mean", p=CELL, q=CELL)
    kernel = np.array([[[0, 1, 0], [1, -4, 1], [0, 1, 0]]], np.float32)
    laplacian = ndimage.convolve(gray, kernel, mode="nearest")
    sharpness, flicker, motion = (
        float(np.abs(values).mean()) if values.size else 0.0
        for values in (laplacian, np.diff(gray, 2, axis=0), np.diff(cells, axis=0))
    )
    return sharpness, flicker, motion


def _quality(
    features: ClipFeatures, statistics: ImageStatistics, real_features: ClipFeatures, real: ImageStatistics
) -> dict[str, Estimate]:
    moving = real.motion > MIN_MOTION
    motions = np.stack([statistics.motion, real.motion])[:, moving]
    return {
        "Fréchet distance": estimate(frechet_distance, features.pooled, real_features.pooled),
        "sharpness": estimate(ratio, statistics.sharpness, real.sharpness),
        "flicker": estimate(ratio, statistics.flicker, real.flicker),
        "motion": estimate(ratio, statistics.motion, real.motion),
        "motion similarity": estimate(mean, motions.min(axis=0) / motions.max(axis=0)),
    }


def _other_real_clips(data: EvaluationData) -> list[Frames]:
    plan = data.plan
    cases = held_out_captions(plan.preset, plan.num_clips, plan.length, data.shape, OTHER_SEED, data.workers)
    return [case.real for case in cases if case.real is not None]


def _matching_real_clips(data: EvaluationData) -> dict[int, list[Frames]]:
    """By number of the case, for the first prompts with enough matching real clips."""
    real: dict[int, list[Frames]] = {}
    for number, case in enumerate(data.cases):
        generator = np.random.default_rng([HELD_OUT_SEED, number])
        clips = matching_clips(case, data.plan.preset, data.shape, VIDEOS_PER_PROMPT, generator)
        if len(clips) == VIDEOS_PER_PROMPT:
            real[number] = clips
        if len(real) == data.plan.diversity:
            break
    return real


def _mean_distance(features: ClipFeatures) -> float:
    """Mean distance between two of the clips."""
    distances = layout_distances(features, features)
    return float(distances[np.triu_indices(len(distances), 1)].mean())
