"""The measuring stick counts what it should, and its report tells it."""

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.evaluate.instruments.probe import Probe
from lumora.evaluate.metrics.continuation_error import Course
from lumora.evaluate.metrics.estimates import Estimate
from lumora.evaluate.metrics.proportions import (
    FactVerdict,
    Proportion,
    by_category,
    by_group,
    conjunctions,
    shuffled,
    table,
)
from lumora.evaluate.report.evaluation_report import as_json, on_screen, write_report
from lumora.evaluate.runner import EvaluationFigures, EvaluationPlan, run_evaluation
from lumora.evaluate.suites.held_out import combinations, held_out_captions, outside_words
from lumora.evaluate.suites.vocabulary import SYNONYMS, outside_prompts
from lumora.media.video import Video
from lumora.request.spec import Request
from lumora.world import phrases
from lumora.world.facts import VALUES, Fact


@given(found=st.integers(0, 300), more=st.integers(1, 300))
def test_wilson_intervals_hold_the_share_and_shrink(found: int, more: int):
    share = Proportion(found, found + more)
    low, high = share.interval()
    assert 0 <= low <= share.value <= high <= 1 or math.isclose(low, 0, abs_tol=1e-12)
    wider = Proportion(found * 10, (found + more) * 10).interval()
    assert wider[1] - wider[0] < high - low


def test_wilson_interval_of_eight_in_ten():
    low, high = Proportion(8, 10).interval()
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert Proportion(0, 0).interval() == (0.0, 1.0)


def verdict(*shown: bool) -> FactVerdict:
    return FactVerdict(tuple((Fact("color", value), s) for value, s in zip(VALUES["color"], shown, strict=False)))


def test_shares_are_counted_by_category_and_by_group():
    mixed = FactVerdict(
        ((Fact("place", "snow"), True), (Fact("color", "red", 0), False), (Fact("color", "blue", 1), True))
    )
    shares = by_category([mixed, verdict(True)])
    assert shares == {"color": Proportion(2, 3), "place": Proportion(1, 1), "total": Proportion(3, 4)}
    assert by_group(["a", "b", "a"], [mixed, verdict(False), verdict(True)]) == {
        "a": Proportion(3, 4),
        "b": Proportion(0, 1),
    }
    assert mixed.missed == (Fact("color", "red", 0),)
    assert "75.0%" in table({"generated": shares})


@given(st.lists(st.lists(st.booleans(), max_size=8), min_size=1, max_size=6))
def test_more_facts_at_once_are_never_easier(rows: list[list[bool]]):
    enough = [verdict(*row) for row in rows if len(row) >= 5]
    shares = conjunctions(enough)
    assert [shares[k].stated for k in (2, 3, 4, 5)] == [len(enough)] * 4
    values = [shares[k].found for k in (2, 3, 4, 5)]
    assert values == sorted(values, reverse=True)


def test_a_pair_of_three_facts_of_which_two_are_found_is_complete_once_in_three():
    assert conjunctions([verdict(True, True, False)])[2].value == pytest.approx(1 / 3)


@given(st.integers(2, 30))
def test_shuffled_leaves_nothing_in_its_place(n: int):
    mixed = shuffled(range(n))
    assert sorted(mixed) == [*range(n)] and all(a != b for a, b in enumerate(mixed))


def test_held_out_captions_can_be_made_again():
    shape = VideoShape(5, 32, 32)
    first, again = (held_out_captions("simple", 2, "sentence", shape) for _ in range(2))
    assert [case.prompt for case in first] == [case.prompt for case in again]
    for a, b in zip(first, again, strict=True):
        assert a.real is not None and b.real is not None and np.array_equal(a.real, b.real)


def test_words_outside_the_vocabulary_are_outside_of_it():
    said = (getattr(phrases, name) for name in ("KIND", "COLOR", "PLACE", "LIGHT_ANYWHERE", "LIGHT_OUTDOORS"))
    inside = {word for wordings in said for options in wordings.values() for word in options}
    for category, values in SYNONYMS.items():
        assert set(values) <= set(VALUES[category])
        for words in values.values():
            assert not {re.sub(r"^an? ", "", word) for word in words} & inside
    prompts = outside_prompts()
    assert prompts == outside_prompts() and len({p.prompt for p in prompts}) == len(prompts) > 100
    assert all(p.word.lower() in p.prompt.lower() or p.group == "language" for p in prompts)
    assert all(set(p.asked) <= set(p.stated) for p in prompts)
    assert len(outside_words()) == len(prompts)


