"""Frozen text encoders: sentences to token embeddings."""

from __future__ import annotations

import torch

from lumora.config import TextEncoderName
from lumora.text_encoder.encoder import TextEncoder
from lumora.text_encoder.multilingual import MultilingualEncoder

__all__ = ["MultilingualEncoder", "TextEncoder", "load_text_encoder"]


def load_text_encoder(name: TextEncoderName, device: str | torch.device = "cpu") -> TextEncoder:
    """The text encoder of this name. Raises ValueError, in a sentence, where its files are missing or broken."""
    return (MultilingualEncoder if name == MultilingualEncoder.name else TextEncoder).load(device=device)
