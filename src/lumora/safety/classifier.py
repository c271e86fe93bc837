"""The learned part of the prompt check: a linear softmax over the categories and "good", on words and embeddings.

Words are TF-IDF features of words, word pairs and character n-grams, hashed (Weinberger et al., arXiv:0902.2206).
Embeddings are those of the text encoder, whose last layers were fine-tuned. `training.py` makes the weights.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from jaxtyping import Float, Int

from lumora.atomic_io import atomic_write
from lumora.precision import fast_dtype
from lumora.text_encoder.encoder import TextEncoder

NUM_BUCKETS = 1 << 15
EMBEDDING_SCALE = 8.0
"""Length of the scaled embedding; the TF-IDF vector has length 1."""
FILE_KEYS = {"idf": "idf", "word_weights": "words", "embedding_weights": "meaning", "bias": "bias"}
"""Maps the classifier's fields to the keys of its file."""
_LAYER_PREFIX = "encoder.layer."


@dataclass(frozen=True, eq=False)
class Classifier:
    """Softmax over `categories` and, as the last class, "good"."""

    categories: tuple[str, ...]
    idf: Float[np.ndarray, " buckets"]
    word_weights: Float[np.ndarray, "buckets c"]
    embedding_weights: Float[np.ndarray, "384 c"]
    bias: Float[np.ndarray, " c"]
    vocabulary: frozenset[str]
    """The words of the training texts, casefolded."""
    encoder_layers: Mapping[str, np.ndarray]
    """The fine-tuned weights of the text encoder, by their names there."""

    def with_operating_point(self, log_odds: float) -> Classifier:
        """The same classifier, with a score of 0.5 where the log odds were `log_odds`."""
        good = np.arange(len(self.bias)) == len(self.bias) - 1
        return replace(self, bias=self.bias + log_odds * good)

    def fine_tuned(self, encoder: TextEncoder) -> TextEncoder:
        """The encoder whose `pooled` embeddings this classifier takes."""
        return with_layers(encoder, self.encoder_layers)

    def scores(self, texts: Sequence[str], embeddings: Float[np.ndarray, "b 384"]) -> Float[np.ndarray, "b c"]:
        """The score of each category for each text, from 0 to 1.

        `embeddings` are unit vectors of the fine-tuned encoder. The most likely category scores the probability that
        the text is not good at all, the others in proportion to it: a text between two categories must not fall below
        both thresholds.
        """
        harmful = self.logits(texts, embeddings)[:, :-1]
        proportions = np.exp(harmful - harmful.max(axis=1, keepdims=True))
        return proportions / (1 + np.exp(-self.log_odds(texts, embeddings)))[:, None]

    def log_odds(self, texts: Sequence[str], embeddings: Float[np.ndarray, "b 384"]) -> Float[np.ndarray, " b"]:
        """Log odds that each text belongs to any category."""
        logits = self.logits(texts, embeddings)
        return np.logaddexp.reduce(logits[:, :-1], axis=1) - logits[:, -1]

    def logits(self, texts: Sequence[str], embeddings: Float[np.ndarray, "b 384"]) -> Float[np.ndarray, "b c"]:
        logits = embeddings @ self.embedding_weights * EMBEDDING_SCALE + self.bias
        for row, text in enumerate(texts):
            buckets, values = tfidf(text, self.idf)
            logits[row] += values @ self.word_weights[buckets]
        return logits

    def save(self, path: Path) -> None:
        arrays = {key: getattr(self, field) for field, key in FILE_KEYS.items()} | {**self.encoder_layers}
        half_precision: dict[str, Any] = {name: array.astype(np.float16) for name, array in arrays.items()}
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
                arrays = {field: data[key].astype(np.float32) for field, key in FILE_KEYS.items()}
                layers = {name: data[name].astype(np.float32) for name in data.files if name.startswith(_LAYER_PREFIX)}
                if not layers:
                    raise ValueError("it has no layers of the text encoder; train it again")
                return cls(
                    tuple(map(str, data["categories"])),
                    **arrays,
                    vocabulary=frozenset(str(data["vocabulary"]).split()),
                    encoder_layers=layers,
                )
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"The prompt classifier {path} cannot be read: {error}.") from error


def with_layers(encoder: TextEncoder, layers: Mapping[str, np.ndarray]) -> TextEncoder:
    """The encoder with some weights replaced; in bfloat16 where that is faster, which changes embeddings by 1e-4."""
    replaced = {name: torch.from_numpy(weight) for name, weight in layers.items()}
    return TextEncoder(encoder.weights | replaced, encoder.tokenizer, encoder.device, fast_dtype(encoder.device))


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


def tfidf(text: str, idf: Float[np.ndarray, " buckets"]) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The hash buckets of a text's features and their TF-IDF values, as a vector of unit length."""
    buckets, counts = count_features(text)
    values = counts * idf[buckets]
    return buckets, values / max(float(np.linalg.norm(values)), 1e-6)
