"""Figures as a page that anyone can open, as JSON, and as a table on the screen."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from lumora.atomic_io import atomic_write
from lumora.evaluate.metrics import estimates
from lumora.evaluate.metrics.continuation_error import Course
from lumora.evaluate.metrics.estimates import Estimate, Table, written
from lumora.evaluate.metrics.proportions import Proportion, in_full, joined, table
from lumora.evaluate.report.chart import Series, chart
from lumora.evaluate.report.multi_shot_report import films_as_files, films_as_json, films_on_page, films_on_screen
from lumora.evaluate.report.page import Show, bars, captioned, page, percent, ranked
from lumora.evaluate.runner import TRUSTED, EvaluationFigures, EvaluationPlan, Made
from lumora.media.video import Video

SHOWN = 8
"""Clips each of the best, the median and the worst."""


def on_screen(figures: EvaluationFigures) -> str:
    """The tables as text."""
    parts = [table(figures.following)]
    parts.append(f"of categories that the probe is sure of: {percent(figures.scored)}")
    parts.append("the same by the tables, and the probe on these facts\n" + table(_second(figures)))
    parts.append("each category by the instrument that is sure of it\n" + table(_judged(figures)))
    parts.append(f"not scored, for no instrument is sure: {_unjudged(figures)}")
    parts += [f"{name}\n{table(columns)}" for name, columns in _pairs(figures).items()]
    parts.append(table({"all of so many facts": {str(k): share for k, share in figures.together.items()}}))
    parts.append("permanence\n" + table(figures.permanence))
    parts.append("the probe on clips made worse\n" + table(figures.honesty))
    parts.append(f"pictures, in features {figures.encoder}\n" + estimates.table(figures.picture))
    parts += [f"{name}\n{estimates.table({'': rows})}" for name, rows in _further(figures).items()]
    if figures.copying:
        parts.append(table({"nearer to a training clip": figures.copying.nearer}))
    steering = figures.steering
    if steering.moves["model"]["total"].stated:
        parts.append("the camera does what was asked\n" + table(steering.moves))
        parts.append("the camera goes to the side asked for\n" + table(steering.sides))
        parts.append("amount of its move, as a share of the true one\n" + estimates.table(steering.amounts))
        parts.append("error of that amount\n" + estimates.table(steering.errors))
    if figures.physics:
        distances, found = _courses(figures.physics)
        parts += ["off by, after\n" + estimates.table(distances), table(found)]
    parts += [f"physics, {domain}\n{estimates.table(columns)}" for domain, columns in figures.laws.items()]
    if figures.momentum:
        parts.append("error of momentum around a hit\n" + estimates.table(figures.momentum))
    if figures.films:
        parts += films_on_screen(figures.films)
    if figures.beyond:
        parts.append(table({"never seen in training": figures.beyond}))
    return "\n\n".join(parts)


def write_report(folder: Path, plan: EvaluationPlan, figures: EvaluationFigures, show: Show) -> None:
    """`report.json`, `index.html` and the clips that it shows, in `folder`; `show` lets each of them out."""
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "report.json") as part:
        part.write_text(json.dumps(as_json(plan, figures), indent=1) + "\n")
    sections = ranked(figures.made, SHOWN)
    for name, clips in sections.items():
        for number, made in enumerate(clips):
            show(made.request, Video(made.frames, figures.fps), folder / _file(name, number))
    if figures.films:
        films_as_files(folder, figures.films, figures.fps, show)
    with atomic_write(folder / "index.html") as part:
        part.write_text(_page(plan, figures, sections))


def as_json(plan: EvaluationPlan, figures: EvaluationFigures) -> dict[str, object]:
    """All figures with their 95 % intervals, and what was missed in each clip."""
    content = {
        "plan": asdict(plan),
        "following": {column: in_full(rows) for column, rows in figures.following.items()},
        "scored": in_full({"total": figures.scored})["total"],
        "second": {column: in_full(rows) for column, rows in figures.second.items()},
        "together": in_full({str(k): share for k, share in figures.together.items()}),
        "judges": figures.judges,
        "judged": {column: in_full(rows) for column, rows in figures.judged.items()},
        "pairs": {n: {c: in_full(rows) for c, rows in columns.items()} for n, columns in _pairs(figures).items()},
        "permanence": {column: in_full(rows) for column, rows in figures.permanence.items()},
        "films": films_as_json(figures.films) if figures.films else {},
        "beyond": in_full(figures.beyond),
        "trusted": figures.trusted,
        "honesty": {column: in_full(rows) for column, rows in figures.honesty.items()},
        "encoder": figures.encoder,
        "picture": _estimates(figures.picture),
        "further": _estimates(_further(figures)),
        "copying": in_full(figures.copying.nearer) if figures.copying else {},
        "steering": {
            "moves": {column: in_full(rows) for column, rows in figures.steering.moves.items()},
            "sides": {column: in_full(rows) for column, rows in figures.steering.sides.items()},
            "amounts": _estimates(figures.steering.amounts),
            "errors": _estimates(figures.steering.errors),
        },
        "momentum": _estimates(figures.momentum),
        "laws": {domain: _estimates(columns) for domain, columns in figures.laws.items()},
        "physics": {name: _course(course) for name, course in figures.physics.items()},
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
    return {name: _finite(value) for name, value in content.items()}


def _finite(value: Any) -> Any:
    """JSON has no word for what is no number: it becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _page(plan: EvaluationPlan, figures: EvaluationFigures, sections: dict[str, Sequence[Made]]) -> str:
    how = f"{plan.clips} held-out captions of the world “{plan.preset}”, each a {plan.length}; "
    how += f"{plan.steps} steps, {'usual guidance' if plan.guidance is None else f'guidance {plan.guidance:g}'}"
    following = figures.following
    parts = [
        "<h1>How well the videos follow their prompts</h1>",
        f"<p>{escape(how)}. Bars: the share of stated facts that the probe finds, with its 95 % interval; beside them "
        "real renders of the same scenes (ceiling) and the same videos held against other captions (floor).</p>",
        bars(following),
        f"<p>Shown but not scored, because the probe misreads more than {1 - TRUSTED:.0%} of them in real renders: "
        f"{escape(', '.join(c for c in following['ceiling'] if c not in (*figures.trusted, 'total')) or 'none')}.</p>",
        "<p>Of the categories that the probe reads in 95 % of real renders: "
        f"<strong>{percent(figures.scored)}</strong>.</p>",
        "<h2>The second instrument</h2><p>Colours counted and followed, without any learning, beside the probe on the "
        "same facts of the same videos, and itself on real clips. It alone reads relations and speed.</p>",
        bars(_second(figures)),
        "<h2>Every category by the instrument that is sure of it</h2><p>Not scored, for no instrument is sure: "
        f"{escape(_unjudged(figures))}.</p>",
        bars(_judged(figures)),
        *(f"<h2>{escape(name.capitalize())}</h2>{bars(columns)}" for name, columns in _pairs(figures).items()),
        "<h2>Several facts at once</h2>",
        bars({"all found": {f"{k} facts": share for k, share in figures.together.items()}}),
    ]
    parts += ["<h2>What is there stays there</h2>", bars(figures.permanence)]
    parts += [*_honesty(figures), *_pictures(figures), *_camera(figures), *_physics(figures)]
    parts += films_on_page(figures.films) if figures.films else []
    if figures.beyond:
        parts += ["<h2>Combinations and words that training never saw</h2>", bars({"generated": figures.beyond})]
    for name, clips in sections.items():
        parts += [f"<h2>{name}</h2>", '<div class="clips">', *_clips(name, clips), "</div>"]
    return page("lumora: figures", parts)


