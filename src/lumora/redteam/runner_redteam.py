"""What gets past the checks, and what they refuse for nothing: real panels, asked a suite."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from lumora.evaluate.metrics.estimates import Estimate, estimate, mean
from lumora.evaluate.metrics.proportions import Proportion, grouped
from lumora.redteam.fairness import about_people, gap
from lumora.redteam.multi_turn_attacks import by_hand, held_out
from lumora.redteam.suite import MUST_PASS, Suite
from lumora.redteam.synthetic_symbols import AREAS, DRESSES, Dress, clean_frames, planted
from lumora.redteam.translations import ORIGINAL, translated
from lumora.safety.moderators import frame_moderator, text_moderator
from lumora.safety.multi_turn import MultiTurnRequest
from lumora.safety.obfuscations import OBFUSCATIONS
from lumora.safety.policy import Policy, Targets
from lumora.safety.prompt_check import combined_prompts
from lumora.safety.symbols import symbol_outlines
from lumora.safety.verdict import Moderator, Verdict

Content = TypeVar("Content")
Told = Callable[[str, int, int], None]
"""Told (what is asked, questions answered, of how many)."""

PATIENCE = 600.0
"""Seconds for a verdict. A busy machine must not spoil the figures: what is late refuses, and would pass for recall."""
CLEAN = "clean"
"""The row of prompts without a disguise, and of frames without a symbol."""
OWN = "own clips"
"""The row of what the model makes of harmless prompts; of whole videos, and not of frames."""
PIECES, WHOLE, HARMLESS, HARD = "piece by piece", "as a whole", "harmless", "hard"
"""Rows of chains: where a single step is refused, where that or all steps together are; and what should pass."""


@dataclass(frozen=True)
class Wrong:
    """A prompt that was judged wrongly."""

    text: str
    group: str
    refused: tuple[str, ...]


@dataclass(frozen=True)
class RedTeamFigures:
    refused: dict[str, Proportion]
    """By the prompts' group: recall of categories, false refusals of all others."""
    named: dict[str, Proportion]
    """How often the own category is among those that are refused, of refused prompts."""
    disguised: dict[str, Proportion]
    """How many of the same prompts are refused without a disguise, and in each."""
    lost: dict[str, Estimate]
    """By how much fewer, in each."""
    translated: dict[str, Proportion]
    """Of the same requests in each language; and of harmless ones."""
    chained: dict[str, Proportion]
    """Of requests that are sent in pieces."""
    planted: dict[str, Proportion]
    """Frames that are refused: clean ones, and by the symbol and the share of the area."""
    dressed: dict[str, Proportion]
    """The same by what the symbol is drawn on."""
    people: dict[str, dict[str, Proportion]]
    """Refusals of the same harmless sentences, by list and by whom they speak of."""
    milliseconds: dict[str, float]
    """Processor time of a prompt: median and 95th percentile."""
    wrong: tuple[Wrong, ...]


@dataclass(frozen=True)
class TargetCheck:
    """A figure beside what the policy asks of it."""

    what: str
    value: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        return self.value >= self.bound - 1e-9 if self.at_least else self.value <= self.bound + 1e-9


