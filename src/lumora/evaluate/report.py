"""Figures as a page that anyone can open, as JSON, and as a table on the screen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from lumora.evaluate.measure import Figures, Made, Plan
from lumora.evaluate.physics import Course
from lumora.evaluate.shares import Share, table
from lumora.files import written_whole
from lumora.video import Video

SHOWN = 8
"""Clips each of the best, the median and the worst."""

STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .7rem .15rem 0; text-align: left; }
.bar { position: relative; width: 16rem; height: 1rem; background: #8882; }
.bar i { position: absolute; inset: 0 auto 0 0; background: #3b82c4; }
.bar b { position: absolute; top: .4rem; height: .2rem; background: #0008; }
.clips { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; width: 13rem; font-size: .8rem; }
video { width: 100%; image-rendering: auto; } .missed { color: #b3261e; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } .bar b { background: #fffa; } }
"""


def on_screen(figures: Figures) -> str:
    """The tables as text."""
    parts = [table(figures.following)]
    parts.append(f"of categories that the probe is sure of: {_percent(figures.scored)}")
    parts.append(table({"tables": figures.second["generated"], "probe": figures.second["probe"]}))
    parts.append(table({"all of so many facts": {str(k): share for k, share in figures.together.items()}}))
    parts.append(table({"permanence": figures.permanence}))
    if figures.physics:
        parts.append("\n".join(_courses(figures.physics)))
    if figures.beyond:
        parts.append(table({"never seen in training": figures.beyond}))
    return "\n\n".join(parts)


def write_report(folder: Path, plan: Plan, figures: Figures) -> None:
    """`report.json`, `index.html` and the clips that it shows, in `folder`."""
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    with written_whole(folder / "report.json") as part:
        part.write_text(json.dumps(as_json(plan, figures), indent=1) + "\n")
    ranked = sorted(figures.made, key=lambda made: made.verdict.share.value)
    middle = max(0, len(ranked) // 2 - SHOWN // 2)
    sections: dict[str, Sequence[Made]] = {
        "Worst": ranked[:SHOWN],
        "Median": ranked[middle : middle + SHOWN],
        "Best": ranked[::-1][:SHOWN],
    }
    for name, clips in sections.items():
        for number, made in enumerate(clips):
            Video(made.frames, figures.fps).save(folder / _file(name, number))
    with written_whole(folder / "index.html") as part:
        part.write_text(_page(plan, figures, sections))


def as_json(plan: Plan, figures: Figures) -> dict[str, object]:
    """All figures with their 95 % intervals, and what was missed in each clip."""

    def shares(rows: dict[str, Share]) -> dict[str, object]:
        return {name: asdict(share) | {"interval": share.interval()} for name, share in rows.items()}

    return {
        "plan": asdict(plan),
        "following": {column: shares(rows) for column, rows in figures.following.items()},
        "scored": shares({"total": figures.scored})["total"],
        "second": {column: shares(rows) for column, rows in figures.second.items()},
        "together": shares({str(k): share for k, share in figures.together.items()}),
        "permanence": shares(figures.permanence),
        "beyond": shares(figures.beyond),
        "physics": {name: _rounded(course) for name, course in figures.physics.items()},
        "clips": [
            {
                "group": made.case.group,
                "prompt": made.case.prompt,
                "seed": seed,
                "share": asdict(made.verdict.share),
                "missed": [asdict(fact) for fact in made.verdict.missed],
            }
            for seed, made in enumerate(figures.made)
        ],
    }


def _page(plan: Plan, figures: Figures, sections: dict[str, Sequence[Made]]) -> str:
    how = f"{plan.clips} held-out captions of the world “{plan.preset}”, each a {plan.length}; "
    how += f"{plan.steps} steps, guidance {plan.guidance:g}"
    following = figures.following
    parts = [
        "<h1>How well the videos follow their prompts</h1>",
        f"<p>{escape(how)}. Bars: the share of stated facts that the probe finds, with its 95 % interval; beside them "
        "real renders of the same scenes (ceiling) and the same videos held against other captions (floor).</p>",
        _bars(following["generated"], following["ceiling"], following["floor"]),
        "<p>Of the categories that the probe reads in 95 % of real renders: "
        f"<strong>{_percent(figures.scored)}</strong>.</p>",
        "<h2>The second instrument</h2><p>Colours counted and followed, without any learning, beside the probe on the "
        "same facts of the same videos.</p>",
        _bars(figures.second["generated"], figures.second["probe"]),
        "<h2>Several facts at once</h2>",
        _bars({f"{k} facts": share for k, share in figures.together.items()}),
    ]
    parts += ["<h2>What is there stays there</h2>", _bars(figures.permanence)]
    if figures.physics:
        parts += [
            "<h2>Clips that were begun for it</h2><p>How far the moving thing is from where it should be, in shares of "
            "the picture's width, and how often it was found.</p><pre>",
            escape("\n".join(_courses(figures.physics))),
            "</pre>",
        ]
    if figures.beyond:
        parts += ["<h2>Combinations and words that training never saw</h2>", _bars(figures.beyond)]
    for name, clips in sections.items():
        parts += [f"<h2>{name}</h2>", '<div class="clips">', *_clips(name, clips), "</div>"]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>lumora: figures</title>'
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def _courses(physics: dict[str, Course]) -> list[str]:
    """A line for each course, of every second frame."""
    seconds = next(iter(physics.values())).seconds[1::2]
    lines = [f"{'off by, after':14}" + "".join(f"{s:>7.2f} s" for s in seconds) + "   found"]
    for name, course in physics.items():
        cells = "".join(f"{distance:9.1%}" for distance in course.distance[1::2])
        lines.append(f"{name:14}{cells}{course.found.mean():8.0%}")
    return lines


def _rounded(course: Course) -> dict[str, list[float]]:
    return {name: [round(float(x), 4) for x in values] for name, values in asdict(course).items()}


def _bars(rows: dict[str, Share], *beside: dict[str, Share]) -> str:
    """A row for each share: name, bar with its interval, the figure, and the figures of others."""
    lines = []
    for name, share in rows.items():
        low, high = share.interval()
        bar = f'<i style="width:{share.value:.1%}"></i><b style="left:{low:.1%};width:{high - low:.1%}"></b>'
        others = "".join(f"<td>{_percent(other[name]) if name in other else ''}</td>" for other in beside)
        cells = f'<td><div class="bar">{bar}</div></td><td>{_percent(share)}</td>{others}<td>of {share.stated}</td>'
        lines.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _clips(section: str, clips: Iterable[Made]) -> Iterable[str]:
    for number, made in enumerate(clips):
        missed = ", ".join(f"{fact.category} {fact.value}" for fact in made.verdict.missed)
        share = made.verdict.share
        yield (
            f'<figure><video src="{_file(section, number)}" autoplay loop muted playsinline></video><figcaption>'
            f"{escape(made.case.prompt)}<br>{share.found:g} of {share.stated} "
            f'<span class="missed">{escape(missed)}</span></figcaption></figure>'
        )


def _file(section: str, number: int) -> str:
    return f"clips/{section.lower()}-{number}.mp4"


def _percent(share: Share) -> str:
    return f"{share.value:.1%}" if share.stated else "–"
