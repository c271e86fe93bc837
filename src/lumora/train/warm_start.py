"""Initial weights of a transformer from a trained one of another depth or without its hourglass."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from lumora.config import ModelConfig
from lumora.model.transformer import Transformer
from lumora.train.run import read_model_config


@torch.no_grad()
def warm_start(folder: Path, model: ModelConfig, seed: int = 0) -> Transformer:
    """A transformer of `model` with the weights of the model in `folder`, wherever name and shape agree.

    Blocks that the other one lacks start as the identity. Raises ValueError for a model of another codec or width.
    """
    other = read_model_config(folder)
    if (other.codec, other.transformer.hidden_size) != (model.codec, model.transformer.hidden_size):
        raise ValueError(f"The model in {folder} has another codec or hidden size, so its weights cannot be used.")
    torch.manual_seed(seed)
    transformer = Transformer(model.transformer)
    trained = load_file(folder / "transformer.safetensors")
    for name, weight in transformer.state_dict().items():
        if name in trained and trained[name].shape == weight.shape:
            weight.copy_(trained[name])
        elif name.startswith("blocks.") and name.endswith((".out.weight", ".down.weight")):
            weight.zero_()
    return transformer
