"""The red team's figures as a table on the screen, as JSON, and as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from pathlib import Path

from lumora.atomic_io import atomic_write
from lumora.evaluate.metrics import estimates
from lumora.evaluate.metrics.proportions import Proportion, table
from lumora.evaluate.report.page import bars, page, percent
from lumora.redteam.bias import Choice
from lumora.redteam.fairness import gap
from lumora.redteam.runner_redteam import RedTeamFigures, TargetCheck, check_targets
from lumora.redteam.suite import Suite
from lumora.safety.policy import Policy
from lumora.world.facts import Category

SHOWN = 60
"""Wrongly judged prompts on the page; the JSON has all."""

Choices = Mapping[Category, Choice]


def on_screen(policy: Policy, figures: RedTeamFigures, choices: Choices) -> str:
    """The tables as text, and what the policy asks that isn't met."""
    parts = [table({"refused": figures.refused})]
    if figures.named:
        parts.append(table({"own category named": figures.named}))
    if figures.disguised:
        parts += [table({"refused": figures.disguised}), estimates.table({"lost by the disguise": figures.lost})]
    parts += [table({"refused": rows}) for rows in (figures.translated, figures.chained) if rows]
    if figures.planted:
        parts += [table({"frames refused": rows}) for rows in (figures.planted, figures.dressed)]
    if figures.people:
        parts.append("\n".join(_spread(kind, shares) for kind, shares in figures.people.items()))
    parts += [_chosen(category, choice) for category, choice in choices.items()]
    cost = figures.milliseconds
    parts.append(f"a prompt: {cost['median']:.1f} ms of a processor, p95 {cost['p95']:.1f} ms")
    parts.append("\n".join([_counted(check_targets(figures, policy.targets)), *map(_missed, _unmet(policy, figures))]))
    return "\n\n".join(parts)


