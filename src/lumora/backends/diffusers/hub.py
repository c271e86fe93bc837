"""Models of the hub in its cache on this machine. What is downloaded is safetensors, JSON and tokenizers; no code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Snapshot:
    """A revision of a repository on this machine."""

    hub_id: str
    commit: str
    folder: Path


def find_snapshot(hub_id: str, revision: str | None = None) -> Snapshot | None:
    """The files of a revision ("main" by default) in the cache; None if they were not downloaded."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub_id, "model_index.json", revision=revision or "main")
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    return Snapshot(hub_id, folder.name, folder)
