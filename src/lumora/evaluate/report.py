"""Figures as a page that anyone can open, as JSON, and as a table on the screen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from lumora.evaluate import estimates
from lumora.evaluate.chart import Series, chart
from lumora.evaluate.estimates import Estimate, Table, written
from lumora.evaluate.measure import TRUSTED, Figures, Made, Plan
from lumora.evaluate.page import bars, page, percent
from lumora.evaluate.physics import Course
from lumora.evaluate.shares import Share, table
from lumora.files import written_whole
from lumora.video import Video

SHOWN = 8
"""Clips each of the best, the median and the worst."""


def on_screen(figures: Figures) -> str:
    """The tables as text."""
    parts, second = [table(figures.following)], figures.second
    parts.append(f"of categories that the probe is sure of: {percent(figures.scored)}")
    parts.append(
        table({"tables": second["generated"], "probe": second["probe"], "tables on real clips": second["ceiling"]})
    )
    parts.append(table({"all of so many facts": {str(k): share for k, share in figures.together.items()}}))
    parts.append(table({"permanence": figures.permanence}))
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
        parts.append("\n".join(_courses(figures.physics)))
    parts += [f"physics, {domain}\n{estimates.table(columns)}" for domain, columns in figures.laws.items()]
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
        "trusted": figures.trusted,
        "honesty": {column: shares(rows) for column, rows in figures.honesty.items()},
        "encoder": figures.encoder,
        "picture": _estimates(figures.picture),
        "further": _estimates(_further(figures)),
        "copying": shares(figures.copying.nearer) if figures.copying else {},
        "steering": {
            "moves": {column: shares(rows) for column, rows in figures.steering.moves.items()},
            "sides": {column: shares(rows) for column, rows in figures.steering.sides.items()},
            "amounts": _estimates(figures.steering.amounts),
            "errors": _estimates(figures.steering.errors),
        },
        "laws": {domain: _estimates(columns) for domain, columns in figures.laws.items()},
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
        bars(following["generated"], following["ceiling"], following["floor"]),
        f"<p>Shown but not scored, because the probe misreads more than {1 - TRUSTED:.0%} of them in real renders: "
        f"{escape(', '.join(c for c in following['ceiling'] if c not in (*figures.trusted, 'total')) or 'none')}.</p>",
        "<p>Of the categories that the probe reads in 95 % of real renders: "
        f"<strong>{percent(figures.scored)}</strong>.</p>",
        "<h2>The second instrument</h2><p>Colours counted and followed, without any learning, beside the probe on the "
        "same facts of the same videos, and itself on real clips. It alone reads relations and speed.</p>",
        bars(figures.second["generated"], figures.second["probe"], figures.second["ceiling"]),
        "<h2>Several facts at once</h2>",
        bars({f"{k} facts": share for k, share in figures.together.items()}),
    ]
    parts += ["<h2>What is there stays there</h2>", bars(figures.permanence)]
    parts += [*_honesty(figures), *_pictures(figures), *_camera(figures), *_physics(figures)]
    if figures.beyond:
        parts += ["<h2>Combinations and words that training never saw</h2>", bars(figures.beyond)]
    for name, clips in sections.items():
        parts += [f"<h2>{name}</h2>", '<div class="clips">', *_clips(name, clips), "</div>"]
    return page("lumora: figures", parts)


def _honesty(figures: Figures) -> list[str]:
    return [
        "<h2>Can the probe be trusted?</h2><p>What it finds in real renders, and in the same ones through the model's "
        "codec, blurred, and with noise.</p>",
        bars(*figures.honesty.values()),
    ]


def _pictures(figures: Figures) -> list[str]:
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
            bars(figures.copying.nearer),
        ]
    return parts


def _camera(figures: Figures) -> list[str]:
    steering = figures.steering
    if not steering.moves["model"]["total"].stated:
        return []
    return [
        "<h2>The camera</h2><p>Its path is read from the pixels. How often the move is the one that was asked for, and "
        "beside it the same of real clips:</p>",
        bars(steering.moves["model"], steering.moves["real"]),
        "<p>How often it goes to the side asked for, however little:</p>",
        bars(steering.sides["model"], steering.sides["real"]),
        "<p>Its amount, as a share of the true one:</p>",
        _grid(steering.amounts),
        "<p>The error of that, without its sign:</p>",
        _grid(steering.errors),
    ]


def _physics(figures: Figures) -> list[str]:
    if not figures.physics:
        return []
    lines = [
        Series(name, course.seconds.tolist(), course.distance.tolist()) for name, course in figures.physics.items()
    ]
    parts = [
        "<h2>Clips that were begun for it</h2><p>How far the moving thing is from where it should be, in shares of "
        "the picture's width, and how often it was found.</p>",
        chart(lines, "seconds after the last given frame", "off by, in widths"),
        "<pre>",
        escape("\n".join(_courses(figures.physics))),
        "</pre><p>Mean errors: place in widths of the picture, velocity in widths a second, time to fall in seconds, "
        "bounce height in heights of the picture. The floor is the instrument's own error on the real clips.</p>",
    ]
    return parts + [f"<h3>{escape(domain)}</h3>{_grid(columns)}" for domain, columns in figures.laws.items()]


def _further(figures: Figures) -> Table:
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