def write_report(folder: Path, suite: Suite, policy: Policy, figures: RedTeamFigures, choices: Choices) -> None:
    """`report.json` and `index.html` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "report.json") as part:
        part.write_text(
            json.dumps(as_json(suite, policy, figures, choices), indent=1, ensure_ascii=False) + "\n", "utf-8"
        )
    with atomic_write(folder / "index.html") as part:
        part.write_text(_page(suite, policy, figures, choices), "utf-8")


def as_json(suite: Suite, policy: Policy, figures: RedTeamFigures, choices: Choices) -> dict[str, object]:
    """All figures with their 95 % intervals, every aim, and what was judged wrongly."""
    return {
        "suite": suite.name,
        "policy": policy.version,
        "thresholds": policy.thresholds,
        "aims": [asdict(aim) | {"met": aim.met} for aim in check_targets(figures, policy.targets)],
        "refused": _shares(figures.refused),
        "named": _shares(figures.named),
        "disguised": _shares(figures.disguised),
        "lost": {name: asdict(loss) for name, loss in figures.lost.items()},
        "translated": _shares(figures.translated),
        "chained": _shares(figures.chained),
        "planted": _shares(figures.planted),
        "dressed": _shares(figures.dressed),
        "people": {kind: {"gap": gap(s), "refused": _shares(s)} for kind, s in figures.people.items()},
        "choices": {
            category: {"counts": choice.counts, "evenness": choice.evenness, "chance": choice.chance()}
            for category, choice in choices.items()
        },
        "milliseconds": figures.milliseconds,
        "wrong": [asdict(wrong) for wrong in figures.wrong],
    }


def _page(suite: Suite, policy: Policy, figures: RedTeamFigures, choices: Choices) -> str:
    unmet = "".join(f"<li>{escape(_missed(aim))}</li>" for aim in _unmet(policy, figures))
    wrong = "".join(_wrong(one.group, one.text, one.refused) for one in figures.wrong[:SHOWN])
    parts = [
        "<h1>What gets past the checks</h1>",
        f"<p>Suite “{escape(suite.name)}”, policy {escape(policy.version)}. Bars: the share that is refused, with its "
        f"95 % interval. {escape(_counted(check_targets(figures, policy.targets)))}</p><ul>{unmet}</ul>",
        "<h2>Prompts</h2><p>Of every category all should be refused; of benign, hard and world none.</p>",
        bars({"refused": figures.refused}),
        "<h2>The category that is named</h2><p>How often a refused prompt's own is among those it is refused for.</p>",
        bars({"refused": figures.named}),
        *_disguises(figures),
        *_told_otherwise(figures),
        *_frames(figures),
        *_people(figures),
    ]
    if choices:
        text = escape("\n\n".join(_chosen(category, choice) for category, choice in choices.items()))
        parts.append(f"<h2>What the model chooses where a prompt leaves it open</h2><pre>{text}</pre>")
    parts.append(
        f"<h2>Judged wrongly</h2><p>{len(figures.wrong)} prompts; the first of them:</p><table>{wrong}</table>"
    )
    return page("lumora: red team", parts)


def _disguises(figures: RedTeamFigures) -> list[str]:
    if not figures.disguised:
        return []
    lost = escape(estimates.table({"lost by the disguise": figures.lost}))
    intro = "<h2>Disguises</h2><p>The same prompts without one, and in each.</p>"
    return [intro, bars({"refused": figures.disguised}), f"<pre>{lost}</pre>"]


def _told_otherwise(figures: RedTeamFigures) -> list[str]:
    parts = []
    if figures.translated:
        parts += ["<h2>Other languages</h2><p>The same requests in each.</p>", bars({"refused": figures.translated})]
    if figures.chained:
        intro = "<h2>In pieces</h2><p>Shots, or a clip and what is made of it: is a step refused, or all of them?</p>"
        parts += [intro, bars({"refused": figures.chained})]
    return parts


def _frames(figures: RedTeamFigures) -> list[str]:
    if not figures.planted:
        return []
    intro = "<h2>Symbols planted in frames</h2><p>By symbol and by its dress, and by the share of the frame.</p>"
    return [intro, bars({"found": figures.planted}), bars({"found": figures.dressed})]


def _people(figures: RedTeamFigures) -> list[str]:
    if not figures.people:
        return []
    parts = ["<h2>Whom a sentence speaks of</h2><p>The same harmless sentences of everybody; all should pass.</p>"]
    for kind, shares in figures.people.items():
        parts += [f"<h3>{escape(kind)}: largest gap {gap(shares):.1%}</h3>", bars({"refused": shares})]
    return parts


def _wrong(group: str, text: str, refused: tuple[str, ...]) -> str:
    verdict = f"refused: {', '.join(refused)}" if refused else "let through"
    return f"<tr><th>{escape(group)}</th><td>{escape(text)}</td><td>{escape(verdict)}</td></tr>"


def _spread(kind: str, shares: Mapping[str, Proportion]) -> str:
    least, most = (choose(shares, key=lambda who: shares[who].value) for choose in (min, max))
    said = f"{most} {percent(shares[most])}, {least} {percent(shares[least])}, each of {shares[most].stated}"
    return f"{kind}: largest gap in refusals {gap(shares):.1%} ({said})"


def _chosen(category: str, choice: Choice) -> str:
    counts = ", ".join(f"{value} {count}" for value, count in choice.counts.items())
    return f"{category} left open: evenness {choice.evenness:.2f} (even draws: {choice.chance():.2f})\n{counts}"


def _unmet(policy: Policy, figures: RedTeamFigures) -> list[TargetCheck]:
    return [aim for aim in check_targets(figures, policy.targets) if not aim.met]


def _counted(found: list[TargetCheck]) -> str:
    return f"{sum(aim.met for aim in found)} of {len(found)} targets of the policy are met."


def _missed(aim: TargetCheck) -> str:
    asked = "at least" if aim.at_least else "at most"
    return f"{aim.what}: {aim.value:.1%}, and the policy asks for {asked} {aim.bound:.1%}"


def _shares(rows: Mapping[str, Proportion]) -> dict[str, object]:
    return {name: asdict(share) | {"interval": share.interval()} for name, share in rows.items()}
