"""Captions of clips in other languages: they come besides the English ones, for the mirror image too."""

from __future__ import annotations

import numpy as np

from lumora.config import VideoShape
from lumora.data.captions import CAPTION_LENGTHS, TRANSLATED_CAPTIONS, captions_from_facts
from lumora.data.shards import ClipRecord
from lumora.world.facts import Fact, facts_to_dicts
from lumora.world.languages import LANGUAGES

FACTS = (
    Fact("count", "1"),
    Fact("kind", "ball", 0),
    Fact("color", "red", 0),
    Fact("motion", "roll", 0),
    Fact("direction", "left", 0),
    Fact("place", "beach"),
    Fact("camera", "static"),
)


def test_languages_come_besides_english() -> None:
    record = ClipRecord(3, VideoShape(), tuple(facts_to_dicts(FACTS)))
    english, both = captions_from_facts(record, 0), captions_from_facts(record, 0, tuple(LANGUAGES))
    for plain, view in ((english.captions, both.captions), (english.mirrored, both.mirrored)):
        assert view[: len(CAPTION_LENGTHS)] == plain
        more = view[len(CAPTION_LENGTHS) :]
        assert len({line.language for line in more} & set(LANGUAGES)) == TRANSLATED_CAPTIONS == len(more)
        assert all(FACTS[1] in [FACTS[i] for i in line.facts] for line in more)


def test_each_language_is_as_frequent() -> None:
    facts = tuple(facts_to_dicts(FACTS))
    drawn = [captions_from_facts(ClipRecord(n, VideoShape(), facts), 0, ("de", "zh", "cs")) for n in range(60)]
    found = [line.language for captions in drawn for line in captions.captions if line.language != "en"]
    counts = np.unique(found, return_counts=True)[1]
    assert len(counts) == 3 and counts.min() > 10 * TRANSLATED_CAPTIONS
