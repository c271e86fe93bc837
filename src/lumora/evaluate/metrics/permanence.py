"""Object permanence: objects do not vanish and do not appear from nothing.

The color tracker reads the colors that are present in each third of a video. Only videos whose real clip keeps its cast
count, because objects may leave the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from lumora.evaluate.evaluation_data import EvaluationData
from lumora.evaluate.instruments.color_tracker import MIN_FOUND_SHARE, ColorReading
from lumora.evaluate.metric import MetricResult
from lumora.evaluate.metrics.metric_table import MetricTable
from lumora.evaluate.metrics.proportions import Proportion, ProportionColumns

Cast: TypeAlias = frozenset[str]
"""Colors of objects."""


def permanence(data: EvaluationData) -> MetricResult:
    table = MetricTable(
        "Videos whose cast stays the same",
        "Objects that are present in the first and in the last third of a video, for videos whose real clip keeps its "
        "cast; and the same of all real clips.",
        permanence_columns(data.real_color_readings, data.color_readings),
    )
    return MetricResult((table,))


def permanence_columns(real: Sequence[ColorReading], generated: Sequence[ColorReading]) -> ProportionColumns:
    real_casts = [casts(reading) for reading in real]
    generated_casts = [casts(r) for parts, r in zip(real_casts, generated, strict=True) if len(set(parts)) == 1]
    return {"generated": _rows(generated_casts), "real clips": _rows(real_casts)}


def casts(reading: ColorReading, parts: int = 3) -> list[Cast]:
    """The colors that are present in each third of the clip."""
    found: list[set[str]] = [set() for _ in range(parts)]
    for color, track in reading.tracks.items():
        for part, areas in enumerate(np.array_split(track.areas, parts)):
            if (areas > 0).mean() >= MIN_FOUND_SHARE:
                found[part].add(color)
    return [frozenset(colors) for colors in found]


def _rows(clips: Sequence[list[Cast]]) -> dict[str, Proportion]:
    return {
        "cast stays": Proportion(sum(len(set(parts)) == 1 for parts in clips), len(clips)),
        "nothing vanishes": Proportion(sum(parts[0] <= parts[-1] for parts in clips), len(clips)),
        "nothing appears": Proportion(sum(parts[-1] <= parts[0] for parts in clips), len(clips)),
    }
