"""Captions of the clips of a dataset, and of their mirror images."""

from __future__ import annotations

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
from lumora.world.script import script

CAPTION_LENGTHS: tuple[Length, ...] = ("short", "short", "sentence", "sentence", "sentence", "paragraph", "paragraph")
"""The captions of a clip of the world; its mirror image has as many."""
WHOLE_CLIP_CAPTION = 4
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


@dataclass(frozen=True)
class ClipCaptions:
    """The captions of a clip and of its mirror image; `mirrored` is empty where no true caption is known."""

    captions: tuple[CaptionLine, ...]
    mirrored: tuple[CaptionLine, ...]


def write_captions(folder: Path, force: bool = False) -> None:
    """Writes captions for the shards of world clips in `folder` that lack them, or (`force`) for all."""
    seed = read_dataset_config(folder).seed
    for number in shard_numbers(folder, "clips"):
        records = read_records(ClipRecord, folder, "clips", number)
        if force or not is_complete(folder, "captions", number, len(records)):
            captions = [captions_from_facts(record, seed) for record in records]
            write_records(folder / f"captions-{number:05}.jsonl", captions)


def captions_from_facts(record: ClipRecord, seed: int) -> ClipCaptions:
    """Captions drawn from a generator seeded by (seed, index): they do not depend on other clips."""
    generator = np.random.default_rng([seed, record.index, 1])
    if record.shots:
        return _multi_shot_captions([facts_from_dicts(shot.facts) for shot in record.shots], generator)
    facts = facts_from_dicts(record.facts)

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
