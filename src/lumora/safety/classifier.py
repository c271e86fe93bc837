"""The learned part of the prompt check: a softmax over the categories and "good", on words and embeddings.

Words are TF-IDF features of words, word pairs and character n-grams, hashed (Weinberger et al., arXiv:0902.2206), with
linear weights. Embeddings are those of the frozen multilingual text encoder, with a hidden layer. `training.py` makes
the weights.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from jaxtyping import Bool, Float, Int

from lumora.atomic_io import atomic_write

NUM_BUCKETS = 1 << 15
EMBEDDING_SCALE = 16.0
"""Length of the scaled embedding; the TF-IDF vector has length 1."""
FILE_KEYS = {
    "idf": "idf",
    "word_weights": "words",
    "embedding_mean": "mean",
    "hidden_weights": "hidden",
    "hidden_bias": "hidden_bias",
    "embedding_weights": "meaning",
    "bias": "bias",
    "operating_points": "operating_points",
}
"""Maps the classifier's fields to the keys of its file."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """Softmax over `categories` and, as the last class, "good"."""

    categories: tuple[str, ...]
    idf: Float[np.ndarray, " buckets"]
    word_weights: Float[np.ndarray, "buckets c"]
    embedding_mean: Float[np.ndarray, " d"]
    hidden_weights: Float[np.ndarray, "d h"]
    hidden_bias: Float[np.ndarray, " h"]
    embedding_weights: Float[np.ndarray, "h c"]
    bias: Float[np.ndarray, " c"]
    vocabulary: frozenset[str]
    """The words of the English training texts, casefolded."""
    operating_points: Float[np.ndarray, " points"] = field(default_factory=lambda: np.zeros(2, np.float32))
    """The log odds that score 0.5: of texts in English, and in other languages, of which fewer sentences are known."""

    def scores(
        self, texts: Sequence[str], embeddings: Float[np.ndarray, "b d"], is_english: Bool[np.ndarray, " b"]
    ) -> Float[np.ndarray, "b c"]:
        """The score of each category for each text, from 0 to 1.

        `embeddings` are those of `PromptEmbedder`. The most likely category scores the probability that the text is not
        good at all, the others in proportion to it: a text between two categories must not fall below both thresholds.
        """
        logits = self.logits(texts, embeddings)
        harmful = logits[:, :-1]
        log_odds = np.logaddexp.reduce(harmful, axis=1) - logits[:, -1]
        log_odds -= np.where(is_english, *self.operating_points)
        proportions = np.exp(harmful - harmful.max(axis=1, keepdims=True))
        return proportions / (1 + np.exp(-log_odds))[:, None]

    def logits(self, texts: Sequence[str], embeddings: Float[np.ndarray, "b d"]) -> Float[np.ndarray, "b c"]:
        """Before the operating points."""
        hidden = centered(embeddings, self.embedding_mean) @ self.hidden_weights + self.hidden_bias
        logits = np.maximum(hidden, 0) @ self.embedding_weights + self.bias
        for row, text in enumerate(texts):
            buckets, values = tfidf(count_features(text), self.idf)
            logits[row] += values @ self.word_weights[buckets]
        return logits

    def save(self, path: Path) -> None:
        half_precision: dict[str, Any] = {
            key: getattr(self, name).astype(np.float16) for name, key in FILE_KEYS.items()
        }
        with atomic_write(path) as part, part.open("wb") as file:
            np.savez_compressed(
                file,
                categories=np.array(self.categories),
                vocabulary=np.array(" ".join(sorted(self.vocabulary))),
                **half_precision,
            )

    @classmethod
    def load(cls, path: Path) -> Classifier:
        """Raises ValueError if the file is missing or was not written by `save`."""
        try:
            with np.load(path) as data:
                arrays = {name: data[key].astype(np.float32) for name, key in FILE_KEYS.items()}
                words = frozenset(str(data["vocabulary"]).split())
                return cls(tuple(map(str, data["categories"])), **arrays, vocabulary=words)
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"The prompt classifier {path} cannot be read: {error}.") from error


def centered(embeddings: Float[np.ndarray, "b d"], mean: Float[np.ndarray, " d"]) -> Float[np.ndarray, "b d"]:
    """Embeddings as the hidden layer takes them: minus the mean, which says nothing about a text, and of equal
    length."""
    shifted = embeddings - mean
    return EMBEDDING_SCALE * shifted / np.maximum(np.linalg.norm(shifted, axis=1, keepdims=True), 1e-6)


def count_features(text: str) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The hash buckets of a text's words, word pairs and character 3- to 5-grams, and 1 + ln(count) of each."""
    words = re.findall(r"[^\W_]+", text.casefold())
    features = Counter(f"w{word}" for word in words)
    features.update(f"p{a} {b}" for a, b in pairwise(words))
    for word in words:
        bounded = f"<{word}>"
        features.update(f"c{bounded[i : i + n]}" for n in (3, 4, 5) for i in range(len(bounded) - n + 1))
    buckets = np.array([crc32(feature.encode()) % NUM_BUCKETS for feature in features], dtype=np.int64)
    return buckets, 1 + np.log(np.array(list(features.values()), dtype=np.float32))


def tfidf(
    features: tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]], idf: Float[np.ndarray, " buckets"]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The hash buckets of a text's features (`count_features`) and their TF-IDF values, as a vector of unit length."""
    buckets, counts = features
    values = counts * idf[buckets]
    return buckets, values / max(float(np.linalg.norm(values)), 1e-6)
