"""The red team's report: tables on the screen, `report.json`, and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lumora.atomic_io import atomic_write
from lumora.evaluate.metrics.metric_table import Columns, figure_as_json, format_columns
from lumora.evaluate.report.page import format_percent, write_page
from lumora.redteam.attack_suite_runner import RedTeamFigures
from lumora.redteam.attack_targets import TargetCheck, check_targets
from lumora.redteam.bias import Choice
from lumora.redteam.fairness import largest_gap
from lumora.redteam.suite import Suite
from lumora.safety.policy import Policy
from lumora.world.facts import Category

TEMPLATES = Path(__file__).parent / "templates"
ERRORS_SHOWN = 60
"""Wrong verdicts on the page; `report.json` has all."""


@dataclass(frozen=True)
class RedTeamReport:
    """The results of a suite with the policy that they belong to."""

    suite: Suite
    policy: Policy
    figures: RedTeamFigures
    choices: Mapping[Category, Choice]
    """What the model chooses where prompts leave something open; empty if no videos were sampled."""

    @property
    def targets(self) -> list[TargetCheck]:
        return check_targets(self.figures, self.policy.targets)

    @property
    def targets_met(self) -> bool:
        return all(target.met for target in self.targets)

    def as_text(self) -> str:
        """All tables, and the targets that are not met."""
        cost = self.figures.milliseconds
        parts = [f"{title}\n{format_columns(columns)}" for title, _, columns in self._tables()]
        parts += [_describe_choice(category, choice) for category, choice in self.choices.items()]
        parts.append(f"processor time of a prompt: median {cost['median']:.1f} ms, p95 {cost['p95']:.1f} ms")
        parts.append("\n".join([self._summary(), *self._missed_targets()]))
        return "\n\n".join(parts)

    def as_json(self) -> dict[str, Any]:
        """All figures with their 95 % intervals, all targets, and all wrong verdicts."""
        figures = self.figures
        return {
            "suite": self.suite.name,
            "policy": self.policy.version,
            "thresholds": self.policy.thresholds,
            "targets": [asdict(target) | {"met": target.met} for target in self.targets],
            "refused": _rows_as_json(figures.refused),
            "named": _rows_as_json(figures.named),
            "obfuscated": _rows_as_json(figures.obfuscated),
            "recall_loss": _rows_as_json(figures.recall_loss),
            "languages": _rows_as_json(figures.languages),
            "language_categories": _rows_as_json(figures.language_categories),
            "multi_turn": _rows_as_json(figures.multi_turn),
            "symbols": _rows_as_json(figures.symbols),
            "symbol_styles": _rows_as_json(figures.symbol_styles),
            "fairness": {
                group: {"gap": largest_gap(rows), "refused": _rows_as_json(rows)}
                for group, rows in figures.fairness.items()
            },
            "choices": {
                category: {"counts": choice.counts, "evenness": choice.evenness, "chance": choice.chance()}
                for category, choice in self.choices.items()
            },
            "milliseconds": figures.milliseconds,
            "errors": [asdict(error) for error in figures.errors],
        }

    def write(self, folder: Path) -> None:
        """Writes `report.json` and `index.html` into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / "report.json") as part:
            part.write_text(json.dumps(self.as_json(), indent=1, ensure_ascii=False) + "\n", "utf-8")
        context = {
            "suite": self.suite.name,
            "policy": self.policy.version,
            "summary": self._summary(),
            "missed_targets": self._missed_targets(),
            "tables": self._tables(),
            "choices": [_describe_choice(category, choice) for category, choice in self.choices.items()],
            "errors": self.figures.errors[:ERRORS_SHOWN],
            "num_errors": len(self.figures.errors),
        }
        write_page(folder / "index.html", "redteam.html.j2", context, TEMPLATES)

    def _tables(self) -> list[tuple[str, str, Columns]]:
        """(title, description, columns) of all tables with rows."""
        figures = self.figures
        tables: list[tuple[str, str, Columns]] = [
            (
                "Prompts",
                "All prompts of a category should be refused; none of benign, hard and world.",
                {"refused": figures.refused},
            ),
            (
                "Named category",
                "Of the refused prompts of a category, those that are refused for that category.",
                {"named": figures.named},
            ),
            (
                "Obfuscations",
                "The same harmful prompts without obfuscation (clean) and with each.",
                {"refused": figures.obfuscated},
            ),
            ("Recall loss by obfuscation", "The difference to the clean prompts.", {"loss": figures.recall_loss}),
            (
                "Languages",
                "Prompts written in each language: all should be refused, and none of the harmless and hard ones.",
                {"refused": figures.languages},
            ),
            (
                "Categories in all languages",
                "The requests of the table above by category.",
                {"refused": figures.language_categories},
            ),
            (
                "Multi-turn requests",
                "Shots, or a video and its edits: a single step is refused, or any step or all steps together.",
                {"refused": figures.multi_turn},
            ),
            (
                "Symbols in frames",
                "Hate symbols planted in rendered frames, by their share of the frame.",
                {"refused": figures.symbols},
            ),
            ("Styles of symbols", "The same by how the symbol is drawn.", {"refused": figures.symbol_styles}),
        ]
        for group, rows in figures.fairness.items():
            gap = f"The same harmless sentences about each; all should pass. Largest gap {largest_gap(rows):.1%}."
            tables.append((f"People by {group}", gap, {"refused": rows}))
        return [(title, description, columns) for title, description, columns in tables if any(columns.values())]

    def _summary(self) -> str:
        met = sum(target.met for target in self.targets)
        return f"{met} of {len(self.targets)} targets of the policy are met."

    def _missed_targets(self) -> list[str]:
        return [_describe_target(target) for target in self.targets if not target.met]


def _describe_target(target: TargetCheck) -> str:
    bound = "at least" if target.is_minimum else "at most"
    return f"{target.name}: {format_percent(target.value)}, target {bound} {format_percent(target.target)}"


def _describe_choice(category: str, choice: Choice) -> str:
    counts = ", ".join(f"{value} {count}" for value, count in choice.counts.items())
    return f"{category} left open: evenness {choice.evenness:.2f} (even draws: {choice.chance():.2f})\n{counts}"


def _rows_as_json(rows: Mapping[str, Any]) -> dict[str, Any]:
    return {name: figure_as_json(figure) for name, figure in rows.items()}
