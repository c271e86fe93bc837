"""The check of a single text, for the checker: an appeal and a character's description are texts without a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lumora.serve.checker import CheckerState


def check_prompt(state: CheckerState, prompt: str) -> dict[str, Any]:
    """The verdict on a text, and the version of the policy."""
    verdict = state.moderation.texts.check(prompt)
    return {
        "allowed": verdict.allowed,
        "refused": list(verdict.refused),
        "reason": verdict.reason,
        "failure": verdict.failure,
        "scores": {name: {"value": score.value, "source": score.source} for name, score in verdict.scores.items()},
        "policy": state.moderation.policy.version,
    }
