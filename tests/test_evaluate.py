"""Proportions, held-out cases, and the evaluation from the plan to the report."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.evaluate.instruments.probe import Probe
from lumora.evaluate.metric import Metric, MetricResult
from lumora.evaluate.metrics.estimates import Estimate
from lumora.evaluate.metrics.metric_table import Curve, MetricTable, Plot, format_columns
from lumora.evaluate.metrics.prompt_following import (
    COLOR_TABLE,
    CONJUNCTION_TABLE,
    PROBE_TABLE,
    RELIABLE,
    RELIABLE_TABLE,
    SCORED,
)
from lumora.evaluate.metrics.proportions import (
    FactVerdict,
    Proportion,
    by_category,
    by_group,
    conjunctions,
    pooled,
    shuffled,
)
from lumora.evaluate.plan import EvaluationPlan
from lumora.evaluate.registry import METRICS
from lumora.evaluate.report.evaluation_report import format_report, report_as_json, write_report
from lumora.evaluate.report.plots import can_plot
from lumora.evaluate.runner import EvaluationResults, run_evaluation
from lumora.evaluate.suites.held_out import held_out_captions, held_out_combinations, out_of_vocabulary_cases
from lumora.evaluate.suites.vocabulary import SYNONYMS, vocabulary_prompts
from lumora.media.video import Video
from lumora.request import Request
from lumora.world import phrases
from lumora.world.facts import VALUES, Fact


@given(found=st.integers(0, 300), more=st.integers(1, 300))
def test_wilson_intervals_contain_the_value_and_shrink(found: int, more: int):
    proportion = Proportion(found, found + more)
    low, high = proportion.interval()
    assert 0 <= low <= proportion.value <= high <= 1 or math.isclose(low, 0, abs_tol=1e-12)
    larger_sample = Proportion(found * 10, (found + more) * 10).interval()
    assert larger_sample[1] - larger_sample[0] < high - low


def test_wilson_interval_of_eight_in_ten():
    low, high = Proportion(8, 10).interval()
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert Proportion(0, 0).interval() == (0.0, 1.0)


def verdict(*shown: bool) -> FactVerdict:
    return FactVerdict(tuple((Fact("color", value), s) for value, s in zip(VALUES["color"], shown, strict=False)))


def test_proportions_by_category_and_by_group():
    mixed = FactVerdict(
        ((Fact("place", "snow"), True), (Fact("color", "red", 0), False), (Fact("color", "blue", 1), True))
    )
    rows = by_category([mixed, verdict(True)])
    assert rows == {"color": Proportion(2, 3), "place": Proportion(1, 1), "total": Proportion(3, 4)}
    assert by_group(["a", "b", "a"], [mixed, verdict(False), verdict(True)]) == {
        "a": Proportion(3, 4),
        "b": Proportion(0, 1),
    }
    assert mixed.missed == (Fact("color", "red", 0),)
    assert "75.0%" in format_columns({"generated": rows})


@given(st.lists(st.lists(st.booleans(), max_size=8), min_size=1, max_size=6))
def test_conjunctions_decrease_with_the_number_of_facts(rows: list[list[bool]]):
    long_enough = [verdict(*row) for row in rows if len(row) >= 5]
    joint = conjunctions(long_enough)
    assert [joint[k].count for k in (2, 3, 4, 5)] == [len(long_enough)] * 4
    values = [joint[k].found for k in (2, 3, 4, 5)]
    assert values == sorted(values, reverse=True)


def test_one_of_three_pairs_is_complete_if_two_of_three_facts_are_found():
    assert conjunctions([verdict(True, True, False)])[2].value == pytest.approx(1 / 3)


@given(st.integers(2, 30))
def test_shuffled_moves_every_item(n: int):
    mixed = shuffled(range(n))
    assert sorted(mixed) == [*range(n)] and all(a != b for a, b in enumerate(mixed))


def test_held_out_captions_are_reproducible():
    shape = VideoShape(5, 32, 32)
    first, again = (held_out_captions("simple", 2, "sentence", shape) for _ in range(2))
    assert [case.prompt for case in first] == [case.prompt for case in again]
    for a, b in zip(first, again, strict=True):
        assert a.real is not None and b.real is not None and np.array_equal(a.real, b.real)


def test_held_out_captions_in_another_language_are_of_the_same_clips():
    shape = VideoShape(5, 32, 32)
    (english,), (german,) = (held_out_captions("stage", 1, "sentence", shape, language=code) for code in ("en", "de"))
    assert german.prompt != english.prompt and german.true == english.true and set(german.stated) <= set(german.true)


def test_vocabulary_prompts_use_words_outside_the_vocabulary():
    phrase_tables = (getattr(phrases, name) for name in ("KIND", "COLOR", "PLACE", "LIGHT_ANYWHERE", "LIGHT_OUTDOORS"))
    vocabulary = {word for wordings in phrase_tables for options in wordings.values() for word in options}
    for category, values in SYNONYMS.items():
        assert set(values) <= set(VALUES[category])
        for words in values.values():
            assert not {re.sub(r"^an? ", "", word) for word in words} & vocabulary
    prompts = vocabulary_prompts()
    assert prompts == vocabulary_prompts() and len({p.prompt for p in prompts}) == len(prompts) > 100
    assert all(p.word.lower() in p.prompt.lower() or p.group == "language" for p in prompts)
    assert all(set(p.asked) <= set(p.stated) for p in prompts)
    assert len(out_of_vocabulary_cases()) == len(prompts)


def test_combinations_are_held_out_from_training():
    cases = held_out_combinations("simple", 3, VideoShape(5, 32, 32))
    assert len(cases) == 3 and all({f.category for f in case.asked} <= {"kind", "color", "motion"} for case in cases)
    for case in cases:
        assert {"kind", "color"} <= {fact.category for fact in case.asked} and set(case.asked) < set(case.stated)


@pytest.fixture(scope="module")
def evaluation(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvaluationResults]:
    """All metrics but `ood`, of a random model and a random probe."""
    probe = tmp_path_factory.mktemp("probe") / "probe.safetensors"
    Probe(width=32).save(probe)
    plan = EvaluationPlan(
        num_clips=3, steps=1, guidance_scale=1.0, ood=0, physics=1, diversity=1, memorization=2, multi_shot=2
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumora.evaluate.metrics.memorization.NUM_SCENES", 10)
        yield run_evaluation(plan, weights, probe)


def test_metric_names_and_options_are_valid():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(metric.option is None or hasattr(EvaluationPlan(), metric.option) for metric in METRICS)


def test_an_evaluation_computes_the_metrics_of_its_plan(evaluation: EvaluationResults):
    names = {metric.name for metric in evaluation.results}
    # Clips of this model are no longer than what a continuation gives, so nothing is continued.
    left_out = {"out_of_distribution", "continuation_error"}
    assert (
        left_out <= {metric.name for metric in METRICS} - names <= left_out | {"events_and_relations", "camera_control"}
    )
    films = evaluation.result("multi_shot_consistency")
    assert [set(table.columns) for table in films.tables] == [{"generated", "ceiling", "codec", "floor"}] * 3
    assert len(films.videos) == 2 and films.videos[0].frames.shape == (33, 32, 48, 3)
    quality = evaluation.result("image_quality").tables[0]
    assert quality.columns.keys() == {"generated", "codec", "other seeds"}
    _, nearer = evaluation.result("memorization").tables
    assert nearer.columns["nearer"]["generated"].count == 2
    assert evaluation.result("permanence").tables[0].columns.keys() == {"generated", "real clips"}
    assert evaluation.result("probe_reliability").tables[0].columns.keys() == {"real", "codec", "blur", "noise"}
    assert evaluation.result("diversity").tables[0].columns["generated"]["ratio to real clips"].count == 1


def test_prompt_following_compares_both_instruments(evaluation: EvaluationResults):
    result = evaluation.result("prompt_following")
    assert len(result.videos) == 3 and result.videos[0].frames.shape == (5, 32, 48, 3)
    probe, colors = result.table(PROBE_TABLE).columns, result.table(COLOR_TABLE).columns
    assert probe["generated"]["total"].count == probe["ceiling"]["total"].count > 10
    reliable = [c for c, one in probe["ceiling"].items() if c != "total" and one.value >= RELIABLE]
    counted = (probe["generated"][category] for category in reliable)
    assert probe["generated"][SCORED] == pooled(one for one in counted if isinstance(one, Proportion))
    assert colors["generated"].keys() == colors["ceiling"].keys() >= colors["probe"].keys() >= {"color", "total"}
    assert all(colors["generated"][c].count == one.count for c, one in colors["probe"].items() if c != "total")
    table = result.table(RELIABLE_TABLE)
    assert all(row == "total" or row.endswith(("(probe)", "(color tracker)")) for row in table.columns["generated"])
    unscored = set(table.note.removesuffix(".").split(": ")[1].split(", "))
    assert not unscored & {row.split(" (")[0] for row in table.columns["generated"]}
    assert result.table(CONJUNCTION_TABLE).columns["generated"]["2 facts"].count == 3


def test_a_new_metric_appears_everywhere(weights: Path, tmp_path: Path):
    Probe(width=32).save(tmp_path / "probe.safetensors")
    curve = Curve("<line>", [0.0, 1.0], [0.1, 0.2], [0.0, 0.1], [0.2, 0.3])
    table = MetricTable(
        "<b>bold</b>",
        "How to read it.",
        {"generated": {"error": Estimate(0.2, 0.15, 0.25, 3), "nothing": Estimate(math.nan, math.nan, math.nan, 0)}},
        plot=Plot("x", "y & z", [curve]),
    )
    metric = Metric("mine", "My metric", lambda data: MetricResult((table,)))
    evaluation = run_evaluation(EvaluationPlan(num_clips=1), weights, tmp_path / "probe.safetensors", metrics=[metric])
    assert "0.200 [0.150, 0.250]" in format_report(evaluation)
    write_report(tmp_path, evaluation, lambda request, video, file: None)
    content = json.loads((tmp_path / "report.json").read_text())["metrics"]["mine"]["<b>bold</b>"]["columns"]
    assert content["generated"]["error"] == {"value": 0.2, "low": 0.15, "high": 0.25, "count": 3}
    assert content["generated"]["nothing"]["value"] is None
    page = (tmp_path / "index.html").read_text()
    assert "&lt;b&gt;bold" in page and "<b>bold" not in page and "My metric" in page
    assert "0.200 [0.150, 0.250]" in page and "<line>" not in page
    assert ("<svg" in page and "y &amp; z" in page) if can_plot() else "pip install" in page


def test_the_report_shows_published_videos_only(evaluation: EvaluationResults, tmp_path: Path):
    following = next(metric for metric in evaluation.results if metric.name == "prompt_following")
    result = evaluation.results[following]
    videos = (replace(result.videos[0], prompts=("<b>bold</b>",)), *result.videos[1:])
    evaluation = replace(evaluation, results=evaluation.results | {following: replace(result, videos=videos)})
    prompts = set()

    def publish(request: Request, video: Video, file: Path) -> None:
        prompts.add(request.prompt)
        video.save(file)

    write_report(tmp_path, evaluation, publish)
    films = evaluation.result("multi_shot_consistency").videos
    assert prompts == {video.request.prompt for video in (*videos, *films)}
    page = (tmp_path / "index.html").read_text()
    assert "&lt;b&gt;bold" in page and "<b>bold" not in page
    assert not re.search(r'(src|href)="http', page), "The page must not need the network."
    assert all(label in page for label in ("generated", "ceiling", "floor", "Worst", "Median", "Best"))
    files = re.findall(r'src="([^"]+)" alt="', page)
    assert len(files) == 9 + 6 and all(Video.load(tmp_path / file).frames.shape[1:3] == (32, 48) for file in files)
    content = json.loads((tmp_path / "report.json").read_text())
    assert content == json.loads(json.dumps(report_as_json(evaluation)))
    assert len(content["videos"]["prompt_following"]) == 3
    cuts = content["metrics"]["multi_shot_consistency"]["Cuts, style and cast"]["columns"]["generated"]["cuts"]
    assert cuts.keys() == {"found", "count", "value", "low", "high"}
