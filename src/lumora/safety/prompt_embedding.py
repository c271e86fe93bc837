"""Embeddings of prompts in many languages: means of token states of the text encoder.

Sentences are encoded apart, and a longer text is the mean of its sentences. So harmless sentences around a request do
not change its embedding, and every sentence of a prompt is encoded once, however many windows contain it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float

from lumora.precision import fast_dtype
from lumora.safety.normalize import pieces
from lumora.text_encoder.encoder import TextEncoder
from lumora.text_encoder.files import CONTEXT_DIM

LAYERS = (8, 10)
"""The layers whose token states are averaged, of 12: the last two, which are trained to compare whole texts, say less
about what a text is about (docs/experiments/prompt-check.md), and take a sixth of the time."""
EMBEDDING_DIM = len(LAYERS) * CONTEXT_DIM
MIN_PIECES = 250_000
"""The encoder's vocabulary has this many pieces at least; a copy with fewer would not read some words."""
MAX_CACHED = 4_096
"""Sentences whose embeddings are kept, 3 KB each: prompts come again as shots, edits and expansions of prompts."""

FINAL_PERIODS = " .。"
"""Removed from the end of a sentence: most prompts have no period, and one raises the log odds of a harmless sentence
by 0.7 (docs/experiments/prompt-check.md)."""


class PromptEmbedder:
    """Embeds prompts and remembers the embeddings of sentences."""

    def __init__(self, encoder: TextEncoder, max_cached: int = MAX_CACHED):
        self.encoder = encoder
        self.max_cached = max_cached
        self._cache: dict[str, np.ndarray] = {}

    @classmethod
    def load(cls, max_cached: int = MAX_CACHED) -> PromptEmbedder:
        """Loads the encoder, in bfloat16 where that is faster.

        Raises ValueError if its file is missing or changed, or is a copy for a limited vocabulary.
        """
        encoder = TextEncoder.load(dtype=fast_dtype(torch.device("cpu")))
        if encoder.file.num_pieces < MIN_PIECES:
            raise ValueError(
                "The prompt check needs the whole vocabulary of its text encoder; LUMORA_MULTILINGUAL_ENCODER names a "
                "copy for training with a part of it."
            )
        return cls(encoder, max_cached)

    def embed(self, texts: Sequence[str]) -> Float[np.ndarray, "b 768"]:
        """The mean token state of each text after each of LAYERS, side by side. Texts should be casefolded."""
        pieces_of = [[piece.rstrip(FINAL_PERIODS) or piece for piece in pieces(text) or [text]] for text in texts]
        vectors = self._vectors(list(dict.fromkeys(chain(*pieces_of))))
        return np.array([np.mean([vectors[piece] for piece in some], axis=0) for some in pieces_of], np.float32)

    def _vectors(self, distinct: list[str]) -> dict[str, np.ndarray]:
        cache = self._cache  # threads may replace it meanwhile
        found = {piece: cache[piece] for piece in distinct if piece in cache}
        missing = [piece for piece in distinct if piece not in found]
        if missing:
            rows = self.encoder.layer_means(missing, LAYERS).reshape(len(missing), EMBEDDING_DIM).cpu().numpy()
            found |= dict(zip(missing, rows, strict=True))
            if len(cache) + len(missing) > self.max_cached:
                self._cache = cache = {}
            cache |= {piece: found[piece] for piece in missing[: self.max_cached]}
        return found
