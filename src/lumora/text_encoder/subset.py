"""A small copy of the text encoder for the words of a world alone, to carry where little can be carried.

Matrices have 8-bit rows, each with a scale; words that are not among the kept ones share the row of [UNK]. 12 MB
instead of 91, and embeddings differ by some percent: fit to make training data with, not to ship.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

SMALL = "small.safetensors"
WORDS = "embeddings.word_embeddings.weight"
SPECIAL = ("[UNK]", "[CLS]", "[SEP]")
VOCABULARY = 30_522


def write_small(source: Path, destination: Path, texts: Iterable[str]) -> None:
    """A copy of the encoder in `source` to a new folder, with the words that occur in `texts`."""
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    vocabulary = tokenizer.get_vocab()
    known = {vocabulary[token] for token in SPECIAL}
    for encoding in tokenizer.encode_batch(list(texts)):
        known.update(encoding.ids)
    kept = torch.tensor(sorted(known))
    weights = {name: w for name, w in load_file(source / "model.safetensors").items() if w.is_floating_point()}
    weights[WORDS] = weights[WORDS][kept]
    small = {"kept": kept, "unknown": torch.tensor(vocabulary[SPECIAL[0]])}
    for name, weight in weights.items():
        small |= _eighth(name, weight) if weight.ndim == 2 else {name: weight}
    destination.mkdir(parents=True, exist_ok=True)
    save_file(small, destination / SMALL)
    (destination / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())


def read_small(folder: Path) -> dict[str, Tensor]:
    """The encoder's weights, of the usual shapes. Raises ValueError for a file that `write_small` did not write."""
    small = load_file(folder / SMALL)
    try:
        kept, unknown = small.pop("kept"), small.pop("unknown")
        scales = {name.removesuffix(".scale"): small.pop(name) for name in list(small) if name.endswith(".scale")}
        weights = {name: w.float() * scales[name] if name in scales else w for name, w in small.items()}
        row = int((kept == unknown).nonzero())
        words = weights[WORDS][row].repeat(VOCABULARY, 1)
        words[kept] = weights[WORDS]
    except KeyError as error:
        raise ValueError(f"{folder / SMALL} lacks {error}; write it again.") from error
    return weights | {WORDS: words}


def _eighth(name: str, weight: Tensor) -> dict[str, Tensor]:
    scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / 127
    return {name: (weight / scale).round().to(torch.int8), f"{name}.scale": scale}
