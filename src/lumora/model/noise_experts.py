"""One transformer for all times, or one for each part of the path from noise to data."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from torch import nn

from lumora.config import HIGH_NOISE_TRANSFORMER, TRANSFORMER, ModelConfig
from lumora.model.transformer import Transformer
from lumora.weights_io import load_weights, unseeded


class NoiseExperts(nn.Module):
    """Transformers for low and for high noise (eDiff-I, arXiv:2211.01324, section 3.1)."""

    def __init__(self, low_noise: Transformer, high_noise: Transformer, boundary: float) -> None:
        """`high_noise` predicts at times above `boundary`."""
        super().__init__()
        self.low_noise, self.high_noise, self.boundary = low_noise, high_noise, boundary

    def at(self, t: float) -> Transformer:
        return self.high_noise if t > self.boundary else self.low_noise


Transformers: TypeAlias = Transformer | NoiseExperts
"""All transformers of a model."""


def transformer_at(transformers: Transformers, t: float) -> Transformer:
    """The transformer that predicts at time t."""
    return transformers.at(t) if isinstance(transformers, NoiseExperts) else transformers


def transformers_by_name(transformers: Transformers) -> dict[str, Transformer]:
    """Each transformer by its name in `ModelConfig.transformers`."""
    if isinstance(transformers, NoiseExperts):
        return {TRANSFORMER: transformers.low_noise, HIGH_NOISE_TRANSFORMER: transformers.high_noise}
    return {TRANSFORMER: transformers}


def load_transformers(model: ModelConfig, folder: Path) -> Transformers:
    """The transformers of the model in `folder`. Raises ValueError, in one sentence, if a file is missing or broken."""
    networks: dict[str, Transformer] = {}
    for name, part in model.transformers().items():
        with unseeded():
            network = Transformer(part.transformer)
        networks[name] = load_weights(network, folder / f"{name}.safetensors")
    if model.high_noise is None:
        return networks[TRANSFORMER]
    return NoiseExperts(networks[TRANSFORMER], networks[HIGH_NOISE_TRANSFORMER], model.high_noise.boundary)
