"""Tables of figures, the result of every metric: as text, as JSON, and as data for a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lumora.evaluate.metrics.estimates import Estimate
from lumora.evaluate.metrics.proportions import Proportion

Figure: TypeAlias = Proportion | Estimate
Columns: TypeAlias = Mapping[str, Mapping[str, Figure]]
"""Figures by column and row; all columns have the rows of the first one, or fewer."""

CELL_WIDTH = 28


@dataclass(frozen=True)
class Curve:
    """A line of a plot, with the interval of each point."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Plot:
    x_label: str
    y_label: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class MetricTable:
    """A table of figures with their 95 % intervals."""

    name: str
    """The title; unique within a metric."""
    description: str
    """How to read the table, in a sentence or two."""
    columns: Columns
    note: str = ""
    """A sentence that depends on the result, such as which categories are not scored."""
    plot: Plot | None = None

    def as_text(self) -> str:
        return "\n".join([self.name, format_columns(self.columns), *([self.note] if self.note else [])])

    def as_json(self) -> dict[str, Any]:
        columns = {name: {row: figure_as_json(f) for row, f in rows.items()} for name, rows in self.columns.items()}
        return {"columns": columns, "note": self.note}


def format_columns(columns: Columns) -> str:
    """A line for each row of the first column, a cell with the 95 % interval for each column."""
    first = next(iter(columns.values()))
    width = max((len(row) for row in first), default=0)
    lines = [" " * width + "".join(f"{name:>{CELL_WIDTH}}" for name in columns)]
    for row, figure in first.items():
        cells = "".join(f"{format_figure(rows.get(row)):>{CELL_WIDTH}}" for rows in columns.values())
        lines.append(f"{row:{width}}{cells}  of {figure.count}")
    return "\n".join(lines)


def format_figure(figure: Figure | None) -> str:
    """The value and its interval, such as `74.1% [ 55.3%, 86.8%]` or `1.601 [1.133, 2.258]`; a dash if there is
    none."""
    if figure is None or not math.isfinite(figure.value):
        return "–"
    low, high = figure.interval()
    if isinstance(figure, Proportion):
        return f"{figure.value:.1%} [{low:6.1%},{high:6.1%}]"
    return f"{figure.value:.3f} [{low:.3f}, {high:.3f}]"


def figure_as_json(figure: Figure) -> dict[str, Any]:
    """Value, interval and count, and for proportions how many were found; NaN becomes null."""
    low, high = figure.interval()
    found = {"found": figure.found} if isinstance(figure, Proportion) else {}
    numbers = {"value": figure.value, "low": low, "high": high}
    return found | {"count": figure.count} | {n: v if math.isfinite(v) else None for n, v in numbers.items()}
