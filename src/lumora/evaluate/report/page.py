"""Pages of figures: jinja2 templates with autoescaping that need nothing but the files beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from lumora.atomic_io import atomic_write
from lumora.evaluate.metrics.metric_table import format_figure
from lumora.evaluate.metrics.proportions import Proportion

TEMPLATES = Path(__file__).parent / "templates"
"""The base template `base.html.j2` and the macros `figures.html.j2` for tables of figures."""


def write_page(file: Path, template: str, context: dict[str, Any], templates: Path = TEMPLATES) -> None:
    """Renders `template` of the folder `templates`, which may extend the base template, into `file`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([templates, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = format_figure
    environment.filters["percent"] = format_percent
    environment.tests["proportion"] = lambda value: isinstance(value, Proportion)
    page = environment.get_template(template).render(context)
    with atomic_write(file) as part:
        part.write_text(page, "utf-8")


def format_percent(value: float) -> str:
    return f"{value:.1%}"
