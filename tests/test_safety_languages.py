"""Tests of the prompt check in other languages than English."""

import tomllib
from pathlib import Path

import pytest

from lumora.safety.named_entities import EntityMatcher
from lumora.safety.normalize import KnownWords, normalize, variants
from lumora.safety.policy import Policy
from lumora.safety.prompt_check import PromptCheck
from lumora.safety.word_lists import language_of

PROMPTS = tomllib.loads((Path(__file__).parent / "data" / "benign_prompts.toml").read_text("utf-8"))
CODES = {
    "Czech": {"cs", "sk"},
    "German": {"de"},
    "French": {"fr"},
    "Spanish": {"es"},
    "Italian": {"it"},
    "Polish": {"pl"},
    "Portuguese": {"pt"},
}


@pytest.fixture(scope="module")
def check() -> PromptCheck:
    return PromptCheck.load(Policy.load())


@pytest.mark.parametrize("language", PROMPTS)
def test_at_most_one_of_thirty_benign_prompts_in_other_languages_is_refused(language: str, check: PromptCheck):
    verdicts = check.check_all(PROMPTS[language])
    refused = [(text, v.reason) for text, v in zip(PROMPTS[language], verdicts, strict=True) if not v.allowed]
    assert len(PROMPTS[language]) == 30 and len(refused) <= 1, refused


@pytest.mark.parametrize("language", CODES)
def test_the_language_of_a_sentence_is_recognized(language: str, check: PromptCheck):
    found = [language_of(normalize(text, check.vocabulary)) for text in PROMPTS[language]]
    assert sum(code in CODES[language] for code in found) >= 27 and set(found) <= {*CODES[language], "en"}


@pytest.mark.parametrize(
    "text",
    [
        "a man is tortured to death in a cellar",
        "a mna is torutred to daeth in a cellra",
        "n zna vf gbegherq gb qrngu",
        "amanistorturedtodeathinacellar",
        "",
        "12 24",
    ],
)
def test_plain_and_obfuscated_english_counts_as_english(text: str):
    assert language_of(text) == "en"


def test_words_of_a_foreign_sentence_are_not_corrected():
    words = frozenset(["prada", "ballet", "with"])
    foreign = KnownWords(words, is_foreign=lambda sentence: "prado" in sentence)
    assert variants("la pelota en el prado", foreign) == ["la pelota en el prado"]
    assert "la pelota en el prada" in variants("la pelota en el prado", KnownWords(words))


def test_only_the_foreign_sentences_of_a_text_are_left_uncorrected():
    vocabulary = KnownWords(frozenset(["prada", "stabbing"]), is_foreign=lambda sentence: "prado" in sentence)
    assert "el prado. stabbing" in variants("el prado. stbabing", vocabulary)


def test_names_are_found_in_any_language_and_ordinary_words_of_it_are_not():
    names = EntityMatcher.load()
    assert names.find("Taylor Swift zpívá na louce", language="cs") == {"likeness": "taylor swift"}
    assert names.find("Tayler Swift canta en el prado", language="es") == {"likeness": "tayler swift"}
    assert names.find("een groot huis", language="nl") == {} and names.find("Groot dances")
    assert names.find("los niños hacen un muñeco", language="es") == {}
    assert "ip" in names.find("Pikachu fährt Fahrrad", language="de")


def test_millimeters_are_not_a_brand():
    names = EntityMatcher.load()
    assert not names.find("shot on a 35 mm lens") and names.find("a bag of M&M's")["ip"] == "m m"
