"""What a check says, and how several checks speak as one: the worst score of each category, and no answer is a refusal.

Panel([PromptCheck.load(policy), Moderations(...)], seconds=10).check("a red ball") -> Verdict(...)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

Content = TypeVar("Content", contravariant=True)


@dataclass(frozen=True)
class Score:
    """How surely something belongs to a category, from 0 to 1, and who says so."""

    value: float
    source: str

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:  # also false for NaN
            raise ValueError(f"A score lies between 0 and 1; {self.source} gave {self.value}.")


@dataclass(frozen=True)
class Verdict:
    """The scores of one check by category. Whoever gets it may go on only if `allowed`."""

    scores: Mapping[str, Score]
    refused: tuple[str, ...] = ()
    """The categories whose score reaches the policy's threshold, the surest first."""
    failure: str | None = None
    """Why a check came to no answer, in a sentence; that refuses too."""

    @property
    def allowed(self) -> bool:
        return not self.refused and self.failure is None

    @property
    def reason(self) -> str:
        """One sentence for people."""
        if self.refused:
            named = (f"{name} ({self.scores[name].value:.2f}, {self.scores[name].source})" for name in self.refused)
            return f"Refused: {', '.join(named)}."
        return f"Refused, because it could not be checked: {self.failure}" if self.failure else "Allowed."


@runtime_checkable
class Check(Protocol[Content]):
    """Whatever can judge a text (str) or frames (uint8 (T, H, W, 3))."""

    def check(self, content: Content, /) -> Verdict: ...


def joined(verdicts: Iterable[Verdict]) -> Verdict:
    """The highest score of each category; refused is what any of them refuses. Raises ValueError for none."""
    verdicts = tuple(verdicts)
    if not verdicts:
        raise ValueError("Without any verdict there is nothing to join: give at least one.")
    scores: dict[str, Score] = {}
    for name, score in (item for verdict in verdicts for item in verdict.scores.items()):
        scores[name] = max(scores.get(name, score), score, key=lambda s: s.value)
    refused = {name for verdict in verdicts for name in verdict.refused}
    failures = [verdict.failure for verdict in verdicts if verdict.failure]
    ordered = sorted(refused, key=lambda name: (-scores[name].value, name))
    return Verdict(scores, tuple(ordered), " ".join(failures) or None)


class Moderator(Generic[Content]):
    """Several checks side by side as one check. One that raises, answers nonsense, or takes longer than `seconds`,
    refuses; the panel itself always answers."""

    def __init__(self, checks: Sequence[Check[Content]], seconds: float = 30.0):
        if not checks:
            raise ValueError("A panel without checks would allow everything: give at least one.")
        self.checks = tuple(checks)
        self.seconds = seconds

    def check(self, content: Content, /) -> Verdict:
        verdicts: list[Verdict | None] = [None] * len(self.checks)

        def ask(place: int) -> None:
            verdicts[place] = _asked(self.checks[place], content)

        # Daemons: a check that hangs must not keep the process alive after its refusal.
        threads = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(len(self.checks))]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + self.seconds
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        answers = tuple(verdicts)  # what comes later doesn't count
        names = (type(check).__name__ for check in self.checks)
        late = (Verdict({}, failure=f"{name} took longer than {self.seconds:g} s.") for name in names)
        return joined(answer or excuse for answer, excuse in zip(answers, late, strict=True))


def _asked(check: Check[Content], content: Content) -> Verdict:
    try:
        return joined([check.check(content)])  # raises for an answer that is no verdict
    except Exception as error:  # whatever goes wrong, the answer is no
        return Verdict({}, failure=f"{type(check).__name__} failed: {str(error).rstrip('.') or type(error).__name__}.")
