"""Prompt following outside the training distribution: held-out combinations, and words outside the vocabulary."""

from __future__ import annotations

from lumora.evaluate.evaluation_data import EvaluationData, timed, verdicts
from lumora.evaluate.metric import MetricResult, ScoredVideo
from lumora.evaluate.metrics.metric_table import MetricTable
from lumora.evaluate.metrics.prompt_following import fact_names
from lumora.evaluate.metrics.proportions import by_group
from lumora.evaluate.suites.held_out import held_out_combinations, out_of_vocabulary_cases


def out_of_distribution(data: EvaluationData) -> MetricResult:
    plan = data.plan
    cases = [*held_out_combinations(plan.preset, plan.ood, data.shape), *out_of_vocabulary_cases()]
    # The seeds follow those of the held-out captions.
    requests = [data.request(case.prompt, seed) for seed, case in enumerate(cases, plan.num_clips)]
    with timed("sampling prompts outside the training distribution", len(cases)):
        videos = data.make_videos(requests)
    found = verdicts(data.read_with_probe(videos), cases)
    table = MetricTable(
        "Facts found in videos of prompts outside the training distribution",
        "Combinations of kind, color and motion that are held out; and words outside the world's vocabulary: synonyms, "
        "other languages, typing errors, long sentences. Only what these words state is checked, by the probe.",
        {"generated": by_group([case.group for case in cases], found)},
    )
    scored = (
        ScoredVideo((request.prompt,), request, frames, verdict.proportion, fact_names(verdict.missed))
        for request, frames, verdict in zip(requests, videos, found, strict=True)
    )
    return MetricResult((table,), tuple(scored))
