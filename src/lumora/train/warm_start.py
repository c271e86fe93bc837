"""Initial weights of a transformer from a trained one of another depth, text encoder or without its hourglass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from lumora.config import ModelConfig
from lumora.model.transformer import Transformer, rename_keys
from lumora.text_encoder import load_text_encoder
from lumora.train.run import read_model_config
from lumora.train.text_layers import transfer_text_layers

TEXT_LAYERS = ("text_proj.", "pooled_text_proj.", "null_text")
"""Parameters whose input is the text encoder's output."""


@torch.no_grad()
def warm_start(folder: Path, model: ModelConfig, captions: Sequence[str] = (), seed: int = 0) -> Transformer:
    """A transformer of `model` with the weights of the model in `folder`, wherever name and shape agree.

    Blocks that the other one lacks start as the identity. If the text encoders differ, the layers that read text are
    adapted on `captions` (see `text_layers`); without captions they start anew, without effect on the modulation.
    Raises ValueError for a model of another codec or width.
    """
    other = read_model_config(folder)
    if (other.codec, other.transformer.hidden_size) != (model.codec, model.transformer.hidden_size):
        raise ValueError(f"The model in {folder} has another codec or hidden size, so its weights cannot be used.")
    torch.manual_seed(seed)
    transformer = Transformer(model.transformer)
    trained = rename_keys(load_file(folder / "transformer.safetensors"))
    new_text = other.text_encoder != model.text_encoder
    if new_text and captions:
        encoders = [load_text_encoder(name, "cpu") for name in (other.text_encoder, model.text_encoder)]
        trained |= transfer_text_layers(trained, encoders[0], encoders[1], captions)
        new_text = False
    for name, weight in transformer.state_dict().items():
        if name in trained and trained[name].shape == weight.shape and not (new_text and name.startswith(TEXT_LAYERS)):
            weight.copy_(trained[name])
        elif name.startswith("blocks.") and name.endswith((".out.weight", ".down.weight")):
            weight.zero_()
    if new_text:
        transformer.pooled_text_proj.weight.zero_()
    return transformer
