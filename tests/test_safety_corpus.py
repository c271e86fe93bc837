"""The corpus of the prompt check: parts that share nothing, and requests in pieces."""

import re
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumora.safety.corpus import GOOD, TRAINED, groups, sentences, told
from lumora.safety.multi_turn import WAYS, chains
from lumora.safety.named_entities import EntityMatcher
from lumora.safety.policy import DATA, Policy
from lumora.safety.prompt_check import combined_prompts


def test_held_out_sentences_share_no_template_and_no_slot_with_trained_ones():
    for group in groups():
        generator = np.random.default_rng(1)
        trained, held_out = sentences(group, TRAINED, 60, generator), sentences(group, ("held out",), 60, generator)
        assert not {s.text for s in trained} & {s.text for s in held_out}
        assert not {s.bare for s in trained} & {s.bare for s in held_out}


def test_no_entry_stands_in_two_parts_of_its_list():
    for group in groups():
        for entries in tomllib.loads((DATA / f"corpus/{group}.toml").read_text("utf-8")).values():
            said = [entry.casefold() for entry in entries if not re.fullmatch(r"\{\w+\}", entry)]
            assert len(said) == len(set(said))


def test_no_listed_name_stands_in_the_benign_entries():
    names = EntityMatcher.load()
    lists = tomllib.loads((DATA / "corpus/benign.toml").read_text("utf-8"))
    assert not [entry for entries in lists.values() for entry in entries if names.found(entry)]


def test_the_corpus_is_as_large_as_it_says_and_every_category_has_one():
    assert set(groups()) == {*Policy.load().categories, *GOOD}
    for group in groups():
        count = {"benign": 1000, "hard": 500}.get(group, 150)
        assert len(sentences(group, ("held out",), count, np.random.default_rng(0))) == count


# Requests in pieces


def test_told_requests_of_different_parts_end_in_different_steps():
    for group in groups():
        generator = np.random.default_rng(1)
        trained, held_out = told(group, TRAINED, 99, generator), told(group, ("held out",), 99, generator)
        assert all(len(steps) == 3 for steps in (*trained, *held_out))
        assert not {steps[-1] for steps in trained} & {steps[-1] for steps in held_out}


@pytest.mark.parametrize("group", ["illicit", "hard"])
def test_a_chain_is_told_cut_up_or_among_others_and_cut_ones_are_sentences_again(group: str):
    found = chains(group, ("held out",), 5, np.random.default_rng(0))
    assert [chain.way for chain in found] == [way for way in WAYS for _ in range(5)]
    whole = {s.bare for s in sentences(group, ("held out",), 20, np.random.default_rng(0))}
    for chain in found:
        assert len(chain.steps) == 3
        if chain.way == "cut up":
            assert " ".join(chain.steps) in whole
        if chain.way == "among others":
            assert chain.steps[1] in whole


@given(st.lists(st.sampled_from(["a boy", "he runs.", "", "at night!"]), max_size=6))
def test_prompts_are_read_together_once_each_as_sentences_and_as_one(prompts: list[str]):
    several = list(dict.fromkeys(filter(None, prompts)))
    read = combined_prompts(prompts)
    assert len(read) == (2 if len(several) > 1 else 0)
    for text in read:
        assert re.findall(r"\w+", text) == re.findall(r"\w+", " ".join(several))
    if read:
        assert len(re.split(r"(?<=[.!?]) ", read[0])) == len(several) and not re.search("[.!?]", read[1])
