"""The official files of multilingual-e5-small (intfloat, Hugging Face): model.safetensors with the tensors of
transformers' BertModel in float32, and tokenizer.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from tokenizers import Encoding
from torch import Tensor

from lumora.text_encoder.encoder import CONTEXT_DIM, read_tokenizer, unread_end

WEIGHTS_FILE, TOKENIZER_FILE = "model.safetensors", "tokenizer.json"
OFFICIAL_SHA256 = {
    WEIGHTS_FILE: "1a55775f53449dac10a2bcbc312469fac40b96d53198c407081a831f81c98477",
    TOKENIZER_FILE: "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
}
"""Of the files of revision 614241f622f53c4eeff9890bdc4f31cfecc418b3."""
WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"
UNUSED = ("embeddings.position_ids", "pooler.")


class OfficialFiles:
    """The two files in one folder. Raises ValueError if one is missing or has another layout."""

    def __init__(self, folder: Path) -> None:
        path = folder / WEIGHTS_FILE
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

    def weights(self) -> dict[str, Tensor]:
        """By BERT's names, without the word embeddings."""
        return {name: self._tensors.get_tensor(name) for name in self._names}

    def embedding_rows(self, ids: Tensor) -> Float[Tensor, "*ids d"]:
        return self._word_embeddings[ids].to(torch.float32)


class PrefixedTokenizer:
    """tokenizer.json, with a prefix before every text."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._tokenizer, self._prefix = read_tokenizer(folder), prefix

    def encode_batch(self, texts: Sequence[str], /) -> list[Encoding]:
        return self._tokenizer.encode_batch([self._prefix + text for text in texts])

    def unread(self, text: str) -> str:
        return unread_end(self._tokenizer, self._prefix + text)

    def get_vocab(self) -> dict[str, int]:
        """The number of each piece."""
        return self._tokenizer.get_vocab()