def _honesty(figures: EvaluationFigures) -> list[str]:
    return [
        "<h2>Can the probe be trusted?</h2><p>What it finds in real renders, and in the same ones through the model's "
        "codec, blurred, and with noise.</p>",
        bars(figures.honesty),
    ]


def _pictures(figures: EvaluationFigures) -> list[str]:
    parts = [
        "<h2>How good the pictures are</h2><p>Beside real renders of the same prompts: Fréchet distance in features "
        f"{escape(figures.encoder)}, and ratios that are 1 where all is as in real clips. Clips of other seeds show "
        "what chance makes of it, and real ones through the codec what no model of that codec can be better than.</p>",
        _grid(figures.picture),
    ]
    parts += [f"<h3>{escape(name.capitalize())}</h3>{_grid({'': rows})}" for name, rows in _further(figures).items()]
    if figures.copying:
        parts += [
            "<p>Nearer to a training clip than to any unseen one that fits as well; half, where nothing is copied:</p>",
            bars({"nearer": figures.copying.nearer}),
        ]
    return parts


def _camera(figures: EvaluationFigures) -> list[str]:
    steering = figures.steering
    if not steering.moves["model"]["total"].stated:
        return []
    return [
        "<h2>The camera</h2><p>Its path is read from the pixels. How often the move is the one that was asked for, and "
        "beside it the same of real clips:</p>",
        bars(steering.moves),
        "<p>How often it goes to the side asked for, however little:</p>",
        bars(steering.sides),
        "<p>Its amount, as a share of the true one:</p>",
        _grid(steering.amounts),
        "<p>The error of that, without its sign:</p>",
        _grid(steering.errors),
    ]