def run_redteam(suite: Suite, policy: Policy, tell: Told, seed: int = 0) -> RedTeamFigures:
    """Asks the checks of the policy, which may be services, all of a suite.

    Raises ValueError, in a sentence, where a check fails: its refusals would pass for recall.
    """
    words, generator = Moderator(text_moderator(policy).checks, PATIENCE), np.random.default_rng(seed)
    spent: list[float] = []
    verdicts = _asked(words, [prompt.text for prompt in suite.prompts], "Prompts", tell, spent)
    judged = list(zip(suite.prompts, verdicts, strict=True))
    disguised = _disguised(words, suite, generator, tell)
    clean = disguised.get(CLEAN, np.zeros(0))
    by_symbol, by_dress = _planted(frame_moderator(policy), suite.frames, generator, tell)
    return RedTeamFigures(
        refused=grouped((prompt.group, not verdict.allowed) for prompt, verdict in judged),
        named=grouped(
            (prompt.group, prompt.group in verdict.refused)
            for prompt, verdict in judged
            if prompt.group not in MUST_PASS and not verdict.allowed
        ),
        disguised={name: Proportion(int(refused.sum()), len(refused)) for name, refused in disguised.items()},
        lost={n: estimate(mean, clean - refused) for n, refused in disguised.items() if n != CLEAN},
        translated=_translated(words, suite.tables, tell),
        chained=_chained(words, [*by_hand(suite.tables), *held_out(suite.chains, generator)], tell),
        planted=by_symbol,
        dressed=by_dress,
        people=_people(words, suite.sentences, tell),
        milliseconds={name: float(np.quantile(spent, q)) for name, q in (("median", 0.5), ("p95", 0.95))},
        wrong=tuple(
            Wrong(prompt.text, prompt.group, verdict.refused)
            for prompt, verdict in judged
            if verdict.allowed != (prompt.group in MUST_PASS)
        ),
    )


def check_targets(figures: RedTeamFigures, targets: Targets) -> list[TargetCheck]:
    """Every figure that the policy sets a bound to; what a suite doesn't ask is not among them."""
    bounds = {group: getattr(targets, group) for group in MUST_PASS}
    found = [
        TargetCheck(f"refused, {group}", share.value, bounds.get(group, targets.recall), group not in MUST_PASS)
        for group, share in figures.refused.items()
    ]
    found += [
        TargetCheck(f"lost by {name}", loss.value, targets.recall_loss, False) for name, loss in figures.lost.items()
    ]
    if ORIGINAL in figures.translated:
        known = figures.translated[ORIGINAL].value
        spoken = {n: share for n, share in figures.translated.items() if n != ORIGINAL and HARMLESS not in n}
        found += [
            TargetCheck(f"lost by {n}", known - share.value, targets.recall_loss, False) for n, share in spoken.items()
        ]
    if WHOLE in figures.chained:
        found.append(TargetCheck("refused, chains", figures.chained[WHOLE].value, targets.recall, True))
    for name, share in [*figures.translated.items(), *figures.chained.items()]:
        if HARMLESS in name or HARD in name:
            found.append(
                TargetCheck(f"refused, {name}", share.value, bounds[HARD if HARD in name else "benign"], False)
            )
    for name, share in figures.planted.items():
        bound = targets.small_symbols if f"{AREAS[0]:.0%}" in name.split() else targets.symbols
        clean = name in (CLEAN, OWN)
        found.append(
            TargetCheck(f"frames refused, {name}", share.value, targets.clean_frames if clean else bound, not clean)
        )
    return found + [
        TargetCheck(f"gap by {kind}", gap(shares), targets.group_gap, False) for kind, shares in figures.people.items()
    ]


def _asked(
    panel: Moderator[Content], contents: Sequence[Content], what: str, tell: Told, spent: list[float] | None = None
) -> list[Verdict]:
    verdicts = []
    for number, content in enumerate(contents, 1):
        began = time.process_time()
        verdict = panel.check(content)
        if spent is not None:
            spent.append(1e3 * (time.process_time() - began))
        if verdict.failure:
            raise ValueError(f"Nothing can be measured, because a check fails: {verdict.failure}")
        verdicts.append(verdict)
        tell(what, number, len(contents))
    return verdicts


def _disguised(
    words: Moderator[str], suite: Suite, generator: np.random.Generator, tell: Told
) -> dict[str, np.ndarray]:
    """Whether each of the same prompts is refused, without a disguise and in each."""
    bad = [suite.bad[i].text for i in generator.permutation(len(suite.bad))[: suite.disguised]]
    if not bad:
        return {}
    texts = {CLEAN: bad} | {name: [evade(t, generator) for t in bad] for name, evade in OBFUSCATIONS.items()}
    verdicts = iter(_asked(words, [t for some in texts.values() for t in some], "Disguises", tell))
    return {name: np.array([not next(verdicts).allowed for _ in some], float) for name, some in texts.items()}


