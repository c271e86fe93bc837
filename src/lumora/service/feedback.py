"""Learning from use: what viewers report, what senders appeal against, and what a reviewer decides; all of it stays on
this machine.

`feedback.jsonl` in the state folder has a line for each complaint and each decision. It only grows.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

from lumora.provenance.detect import detect
from lumora.provenance.keystore import locked, state_folder
from lumora.safety.corpus import categories
from lumora.safety.verdict import Verdict

ComplaintKind: TypeAlias = Literal["report", "appeal"]
Ruling: TypeAlias = Literal["uphold", "overturn"]
"""Whether lumora did right, in refusing or in delivering, or not."""
MAX_CHARACTERS = 2_000
"""Of what somebody says."""


@dataclass(frozen=True)
class Complaint:
    """A viewer's about a video that was delivered, or a sender's about a prompt that was refused."""

    number: str
    kind: ComplaintKind
    at: str
    prompt: str
    """What was asked for; of a video of several shots, all of them."""
    why: str
    consent: bool
    """Whether its sender allows the prompt to be learnt from."""
    refused: tuple[str, ...] = ()
    """The categories that an appeal's prompt was refused for."""
    record: str | None = None
    """The video that a report is about, as in the index."""
    policy: str = ""
    """The version by which it was refused or delivered."""


@dataclass(frozen=True)
class Decision:
    number: str
    """Of the complaint."""
    at: str
    ruling: Ruling
    note: str
    category: str | None
    """What the prompt belongs to; None where it is harmless."""


@dataclass(frozen=True)
class Case:
    complaint: Complaint
    decision: Decision | None


def report(file: Path, why: str, consent: bool) -> Complaint:
    """A viewer's complaint about a video that lumora delivered here; raises ValueError for any other file."""
    found = detect(file)
    if found.record is None or found.answer == "not ours":
        raise ValueError(f"{file} can't be told to be a video that was delivered here (`lumora detect` says more).")
    recipe = found.record.recipe
    request = recipe["request"]
    prompts = [request["prompt"], *(shot["prompt"] for shot in request.get("next_shots", ()))]
    about = {"record": found.record.record, "policy": recipe.get("policy", "")}
    return _complaint("report", " ".join(prompts), why, consent, **about)


def appeal(prompt: str, verdict: Verdict, policy: str, why: str, consent: bool) -> Complaint:
    """A complaint about a prompt's refusal; raises ValueError where the verdict is none, or the check had failed."""
    if verdict.allowed:
        raise ValueError("This prompt is not refused, so there is nothing to appeal against.")
    if not verdict.refused:
        raise ValueError(f"This prompt could not be checked, which an appeal can't mend: {verdict.failure}")
    return _complaint("appeal", prompt, why, consent, refused=verdict.refused, policy=policy)


class Feedback:
    """The list, in a file; several processes may use it at a time."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or state_folder() / "feedback.jsonl"

    def add(self, complaint: Complaint) -> None:
        with locked(self._file) as log:
            _append(log, log.read(), {"complaint": asdict(complaint)})

    def cases(self) -> list[Case]:
        """All complaints in the order in which they came, open and decided."""
        with locked(self._file) as log:
            return _cases(log.read())

    def decide(self, number: str, ruling: Ruling, note: str = "", category: str | None = None) -> Case:
        """Closes a case; of what is harmful, `category` says what it is, unless an appeal's refusal had it right.

        Raises ValueError for a number that isn't there or is decided, and for a category that is missing or too much.
        """
        with locked(self._file) as log:
            content = log.read()
            case = next((case for case in _cases(content) if case.complaint.number == number), None)
            if case is None:
                raise ValueError(f"There is no complaint {number}; `lumora review` lists them.")
            if case.decision is not None:
                raise ValueError(f"{number} was decided already: {case.decision.ruling}, {case.decision.at}.")
            decision = Decision(number, _now(), ruling, _said(note), _category(case.complaint, ruling, category))
            _append(log, content, {"decision": asdict(decision)})
        return Case(case.complaint, decision)


def training_examples(cases: Sequence[Case]) -> list[tuple[str, str | None]]:
    """Prompts of decided cases whose senders consented, each with what it belongs to."""
    return [(c.complaint.prompt, c.decision.category) for c in cases if c.decision and c.complaint.consent]


def _complaint(kind: ComplaintKind, prompt: str, why: str, consent: bool, **about: Any) -> Complaint:
    if not why.strip():
        raise ValueError("Say why, in a few words.")
    return Complaint(secrets.token_hex(4), kind, _now(), prompt, _said(why), consent, **about)


def _said(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"That has {len(text):,} characters; say it in at most {MAX_CHARACTERS:,}.")
    return text


def _category(complaint: Complaint, ruling: Ruling, category: str | None) -> str | None:
    """What a case turns out to be about: a refusal that stands, or a delivery that was wrong, is of something
    harmful."""
    if (complaint.kind == "appeal") != (ruling == "uphold"):
        if category is not None:
            raise ValueError(
                f"To {ruling} this {complaint.kind} is to say that it is harmless; leave the category out."
            )
        return None
    category = category or next(iter(complaint.refused), None)
    if category not in categories():
        raise ValueError(f"Say what it is, with --category and one of {', '.join(categories())}.")
    return category


def _append(log: BinaryIO, content: bytes, event: dict[str, Any]) -> None:
    torn = b"\n" if content and not content.endswith(b"\n") else b""  # a process died while it wrote
    log.write(torn + json.dumps(event, ensure_ascii=False).encode() + b"\n")


def _cases(content: bytes) -> list[Case]:
    complaints: dict[str, Complaint] = {}
    decisions: dict[str, Decision] = {}
    for event in filter(None, map(_event, content.splitlines())):
        if "complaint" in event:
            about = event["complaint"]
            complaints[about["number"]] = Complaint(**{**about, "refused": tuple(about["refused"])})
        else:
            decisions[event["decision"]["number"]] = Decision(**event["decision"])
    return [Case(complaint, decisions.get(number)) for number, complaint in complaints.items()]


def _event(line: bytes) -> dict[str, Any] | None:
    """None for a line that was torn off when a process died."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
