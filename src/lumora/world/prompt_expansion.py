"""From a short prompt to a descriptive one, in the manner of captions, without dropping or changing what it states.

A prompt in the grammar of captions is read (`prompt_reader`); what it leaves open is drawn, and all facts are written
as a paragraph by the same writer as captions. The paragraph is read again: if it does not state exactly these facts,
the next wording is tried. Any other prompt stays as it is, and at most a sentence about light and camera is added.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lumora.world.caption import caption
from lumora.world.facts import COUNTS, Fact
from lumora.world.prompt_lexicon import words_of
from lumora.world.prompt_reader import PromptReading, in_order, read_prompt
from lumora.world.sample.cast import DIRECTIONS_FOR, KINDS_FOR, choice
from lumora.world.scene import CHARACTERS, COLORS, EMOTIONS, PLACES, SIZES, VERBS, Verb
from lumora.world.writer import Writer, sentence_case

LIGHTS_DRAWN = ("noon", "noon", "sunset", "overcast")
"""Unless the prompt says otherwise, things can be seen well."""
MATERIALS_DRAWN = ("matte", "matte", "shiny")
MAX_WORDINGS = 20
CAMERA_CUES = frozenset(
    (
        "camera", "shot", "view", "pan", "panning", "pans", "zoom", "zooms", "zooming", "tilt", "tilts", "tilting",
        "dolly", "tracking", "track", "drone", "aerial", "pov", "handheld", "angle", "lens", "closeup", "close-up",
        "orbit", "orbits", "orbiting", "timelapse", "time-lapse", "cinematic", "frame", "footage",
    )
)  # fmt: skip
LIGHT_CUES = frozenset(
    (
        "sun", "sunny", "sunlight", "sunlit", "sunrise", "sunset", "moon", "moonlit", "moonlight", "night", "nighttime",
        "day", "daytime", "daylight", "dawn", "dusk", "twilight", "morning", "noon", "midday", "afternoon", "evening",
        "midnight", "dark", "darkness", "light", "lights", "lit", "lighting", "bright", "neon", "glow", "glowing",
        "lamp", "lamps", "candle", "candles", "candlelight", "fire", "fireworks", "lightning", "storm", "stormy",
        "rain", "rainy", "fog", "foggy", "mist", "cloud", "clouds", "cloudy", "overcast", "stars", "starry", "shadow",
        "shadows", "backlit", "hour", "space", "galaxy", "underwater", "cave", "inside", "indoors", "room", "kitchen",
        "office", "house", "studio",
    )
)  # fmt: skip
"""Words after which nothing is said of the light."""
PREPOSITIONS = frozenset(
    (
        "in", "on", "at", "over", "under", "through", "near", "by", "beside", "between", "behind", "above", "below",
        "inside", "into", "across", "along", "among", "around", "within", "outside", "from", "of", "upon", "underneath",
        "beneath", "towards", "toward",
    )
)  # fmt: skip


@dataclass(frozen=True)
class PromptExpansion:
    text: str
    added: tuple[Fact, ...] = ()
    """The facts that were drawn; subjects are numbered as in the prompt."""


def expand_prompt(text: str, generator: np.random.Generator) -> PromptExpansion:
    """A descriptive prompt that states all that `text` states; `text` itself where there is nothing to add."""
    reading = read_prompt(text)
    if not reading.unread and 1 <= reading.num_subjects <= len(COUNTS):
        expansion = _paragraph(reading, generator)
        if expansion is not None:
            return expansion
    return _with_scene(text, reading, generator)


def draw_details(reading: PromptReading, generator: np.random.Generator) -> tuple[Fact, ...]:
    """Facts that the prompt leaves open: looks and motions of subjects, place, light and camera."""
    added: list[Fact] = []
    colors = {fact.value for fact in reading.facts if fact.category == "color"}
    shows_colors = Fact("style", "black and white") not in reading.facts
    for subject in range(reading.num_subjects):
        kind = next(f.value for f in reading.facts if f.category == "kind" and f.subject == subject)
        if shows_colors and not reading.states("color", subject):
            color = choice(generator, [color for color in COLORS if color not in colors])
            colors.add(color)
            added.append(Fact("color", color, subject))
        if not reading.states("size", subject):
            added.append(Fact("size", choice(generator, SIZES), subject))
        if not reading.states("material", subject):
            added.append(Fact("material", choice(generator, MATERIALS_DRAWN), subject))
        if kind in CHARACTERS and not reading.states("emotion", subject):
            added.append(Fact("emotion", choice(generator, EMOTIONS), subject))
        added += _motion(reading, subject, kind, generator)
    if not reading.states("place"):
        added.append(Fact("place", choice(generator, PLACES)))
    if not reading.states("light"):
        added.append(Fact("light", choice(generator, LIGHTS_DRAWN)))
    if not any(fact.category == "camera" for fact in reading.facts):
        added.append(Fact("camera", "static"))
    return tuple(added)


def renumbered(facts: Sequence[Fact]) -> Iterable[frozenset[Fact]]:
    """The facts with their subjects numbered in every possible order."""
    count = 1 + max((fact.subject or 0 for fact in facts), default=0)
    for order in itertools.permutations(range(count)):
        yield frozenset(
            in_order(
                replace(
                    fact,
                    subject=None if fact.subject is None else order[fact.subject],
                    other=None if fact.other is None else order[fact.other],
                )
            )
            for fact in facts
        )


def _paragraph(reading: PromptReading, generator: np.random.Generator) -> PromptExpansion | None:
    added = draw_details(reading, generator)
    facts = (Fact("count", str(reading.num_subjects)), *reading.facts, *added)
    wanted = frozenset((*reading.facts, *added))
    for _ in range(MAX_WORDINGS):
        text = caption(facts, "paragraph", generator, plain=1.0).text
        written = read_prompt(text)
        if not written.unread and any(own == wanted for own in renumbered(written.facts)):
            return PromptExpansion(text, added)
    return None


def _motion(reading: PromptReading, subject: int, kind: str, generator: np.random.Generator) -> list[Fact]:
    """A motion that suits the kind, if the prompt says nothing of what the subject does and of what is done to it."""
    involved = any(
        subject in (fact.subject, fact.other)
        for fact in reading.facts
        if fact.category in ("motion", "direction", "speed", "event") or fact.value == "on top of"
    )
    if involved or any(fact.category == "motion" and fact.other == subject for fact in reading.facts):
        return []
    suitable: list[Verb] = [verb for verb in VERBS if verb not in ("still", "orbit") and kind in KINDS_FOR[verb]]
    if not suitable:
        return []
    verb = choice(generator, suitable)
    direction = choice(generator, *DIRECTIONS_FOR[verb]) if verb in DIRECTIONS_FOR else None
    motion = [Fact("motion", verb, subject)]
    return motion + ([Fact("direction", direction, subject)] if direction else [])


def _with_scene(text: str, reading: PromptReading, generator: np.random.Generator) -> PromptExpansion:
    """The text as it is, and a sentence about the light and the camera where it says nothing of them."""
    words = set(words_of(text))
    added = []
    lit = bool(words & LIGHT_CUES) or any(f.category in ("light", "place") for f in reading.facts)
    if not lit and not words & PREPOSITIONS:
        added.append(Fact("light", choice(generator, LIGHTS_DRAWN)))
    if not words & CAMERA_CUES and not any(fact.category == "camera" for fact in reading.facts):
        added.append(Fact("camera", "static"))
    if not added:
        return PromptExpansion(text)
    writer = Writer(added, generator, plain=1.0)
    sentences = (
        [sentence_case(f"the scene is set {writer.setting(light=True)}")] if added[0].category == "light" else []
    )
    sentences += [sentence_case(writer.camera_sentence())] if added[-1].category == "camera" else []
    end = "" if text.rstrip().endswith((".", "!", "?", "。", "！", "？")) else "."
    return PromptExpansion(" ".join([text.rstrip() + end, *sentences]), tuple(added))
