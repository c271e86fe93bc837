"""The files that make a model: `model.json` (ModelConfig) and the weights of its two networks as safetensors."""

from __future__ import annotations

from pathlib import Path

from lumora.config import ModelConfig, from_json

DEFAULT_FOLDER = Path(__file__).parents[2] / "weights"


def model_folder(folder: Path | None = None) -> Path:
    """`folder`, else that of the model which comes with lumora."""
    return folder or DEFAULT_FOLDER


def read_config(folder: Path | None = None) -> ModelConfig:
    """The configuration of the model in `folder`, else of the default one; raises ValueError where there is none."""
    file = model_folder(folder) / "model.json"
    if not file.is_file():
        raise ValueError(f"There is no model in {file.parent}: its model.json is missing.")
    return from_json(ModelConfig, file.read_text())
