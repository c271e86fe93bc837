"""What pages of figures have in common: their frame, their style, and bars of shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from lumora.evaluate.metrics.proportions import Proportion
from lumora.media.video import Video
from lumora.request.spec import Request

Show: TypeAlias = Callable[[Request, Video, Path], None]
"""Writes what a model made of a request to a file that a page shows; where it may not be shown, there is no file, and
the page has its prompt alone."""


@runtime_checkable
class Judged(Protocol):
    """A clip of which is known how much of what was asked for it shows."""

    @property
    def share(self) -> Proportion: ...


Clip = TypeVar("Clip", bound=Judged)

STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .7rem .15rem 0; text-align: left; }
td { white-space: nowrap; }
.bar { position: relative; width: 16rem; height: 1rem; background: #8882; }
.bar i { position: absolute; inset: 0 auto 0 0; background: #3b82c4; }
.bar b { position: absolute; top: .4rem; height: .2rem; background: #0008; }
.clips { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; width: 13rem; font-size: .8rem; }
img { width: 100%; } .missed { color: #b3261e; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } .bar b { background: #fffa; } }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page that needs nothing else; its parts are HTML."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def bars(columns: Mapping[str, Mapping[str, Proportion]]) -> str:
    """A row for each share of the first column: name, bar with its 95 % interval and the figure, and those of the other
    columns."""
    (first, rows), *others = columns.items()
    heads = "".join(f"<th>{escape(name)}</th>" for name, _ in others)
    lines = [f"<tr><th></th><th></th><th>{escape(first)}</th>{heads}<th></th></tr>"]
    for name, share in rows.items():
        low, high = share.interval()
        said = f"{percent(share)} [{low:.1%}, {high:.1%}]"
        width = share.value if share.stated else 0.0
        bar = f'<i style="width:{width:.1%}"></i><b style="left:{low:.1%};width:{high - low:.1%}"></b>'
        beside = "".join(f"<td>{percent(other[name]) if name in other else ''}</td>" for _, other in others)
        cells = f'<td><div class="bar" role="img" aria-label="{said}">{bar}</div></td><td>{said}</td>{beside}'
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{cells}<td>of {share.stated}</td></tr>')
    return f"<table>{''.join(lines)}</table>"


def ranked(clips: Sequence[Clip], shown: int) -> dict[str, Sequence[Clip]]:
    """So many clips each of the worst, the median and the best."""
    order = sorted(clips, key=lambda clip: clip.share.value)
    middle = max(0, len(order) // 2 - shown // 2)
    return {"Worst": order[:shown], "Median": order[middle : middle + shown], "Best": order[::-1][:shown]}


def captioned(file: str, prompt: str, share: Proportion, missed: Iterable[str]) -> str:
    """A clip with what was asked for, and what it lacks of it."""
    return (
        f'<figure><img src="{file}" alt="{escape(prompt)}"><figcaption>{escape(prompt)}<br>'
        f'{share.found:g} of {share.stated} <span class="missed">{escape(", ".join(missed))}</span></figcaption>'
        "</figure>"
    )


def percent(share: Proportion) -> str:
    return f"{share.value:.1%}" if share.stated else "–"
