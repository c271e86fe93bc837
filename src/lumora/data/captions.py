"""Captions of cached clips: what can be said of a clip, and of its mirror image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lumora.config import from_json
from lumora.data.shards import ClipRecord, WorldSource, read_lines, shard_numbers, write_lines
from lumora.world.caption import Length, caption
from lumora.world.facts import Fact, facts_from_dicts, mirror_fact
from lumora.world.script import Script, script

LENGTHS: tuple[Length, ...] = ("short", "short", "sentence", "sentence", "sentence", "paragraph", "paragraph")
"""The captions that a clip of the world gets, and its mirror image too."""
WHOLE = 4
"""Which of them is of a film as a whole: a sentence that is among those that are trained on."""


@dataclass(frozen=True)
class CaptionLine:
    text: str
    length: Length = "sentence"
    facts: tuple[int, ...] = ()
    """Which of the clip's facts it states; not said of films."""
    shots: tuple[str, ...] = ()
    """Of a film: what is said of each shot, instead of `text` of all of them."""


@dataclass(frozen=True)
class ClipCaptions:
    """What can be said of a clip, and of its mirror image; nothing of the latter where that isn't known."""

    captions: tuple[CaptionLine, ...]
    mirrored: tuple[CaptionLine, ...]


def write_captions(folder: Path, force: bool = False) -> None:
    """Words the facts of every clip of the world in `folder` that has no captions yet, or (`force`) of all."""
    source = from_json(WorldSource, (folder / "about.json").read_text())
    for number in shard_numbers(folder, "clips"):
        path, records = folder / f"captions-{number:05}.jsonl", read_lines(ClipRecord, folder, "clips", number)
        if force or not path.exists() or path.read_text().count("\n") != len(records):
            write_lines(path, [captions_from_facts(record, source.seed) for record in records])


def captions_from_facts(record: ClipRecord, seed: int) -> ClipCaptions:
    """Drawn from a generator of the clip's own, so that any clip can be worded again alone."""
    generator = np.random.default_rng([seed, record.index, 1])
    if record.shots:
        return _captions_of_film([facts_from_dicts(shot.facts) for shot in record.shots], generator)
    facts = facts_from_dicts(record.facts)

    def line(view: tuple[Fact, ...], length: Length) -> CaptionLine:
        said = caption(view, length, generator)
        return CaptionLine(said.text, length, tuple(view.index(fact) for fact in said.facts))

    def lines(view: tuple[Fact, ...]) -> tuple[CaptionLine, ...]:
        return tuple(line(view, length) for length in LENGTHS)

    return ClipCaptions(lines(facts), lines(tuple(mirror_fact(fact) for fact in facts)))


def _captions_of_film(shots: list[tuple[Fact, ...]], generator: np.random.Generator) -> ClipCaptions:
    """Mostly a caption for each shot; one is of the whole, for those who describe a film in one prompt."""

    def lines(views: list[tuple[Fact, ...]]) -> tuple[CaptionLine, ...]:
        told: list[tuple[Length, Script]] = [(length, script(views, length, generator)) for length in LENGTHS]
        made = [CaptionLine(t.whole.text, length, shots=tuple(shot.text for shot in t.shots)) for length, t in told]
        made[WHOLE] = replace(made[WHOLE], shots=())
        return tuple(made)

    return ClipCaptions(lines(shots), lines([tuple(mirror_fact(fact) for fact in shot) for shot in shots]))


def captions_from_text(text: str) -> ClipCaptions:
    """A user's own caption; it isn't true of the mirror image if it names a side."""
    sided = {"left", "right", "leftward", "leftwards", "rightward", "rightwards", "clockwise", "counterclockwise"}
    words = {word.strip(".,;:!?'\"()").lower() for word in text.replace("-", " ").split()}
    line = (CaptionLine(text),)
    return ClipCaptions(line, () if words & sided else line)
