"""The learned half of the prompt check: a linear softmax over the categories and "good", on words and meanings.

Words are TF-IDF features of words, pairs of words and pieces of words, hashed (Weinberger et al., arXiv:0902.2206);
meanings are the text encoder's, whose last layers were taught to tell the categories apart. `training.py` makes the
weights.
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

BUCKETS = 1 << 15
MEANING_SCALE = 8.0
"""How long the vector of meanings is, where that of words has length 1."""
_LAYER = "encoder.layer."


@dataclass(frozen=True, eq=False)
class Classifier:
    """Softmax over `categories` and, last, all that is good; its inputs are idf-weighted words and the meaning."""

    categories: tuple[str, ...]
    idf: Float[np.ndarray, " buckets"]
    words: Float[np.ndarray, "buckets c"]
    meaning: Float[np.ndarray, "384 c"]
    bias: Float[np.ndarray, " c"]
    vocabulary: frozenset[str]
    """The words, in small letters, of the texts it was trained on."""
    layers: Mapping[str, np.ndarray]
    """The text encoder's weights that were taught, by their names there."""

    def with_point(self, point: float) -> Classifier:
        """The same, but odds of 1 : 1 lie where they were `point`, in log odds."""
        return replace(self, bias=self.bias + point * (np.arange(len(self.bias)) == len(self.bias) - 1))

    def reader(self, encoder: TextEncoder) -> TextEncoder:
        """Whose `pooled` this classifier takes for the meanings of texts."""
        return reader(encoder, self.layers)

    def scores(self, texts: Sequence[str], meanings: Float[np.ndarray, "b 384"]) -> np.ndarray:
        """How surely each text belongs to each category; `meanings` are the reader's unit vectors of the same texts.

        The likeliest category scores the probability that the text is not good at all, the others in proportion: what
        two categories share between them must not slip through between their thresholds.
        """
        bad = self.logits(texts, meanings)[:, :-1]
        share = np.exp(bad - bad.max(axis=1, keepdims=True))
        return share / (1 + np.exp(-self.odds(texts, meanings)))[:, None]

    def odds(self, texts: Sequence[str], meanings: Float[np.ndarray, "b 384"]) -> Float[np.ndarray, " b"]:
        """Log odds of each text's belonging to any category."""
        logits = self.logits(texts, meanings)
        return np.logaddexp.reduce(logits[:, :-1], axis=1) - logits[:, -1]

    def logits(self, texts: Sequence[str], meanings: Float[np.ndarray, "b 384"]) -> np.ndarray:
        logits = meanings @ self.meaning * MEANING_SCALE + self.bias
        for row, text in enumerate(texts):
            buckets, values = weighted_words(text, self.idf)
            logits[row] += values @ self.words[buckets]
        return logits

    def save(self, path: Path) -> None:
        numbers = {name: getattr(self, name) for name in ("idf", "words", "meaning", "bias")} | {**self.layers}
        halves: dict[str, Any] = {name: number.astype(np.float16) for name, number in numbers.items()}
        with atomic_write(path) as part, part.open("wb") as file:
            np.savez_compressed(
                file,
                categories=np.array(self.categories),
                vocabulary=np.array(" ".join(sorted(self.vocabulary))),
                **halves,
            )

    @classmethod
    def load(cls, path: Path) -> Classifier:
        """Raises ValueError, in a sentence, for a file that is missing or that `save` did not write."""
        try:
            with np.load(path) as kept:
                numbers = {name: kept[name].astype(np.float32) for name in ("idf", "words", "meaning", "bias")}
                layers = {name: kept[name].astype(np.float32) for name in kept.files if name.startswith(_LAYER)}
                if not layers:
                    raise ValueError("it has no layers of the text encoder; train it again")
                return cls(
                    tuple(map(str, kept["categories"])),
                    **numbers,
                    vocabulary=frozenset(str(kept["vocabulary"]).split()),
                    layers=layers,
                )
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"The prompt classifier can't be read from {path}: {error}.") from error


def reader(encoder: TextEncoder, layers: Mapping[str, np.ndarray]) -> TextEncoder:
    """The encoder with these weights instead of its own, in bfloat16 where that is faster: .9999 alike."""
    taught = {name: torch.from_numpy(weight) for name, weight in layers.items()}
    return TextEncoder(encoder.weights | taught, encoder.tokenizer, encoder.device, fast_dtype(encoder.device))


def features(text: str) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The buckets of a text's words, pairs and pieces of 3 to 5 letters, and how often each occurs, damped."""
    words = re.findall(r"[^\W_]+", text.casefold())
    grams = Counter(f"w{word}" for word in words)
    grams.update(f"p{a} {b}" for a, b in pairwise(words))
    for word in words:
        bounded = f"<{word}>"
        grams.update(f"c{bounded[i : i + n]}" for n in (3, 4, 5) for i in range(len(bounded) - n + 1))
    buckets = np.array([crc32(gram.encode()) % BUCKETS for gram in grams], dtype=np.int64)
    return buckets, 1 + np.log(np.array(list(grams.values()), dtype=np.float32))


def weighted_words(
    text: str, idf: Float[np.ndarray, " buckets"]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Buckets and TF-IDF values of unit length."""
    buckets, counts = features(text)
    values = counts * idf[buckets]
    return buckets, values / max(float(np.linalg.norm(values)), 1e-6)
