"""A small copy of the text encoder for a limited vocabulary: 12 MB instead of 91.

Matrices are quantized to 8 bits with a scale for each row, and words that are left out share the embedding of [UNK].
Embeddings differ by a few percent from the original's. It is meant for making training data, not for generation.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

SMALL = "small.safetensors"
WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"
SPECIAL = ("[UNK]", "[CLS]", "[SEP]")
VOCABULARY = 30_522


def write_small(source: Path, destination: Path, texts: Iterable[str]) -> None:
    """Writes a small copy of the encoder in `source` to the folder `destination`, with the words in `texts`."""
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    vocabulary = tokenizer.get_vocab()
    known = {vocabulary[token] for token in SPECIAL}
    for encoding in tokenizer.encode_batch(list(texts)):
        known.update(encoding.ids)
    kept = torch.tensor(sorted(known))
    weights = {name: w for name, w in load_file(source / "model.safetensors").items() if w.is_floating_point()}
    weights[WORD_EMBEDDINGS] = weights[WORD_EMBEDDINGS][kept]
    small = {"kept": kept, "unknown": torch.tensor(vocabulary[SPECIAL[0]])}
    for name, weight in weights.items():
        small |= _quantize(name, weight) if weight.ndim == 2 else {name: weight}
    destination.mkdir(parents=True, exist_ok=True)
    save_file(small, destination / SMALL)
    (destination / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())


def read_small(folder: Path) -> dict[str, Tensor]:
    """The encoder's weights in their original shapes. Raises ValueError for a file that `write_small` did not write."""
    small = load_file(folder / SMALL)
    try:
        kept, unknown = small.pop("kept"), small.pop("unknown")
        scales = {name.removesuffix(".scale"): small.pop(name) for name in list(small) if name.endswith(".scale")}
        weights = {name: w.float() * scales[name] if name in scales else w for name, w in small.items()}
        row = int((kept == unknown).nonzero())
        words = weights[WORD_EMBEDDINGS][row].repeat(VOCABULARY, 1)
        words[kept] = weights[WORD_EMBEDDINGS]
    except KeyError as error:
        raise ValueError(f"{folder / SMALL} lacks {error}; create it again with write_small.") from error
    return weights | {WORD_EMBEDDINGS: words}


def _quantize(name: str, weight: Tensor) -> dict[str, Tensor]:
    """The matrix as int8 with a scale for each row."""
    scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / 127
    return {name: (weight / scale).round().to(torch.int8), f"{name}.scale": scale}