def _physics(figures: EvaluationFigures) -> list[str]:
    if not figures.physics:
        return []
    lines = [
        Series(
            name,
            course.seconds.tolist(),
            [figure.value for figure in course.distance],
            low=[figure.low for figure in course.distance],
            high=[figure.high for figure in course.distance],
        )
        for name, course in figures.physics.items()
    ]
    distances, found = _courses(figures.physics)
    parts = [
        "<h2>Clips that were begun for it</h2><p>How far the moving thing is from where it should be, in shares of "
        "the picture's width, with 95 % intervals, and how often it was found.</p>",
        chart(lines, "seconds after the last given frame", "off by, in widths"),
        _grid(distances),
        bars(found),
        "<p>Mean errors: place in widths of the picture, velocity in widths a second, time to fall in seconds, "
        "bounce height in heights of the picture. The floor is the instrument's own error on the real clips.</p>",
    ]
    parts += [f"<h3>{escape(domain)}</h3>{_grid(columns)}" for domain, columns in figures.laws.items()]
    if figures.momentum:
        parts += [
            "<h3>Momentum around a hit</h3><p>Error of the momentum of both things together, over the true one before "
            "they meet.</p>",
            _grid(figures.momentum),
        ]
    return parts


def _further(figures: EvaluationFigures) -> Table:
    """Of what only some of the videos are asked."""
    further: Table = {}
    if figures.diversity:
        further["diversity, over that of real clips"] = {"generated": figures.diversity}
    if figures.copying:
        further["distance to the nearest training clip"] = figures.copying.distance
    return further


def _estimates(columns: Mapping[str, Mapping[str, Estimate]]) -> dict[str, object]:
    return {column: {name: asdict(figure) for name, figure in rows.items()} for column, rows in columns.items()}


def _grid(columns: Table) -> str:
    """A row for each figure, a column for each set of them."""
    first = next(iter(columns.values()))
    lines = ["<tr><th></th>" + "".join(f"<th>{escape(name)}</th>" for name in columns) + "</tr>"]
    for row, figure in first.items():
        cells = "".join(f"<td>{written(c[row]) if row in c else ''}</td>" for c in columns.values())
        lines.append(f"<tr><th>{escape(row)}</th>{cells}<td>of {figure.of}</td></tr>")
    return f"<table>{''.join(lines)}</table>"


def _second(figures: EvaluationFigures) -> dict[str, dict[str, Proportion]]:
    second = figures.second
    return {
        "tables": second["generated"],
        "probe": second["probe"],
        "tables on real clips": second["ceiling"],
        "tables, other prompts": second["floor"],
    }


def _judged(figures: EvaluationFigures) -> dict[str, dict[str, Proportion]]:
    """With the instrument's name beside each category's."""
    named = {category: f"{category} ({judge})" for category, judge in figures.judges.items()}
    return {column: {named.get(c, c): s for c, s in rows.items()} for column, rows in figures.judged.items()}


def _unjudged(figures: EvaluationFigures) -> str:
    return ", ".join(c for c, judge in figures.judges.items() if judge == "nobody") or "none"


def _pairs(figures: EvaluationFigures) -> dict[str, dict[str, dict[str, Proportion]]]:
    """What things are to each other and do to each other, by the tables; the parts of which prompts tell."""
    parts = {
        "where one thing is beside another": figures.relations,
        "what one thing does to another": figures.events,
        "cause before effect, and effects that stay": figures.consequences if figures.events["generated"] else {},
    }
    return {name: columns for name, columns in parts.items() if columns and columns["generated"]}


def _courses(physics: dict[str, Course]) -> tuple[Table, dict[str, dict[str, Proportion]]]:
    """Columns for the courses: the distance of every second frame, and in how many of all frames it was found."""
    distances: Table = {
        name: {f"{s:.2f} s": d for s, d in zip(course.seconds[1::2], course.distance[1::2], strict=True)}
        for name, course in physics.items()
    }
    return distances, {name: {"found": joined(course.found)} for name, course in physics.items()}


def _course(course: Course) -> dict[str, object]:
    return {
        "seconds": course.seconds.tolist(),
        "distance": [asdict(figure) for figure in course.distance],
        "found": [asdict(share) for share in course.found],
    }


def _clips(section: str, clips: Iterable[Made]) -> Iterable[str]:
    for number, made in enumerate(clips):
        missed = (f"{fact.category} {fact.value}" for fact in made.verdict.missed)
        yield captioned(_file(section, number), made.case.prompt, made.share, missed)


def _file(section: str, number: int) -> str:
    """An animated picture: any browser shows it, where the decoder of a video may be missing."""
    return f"clips/{section.lower()}-{number}.webp"
