"""The prompt check: every reading of a prompt, and every window of each, judged by classifier and lists of names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lumora.safety.classifier import Classifier
from lumora.safety.named_entities import EntityMatcher
from lumora.safety.normalize import readings, windows
from lumora.safety.policy import Policy
from lumora.safety.verdict import Score, Verdict
from lumora.text_encoder.encoder import TextEncoder

WEIGHTS = Path(__file__).parent / "data" / "prompts.npz"


def combined_prompts(prompts: Sequence[str]) -> list[str]:
    """What several prompts say one after the other, as sentences and as a single one: harmless pieces may make a whole
    that is not, or be the pieces of a sentence."""
    told = list(dict.fromkeys(prompt for prompt in prompts if prompt))
    if len(told) < 2:
        return []
    sentences = " ".join(prompt if prompt.endswith((".", "!", "?")) else f"{prompt}." for prompt in told)
    return [sentences, " ".join(prompt.rstrip(" .,;:!?") for prompt in told)]


class PromptCheck:
    """Judges texts in English; what it misses in other languages is in docs/safety.md."""

    def __init__(self, policy: Policy, classifier: Classifier, names: EntityMatcher, reader: TextEncoder):
        self.policy = policy
        self.classifier = classifier
        self.names = names
        self.reader = reader

    @classmethod
    def load(cls, policy: Policy, encoder: TextEncoder | None = None) -> PromptCheck:
        """With the weights that come with lumora; `encoder` is used if it is the one that these belong to."""
        classifier = Classifier.load(WEIGHTS)
        if encoder is None or encoder.name != TextEncoder.name:
            encoder = TextEncoder.load()
        reader = classifier.reader(encoder)
        return cls(policy, classifier, EntityMatcher.load(policy.names), reader)

    def check(self, text: str, /) -> Verdict:
        return self.check_all([text])[0]

    def check_all(self, texts: Sequence[str]) -> list[Verdict]:
        """As `check` for each text; many at once take about half the time."""
        if not texts:
            return []
        read = [readings(text, self.known) for text in texts]
        judged = [list(dict.fromkeys(chain(*map(windows, map(str.casefold, several))))) for several in read]
        every = list(dict.fromkeys(window for several in judged for window in several))
        rows, scores = {window: row for row, window in enumerate(every)}, self.scores(every)
        worst = (scores[[rows[window] for window in several]].max(axis=0) for several in judged)
        return [self._verdict(several, values) for several, values in zip(read, worst, strict=True)]

    def _verdict(self, read: list[str], worst: Float[np.ndarray, " c"]) -> Verdict:
        scores = {
            name: Score(float(value), "prompt classifier")
            for name, value in zip(self.classifier.categories, worst, strict=True)
        }
        for reading in read:
            for category, name in self.names.found(reading, self.words).items():
                scores[category] = Score(1.0, f"the name “{name}”")
        return self.policy.judge(scores)

    def scores(self, texts: list[str]) -> Float[np.ndarray, "b c"]:
        """The classifier's probabilities for these very texts, without other readings, windows or names."""
        return self.classifier.scores(texts, self.reader.pooled(texts).cpu().numpy())

    @cached_property
    def words(self) -> frozenset[str]:
        """Words of the language, in small letters: whole tokens of the text encoder."""
        return frozenset(word for word in self.reader.tokenizer.get_vocab() if word.isalpha() and len(word) > 2)

    @cached_property
    def known(self) -> frozenset[str]:
        """Words to tell sense from cipher and slips by: those of the language, of the corpus, and names."""
        return self.words.union(self.classifier.vocabulary, self.names.categories)
