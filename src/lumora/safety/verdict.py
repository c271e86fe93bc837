"""Results of checks, and the combination of several checks: the highest score of each category decides.

Moderator([PromptCheck.load(policy), ModerationService(policy, endpoint)], timeout=10).check("a red ball")
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

Content = TypeVar("Content", contravariant=True)


@dataclass(frozen=True)
class Score:
    """How likely it is, from 0 to 1, that something belongs to a category, and which check says so."""

    value: float
    source: str

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:  # also false for NaN
            raise ValueError(f"A score must be between 0 and 1; {self.source} gave {self.value}.")


@dataclass(frozen=True)
class Verdict:
    """The scores of a check by category. Only what is `allowed` may be generated or published."""

    scores: Mapping[str, Score]
    refused: tuple[str, ...] = ()
    """The categories whose score reaches the policy's threshold, highest score first."""
    failure: str | None = None
    """A sentence that says why a check gave no answer. A failed check refuses."""

    @property
    def allowed(self) -> bool:
        return not self.refused and self.failure is None

    @property
    def reason(self) -> str:
        """One sentence for the user."""
        if self.refused:
            named = (f"{name} ({self.scores[name].value:.2f}, {self.scores[name].source})" for name in self.refused)
            return f"Refused: {', '.join(named)}."
        return f"Refused, because it could not be checked: {self.failure}" if self.failure else "Allowed."


@runtime_checkable
class Check(Protocol[Content]):
    """Judges a text (str), an image (uint8 (H, W, 3)) or frames (uint8 (T, H, W, 3))."""

    def check(self, content: Content, /) -> Verdict: ...


def combine_verdicts(verdicts: Iterable[Verdict]) -> Verdict:
    """The highest score of each category; refuses what any of the verdicts refuses. Raises ValueError for none."""
    verdicts = tuple(verdicts)
    if not verdicts:
        raise ValueError("There are no verdicts to combine.")
    scores: dict[str, Score] = {}
    for name, score in (item for verdict in verdicts for item in verdict.scores.items()):
        scores[name] = max(scores.get(name, score), score, key=lambda s: s.value)
    refused = {name for verdict in verdicts for name in verdict.refused}
    failures = [verdict.failure for verdict in verdicts if verdict.failure]
    ordered = sorted(refused, key=lambda name: (-scores[name].value, name))
    return Verdict(scores, tuple(ordered), " ".join(failures) or None)


class Moderator(Generic[Content]):
    """Runs several checks in parallel and combines their verdicts.

    A check that raises, returns something else than a verdict or takes longer than `timeout` seconds refuses; the
    moderator itself always answers. `seconds_per_item` are added for each item of the content, such as a frame.
    """

    def __init__(self, checks: Sequence[Check[Content]], timeout: float = 30.0, seconds_per_item: float = 0.0):
        if not checks:
            raise ValueError("A moderator without checks would allow everything; give at least one check.")
        self.checks = tuple(checks)
        self.timeout, self.seconds_per_item = timeout, seconds_per_item

    def check(self, content: Content, /) -> Verdict:
        verdicts: list[Verdict | None] = [None] * len(self.checks)

        def run(index: int) -> None:
            verdicts[index] = _run_check(self.checks[index], content)

        # Daemon threads: a check that hangs must not keep the process alive after the refusal.
        threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(len(self.checks))]
        for thread in threads:
            thread.start()
        items = len(content) if isinstance(content, Sized) else 1
        timeout = self.timeout + self.seconds_per_item * items
        deadline = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        in_time = tuple(verdicts)  # a copy: later answers are ignored
        return combine_verdicts(
            verdict or Verdict({}, failure=f"{type(check).__name__} took longer than {timeout:g} s.")
            for verdict, check in zip(in_time, self.checks, strict=True)
        )


def _run_check(check: Check[Content], content: Content) -> Verdict:
    try:
        return combine_verdicts([check.check(content)])  # raises if the answer is not a verdict
    except Exception as error:  # any failure refuses
        return Verdict({}, failure=f"{type(check).__name__} failed: {str(error).rstrip('.') or type(error).__name__}.")
