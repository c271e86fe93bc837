"""Prompts with words that no caption of the world uses: synonyms, other languages, typing errors, long sentences.

Each prompt has one unknown word; the rest is in the words of captions. The words keep their British spelling: the
figures of the evaluation depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from lumora.world.facts import Category, Fact

Group: TypeAlias = Literal["synonym", "language", "typo", "long"]

SYNONYMS: dict[Category, dict[str, tuple[str, ...]]] = {
    "color": {
        "red": ("a blood-coloured", "a poppy-coloured", "a burgundy", "a maroon"),
        "orange": ("a peach-coloured", "a saffron", "a marigold-coloured"),
        "yellow": ("a mustard-coloured", "a sunflower-coloured", "a gold-coloured"),
        "green": ("an olive", "a lime", "a fern-coloured", "a shamrock-coloured"),
        "blue": ("an indigo", "a cyan", "a denim-coloured", "a turquoise"),
        "purple": ("an aubergine-coloured", "an orchid-coloured", "a mulberry-coloured"),
        "pink": ("a magenta", "a blush-coloured", "a flesh-coloured"),
        "brown": ("a tan", "a mocha-coloured", "a hazel", "a bronze-coloured"),
        "black": ("an obsidian", "a charcoal", "a sable", "a licorice-coloured"),
        "white": ("a snowy", "a cream-coloured", "a colourless", "a porcelain-coloured"),
    },
    "kind": {
        "ball": ("marble", "bowling ball", "football", "bead"),
        "cube": ("die", "brick", "sugar lump", "parcel"),
        "cylinder": ("pillar", "column", "keg", "cask"),
        "cone": ("funnel", "party hat", "teepee"),
        "capsule": ("tablet", "gelcap", "bean"),
        "ring": ("bagel", "bangle", "circlet", "lifebuoy"),
    },
    "place": {
        "meadow": ("on the prairie", "in a paddock", "on the turf"),
        "desert": ("in the Sahara", "in a barren wasteland of sand"),
        "snow": ("on the tundra", "in the Arctic", "on a glacier"),
        "beach": ("on the coast", "on the seafront", "at the water's edge"),
        "street": ("on the highway", "on an avenue", "in an alley"),
        "room": ("in a kitchen", "in a parlour", "in an office"),
    },
    "light": {
        "noon": ("in glaring sunlight", "when the sun stands highest"),
        "sunset": ("in the gloaming", "as the day ends in a red sky"),
        "night": ("at nightfall, under the moon", "when everybody sleeps, in blackness"),
        "overcast": ("in gloomy, drizzly weather", "on a foggy morning"),
    },
    "motion": {
        "roll": ("trundles along", "tumbles over and over along the ground"),
        "fall": ("plummets from above", "drops out of the sky"),
        "bounce": ("goes boing, boing, boing", "ricochets off the ground again and again"),
        "jump": ("leaps up", "springs into the air"),
        "spin": ("pirouettes", "twirls like a top"),
        "still": ("is frozen in place", "stays put"),
    },
}
"""Replacements for the words of captions."""

LANGUAGES: dict[str, dict[str, tuple[Fact, ...]]] = {
    "German": {
        "ein roter Ball auf einer Wiese": (Fact("color", "red", 0), Fact("kind", "ball", 0), Fact("place", "meadow")),
        "ein blauer Würfel am Strand": (Fact("color", "blue", 0), Fact("kind", "cube", 0), Fact("place", "beach")),
        "ein gelber Kegel in der Wüste": (Fact("color", "yellow", 0), Fact("kind", "cone", 0), Fact("place", "desert")),
    },
    "French": {
        "une balle rouge dans un pré": (Fact("color", "red", 0), Fact("kind", "ball", 0), Fact("place", "meadow")),
        "un cube bleu sur la plage": (Fact("color", "blue", 0), Fact("kind", "cube", 0), Fact("place", "beach")),
        "un cône jaune dans le désert": (Fact("color", "yellow", 0), Fact("kind", "cone", 0), Fact("place", "desert")),
    },
    "Spanish": {
        "una pelota roja en un prado": (Fact("color", "red", 0), Fact("kind", "ball", 0), Fact("place", "meadow")),
        "un cubo azul en la playa": (Fact("color", "blue", 0), Fact("kind", "cube", 0), Fact("place", "beach")),
        "un cono amarillo en el desierto": (
            Fact("color", "yellow", 0),
            Fact("kind", "cone", 0),
            Fact("place", "desert"),
        ),
    },
    "Italian": {
        "una palla rossa su un prato": (Fact("color", "red", 0), Fact("kind", "ball", 0), Fact("place", "meadow")),
        "un cubo blu sulla spiaggia": (Fact("color", "blue", 0), Fact("kind", "cube", 0), Fact("place", "beach")),
        "un cono giallo nel deserto": (Fact("color", "yellow", 0), Fact("kind", "cone", 0), Fact("place", "desert")),
    },
}

PLAIN: dict[Category, tuple[tuple[str, str], ...]] = {
    "color": (("red", "a red"), ("blue", "a blue"), ("white", "a white"), ("yellow", "a yellow")),
    "kind": (("ball", "ball"), ("cube", "cube"), ("ring", "ring")),
    "place": (("meadow", "on a meadow"), ("room", "in a room"), ("beach", "on the beach"), ("street", "on a street")),
    "light": (("noon", "at noon"), ("sunset", "at sunset")),
    "motion": (("still", "stands still"),),
}
"""(value, words) for the rest of a prompt, in rotation."""

LONG: dict[str, tuple[Fact, ...]] = {
    "What I would like to see, if it isn't too much trouble, is a nice clip with nothing in it but a single red ball, "
    "which ought to be rolling along to the left, and all of this on a green meadow while the sun is high.": (
        Fact("color", "red", 0), Fact("kind", "ball", 0), Fact("motion", "roll", 0), Fact("direction", "left", 0),
        Fact("place", "meadow"), Fact("light", "noon"), Fact("count", "1"),
    ),
    "It is night. The street lies empty, nobody is about. Only a purple ring is there, spinning on the spot, over and "
    "over, as if somebody had left it behind in the middle of a game and had simply gone to bed.": (
        Fact("color", "purple", 0), Fact("kind", "ring", 0), Fact("motion", "spin", 0), Fact("place", "street"),
        Fact("light", "night"), Fact("count", "1"),
    ),
    "My daughter has lost her yellow cone at the beach; please make me a video of the evening when it stood there in "
    "the sand all on its own, quite motionless, with the sun going down.": (
        Fact("color", "yellow", 0), Fact("kind", "cone", 0), Fact("motion", "still", 0), Fact("place", "beach"),
        Fact("light", "sunset"), Fact("count", "1"),
    ),
    "Snow everywhere, as far as you can see, a grey sky above it; and there, hopping up and down without a pause, is "
    "a big black cube, the only dark thing in all that whiteness.": (
        Fact("color", "black", 0), Fact("kind", "cube", 0), Fact("motion", "jump", 0), Fact("place", "snow"),
        Fact("light", "overcast"), Fact("size", "large", 0),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class VocabularyPrompt:
    """A prompt with a word outside the vocabulary."""

    group: Group
    word: str
    """The unknown word, or the language."""
    prompt: str
    stated: tuple[Fact, ...]
    """All facts that the prompt states."""
    asked: tuple[Fact, ...]
    """The facts that the unknown word states."""


def vocabulary_prompts() -> tuple[VocabularyPrompt, ...]:
    """All prompts, in a fixed order."""
    languages = (
        VocabularyPrompt("language", name, p, f, f) for name, prompts in LANGUAGES.items() for p, f in prompts.items()
    )
    long = (VocabularyPrompt("long", " ".join(p.split()[:4]), p, f, f) for p, f in LONG.items())
    return (*_synonyms(), *_typos(), *languages, *long)


def _synonyms() -> list[VocabularyPrompt]:
    found = []
    for category, values in SYNONYMS.items():
        for value, words in values.items():
            for word in words:
                chosen = _plain(len(found))
                chosen[category] = value, word
                if category == "motion" and value == "roll":
                    chosen["kind"] = ("ball", "ball")  # cubes and rings do not roll
                found.append(_prompt("synonym", category, word, chosen))
    return found


def _typos() -> list[VocabularyPrompt]:
    """Plain prompts with two neighboring letters of one word exchanged."""
    found, generator = [], np.random.default_rng(7)
    for category in ("color", "kind", "place"):
        for value, words in PLAIN[category]:
            chosen = _plain(len(found))
            *before, last = words.split(" ")
            place = int(generator.integers(1, len(last) - 2)) if len(last) > 3 else 1
            letters = [*last]
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
            wrong = " ".join([*before, "".join(letters)])
            if wrong != words:
                chosen[category] = value, wrong
                found.append(_prompt("typo", category, wrong, chosen))
    return found


def _plain(turn: int) -> dict[Category, tuple[str, str]]:
    return {category: options[turn % len(options)] for category, options in PLAIN.items()}


def _prompt(group: Group, category: Category, word: str, chosen: dict[Category, tuple[str, str]]) -> VocabularyPrompt:
    order: tuple[Category, ...] = ("color", "kind", "motion", "place", "light")
    facts = {c: Fact(c, chosen[c][0], None if c in ("place", "light") else 0) for c in order}
    prompt = " ".join(chosen[c][1] for c in order)
    return VocabularyPrompt(group, word, prompt, tuple(facts.values()), (facts[category],))
