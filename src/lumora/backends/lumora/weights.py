"""The files of a model: `model.json` (ModelConfig), and the weights of its two networks as safetensors."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import SafetensorError, safe_open

from lumora.config import ModelConfig, from_json
from lumora.diffusion.defaults import FEW_STEPS

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


def read_few_steps(folder: Path | None = None) -> int:
    """The number of steps that the few-step adapters of a model are for; 0 if it has none.

    Raises ValueError for a broken file.
    """
    file = model_folder(folder) / FEW_STEPS
    if not file.is_file():
        return 0
    try:
        with safe_open(file, "np") as content:
            return int(content.metadata()["num_inference_steps"])
    except (SafetensorError, TypeError, KeyError, ValueError):
        raise ValueError(f"{file} does not hold few-step adapters.") from None


def model_files(folder: Path | None = None) -> list[Path]:
    """All files that decide what a model makes. Raises ValueError if one is missing."""
    networks = ["codec", *read_config(folder).transformers()]
    files = [model_folder(folder) / name for name in ("model.json", *(f"{name}.safetensors" for name in networks))]
    for file in files:
        if not file.is_file():
            raise ValueError(f"The model's file {file} is missing.")
    few_steps = model_folder(folder) / FEW_STEPS
    return [*files, few_steps] if few_steps.exists() else files


def model_hash(folder: Path | None = None) -> str:
    """SHA-256 of all files that decide what a model makes. Raises ValueError if one is missing."""
    digest = hashlib.sha256()
    for path in model_files(folder):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