def test_combinations_are_of_what_training_never_sees():
    cases = combinations("simple", 3, VideoShape(5, 32, 32))
    assert len(cases) == 3 and all({f.category for f in case.asked} <= {"kind", "color", "motion"} for case in cases)
    for case in cases:
        assert {"kind", "color"} <= {fact.category for fact in case.asked} and set(case.asked) < set(case.stated)


@pytest.fixture(scope="module")
def measured(
    weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[EvaluationPlan, EvaluationFigures]]:
    """A model and a probe that know nothing, by all of the road."""
    probe = tmp_path_factory.mktemp("probe") / "probe.safetensors"
    Probe(width=32).save(probe)
    plan = EvaluationPlan(clips=3, steps=1, guidance=1.0, physics=1, diversity=1, copying=2, films=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumora.evaluate.metrics.memorization.SEARCHED", 10)
        yield plan, run_evaluation(plan, weights, probe)


def test_all_figures_come_of_one_call(measured: tuple[EvaluationPlan, EvaluationFigures]):
    plan, figures = measured
    stated = {column: rows["total"].stated for column, rows in figures.following.items()}
    assert stated["generated"] == stated["ceiling"] > 10
    second = figures.second
    assert second["generated"].keys() == second["ceiling"].keys() >= second["probe"].keys() >= {"color", "total"}
    assert all(second["generated"][c].stated == s.stated for c, s in second["probe"].items() if c != "total")
    assert set(figures.judges) == set(figures.told) and set(figures.judges.values()) <= {"probe", "tables", "nobody"}
    scored = {c for c, judge in figures.judges.items() if judge != "nobody"}
    assert all(set(rows) == {*scored, "total"} for rows in figures.judged.values())
    assert figures.permanence.keys() == {"generated", "real clips"} and figures.momentum == {}
    assert figures.honesty.keys() == {"renders", "codec", "blur", "noise"}
    assert figures.honesty["renders"] == figures.following["ceiling"]
    assert set(figures.trusted) == {c for c, s in figures.following["ceiling"].items() if s.value >= 0.95} - {"total"}
    assert figures.picture.keys() == {"generated", "codec", "other seeds"} and figures.diversity is not None
    assert figures.copying is not None and figures.copying.nearer["model"].stated == 2
    assert figures.steering.moves.keys() == {"model", "real"} and figures.physics == figures.laws == {}
    assert figures.films is not None and figures.films.returns == {} and len(figures.films.made) == 2
    assert figures.films.made[0].frames.shape == (33, 32, 48, 3)
    assert figures.films.holds.keys() == {"generated", "ceiling", "codec", "floor"}
    assert figures.made[0].frames.shape == (5, 32, 48, 3) and len(figures.made) == 3
    distance = tuple(Estimate(d, d - 0.05, d + 0.05, 3) for d in (0.1, 0.2))
    course = Course(np.array([0.25, 0.5]), distance, (Proportion(3, 3), Proportion(2, 3)))
    begun = dataclasses.replace(figures, physics={"model": course})
    assert (
        "0.200 [0.150, 0.250]" in on_screen(begun) and json.loads(json.dumps(as_json(plan, begun)))["physics"]["model"]
    )
    assert "generated" in on_screen(figures) and figures.together[2].stated == 3


def test_the_report_is_a_page_with_its_clips(measured: tuple[EvaluationPlan, EvaluationFigures], tmp_path: Path):
    plan, figures = measured
    made = dataclasses.replace(figures.made[0].case, prompt="<b>bold</b>")
    figures = dataclasses.replace(figures, made=(dataclasses.replace(figures.made[0], case=made), *figures.made[1:]))

    def show(request: Request, video: Video, file: Path) -> None:
        asked.add(request.prompt)
        video.save(file)

    asked: set[str] = set()
    assert figures.films is not None
    write_report(tmp_path, plan, figures, show)
    assert asked == {made.request.prompt for made in (*figures.made, *figures.films.made)}
    page = (tmp_path / "index.html").read_text()
    assert "&lt;b&gt;bold" in page and "<b>bold" not in page
    assert "http" not in page, "It needs no network."
    assert all(label in page for label in ("generated", "ceiling", "floor", "Worst", "Median", "Best"))
    files = re.findall(r'src="([^"]+)" alt="', page)
    assert len(files) == 9 + 6 and all(Video.load(tmp_path / file).frames.shape[1:3] == (32, 48) for file in files)
    content = json.loads((tmp_path / "report.json").read_text())
    assert content == json.loads(json.dumps(as_json(plan, figures))) and len(content["clips"]) == 3
    told = content["films"]
    assert told["films"]["generated"]["cuts"].keys() == {"found", "stated", "interval"} and len(told["clips"]) == 2
