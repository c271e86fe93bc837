"""`lumora report`, `lumora appeal`, `lumora review`: what people say of what was delivered or refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from lumora.cli.flags import File, Text

if TYPE_CHECKING:
    from lumora.service.feedback import Case

NOTED = "It is noted as {number}, on this machine alone, and a reviewer will decide."


@dataclass(frozen=True)
class Report:
    """Tell the reviewer that a video which lumora delivered shows what it should not."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """The video; it is recognised also where its manifest is lost."""
    why: Annotated[Positional[str], arg(metavar="WHY")]
    """What is wrong with it."""
    consent: FlagCreatePairsOff[bool] = False
    """Allow its prompt to be learnt from."""

    def run(self) -> None:
        from lumora.service.feedback import Feedback, report

        complaint = report(self.file, self.why, self.consent)
        Feedback().add(complaint)
        print(NOTED.format(number=complaint.number))


@dataclass(frozen=True)
class Appeal:
    """Tell the reviewer that a prompt is refused for nothing."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")]
    """The prompt that is refused."""
    why: Annotated[Positional[str], arg(metavar="WHY")]
    """Why it is fine."""
    consent: FlagCreatePairsOff[bool] = False
    """Allow the prompt to be learnt from."""
    policy: File = None
    """What differs from lumora's policy; else the file that $LUMORA_POLICY names."""

    def run(self) -> None:
        from lumora.safety.moderators import text_moderator
        from lumora.safety.policy import Policy
        from lumora.service.feedback import Feedback, appeal

        policy = Policy.load(self.policy)
        verdict = text_moderator(policy).check(self.prompt)
        complaint = appeal(self.prompt, verdict, policy.version, self.why, self.consent)
        Feedback().add(complaint)
        print(NOTED.format(number=complaint.number))


@dataclass(frozen=True)
class Review:
    """List what is open; decide one of them; or export what is decided, of senders who consented (docs/safety.md)."""

    number: Positional[Text] = None
    """The complaint to decide."""
    ruling: Positional[Literal["uphold", "overturn"] | None] = None
    """uphold: lumora did right, in refusing or in delivering; overturn: it did not."""
    note: str = ""
    """Why."""
    category: Text = None
    """What the prompt belongs to, where it is harmful and was let through."""
    export: File = None
    """Write the prompts of decided cases to this file, for `lumora redteam --suite` and for training."""

    def run(self) -> None:
        from lumora.safety.labeled import write_labeled
        from lumora.service.feedback import Feedback, training_examples

        feedback = Feedback()
        if self.number is not None:
            if self.ruling is None:
                raise ValueError(f"Say what is to become of {self.number}: uphold or overturn.")
            print(_line(feedback.decide(self.number, self.ruling, self.note, self.category)))
        elif self.export is not None:
            learnt = training_examples(feedback.cases())
            if not learnt:
                raise ValueError("There is nothing to export: no case is decided whose sender consented.")
            write_labeled(self.export, learnt)
            print(f"{self.export}: {len(learnt)} prompts.")
        else:
            cases = [case for case in feedback.cases() if case.decision is None]
            print("\n".join(map(_line, cases)) or "Nothing is open.")


def _line(case: Case) -> str:
    """Quoted by `repr`, so that nobody's words steer the reviewer's terminal."""
    about = case.complaint
    what = f"refused as {', '.join(about.refused)}" if about.kind == "appeal" else f"delivered as {about.record}"
    consent = "" if about.consent else ", not to be learnt from"
    line = f"{about.number}  {about.kind} of {about.at}: {about.prompt!r} was {what}{consent}. It says: {about.why!r}."
    if case.decision is None:
        return line
    of = case.decision.category or "harmless"
    return f"{line} Decided: {case.decision.ruling}, {of}{': ' if case.decision.note else ''}{case.decision.note}."
