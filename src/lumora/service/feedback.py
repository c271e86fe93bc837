"""Feedback: reports of published videos, appeals against refused prompts, and a reviewer's decisions.

`feedback.jsonl` in the state folder has a line for each complaint and each decision. Lines are only appended, and the
file stays on this machine.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

from lumora.provenance.keystore import locked, state_folder
from lumora.request.serialization import upgrade_recipe
from lumora.safety.corpus import categories
from lumora.safety.verdict import Verdict

ComplaintKind: TypeAlias = Literal["report", "appeal"]
Ruling: TypeAlias = Literal["uphold", "overturn"]
"""Whether lumora was right to refuse or to publish (uphold), or wrong (overturn)."""
MAX_CHARACTERS = 2_000
"""Of a reason or a note."""
_OLD_KEYS = {"number": "id", "at": "created_at", "why": "reason", "consent": "allow_training"}
"""Keys of files that were written before version 0.1.0."""


@dataclass(frozen=True)
class Complaint:
    """A viewer's report of a published video, or a sender's appeal against a refused prompt."""

    id: str
    kind: ComplaintKind
    created_at: str
    prompt: str
    """The prompt; the prompts of all shots if there are several."""
    reason: str
    allow_training: bool
    """Whether the sender allows the prompt to be used for training."""
    refused: tuple[str, ...] = ()
    """Of an appeal: the categories for which the prompt was refused."""
    record: str | None = None
    """Of a report: the record of the video in the index."""
    policy: str = ""
    """Version of the policy by which it was refused or published."""


@dataclass(frozen=True)
class Decision:
    id: str
    """Of the complaint."""
    created_at: str
    ruling: Ruling
    note: str
    category: str | None
    """The category of the prompt; None if it is harmless."""


@dataclass(frozen=True)
class FeedbackCase:
    complaint: Complaint
    decision: Decision | None


def report(file: Path, reason: str, allow_training: bool) -> Complaint:
    """A report of a video that was published here. Raises ValueError for any other file."""
    from lumora.provenance.detect import detect  # imports PyTorch

    found = detect(file)
    if found.record is None or found.answer == "not ours":
        raise ValueError(f"{file} is not known as a video that was published here (`lumora detect` says more).")
    return report_record(found.record.recipe, reason, allow_training)


def report_record(recipe: dict[str, Any], reason: str, allow_training: bool) -> Complaint:
    """A report of a published video, by the recipe in its manifest or in the index.

    Raises ValueError without a recipe or a reason.
    """
    recipe = upgrade_recipe(recipe)
    if "request" not in recipe:
        raise ValueError("The video's manifest is lost; report its file with `lumora report`.")
    request = recipe["request"]
    prompts = [request["prompt"], *(shot["prompt"] for shot in request.get("next_shots", ()))]
    about = {"record": recipe["record"], "policy": recipe.get("policy", "")}
    return _complaint("report", " ".join(prompts), reason, allow_training, **about)


def appeal(prompt: str, verdict: Verdict, policy: str, reason: str, allow_training: bool) -> Complaint:
    """An appeal against a refused prompt. Raises ValueError if it was not refused, or if the check itself failed."""
    if verdict.allowed:
        raise ValueError("This prompt is not refused, so there is nothing to appeal against.")
    if not verdict.refused:
        raise ValueError(f"This prompt could not be checked, so an appeal does not help: {verdict.failure}")
    return _complaint("appeal", prompt, reason, allow_training, refused=verdict.refused, policy=policy)


class Feedback:
    """The list of complaints in a file; several processes may use it at the same time."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or state_folder() / "feedback.jsonl"

    def add(self, complaint: Complaint) -> None:
        with locked(self._file) as log:
            _append(log, log.read(), {"complaint": asdict(complaint)})

    def cases(self) -> list[FeedbackCase]:
        """All complaints in the order in which they were made, open and decided."""
        with locked(self._file) as log:
            return _cases(log.read())

    def decide(self, complaint_id: str, ruling: Ruling, note: str = "", category: str | None = None) -> FeedbackCase:
        """Closes a case. `category` is that of a harmful prompt; by default, the one an appeal was refused for.

        Raises ValueError for an unknown or decided complaint, and for a missing or superfluous category.
        """
        with locked(self._file) as log:
            content = log.read()
            case = next((case for case in _cases(content) if case.complaint.id == complaint_id), None)
            if case is None:
                raise ValueError(f"There is no complaint {complaint_id}; `lumora review` lists them.")
            if case.decision is not None:
                ruled = f"{case.decision.ruling}, {case.decision.created_at}"
                raise ValueError(f"{complaint_id} was decided already: {ruled}.")
            decision = Decision(
                complaint_id, _now(), ruling, _checked_length(note), _category(case.complaint, ruling, category)
            )
            _append(log, content, {"decision": asdict(decision)})
        return FeedbackCase(case.complaint, decision)


def training_examples(cases: Sequence[FeedbackCase]) -> list[tuple[str, str | None]]:
    """Prompts of decided cases whose senders allow it, each with its category."""
    return [(c.complaint.prompt, c.decision.category) for c in cases if c.decision and c.complaint.allow_training]


def _complaint(kind: ComplaintKind, prompt: str, reason: str, allow_training: bool, **about: Any) -> Complaint:
    if not reason.strip():
        raise ValueError("Give a reason, in a few words.")
    return Complaint(secrets.token_hex(4), kind, _now(), prompt, _checked_length(reason), allow_training, **about)


def _checked_length(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"That has {len(text):,} characters; use at most {MAX_CHARACTERS:,}.")
    return text


def _category(complaint: Complaint, ruling: Ruling, category: str | None) -> str | None:
    """The category of a decided case: an upheld refusal and an overturned publication are of something harmful."""
    if (complaint.kind == "appeal") != (ruling == "uphold"):
        if category is not None:
            raise ValueError(f"To {ruling} this {complaint.kind} means that it is harmless; leave the category out.")
        return None
    category = category or next(iter(complaint.refused), None)
    if category not in categories():
        raise ValueError(f"Give its category, with --category and one of {', '.join(categories())}.")
    return category


def _append(log: BinaryIO, content: bytes, event: dict[str, Any]) -> None:
    torn = b"\n" if content and not content.endswith(b"\n") else b""  # a process died while writing
    log.write(torn + json.dumps(event, ensure_ascii=False).encode() + b"\n")


def _cases(content: bytes) -> list[FeedbackCase]:
    complaints: dict[str, Complaint] = {}
    decisions: dict[str, Decision] = {}
    for event in filter(None, map(_event, content.splitlines())):
        if "complaint" in event:
            fields = _with_new_keys(event["complaint"])
            complaints[fields["id"]] = Complaint(**{**fields, "refused": tuple(fields["refused"])})
        else:
            decision = Decision(**_with_new_keys(event["decision"]))
            decisions[decision.id] = decision
    return [FeedbackCase(complaint, decisions.get(complaint_id)) for complaint_id, complaint in complaints.items()]


def _with_new_keys(fields: dict[str, Any]) -> dict[str, Any]:
    return {_OLD_KEYS.get(name, name): value for name, value in fields.items()}


def _event(line: bytes) -> dict[str, Any] | None:
    """None for a line that is incomplete because a process died."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
