"""Trains the prompt check's classifier; needs scikit-learn (extra `eval`), which running it does not.

    python -m lumora.safety.training [--out prompts.npz] [--seed 0]

Heads are fit on one trained part, their operating points set on the other, and the other way round; then they are fit
once
more on both. The held-out part plays no role here (`benchmarks/moderate.py` measures on it).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix, hstack

from lumora.language.text_encoder import TextEncoder
from lumora.safety.classifier import BUCKETS, MEANING_SCALE, Classifier, features, weighted_words
from lumora.safety.corpus import GOOD, TRAINED, Part, Sentence, groups, sentences
from lumora.safety.prompts import WEIGHTS

INVERSE_PENALTY = 30.0
FALSE_ALARMS = 0.003
"""The share of good sentences for development that each head may refuse: thirteen heads together refuse some
percent."""
COUNTS = {"benign": 550, "hard": 350}
PER_CATEGORY = 65


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    generator, encoder = np.random.default_rng(options.seed), TextEncoder.load()
    first, second = (corpus((part,), generator) for part in TRAINED)
    meanings = [encoder.pooled([s.text for s in half]).cpu().numpy() for half in (first, second)]
    halves = list(zip((first, second), meanings, strict=True))
    operating = np.mean([operating_points(trained(*a), *b) for a, b in (halves, halves[::-1])], axis=0)
    trained([*first, *second], np.concatenate(meanings), operating).save(options.out)
    print(
        f"{options.out}: {options.out.stat().st_size / 2**20:.2f} MiB, operating points (log odds) {operating.round(2)}"
    )


def corpus(parts: Sequence[Part], generator: np.random.Generator) -> list[Sentence]:
    counts = {group: COUNTS.get(group, PER_CATEGORY) for group in groups()}
    return [sentence for group, count in counts.items() for sentence in sentences(group, parts, count, generator)]


def trained(
    examples: Sequence[Sentence], meanings: Float[np.ndarray, "n 384"], operating: Float[np.ndarray, c] | None = None
) -> Classifier:
    """Heads fit to sentences, each knowing its category from all else; a score of .5 lies at `operating`, in log
    odds."""
    from sklearn.linear_model import LogisticRegression

    texts = [example.text for example in examples]
    idf = inverse_frequency(texts)
    inputs = hstack([csr_matrix(meanings * MEANING_SCALE), word_matrix(texts, idf)]).tocsr()
    categories = tuple(group for group in groups() if group not in GOOD)
    heads = []
    for category in categories:
        labels = np.array([example.group == category for example in examples])
        model = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=1000, solver="liblinear")
        heads.append(model.fit(inputs, labels))
    weights = np.concatenate([head.coef_ for head in heads]).T.astype(np.float32)
    bias = np.concatenate([head.intercept_ for head in heads]).astype(np.float32)
    shift = np.zeros_like(bias) if operating is None else operating.astype(np.float32)
    return Classifier(categories, idf, weights[384:], weights[:384], bias - shift)


def operating_points(
    classifier: Classifier, examples: Sequence[Sentence], meanings: Float[np.ndarray, "n 384"]
) -> Float[np.ndarray, c]:
    """The log odds at which each head refuses `FALSE_ALARMS` of the good examples, or less where all bad ones lie
    higher."""
    odds = log_odds(classifier.scores([example.text for example in examples], meanings))
    good = np.array([example.group in GOOD for example in examples])
    points = []
    for column, category in zip(odds.T, classifier.categories, strict=True):
        bad = column[np.array([example.group == category for example in examples])]
        alarm = np.quantile(column[good], 1 - FALSE_ALARMS)
        lowest = np.quantile(bad, 0.01)
        points.append((alarm + lowest) / 2 if lowest > alarm else alarm)
    return np.array(points)


def log_odds(scores: Float[np.ndarray, "b c"]) -> Float[np.ndarray, "b c"]:
    kept = scores.clip(1e-7, 1 - 1e-7)
    return np.log(kept / (1 - kept))


def inverse_frequency(texts: Sequence[str]) -> Float[np.ndarray, buckets]:
    """1 + ln(n / how many texts have the bucket), smoothed; never seen buckets weigh as much as ones seen once."""
    counts = np.zeros(BUCKETS)
    for text in texts:
        counts[np.unique(features(text)[0])] += 1
    return (1 + np.log((1 + len(texts)) / (1 + np.maximum(counts, 1)))).astype(np.float32)


def word_matrix(texts: Sequence[str], idf: Float[np.ndarray, buckets]) -> csr_matrix:
    rows = [weighted_words(text, idf) for text in texts]
    ends = np.cumsum([0, *(len(buckets) for buckets, _ in rows)])
    columns, values = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    matrix = csr_matrix((values, columns, ends), shape=(len(texts), BUCKETS))
    matrix.sum_duplicates()
    return matrix


if __name__ == "__main__":
    main()
