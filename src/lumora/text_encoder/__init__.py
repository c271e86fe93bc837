"""Frozen text encoders: sentences to token embeddings."""

from __future__ import annotations

import torch

from lumora.config import TextEncoderName
from lumora.text_encoder.encoder import TextEncoder
from lumora.text_encoder.multilingual import MultilingualEncoder

__all__ = ["MultilingualEncoder", "TextEncoder", "load_text_encoder", "unread_end_of"]


def load_text_encoder(name: TextEncoderName, device: str | torch.device = "cpu") -> TextEncoder:
    """The text encoder of this name. Raises ValueError, in a sentence, where its files are missing or broken."""
    return _encoder_class(name).load(device=device)


def unread_end_of(name: TextEncoderName, text: str) -> str:
    """The end of a text that the encoder of this name does not read, because it is too long; empty if there is none."""
    return _encoder_class(name).unread(text)


def _encoder_class(name: TextEncoderName) -> type[TextEncoder]:
    return MultilingualEncoder if name == MultilingualEncoder.name else TextEncoder