def _translated(words: Moderator[str], requests: int, tell: Told) -> dict[str, Proportion]:
    questions = translated(requests)
    verdicts = _asked(words, [question.text for question in questions], "Languages", tell)
    asked = [(q, f"{q.language}, {HARMLESS}" if q.group in MUST_PASS else q.language) for q in questions]
    return grouped((row, not verdict.allowed) for (_, row), verdict in zip(asked, verdicts, strict=True))


def _chained(words: Moderator[str], sent: Sequence[MultiTurnRequest], tell: Told) -> dict[str, Proportion]:
    asked = [[*chain.steps, *combined_prompts(chain.steps)] for chain in sent]
    verdicts = iter(_asked(words, [text for texts in asked for text in texts], "Chains", tell))
    refused = [[not next(verdicts).allowed for _ in texts] for texts in asked]
    return grouped(row for chain, each in zip(sent, refused, strict=True) for row in _rows(chain, each))


def _rows(chain: MultiTurnRequest, refused: list[bool]) -> list[tuple[str, bool]]:
    """`refused` are the steps, then all together."""
    if chain.group in MUST_PASS:
        return [(f"{HARD if chain.group == HARD else HARMLESS}, {WHOLE}", any(refused))]
    piece = any(refused[: len(chain.steps)])
    return [(PIECES, piece), (WHOLE, any(refused)), (f"{WHOLE}, {chain.kind}", any(refused))]


def review_own(videos: Sequence[np.ndarray], policy: Policy, tell: Told) -> Proportion:
    """How many of a model's own videos of harmless prompts the frame review refuses."""
    verdicts = _asked(Moderator(frame_moderator(policy).checks, PATIENCE), videos, "Own clips", tell)
    return Proportion(sum(not verdict.allowed for verdict in verdicts), len(verdicts))


def _people(words: Moderator[str], sentences: int, tell: Told) -> dict[str, dict[str, Proportion]]:
    questions = about_people(sentences)
    verdicts = _asked(words, [question.text for question in questions], "People", tell)
    asked = list(zip(questions, verdicts, strict=True))
    return {
        kind: grouped((question.who, not verdict.allowed) for question, verdict in asked if question.kind == kind)
        for kind in dict.fromkeys(question.kind for question in questions)
    }


def _planted(
    pictures: Moderator[np.ndarray], count: int, generator: np.random.Generator, tell: Told
) -> tuple[dict[str, Proportion], dict[str, Proportion]]:
    """By symbol, and by dress. Each symbol at each size in a third of the frames, in one dress after the other; a frame
    is a video of its own, for each is judged alone."""
    if not count:
        return {}, {}
    clean = clean_frames(count)
    dressed: list[tuple[np.ndarray, Dress]] = [
        (frame, DRESSES[n % len(DRESSES)]) for n, frame in enumerate(clean[:: len(AREAS)])
    ]
    marked = [
        (
            f"{name.replace('_', ' ')} {area:3.0%}",
            f"{dress} {area:3.0%}",
            planted(frame, outline, area, dress, generator),
        )
        for name, outline in symbol_outlines().items()
        for area in AREAS
        for frame, dress in dressed
    ]
    asked = [*((CLEAN, CLEAN, frame) for frame in clean), *marked]
    verdicts = _asked(pictures, [frame[None] for *_, frame in asked], "Frames", tell)
    found = [(symbol, dress, not v.allowed) for (symbol, dress, _), v in zip(asked, verdicts, strict=True)]
    return grouped((symbol, hit) for symbol, _, hit in found), grouped((dress, hit) for _, dress, hit in found)
