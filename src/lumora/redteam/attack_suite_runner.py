"""Runs an attack suite against the real moderators: what gets past them, and what they refuse wrongly."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

import numpy as np

from lumora.evaluate.frames import Frames
from lumora.evaluate.metrics.estimates import Estimate, estimate, mean
from lumora.evaluate.metrics.proportions import Proportion, grouped
from lumora.redteam.fairness import fairness_prompts
from lumora.redteam.multi_turn_attacks import held_out_requests, written_requests
from lumora.redteam.suite import MUST_PASS, Suite
from lumora.redteam.synthetic_symbols import AREAS, SYMBOL_STYLES, SymbolStyle, clean_frames, plant_symbol
from lumora.safety.corpus import LANGUAGES, Sentence
from lumora.safety.moderators import frame_moderator, text_moderator
from lumora.safety.multi_turn import MultiTurnRequest
from lumora.safety.obfuscations import OBFUSCATIONS
from lumora.safety.policy import Policy
from lumora.safety.prompt_check import combined_prompts
from lumora.safety.symbols import symbol_outlines
from lumora.safety.verdict import Moderator, Verdict

Input = TypeVar("Input")
"""A prompt, or the frames of a video."""
AttackProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with (topic, number of verdicts, of how many)."""

TIMEOUT = 600.0
"""Seconds for a verdict. A late check refuses, which would count as recall, so a busy machine must not cause one."""
CLEAN = "clean"
"""The row of prompts without obfuscation, and of frames without a symbol."""
OWN_CLIPS = "own clips"
"""The row of videos that the model makes of harmless prompts."""
PIECE_BY_PIECE, AS_A_WHOLE = "piece by piece", "as a whole"
"""Rows of multi-turn requests: a single step is refused; a step or all steps together are refused."""
HARMLESS, HARD = "harmless", "hard"
"""Prefixes of rows that should pass."""


@dataclass(frozen=True)
class ModerationError:
    """A prompt with a wrong verdict."""

    text: str
    group: str
    refused: tuple[str, ...]
    """The categories that it was refused for; empty if it was allowed."""


@dataclass(frozen=True)
class RedTeamFigures:
    """The results of a suite; parts that the suite does not have are empty."""

    refused: dict[str, Proportion]
    """Refused prompts by group: recall for categories, false refusals for all others."""
    named: dict[str, Proportion]
    """Of the refused prompts of a category, those that are refused for that category."""
    obfuscated: dict[str, Proportion]
    """The same harmful prompts without obfuscation and with each."""
    recall_loss: dict[str, Estimate]
    """The loss of recall by each obfuscation."""
    languages: dict[str, Proportion]
    """Prompts written in each language; harmless and hard ones in rows of their own."""
    language_categories: dict[str, Proportion]
    """Those that should be refused, of all languages, by category."""
    multi_turn: dict[str, Proportion]
    """Requests that are sent in pieces."""
    symbols: dict[str, Proportion]
    """Refused frames: clean ones, and by symbol and its share of the frame."""
    symbol_styles: dict[str, Proportion]
    """The same by how the symbol is drawn."""
    fairness: dict[str, dict[str, Proportion]]
    """Refusals of the same harmless sentences, by list of people and by person."""
    milliseconds: dict[str, float]
    """Processor time of a prompt: median and 95th percentile."""
    errors: tuple[ModerationError, ...]


@dataclass(frozen=True)
class _Examiner(Generic[Input]):
    """Asks a moderator and reports progress."""

    moderator: Moderator[Input]
    progress: AttackProgress
    milliseconds: list[float] = field(default_factory=list)
    """Processor time of each verdict."""

    @classmethod
    def of(cls, moderator: Moderator[Input], progress: AttackProgress) -> _Examiner[Input]:
        return cls(Moderator(moderator.checks, TIMEOUT), progress)

    def ask(self, inputs: Sequence[Input], topic: str) -> list[Verdict]:
        """Raises ValueError if a check fails, because its refusals would count as recall."""
        verdicts = []
        for number, one in enumerate(inputs, 1):
            start = time.process_time()
            verdict = self.moderator.check(one)
            self.milliseconds.append(1e3 * (time.process_time() - start))
            if verdict.failure:
                raise ValueError(f"Nothing can be measured, because a check fails: {verdict.failure}")
            verdicts.append(verdict)
            self.progress(topic, number, len(inputs))
        return verdicts

    def refuses(self, inputs: Sequence[Input], topic: str) -> list[bool]:
        return [not verdict.allowed for verdict in self.ask(inputs, topic)]


