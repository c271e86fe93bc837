"""The files of a model: `model.json` (ModelConfig), and the weights of its two networks as safetensors."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lumora.config import ModelConfig, from_json

DEFAULT_FOLDER = Path(__file__).parents[2] / "weights"


def model_folder(folder: Path | None = None) -> Path:
    """`folder`, by default that of the model which comes with lumora."""
    return folder or DEFAULT_FOLDER


def read_config(folder: Path | None = None) -> ModelConfig:
    """The configuration of a model. Raises ValueError if there is none."""
    file = model_folder(folder) / "model.json"
    if not file.is_file():
        raise ValueError(f"There is no model in {file.parent}: its model.json is missing.")
    return from_json(ModelConfig, file.read_text())


def model_hash(folder: Path | None = None) -> str:
    """SHA-256 of all files that decide what a model makes. Raises ValueError if one is missing."""
    digest = hashlib.sha256()
    for name in ("model.json", "codec.safetensors", "transformer.safetensors"):
        path = model_folder(folder) / name
        if not path.is_file():
            raise ValueError(f"The model's file {path} is missing.")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
