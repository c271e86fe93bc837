"""The quality of every task on held-out clips, compared with the true clip and with a simple baseline.

    python benchmarks/tasks.py [--num-clips 100] [--workers 2] [--json OUT] [--model FOLDER] [--only image "edit .6" …]

The measures are those of `lumora.evaluate.metrics.task_quality`. Each has a table: means over clips with 95 % intervals
of the model, of the baseline (the nearest given frame repeated, or the two nearest cross-faded; an edit leaves the clip
as it is) and of the best possible result (the true clip through the codec; for facts and seams the clip itself); the
paired difference of model and baseline, and the share of clips in which the model is better; and these two for the
clips in which something moves. --json writes every figure of every clip.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lumora.atomic_io import atomic_write
from lumora.evaluate.metrics.task_quality import (
    COLUMNS,
    MEASURES,
    TASKS,
    Measure,
    TaskScore,
    measure_tasks,
    reliable_categories,
    task_columns,
    win_rate,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-clips", type=int, default=100)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--steps", type=int, help="denoising steps (default: the model's)")
    parser.add_argument("--guidance-scale", type=float, help="default: the request's own")
    parser.add_argument("--only", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--workers", type=int, default=0, help="processes with one thread each; 0: this one alone")
    parser.add_argument("--json", type=Path, help="file for the figures of every clip")
    options = parser.parse_args()
    scores = measure_tasks(
        options.only, options.num_clips, options.steps, options.guidance_scale, options.model, options.workers
    )
    if options.json:
        with atomic_write(options.json) as part:
            part.write_text(json.dumps({name: as_json(some) for name, some in scores.items()}, indent=1))
    for measure in MEASURES:
        print(table(scores, measure), flush=True)


def table(scores: dict[str, list[TaskScore]], measure: Measure) -> str:
    """A row for each task for which the measure is defined."""
    moving = sum(score.moves for score in next(iter(scores.values())))
    heads = (*COLUMNS, "model − baseline", "wins", f"moving, {moving}", "wins")
    rows = [f"{measure:<22}" + "".join(f"{head:>{width}}" for head, width in zip(heads, WIDTHS, strict=True))]
    for name, some in scores.items():
        figures, moves = task_columns(some, measure), np.array([score.moves for score in some])
        if np.isfinite(figures[:, :2]).any():
            cells = [
                *(mean(column) for column in figures.T),
                *paired(figures, measure),
                *paired(figures[moves], measure),
            ]
            rows.append(f"{name:<22}" + "".join(f"{cell:>{w}}" for cell, w in zip(cells, WIDTHS, strict=True)))
    return "\n".join([*rows, ""])


WIDTHS = (16, 16, 16, 17, 8, 17, 8)


def paired(figures: Float[np.ndarray, "clips 3"], measure: Measure) -> tuple[str, str]:
    """The difference of model and baseline, and how often the model is better."""
    rate = win_rate(figures, measure)
    return mean(figures[:, 0] - figures[:, 1]), f"{rate:.0%}" if np.isfinite(rate) else ""


def mean(values: Float[np.ndarray, " n"]) -> str:
    """The mean of the defined values with its 95 % interval."""
    values = values[np.isfinite(values)]
    if not len(values):
        return ""
    half = 1.96 * values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    digits = 3 if np.abs(values).max() < 3 else 2
    return f"{values.mean():.{digits}f} ± {half:.{digits}f}"


def as_json(scores: Sequence[TaskScore]) -> dict[str, object]:
    """All figures of a task; NaN becomes null."""
    measures = {
        measure: [[v if np.isfinite(v) else None for v in row] for row in task_columns(scores, measure).tolist()]
        for measure in MEASURES
    }
    facts = [
        {name: [asdict(fact) | {"shown": shown} for fact, shown in v.shown] for name, v in score.verdicts.items()}
        for score in scores
    ]
    moves = [score.moves for score in scores]
    return {
        "columns": [*COLUMNS],
        **measures,
        "moves": moves,
        "reliable_categories": sorted(reliable_categories(scores)),
        "verdicts": facts,
    }


if __name__ == "__main__":
    main()
