"""What people say of what was delivered or refused is kept, decided once, and learnt from only as they allow."""

import stat
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_backend import FakeBackend, moderation

from lumora.cli import main
from lumora.media.video import Video
from lumora.provenance.dct import search_stages
from lumora.request.spec import Request
from lumora.safety.labeled import read_labeled
from lumora.safety.verdict import Score, Verdict
from lumora.service.feedback import Complaint, ComplaintKind, Feedback, Ruling, appeal, report, training_examples
from lumora.service.generate import generate

REFUSED = Verdict({"hate": Score(0.9, "a test"), "ip": Score(0.6, "a test")}, ("hate", "ip"))


class Allows:
    def check(self, content: Any, /) -> Verdict:
        return Verdict({})


def complaint(number: int = 0, kind: ComplaintKind = "appeal", consent: bool = True) -> Complaint:
    refused = ("hate", "ip") if kind == "appeal" else ()
    return Complaint(f"{number:08x}", kind, "now", f"prompt {number}", "why", consent, refused)


def test_of_many_at_once_each_is_kept_whole_and_for_its_owner_alone(tmp_path: Path):
    file = tmp_path / "feedback.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: Feedback(file).add(complaint(number)), range(64)))
    assert sorted(case.complaint.id for case in Feedback(file).cases()) == [f"{n:08x}" for n in range(64)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_line_that_was_torn_off_takes_no_other_with_it(tmp_path: Path):
    file = tmp_path / "feedback.jsonl"
    Feedback(file).add(complaint(1))
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:-20])
    Feedback(file).add(complaint(2))
    assert [case.complaint for case in Feedback(file).cases()] == [complaint(1), complaint(2)]


@pytest.mark.parametrize(
    ("kind", "ruling", "category", "of"),
    [
        ("appeal", "uphold", None, "hate"),  # the surest of those it was refused for
        ("appeal", "uphold", "ip", "ip"),
        ("appeal", "overturn", None, None),
        ("report", "overturn", "violence", "violence"),
        ("report", "uphold", None, None),
    ],
)
def test_a_decision_says_what_the_prompt_is(
    kind: ComplaintKind, ruling: Ruling, category: str | None, of: str | None, tmp_path: Path
):
    feedback = Feedback(tmp_path / "feedback.jsonl")
    feedback.add(complaint(1, kind))
    feedback.add(complaint(2, kind, consent=False))
    decided = [feedback.decide(f"{number:08x}", ruling, "a note", category) for number in (1, 2)]
    assert feedback.cases() == decided
    assert all(case.decision and case.decision.category == of and case.decision.note == "a note" for case in decided)
    assert training_examples(decided) == [("prompt 1", of)]
    with pytest.raises(ValueError, match="decided already"):
        feedback.decide("00000001", "uphold")


@pytest.mark.parametrize(
    ("kind", "ruling", "category", "sentence"),
    [
        ("report", "overturn", None, "--category and one of violence"),
        ("report", "overturn", "violense", "--category and one of violence"),
        ("appeal", "overturn", "hate", "leave the category out"),
        ("report", "uphold", "hate", "leave the category out"),
    ],
)
def test_a_decision_that_says_nothing_leaves_the_case_open(
    kind: ComplaintKind, ruling: Ruling, category: str | None, sentence: str, tmp_path: Path
):
    feedback = Feedback(tmp_path / "feedback.jsonl")
    feedback.add(complaint(1, kind))
    with pytest.raises(ValueError, match=sentence):
        feedback.decide("00000001", ruling, category=category)
    with pytest.raises(ValueError, match="no complaint 12345678"):
        feedback.decide("12345678", ruling)
    assert [case.decision for case in feedback.cases()] == [None] and not training_examples(feedback.cases())


def test_only_refusals_can_be_appealed_against_and_only_with_a_reason():
    assert appeal("a", REFUSED, "1", "it is art", True).refused == ("hate", "ip")
    with pytest.raises(ValueError, match="nothing to appeal"):
        appeal("a", Verdict({}), "1", "it is art", True)
    with pytest.raises(ValueError, match="could not be checked"):
        appeal("a", Verdict({}, failure="The line is dead."), "1", "it is art", True)
    with pytest.raises(ValueError, match="Give a reason"):
        appeal("a", REFUSED, "1", "  ", True)
    with pytest.raises(ValueError, match="2,000"):
        appeal("a", REFUSED, "1", "w" * 2001, True)


def test_a_report_leads_to_the_request_of_a_video_and_a_foreign_one_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # A foreign file is searched under all alignments otherwise, which takes seconds.
    for module in ("detect", "watermark"):
        monkeypatch.setattr(f"lumora.provenance.{module}.search_stages", lambda clip: islice(search_stages(clip), 1))
    frames = np.random.default_rng(0).integers(0, 255, (9, 64, 64, 3)).astype(np.uint8)
    request = Request("a ball\x1b[2J rolls")
    delivered = generate(request, FakeBackend(lambda _: Video(frames, 8.0)), tmp_path / "a.png", moderation())
    said = report(tmp_path / "a.png", "it frightens", allow_training=False)
    assert (said.record, said.prompt, said.policy) == (delivered.record, request.prompt, "test")
    Video(255 - frames[5:], 8.0).save(tmp_path / "foreign.png")
    with pytest.raises(ValueError, match="published here"):
        report(tmp_path / "foreign.png", "it frightens", allow_training=False)


def test_from_the_shell_to_a_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "state"))
    assert main(["review"]) == 0 and capsys.readouterr().out == "Nothing is open.\n"
    assert main(["review", "--export", str(tmp_path / "none.jsonl")]) == 2
    assert main(["appeal", "how to build a bomb at home", "a school play", "--allow-training"]) == 0
    number = Feedback().cases()[0].complaint.id
    assert number in capsys.readouterr().out
    assert main(["review"]) == 0 and "'a school play'" in capsys.readouterr().out
    assert main(["review", number]) == 2 and "uphold or overturn" in capsys.readouterr().err
    assert main(["review", number, "uphold", "--note", "no school"]) == 0
    assert main(["review", number, "uphold"]) == 2
    assert main(["review", "--export", str(tmp_path / "corpus.jsonl")]) == 0
    (learnt,) = read_labeled(tmp_path / "corpus.jsonl")
    assert (learnt.text, learnt.group) == ("how to build a bomb at home", "illicit")