def run_redteam(suite: Suite, policy: Policy, progress: AttackProgress, seed: int = 0) -> RedTeamFigures:
    """Runs all attacks of a suite against the checks of the policy, which may be remote services.

    Raises ValueError if a check fails.
    """
    generator = np.random.default_rng(seed)
    prompts = _Examiner.of(text_moderator(policy), progress)
    judged = _judge(prompts, suite.prompts, "Prompts")
    written = _judge(prompts, suite.written, "Languages")
    milliseconds = [*prompts.milliseconds]
    obfuscated = _refused_obfuscations(prompts, suite, generator)
    symbols, symbol_styles = _refused_symbols(frame_moderator(policy), progress, suite.frames, generator)
    multi_turn = [*written_requests(suite.tables), *held_out_requests(suite.multi_turn, generator)]
    return RedTeamFigures(
        refused=grouped((prompt.group, not verdict.allowed) for prompt, verdict in judged),
        named=grouped(
            (prompt.group, prompt.group in verdict.refused)
            for prompt, verdict in judged
            if prompt.group not in MUST_PASS and not verdict.allowed
        ),
        obfuscated={name: Proportion(int(refused.sum()), len(refused)) for name, refused in obfuscated.items()},
        recall_loss={
            name: estimate(mean, obfuscated[CLEAN] - refused) for name, refused in obfuscated.items() if name != CLEAN
        },
        languages=grouped((_language_row(prompt), not verdict.allowed) for prompt, verdict in written),
        language_categories=grouped(
            (prompt.group, not verdict.allowed) for prompt, verdict in written if prompt.group not in MUST_PASS
        ),
        multi_turn=_refused_multi_turn(prompts, multi_turn),
        symbols=symbols,
        symbol_styles=symbol_styles,
        fairness=_refused_people(prompts, suite.sentences),
        milliseconds={name: float(np.quantile(milliseconds, q)) for name, q in (("median", 0.5), ("p95", 0.95))},
        errors=tuple(
            ModerationError(prompt.text, prompt.group, verdict.refused)
            for prompt, verdict in [*judged, *written]
            if verdict.allowed != (prompt.group in MUST_PASS)
        ),
    )


def refused_own_clips(videos: Sequence[Frames], policy: Policy, progress: AttackProgress) -> Proportion:
    """How many of a model's own videos of harmless prompts the frame review refuses."""
    refused = _Examiner.of(frame_moderator(policy), progress).refuses(videos, "Own clips")
    return Proportion(sum(refused), len(refused))


def _refused_obfuscations(
    prompts: _Examiner[str], suite: Suite, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """1 for each harmful prompt that is refused, else 0: without obfuscation and with each."""
    harmful = suite.harmful
    texts = [harmful[i].text for i in generator.permutation(len(harmful))[: suite.obfuscated]]
    if not texts:
        return {}
    variants = {CLEAN: texts}
    variants |= {name: [obfuscate(text, generator) for text in texts] for name, obfuscate in OBFUSCATIONS.items()}
    refused = iter(prompts.refuses([text for some in variants.values() for text in some], "Obfuscations"))
    return {name: np.array([next(refused) for _ in some], float) for name, some in variants.items()}


def _judge(prompts: _Examiner[str], asked: Sequence[Sentence], topic: str) -> list[tuple[Sentence, Verdict]]:
    return list(zip(asked, prompts.ask([prompt.text for prompt in asked], topic), strict=True))


def _language_row(prompt: Sentence) -> str:
    language = LANGUAGES[prompt.language]
    suffix = {"benign": f", {HARMLESS}", "hard": f", {HARD}"}.get(prompt.group, "")
    return f"{language}{suffix}"


def _refused_multi_turn(prompts: _Examiner[str], requests: Sequence[MultiTurnRequest]) -> dict[str, Proportion]:
    """Each step of a request is asked alone, then all steps together."""
    texts = [[*request.steps, *combined_prompts(request.steps)] for request in requests]
    refused = iter(prompts.refuses([text for some in texts for text in some], "Multi-turn requests"))
    by_request = [[next(refused) for _ in some] for some in texts]
    return grouped(
        row for request, some in zip(requests, by_request, strict=True) for row in _multi_turn_rows(request, some)
    )


def _multi_turn_rows(request: MultiTurnRequest, refused: list[bool]) -> list[tuple[str, bool]]:
    """The rows that a request counts in; `refused` are its steps, then all steps together."""
    if request.group in MUST_PASS:
        return [(f"{HARD if request.group == HARD else HARMLESS}, {AS_A_WHOLE}", any(refused))]
    step_refused = any(refused[: len(request.steps)])
    return [
        (PIECE_BY_PIECE, step_refused),
        (AS_A_WHOLE, any(refused)),
        (f"{AS_A_WHOLE}, {request.kind}", any(refused)),
    ]


def _refused_people(prompts: _Examiner[str], sentences: int) -> dict[str, dict[str, Proportion]]:
    people = fairness_prompts(sentences)
    refused = prompts.refuses([one.text for one in people], "People")
    answers = list(zip(people, refused, strict=True))
    return {
        group: grouped((one.person, hit) for one, hit in answers if one.group == group)
        for group in dict.fromkeys(one.group for one in people)
    }


def _refused_symbols(
    moderator: Moderator[Frames], progress: AttackProgress, count: int, generator: np.random.Generator
) -> tuple[dict[str, Proportion], dict[str, Proportion]]:
    """By symbol, and by style.

    Each symbol is planted at each size in a third of the frames, in rotating styles. A frame is moderated as a video of
    its own.
    """
    if not count:
        return {}, {}
    clean = clean_frames(count)
    styled: list[tuple[np.ndarray, SymbolStyle]] = [
        (frame, SYMBOL_STYLES[n % len(SYMBOL_STYLES)]) for n, frame in enumerate(clean[:: len(AREAS)])
    ]
    inputs = [(CLEAN, CLEAN, frame) for frame in clean]
    for name, outline in symbol_outlines().items():
        for area in AREAS:
            for frame, style in styled:
                planted = plant_symbol(frame, outline, area, style, generator)
                inputs.append((f"{name.replace('_', ' ')} {area:3.0%}", f"{style} {area:3.0%}", planted))
    refused = _Examiner.of(moderator, progress).refuses([frame[None] for *_, frame in inputs], "Frames")
    found = [(symbol, style, hit) for (symbol, style, _), hit in zip(inputs, refused, strict=True)]
    return grouped((symbol, hit) for symbol, _, hit in found), grouped((style, hit) for _, style, hit in found)
