"""`lumora report`, `lumora appeal`, `lumora review`: feedback on published videos and refused prompts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from lumora.cli.flags import File, OutputVerb, Text
from lumora.terminal import say

if TYPE_CHECKING:
    from lumora.service.feedback import FeedbackCase

NOTED = "Recorded as {id} on this machine; a reviewer will decide."


@dataclass(frozen=True)
class Report:
    """Report a video that lumora published and that shows what it should not."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """The video; it is recognized even if its manifest is lost."""
    reason: Annotated[Positional[str], arg(metavar="REASON")]
    """What is wrong with it."""
    allow_training: FlagCreatePairsOff[bool] = False
    """Allow its prompt to be used for training."""

    def run(self) -> None:
        from lumora.service.feedback import Feedback, report

        complaint = report(self.file, self.reason, self.allow_training)
        Feedback().add(complaint)
        say(NOTED.format(id=complaint.id))


@dataclass(frozen=True)
class Appeal:
    """Appeal against the refusal of a harmless prompt."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")]
    """The prompt that is refused."""
    reason: Annotated[Positional[str], arg(metavar="REASON")]
    """Why it is harmless."""
    allow_training: FlagCreatePairsOff[bool] = False
    """Allow the prompt to be used for training."""
    policy: File = None
    """File of a policy (default: the file that $LUMORA_POLICY names, else lumora's policy)."""

    def run(self) -> None:
        from lumora.service.feedback import Feedback, appeal
        from lumora.service.moderation import Moderation

        moderation = Moderation.load(self.policy)
        verdict = moderation.texts.check(self.prompt)
        complaint = appeal(self.prompt, verdict, moderation.policy.version, self.reason, self.allow_training)
        Feedback().add(complaint)
        say(NOTED.format(id=complaint.id))


@dataclass(frozen=True)
class Review(OutputVerb):
    """List open complaints, decide one, or export the prompts of decided ones (docs/safety.md)."""

    complaint_id: Positional[Text] = None
    """The complaint to decide."""
    ruling: Positional[Literal["uphold", "overturn"] | None] = None
    """uphold: lumora did right, in refusing or in delivering; overturn: it did not."""
    note: str = ""
    """Reason of the decision."""
    category: Text = None
    """Category of a harmful prompt that was not refused."""
    export: File = None
    """Write the prompts of decided cases to this file, for `lumora redteam --suite` and for training."""

    def run(self) -> None:
        from lumora.safety.labeled import write_labeled
        from lumora.service.feedback import Feedback, training_examples

        feedback = Feedback()
        if self.complaint_id is not None:
            if self.ruling is None:
                raise ValueError(f"Give a ruling for {self.complaint_id}: uphold or overturn.")
            say(_line(feedback.decide(self.complaint_id, self.ruling, self.note, self.category)))
        elif self.export is not None:
            self.check_output(self.export)
            examples = training_examples(feedback.cases())
            if not examples:
                raise ValueError("There is nothing to export: no decided case allows it.")
            write_labeled(self.export, examples)
            say(f"{self.export}: {len(examples)} prompts.")
        else:
            cases = [case for case in feedback.cases() if case.decision is None]
            say(*(map(_line, cases) if cases else ["Nothing is open."]))


def _line(case: FeedbackCase) -> str:
    """Texts are quoted by `repr`, so that they cannot control the terminal."""
    complaint = case.complaint
    is_appeal = complaint.kind == "appeal"
    outcome = f"refused as {', '.join(complaint.refused)}" if is_appeal else f"published as {complaint.record}"
    training = "" if complaint.allow_training else " (not for training)"
    line = f"{complaint.id}  {complaint.kind} of {complaint.created_at}: {complaint.prompt!r} was {outcome}{training}. "
    line += f"Reason: {complaint.reason!r}."
    if case.decision is None:
        return line
    category = case.decision.category or "harmless"
    return (
        f"{line} Decided: {case.decision.ruling}, {category}{': ' if case.decision.note else ''}{case.decision.note}."
    )
