"""The catalogue of open-weight models: `catalog.toml`, and what is known of a folder that is not in it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from lumora.backends.base import Task
from lumora.backends.diffusers.families import FAMILIES, Family, family_of
from lumora.config import Resolution, from_dict

UNKNOWN_LICENSE = "Unknown: read the licence of the weights before you use them."


@dataclass(frozen=True)
class HubFile:
    """A file of another repository that a model needs beside its own."""

    hub_id: str
    name: str
    revision: str
    """A commit."""


@dataclass(frozen=True)
class CatalogEntry:
    """A model, what it makes by default, and what it needs."""

    name: str
    title: str
    hub_id: str
    family: str
    license: str
    """One sentence, with the territory if it is limited."""
    size: str
    """Width x height."""
    num_frames: int
    """Frames that it was trained on: the most of one window."""
    fps: float
    num_inference_steps: int
    guidance_scale: float
    revision: str | None = None
    """A commit; None: the one that "main" was when it was pulled first."""
    guidance_scale_2: float | None = None
    """Of the second transformer, where there are two."""
    download_gb: float = 0.0
    parameters: Mapping[str, float] = field(default_factory=dict)
    """Billions of parameters of each large part, for the memory plan."""
    noise_levels: tuple[float, ...] = ()
    """Of the steps of a model that was distilled to a few; empty: the scheduler in its folder decides."""
    adds_noise: bool = False
    """Whether each of these steps noises its clean prediction anew."""
    loras: tuple[HubFile, ...] = ()
    """LoRA files that belong to the model, each with strength 1."""
    transformer_file: HubFile | None = None
    """Weights of the transformer and the VAE, in the format of their authors, that replace those in the folder."""

    @property
    def extra_files(self) -> tuple[HubFile, ...]:
        return (*self.loras, *([self.transformer_file] if self.transformer_file else ()))

    @property
    def resolution(self) -> Resolution:
        return Resolution.parse(self.size)

    @property
    def calls(self) -> Family:
        """The family by which it is called."""
        return FAMILIES[self.family]


@cache
def catalog() -> Mapping[str, CatalogEntry]:
    """All entries by name, in the order of the file."""
    data = tomllib.loads((files("lumora.backends.diffusers") / "catalog.toml").read_text("utf-8"))
    return {entry.name: entry for entry in map(_entry, data["model"])}


def find_entry(name: str) -> CatalogEntry | None:
    """The entry with this name or hub id."""
    return catalog().get(name) or next((entry for entry in catalog().values() if entry.hub_id == name), None)


def models_for(task: Task) -> list[str]:
    """Names of the models of the catalogue that can do a task."""
    return [entry.name for entry in catalog().values() if task in entry.calls.tasks]


def entry_of_folder(folder: Path, hub_id: str = "") -> CatalogEntry:
    """What is known of the pipeline in a folder: the entry of its hub id, else the defaults of its family.

    Raises ValueError, in one sentence, if the folder has no pipeline that lumora can run.
    """
    known = find_entry(hub_id) if hub_id else None
    family = read_family(folder)
    if known is not None and known.family == family.name:
        return known
    like = next(entry for entry in catalog().values() if entry.family == _defaults_of(family))
    return replace(
        like,
        name=hub_id or folder.name,
        title=hub_id or str(folder),
        hub_id=hub_id,
        family=family.name,
        license=UNKNOWN_LICENSE,
        revision=None,
        download_gb=0.0,
        parameters={},
        noise_levels=(),
        adds_noise=False,
        loras=(),
        transformer_file=None,
    )


def read_family(folder: Path) -> Family:
    """The family of the pipeline in a folder. Raises ValueError, in one sentence, if there is none."""
    index = _read_json(folder / "model_index.json")
    config = folder / "transformer" / "config.json"
    return family_of(index, _read_json(config) if config.is_file() else {})


def _defaults_of(family: Family) -> str:
    """The family of the catalogue's model whose defaults a family without a model in it takes."""
    return {"wan-image": "wan", "wan-first-last": "wan", "ltx": "ltx-condition"}.get(family.name, family.name)


def _entry(data: Mapping[str, Any]) -> CatalogEntry:
    parameters = {name: float(count) for name, count in data.get("parameters", {}).items()}
    file = data.get("transformer_file")
    parts: dict[str, Any] = {
        "parameters": parameters,
        "noise_levels": tuple(map(float, data.get("noise_levels", ()))),
        "loras": tuple(from_dict(HubFile, lora) for lora in data.get("loras", ())),
        "transformer_file": from_dict(HubFile, file) if file else None,
    }
    return CatalogEntry(**{**data, **parts})


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{file.parent} is not a model: its {file.name} is missing.") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{file} cannot be read: {error}.") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file} is not the description of a model.")
    return content
