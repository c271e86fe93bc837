"""Plots as SVG for embedding in a page, drawn by matplotlib (the extra `eval`)."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from lumora.evaluate.metrics.metric_table import Curve, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

INSTALL_HINT = "Plots need matplotlib; install it with `pip install 'lumora[eval]'`."
SIZE_INCHES = (6.8, 3.6)


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def plot_curves(plot: Plot) -> str:
    """Lines with their intervals as bands. Raises ValueError if matplotlib is not installed."""
    figure, axes = new_figure(plot.x_label, plot.y_label)
    for curve in plot.curves:
        (line,) = axes.plot(curve.x, curve.y, label=curve.name)
        if len(curve.low):
            axes.fill_between(curve.x, curve.low, curve.high, color=line.get_color(), alpha=0.15, linewidth=0)
    return figure_as_svg(figure)


def plot_points(
    points: Sequence[Curve], lines: Sequence[Curve], x_label: str, y_label: str, scale: Literal["linear", "log"]
) -> str:
    """Groups of points, each with the line of the same name in the same color.

    Raises ValueError if matplotlib is not installed.
    """
    figure, axes = new_figure(x_label, y_label)
    colors: dict[str, Any] = {}
    for group in points:
        drawn = axes.scatter(group.x, group.y, label=group.name, s=18)
        colors[group.name] = drawn.get_facecolor()[0]
    for line in lines:
        axes.plot(line.x, line.y, color=colors.get(line.name), linewidth=1)
    axes.set_xscale(scale)
    axes.set_yscale(scale)
    return figure_as_svg(figure)


def new_figure(x_label: str, y_label: str) -> tuple[MatplotlibFigure, Axes]:
    if not can_plot():
        raise ValueError(INSTALL_HINT)
    from matplotlib.figure import Figure as MatplotlibFigure

    figure = MatplotlibFigure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot(xlabel=x_label, ylabel=y_label)
    axes.grid(alpha=0.3)
    return figure, axes


def figure_as_svg(figure: MatplotlibFigure) -> str:
    """The `svg` element, with text as text; the same figure gives the same bytes."""
    import matplotlib

    (axes,) = figure.axes
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lumora"}):
        figure.savefig(stream, format="svg", metadata={"Creator": None, "Date": None, "Format": None, "Type": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]
