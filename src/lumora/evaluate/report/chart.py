"""A chart of lines and points as an SVG picture, for a page that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, TOP, RIGHT, BOTTOM = 64.0, 16.0, 150.0, 44.0
"""Room around the axes, in the picture's units."""
COLOURS = ("#3b82c4", "#d97706", "#2e9e5b", "#b3261e", "#7c3aed", "#6b7280")


@dataclass(frozen=True)
class Series:
    """Points that belong together; in the order of x where they are joined by a line."""

    name: str
    """Nothing: it is not among the names beside the chart."""
    x: Sequence[float]
    y: Sequence[float]
    joined: bool = True
    colour: int | None = None
    """Number of its colour; None: its own number among the series."""
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    """The interval of each y, drawn as a band; nothing where they have none."""


def chart(series: Sequence[Series], across: str, up: str, log: bool = False) -> str:
    """An `svg` element; `across` and `up` name the axes, which are logarithmic where `log`. Points that are no finite
    numbers (or, on logarithmic axes, not positive) are left out."""
    scale = math.log10 if log else float
    drawn = [_Points.of(one, log) for one in series]
    xs = [scale(v) for points in drawn for v in points.x]
    ys = [scale(v) for points in drawn for v in (*points.y, *points.low, *points.high)]
    if not xs:
        return f"<p>There is nothing to draw of {escape(up)}.</p>"
    x, y = _Axis.around(xs, LEFT, WIDTH - RIGHT), _Axis.around(ys, HEIGHT - BOTTOM, TOP)
    said = escape(f"{up} against {across}: {', '.join(points.name for points in drawn if points.name)}", quote=True)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" font-size="12" fill="currentColor" role="img" '
        f'aria-label="{said}">'
    ]
    parts += [_tick(x.at(v), HEIGHT - BOTTOM, x.at(v), TOP, x.at(v), HEIGHT - 26.0, _said(v, log)) for v in x.ticks]
    parts += [_tick(LEFT, y.at(v), WIDTH - RIGHT, y.at(v), 30.0, y.at(v) + 4, _said(v, log)) for v in y.ticks]
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>'
    )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{escape(up)}</text>')
    for number, points in enumerate(drawn):
        colour = COLOURS[(number if points.colour is None else points.colour) % len(COLOURS)]
        places = [(x.at(scale(a)), y.at(scale(b))) for a, b in zip(points.x, points.y, strict=True)]
        if points.low:
            edges = [*zip(points.x, points.low, strict=True), *reversed([*zip(points.x, points.high, strict=True)])]
            band = " ".join(f"{x.at(scale(a)):.1f},{y.at(scale(b)):.1f}" for a, b in edges)
            parts.append(f'<polygon points="{band}" fill="{colour}" fill-opacity=".15"/>')
        if points.joined:
            line = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        else:
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{colour}"/>' for a, b in places]
        if points.name:
            row = TOP + 12 + 18 * sum(bool(other.name) for other in drawn[:number])
            parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{row}" fill="{colour}">{escape(points.name)}</text>')
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True)
class _Points:
    name: str
    x: list[float]
    y: list[float]
    joined: bool
    colour: int | None
    low: list[float]
    high: list[float]

    @classmethod
    def of(cls, series: Series, log: bool) -> _Points:
        least = 0.0 if log else -math.inf
        columns = [series.x, series.y] + ([series.low, series.high] if len(series.low) else [])
        rows = [[float(v) for v in row] for row in zip(*columns, strict=True)]
        kept = [row for row in rows if all(math.isfinite(v) and v > least for v in row)]
        x, y, low, high = ([row[n] for row in kept if len(row) > n] for n in range(4))
        return cls(series.name, x, y, series.joined, series.colour, low, high)


@dataclass(frozen=True)
class _Axis:
    """From values (or their logarithms) to places in the picture."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float) -> _Axis:
        low, high = min(values), max(values)
        margin = 0.05 * (high - low) if high - low > 1e-9 * (1 + abs(high)) else 0.5
        return cls(low - margin, high + margin, start, end)

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """A few round values."""
        rough = (self.high - self.low) / 4
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(m * size for m in (1, 2, 5, 10) if m * size >= rough)
        first = math.ceil(self.low / step)
        return [step * n for n in range(first, math.floor(self.high / step) + 1)]


def _tick(x1: float, y1: float, x2: float, y2: float, x: float, y: float, said: str) -> str:
    line = f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#8884"/>'
    return f'{line}<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{said}</text>'


def _said(value: float, log: bool) -> str:
    return f"{10**value:.3g}" if log else f"{value:.3g}"
