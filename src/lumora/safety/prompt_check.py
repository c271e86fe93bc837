"""The prompt check: the classifier and the lists of names judge every variant of a prompt and every window of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache, cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lumora.safety.classifier import Classifier
from lumora.safety.named_entities import EntityMatcher
from lumora.safety.normalize import KnownWords, normalize, variants, windows
from lumora.safety.policy import Policy
from lumora.safety.prompt_embedding import PromptEmbedder
from lumora.safety.verdict import Score, Verdict
from lumora.safety.word_lists import ENGLISH, is_foreign, language_of, lexicon

WEIGHTS = Path(__file__).parent / "data" / "prompts.npz"


def combined_prompts(prompts: Sequence[str]) -> list[str]:
    """Several prompts as one text of sentences and as one sentence: prompts that are harmless one by one may not be
    harmless together. Empty for fewer than two different prompts."""
    distinct = list(dict.fromkeys(prompt for prompt in prompts if prompt))
    if len(distinct) < 2:
        return []
    sentences = " ".join(prompt if prompt.endswith((".", "!", "?")) else f"{prompt}." for prompt in distinct)
    return [sentences, " ".join(prompt.rstrip(" .,;:!?") for prompt in distinct)]


class PromptCheck:
    """Judges texts in ten languages; docs/safety.md says what it finds in each."""

    def __init__(self, policy: Policy, classifier: Classifier, names: EntityMatcher, embedder: PromptEmbedder):
        self.policy = policy
        self.classifier = classifier
        self.names = names
        self.embedder = embedder

    @classmethod
    def load(cls, policy: Policy) -> PromptCheck:
        """Loads the weights that come with lumora and the text encoder, once a process. Raises ValueError if either is
        missing."""
        classifier, embedder = _load_weights(os.environ.get("LUMORA_MULTILINGUAL_ENCODER"))
        return cls(policy, classifier, EntityMatcher.load(policy.names), embedder)

    def check(self, text: str, /) -> Verdict:
        return self.check_all([text])[0]

    def check_all(self, texts: Sequence[str]) -> list[Verdict]:
        """As `check` for each text; many at once take about half the time."""
        if not texts:
            return []
        languages = [language_of(normalize(text, self.vocabulary)) for text in texts]
        variants_of = [variants(text, self.vocabulary) for text in texts]
        windows_of = [list(dict.fromkeys(chain(*(windows(v.casefold()) for v in vs)))) for vs in variants_of]
        is_english = [language == ENGLISH for language in languages]
        # A window is judged as English only if the text that it is from is English too.
        keys_of = [[(window, e) for window in several] for several, e in zip(windows_of, is_english, strict=True)]
        distinct = list(dict.fromkeys(chain(*keys_of)))
        scores = self.scores([window for window, _ in distinct], [english for _, english in distinct])
        rows = {key: row for row, key in enumerate(distinct)}
        highest = (scores[[rows[key] for key in keys]].max(axis=0) for keys in keys_of)
        return [self._verdict(*args) for args in zip(variants_of, languages, highest, strict=True)]

    def scores(self, texts: Sequence[str], may_be_english: Sequence[bool]) -> Float[np.ndarray, "b c"]:
        """The classifier's probabilities for exactly these texts: no variants, windows or names. A text is judged as
        English if it may be and its words do not tell another language."""
        is_english = [may_be and not is_foreign(text) for text, may_be in zip(texts, may_be_english, strict=True)]
        return self.classifier.scores(texts, self.embedder.embed(texts), np.array(is_english, bool))

    @cached_property
    def words(self) -> frozenset[str]:
        """English words, casefolded."""
        return frozenset(word for word in lexicon()[ENGLISH] if word.isalpha() and len(word) > 2)

    @cached_property
    def vocabulary(self) -> KnownWords:
        """Words that tell plain text from ciphers and misspellings."""
        return KnownWords(self.words.union(self.classifier.vocabulary, self.names.categories), is_foreign)

    def _verdict(self, text_variants: list[str], language: str, highest: Float[np.ndarray, " c"]) -> Verdict:
        scores = {
            name: Score(float(value), "prompt classifier")
            for name, value in zip(self.classifier.categories, highest, strict=True)
        }
        for variant in text_variants:
            for category, name in self.names.find(variant, self.words, language).items():
                scores[category] = Score(1.0, f"the name “{name}”")
        return self.policy.judge(scores)


@cache
def _load_weights(encoder_folder: str | None) -> tuple[Classifier, PromptEmbedder]:
    """The classifier and the encoder. `encoder_folder` is $LUMORA_MULTILINGUAL_ENCODER: another one is loaded anew."""
    return Classifier.load(WEIGHTS), PromptEmbedder.load()
