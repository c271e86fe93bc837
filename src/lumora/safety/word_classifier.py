"""Fits the word part of the prompt check's classifier: IDF weights and multinomial logistic regression on TF-IDF."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import logsumexp

from lumora.safety.classifier import NUM_BUCKETS, count_features, tfidf

features_of = lru_cache(1 << 16)(count_features)
"""`count_features`, remembered from one fit to the next."""
L2_PENALTY = 1.0
"""On half the sum of squared weights, relative to the summed cross entropy."""
MAX_ITERATIONS = 80


def fit_idf(texts: Sequence[str]) -> Float[np.ndarray, " buckets"]:
    """1 + ln((1 + n) / (1 + texts with the feature)); features that never occur weigh as much as those of one text."""
    counts = np.zeros(NUM_BUCKETS)
    for text in texts:
        counts[np.unique(features_of(text)[0])] += 1
    return (1 + np.log((1 + len(texts)) / (1 + np.maximum(counts, 1)))).astype(np.float32)


def tfidf_matrix(texts: Sequence[str], idf: Float[np.ndarray, " buckets"]) -> csr_matrix:
    rows = [tfidf(features_of(text), idf) for text in texts]
    ends = np.cumsum([0, *(len(buckets) for buckets, _ in rows)])
    columns, values = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    matrix = csr_matrix((values, columns, ends), shape=(len(texts), NUM_BUCKETS))
    matrix.sum_duplicates()
    return matrix


def fit_softmax(
    inputs: csr_matrix, labels: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "d k"], Float[np.ndarray, " k"]]:
    """Weights and bias of multinomial logistic regression with an L2 penalty on the weights, by L-BFGS."""
    targets = np.eye(labels.max() + 1, dtype=np.float32)[labels]
    transposed = inputs.T.tocsr()

    def loss(flat: Float[np.ndarray, " all"]) -> tuple[float, Float[np.ndarray, " all"]]:
        parameters = flat.astype(np.float32).reshape(-1, targets.shape[1])
        weights, bias = parameters[:-1], parameters[-1]
        logits = inputs @ weights + bias
        log_probabilities = logits - logsumexp(logits, axis=1, keepdims=True)
        error = np.exp(log_probabilities) - targets
        gradient = np.concatenate([transposed @ error + L2_PENALTY * weights, error.sum(0, keepdims=True)])
        value = -np.sum(log_probabilities * targets) + L2_PENALTY / 2 * np.sum(weights**2)
        return float(value), gradient.ravel().astype(np.float64)

    num_features, num_classes = inputs.get_shape()[1], targets.shape[1]
    start = np.zeros((num_features + 1) * num_classes)
    options = {"maxiter": MAX_ITERATIONS, "ftol": 1e-5}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    parameters = found.x.astype(np.float32).reshape(-1, num_classes)
    return parameters[:-1], parameters[-1]
