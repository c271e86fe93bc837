"""Captions of the clips of a dataset, and of their mirror images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lumora.data.shards import (
    ClipRecord,
    is_complete,
    read_dataset_config,
    read_records,
    shard_numbers,
    write_records,
)
from lumora.world.caption import Length, caption
from lumora.world.facts import Fact, facts_from_dicts, mirror_fact
from lumora.world.languages import LANGUAGES, caption_in
from lumora.world.script import script

CAPTION_LENGTHS: tuple[Length, ...] = ("short", "short", "sentence", "sentence", "sentence", "paragraph", "paragraph")
"""The captions of a clip of the world; its mirror image has as many."""
TRANSLATED_CAPTIONS = 1
"""Captions of a clip in other languages than English, where its dataset has any."""
WHOLE_CLIP_CAPTION = 5
"""Index of the caption that describes a multi-shot clip as a whole. It is one of those that are encoded for training
(see `latent_cache.ENCODED_CAPTIONS`)."""
SIDE_WORDS = frozenset(
    ("left", "right", "leftward", "leftwards", "rightward", "rightwards", "clockwise", "counterclockwise")
)
"""Words that are not true of the mirror image of a clip."""


@dataclass(frozen=True)
class CaptionLine:
    text: str
    length: Length = "sentence"
    facts: tuple[int, ...] = ()
    """Indices of the facts of the clip that it states; empty for multi-shot clips."""
    shots: tuple[str, ...] = ()
    """A caption for each shot of a multi-shot clip, used instead of `text`."""
    language: str = "en"


@dataclass(frozen=True)
class ClipCaptions:
    """The captions of a clip and of its mirror image; `mirrored` is empty where no true caption is known."""

    captions: tuple[CaptionLine, ...]
    mirrored: tuple[CaptionLine, ...]


def write_captions(folder: Path, force: bool = False) -> None:
    """Writes captions for the shards of world clips in `folder` that lack them, or (`force`) for all."""
    config = read_dataset_config(folder)
    for number in shard_numbers(folder, "clips"):
        records = read_records(ClipRecord, folder, "clips", number)
        if force or not is_complete(folder, "captions", number, len(records)):
            captions = [captions_from_facts(record, config.seed, config.languages) for record in records]
            write_records(folder / f"captions-{number:05}.jsonl", captions)


def captions_from_facts(record: ClipRecord, seed: int, languages: Sequence[str] = ()) -> ClipCaptions:
    """Captions drawn from a generator seeded by (seed, index): they do not depend on other clips.

    Besides the English ones there are `TRANSLATED_CAPTIONS`, each in one of `languages` (ISO 639-1 codes).
    """
    shots = [facts_from_dicts(shot.facts) for shot in record.shots] or [facts_from_dicts(record.facts)]
    english = _english_captions(record, shots, np.random.default_rng([seed, record.index, 1]))
    generator = np.random.default_rng([seed, record.index, 2])
    mirrored = [tuple(mirror_fact(fact) for fact in shot) for shot in shots]
    return ClipCaptions(
        english.captions + _translated_captions(shots, languages, generator),
        english.mirrored + _translated_captions(mirrored, languages, generator),
    )


def _translated_captions(
    shots: list[tuple[Fact, ...]], languages: Sequence[str], generator: np.random.Generator
) -> tuple[CaptionLine, ...]:
    """In different languages, as far as there are enough; of a clip with several shots one caption per shot."""
    lines = []
    for index in map(int, generator.permutation(len(languages))[:TRANSLATED_CAPTIONS]):
        code, length = languages[index], CAPTION_LENGTHS[int(generator.integers(len(CAPTION_LENGTHS)))]
        drawn = [caption_in(LANGUAGES[code], shot, length, generator) for shot in shots]
        if len(shots) > 1:
            texts = tuple(shot.text for shot in drawn)
            lines.append(CaptionLine(" ".join(texts), length, shots=texts, language=code))
        else:
            facts = tuple(shots[0].index(fact) for fact in drawn[0].facts)
            lines.append(CaptionLine(drawn[0].text, length, facts, language=code))
    return tuple(lines)


def _english_captions(
    record: ClipRecord, shots: list[tuple[Fact, ...]], generator: np.random.Generator
) -> ClipCaptions:
    if record.shots:
        return _multi_shot_captions(shots, generator)
    (facts,) = shots

    def line(view: tuple[Fact, ...], length: Length) -> CaptionLine:
        drawn = caption(view, length, generator)
        return CaptionLine(drawn.text, length, tuple(view.index(fact) for fact in drawn.facts))

    def lines(view: tuple[Fact, ...]) -> tuple[CaptionLine, ...]:
        return tuple(line(view, length) for length in CAPTION_LENGTHS)

    return ClipCaptions(lines(facts), lines(tuple(mirror_fact(fact) for fact in facts)))


def _multi_shot_captions(shots: list[tuple[Fact, ...]], generator: np.random.Generator) -> ClipCaptions:
    """A caption per shot, but for `WHOLE_CLIP_CAPTION`, because users may describe several shots in one prompt."""

    def lines(view: list[tuple[Fact, ...]]) -> tuple[CaptionLine, ...]:
        captions = []
        for length in CAPTION_LENGTHS:
            drawn = script(view, length, generator)
            captions.append(CaptionLine(drawn.whole.text, length, shots=tuple(shot.text for shot in drawn.shots)))
        captions[WHOLE_CLIP_CAPTION] = replace(captions[WHOLE_CLIP_CAPTION], shots=())
        return tuple(captions)

    return ClipCaptions(lines(shots), lines([tuple(mirror_fact(fact) for fact in shot) for shot in shots]))


def captions_from_text(text: str) -> ClipCaptions:
    """A user's own caption. The mirror image gets it too, unless it names a side."""
    words = {word.strip(".,;:!?'\"()").lower() for word in text.replace("-", " ").split()}
    line = (CaptionLine(text),)
    return ClipCaptions(line, () if words & SIDE_WORDS else line)
