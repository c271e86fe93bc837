"""Every task on held-out clips of the world, against what really happened and against the simplest rule.

    python benchmarks/tasks.py [--clips 100] [--workers 2] [--json OUT] [--weights FOLDER] [--only image "edit .6" …]

The measures are those of `lumora.evaluate.metrics.task_quality`: PSNR of the frames that are made, the same where a subject shows or
something changes, the perceptual distance, the share of true facts that the probe finds (of categories that it is sure
of), and seams. Each is a table: means over clips with 95 % intervals of the network, of the rule (the nearest given
frame repeated, or the two nearest cross-faded; an edit's rule is to leave the clip as it is) and of the best there is
(the true clip through the codec; for facts and seams as it is); the paired difference of network and rule, and the
share of clips in which the network is nearer; and these two of the clips in which something moves. --json writes every
figure of every clip.
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
    MEASURES,
    TASKS,
    Measure,
    Score,
    columns,
    measure_tasks,
    nearer,
    trusted,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--guidance", type=float, help="default: the request's own")
    parser.add_argument("--only", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--workers", type=int, default=0, help="processes, of one thread each; 0: this one alone")
    parser.add_argument("--json", type=Path, help="file for the figures of every clip")
    options = parser.parse_args()
    scores = measure_tasks(
        options.only, options.clips, options.steps, options.guidance, options.weights, options.workers
    )
    if options.json:
        with atomic_write(options.json) as part:
            part.write_text(json.dumps({name: written(some) for name, some in scores.items()}, indent=1))
    for measure in MEASURES:
        print(table(scores, measure), flush=True)


def table(scores: dict[str, list[Score]], measure: Measure) -> str:
    """A row for each task of which the measure says something."""
    moving = sum(score.moves for score in next(iter(scores.values())))
    heads = ("network", "rule", "best", "network − rule", "nearer", f"moving, {moving}", "nearer")
    rows = [f"{measure:<22}" + "".join(f"{head:>{width}}" for head, width in zip(heads, WIDTHS, strict=True))]
    for name, some in scores.items():
        figures, moves = columns(some, measure), np.array([score.moves for score in some])
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
    """How far apart network and rule are, and how often the network is nearer to the truth."""
    share = nearer(figures, measure)
    return mean(figures[:, 0] - figures[:, 1]), f"{share:.0%}" if np.isfinite(share) else ""


def mean(values: Float[np.ndarray, " n"]) -> str:
    """With its 95 % interval, of what is known."""
    values = values[np.isfinite(values)]
    if not len(values):
        return ""
    half = 1.96 * values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    digits = 3 if np.abs(values).max() < 3 else 2
    return f"{values.mean():.{digits}f} ± {half:.{digits}f}"


def written(scores: Sequence[Score]) -> dict[str, object]:
    """All there is to know of a task, as plain data; NaN as null."""
    measures = {
        measure: [[v if np.isfinite(v) else None for v in row] for row in columns(scores, measure).tolist()]
        for measure in MEASURES
    }
    facts = [
        {name: [asdict(fact) | {"shown": shown} for fact, shown in v.shown] for name, v in score.shown.items()}
        for score in scores
    ]
    moves = [score.moves for score in scores]
    return {
        "columns": ["network", "rule", "best"],
        **measures,
        "moves": moves,
        "facts of": sorted(trusted(scores)),
        "read": facts,
    }


if __name__ == "__main__":
    main()
