"""Tests of the prompt check's corpus: disjoint parts and multi-turn requests."""

import re
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumora.safety.corpus import (
    GOOD_GROUPS,
    LANGUAGES,
    TRAINING_PARTS,
    Part,
    corpus_lists,
    covering_sentences,
    groups,
    sample_sentences,
    sample_stories,
    written_sentences,
)
from lumora.safety.multi_turn import KINDS, sample_multi_turn
from lumora.safety.named_entities import EntityMatcher
from lumora.safety.policy import DATA, Policy
from lumora.safety.prompt_check import combined_prompts

HELD_OUT: tuple[Part, ...] = ("held out",)


def test_held_out_sentences_share_no_template_and_no_slot_with_trained_ones():
    for group in groups():
        generator = np.random.default_rng(1)
        trained, held_out = (sample_sentences(group, parts, 60, generator) for parts in (TRAINING_PARTS, HELD_OUT))
        assert not {s.text for s in trained} & {s.text for s in held_out}
        assert not {s.core for s in trained} & {s.core for s in held_out}


def test_training_sentences_cover_every_value_of_their_part_and_none_of_the_held_out_part():
    held_out = {entry.casefold() for entry in corpus_lists().groups["illicit"]["said"][2::3]}
    for index, part in enumerate(TRAINING_PARTS):
        texts = [s.text for s in covering_sentences("illicit", part, np.random.default_rng(0))]
        for slot, values in corpus_lists().groups["illicit"].items():
            if slot not in ("patterns", "stories"):
                assert all(any(value in text for text in texts) for value in values[index::3]), slot
        assert not any(entry in text.casefold() for entry in held_out for text in texts)


def test_no_list_has_an_entry_twice():
    for group in groups():
        for entries in tomllib.loads((DATA / f"corpus/{group}.toml").read_text("utf-8")).values():
            folded = [entry.casefold() for entry in entries if not re.fullmatch(r"\{\w+\}", entry)]
            assert len(folded) == len(set(folded))


def test_benign_entries_have_no_listed_name():
    names = EntityMatcher.load()
    lists = tomllib.loads((DATA / "corpus/benign.toml").read_text("utf-8"))
    assert not [entry for entries in lists.values() for entry in entries if names.find(entry)]


def test_every_group_has_enough_held_out_sentences():
    assert set(groups()) == {*Policy.load().categories, *GOOD_GROUPS}
    for group in groups():
        count = {"benign": 1000, "hard": 500}.get(group, 150)
        assert len(sample_sentences(group, ("held out",), count, np.random.default_rng(0))) == count


# Sentences in several languages


def test_no_held_out_sentence_is_nearly_one_of_training():
    trained, held_out = written_sentences("train"), written_sentences("held_out")
    for code in LANGUAGES:
        known = [(_ngrams(s.text), s.text) for s in trained if s.language == code]
        for sentence in (s for s in held_out if s.language == code):
            grams = _ngrams(sentence.text)
            close = [t for other, t in known if len(grams & other) > 0.65 * min(len(grams), len(other))]
            assert not close, (sentence.text, close)


def test_every_language_has_enough_sentences_and_none_twice():
    for part, harmful, good in (("train", 40, 55), ("held_out", 25, 40)):
        for code in LANGUAGES:
            texts = [(s.text.casefold(), s.group in GOOD_GROUPS) for s in written_sentences(part) if s.language == code]
            assert len({text for text, _ in texts}) == len(texts)
            assert sum(not is_good for _, is_good in texts) >= harmful and sum(is_good for _, is_good in texts) >= good


def _ngrams(text: str) -> set[str]:
    """Stretches of four letters."""
    plain = " ".join(re.findall(r"\w+", text.casefold()))
    return {plain[start : start + 4] for start in range(max(1, len(plain) - 3))}


# Multi-turn requests


def test_stories_of_different_parts_end_in_different_steps():
    for group in groups():
        generator = np.random.default_rng(1)
        trained, held_out = (sample_stories(group, parts, 99, generator) for parts in (TRAINING_PARTS, HELD_OUT))
        assert all(len(steps) == 3 for steps in (*trained, *held_out))
        assert not {steps[-1] for steps in trained} & {steps[-1] for steps in held_out}


@pytest.mark.parametrize("group", ["illicit", "hard"])
def test_split_requests_join_to_sentences_and_mixed_ones_contain_one(group: str):
    found = sample_multi_turn(group, ("held out",), 5, np.random.default_rng(0))
    assert [request.kind for request in found] == [kind for kind in KINDS for _ in range(5)]
    cores = {s.core for s in sample_sentences(group, ("held out",), 20, np.random.default_rng(0))}
    for request in found:
        assert len(request.steps) == 3
        if request.kind == "split":
            assert " ".join(request.steps) in cores
        if request.kind == "mixed":
            assert request.steps[1] in cores


@given(st.lists(st.sampled_from(["a boy", "he runs.", "", "at night!"]), max_size=6))
def test_combined_prompts_are_sentences_and_one_sentence_without_repeats(prompts: list[str]):
    distinct = list(dict.fromkeys(filter(None, prompts)))
    combined = combined_prompts(prompts)
    assert len(combined) == (2 if len(distinct) > 1 else 0)
    for text in combined:
        assert re.findall(r"\w+", text) == re.findall(r"\w+", " ".join(distinct))
    if combined:
        assert len(re.split(r"(?<=[.!?]) ", combined[0])) == len(distinct) and not re.search("[.!?]", combined[1])
