"""Fits the part of the prompt check's classifier that judges embeddings: the mean of small networks with a hidden
layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

NUM_NETWORKS, HIDDEN_SIZE = 2, 192
"""They differ in their random draws only; their mean finds more than any of them."""
EPOCHS, BATCH_SIZE, PEAK_LEARNING_RATE, WEIGHT_DECAY = 12, 256, 2e-3, 0.05
MIN_STEPS = 400
INPUT_DROPOUT, HIDDEN_DROPOUT, LABEL_SMOOTHING = 0.1, 0.3, 0.05


@dataclass(frozen=True, eq=False)
class HiddenLayerWeights:
    """Weights of `Classifier`: several networks side by side."""

    hidden_weights: Float[np.ndarray, "d h"]
    hidden_bias: Float[np.ndarray, " h"]
    weights: Float[np.ndarray, "h c"]
    bias: Float[np.ndarray, " c"]


def fit_networks(
    inputs: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"], num_classes: int, seed: int = 0
) -> HiddenLayerWeights:
    """Networks whose mean of logits is that of the returned weights."""
    x, y = torch.from_numpy(inputs.astype(np.float32)), torch.from_numpy(labels)
    networks = [_fit(x, y, num_classes, torch.Generator().manual_seed(seed + n)) for n in range(NUM_NETWORKS)]
    hidden_weights, hidden_bias, weights, bias = (
        [network[part].detach().numpy() for network in networks] for part in range(4)
    )
    return HiddenLayerWeights(
        np.concatenate(hidden_weights, axis=1),
        np.concatenate(hidden_bias),
        np.concatenate(weights) / NUM_NETWORKS,
        np.mean(bias, axis=0),
    )


def _fit(
    x: Float[Tensor, "n d"], y: Int[Tensor, " n"], num_classes: int, generator: torch.Generator
) -> Sequence[nn.Parameter]:
    """Hidden weights and bias, output weights and bias, by AdamW with linear warmup and decay."""

    def initial(rows: int, columns: int) -> nn.Parameter:
        return nn.Parameter((2 * torch.rand(rows, columns, generator=generator) - 1) / rows**0.5)

    parameters = [
        initial(x.shape[1], HIDDEN_SIZE),
        nn.Parameter(torch.zeros(HIDDEN_SIZE)),
        initial(HIDDEN_SIZE, num_classes),
        nn.Parameter(torch.zeros(num_classes)),
    ]
    optimizer = torch.optim.AdamW(parameters, PEAK_LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    epochs = max(EPOCHS, -(-MIN_STEPS * BATCH_SIZE // len(x)))
    steps = [rows for _ in range(epochs) for rows in torch.randperm(len(x), generator=generator).split(BATCH_SIZE)]
    for step, rows in enumerate(steps):
        progress = (step + 1) / len(steps)
        for group in optimizer.param_groups:
            group["lr"] = PEAK_LEARNING_RATE * min(progress / 0.1, (1 - progress) / 0.9)
        hidden = F.relu(_dropout(x[rows], INPUT_DROPOUT, generator) @ parameters[0] + parameters[1])
        logits = _dropout(hidden, HIDDEN_DROPOUT, generator) @ parameters[2] + parameters[3]
        optimizer.zero_grad()
        F.cross_entropy(logits, y[rows], label_smoothing=LABEL_SMOOTHING).backward()
        optimizer.step()
    return parameters


def _dropout(x: Float[Tensor, "b d"], share: float, generator: torch.Generator) -> Float[Tensor, "b d"]:
    return x * (torch.rand(x.shape, generator=generator) >= share) / (1 - share)
