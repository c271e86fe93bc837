"""The frozen text encoder: sentences to token embeddings."""

from __future__ import annotations

from lumora.text_encoder.encoder import TextEncoder

__all__ = ["TextEncoder"]
