"""The official weights of multilingual-e5-small (intfloat, Hugging Face): the tensors of transformers' BertModel in
float32."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lumora.text_encoder.files import CONTEXT_DIM

WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"
UNUSED = ("embeddings.position_ids", "pooler.")


class OfficialWeights:
    """A file of this layout. Raises ValueError for one that is not."""

    def __init__(self, path: Path) -> None:
        try:
            self._tensors = safe_open(path, "pt")
            names = set(self._tensors.keys())
        except (OSError, SafetensorError) as error:
            raise ValueError(f"The text encoder {path} cannot be read: {error}.") from error
        layers = {int(name.split(".")[2]) for name in names if name.startswith("encoder.layer.")}
        if WORD_EMBEDDINGS not in names or layers != set(range(len(layers))) or not layers:
            raise ValueError(f"{path} has no BertModel: its tensors are called {', '.join(sorted(names)[:3])}, ….")
        self._names = sorted(name for name in names - {WORD_EMBEDDINGS} if not name.startswith(UNUSED))
        self._word_embeddings: Float[Tensor, "pieces d"] = self._tensors.get_tensor(WORD_EMBEDDINGS)
        if self._word_embeddings.shape[1] != CONTEXT_DIM:
            raise ValueError(f"{path} has embeddings of {self._word_embeddings.shape[1]} numbers, not {CONTEXT_DIM}.")
        self.layers = len(layers)
        self.num_pieces = len(self._word_embeddings)

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """With BERT's names, without the word embeddings."""
        return ((name, self._tensors.get_tensor(name)) for name in self._names)

    def embedding_rows(self, ids: Tensor) -> Float[Tensor, "*ids d"]:
        return self._word_embeddings[ids].to(torch.float32)
