"""From the name of a model to its backend: our own, one of the catalogue, a folder, or a repository of the hub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lumora.backends.base import Backend
from lumora.backends.lumora.backend import LumoraBackend
from lumora.backends.remote.remote_backend import RemoteBackend

DEFAULT_MODEL = "lumora"
"""The model that comes with lumora."""


def open_backend(
    model: str | Path | None = None,
    *,
    loras: Sequence[tuple[Path, float]] = (),
    device: str | None = None,
    memory: str | None = None,
    step_cache: float | None = None,
    num_gpus: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> Backend:
    """The backend of a model; nothing is loaded. `model` is a name of the catalogue, a folder, a hub id, or the address
    of another server (http:// or https://).

    `loras` are files with their strengths, `memory` is a level of `memory_planning`; for `step_cache` and `num_gpus`
    see `DiffusersBackend`. They are for open-weight models.
    Raises ValueError, in one sentence, if there is no such model here.
    """
    name = DEFAULT_MODEL if model is None else str(model)
    options: dict[str, Any] = {
        "device": device,
        "memory": memory,
        "step_cache": step_cache,
        "num_gpus": num_gpus,
        "say": say,
    }
    is_special = bool(loras) or step_cache is not None or num_gpus != 1
    if name == DEFAULT_MODEL and not Path(name).is_dir():
        folder = None
    elif (Path(name) / "model.json").is_file():
        folder = Path(name)
    elif name.startswith(("http://", "https://")):
        if is_special:
            raise ValueError(
                "Another server takes no LoRA files, step cache or number of GPUs; name a model on this machine."
            )
        return RemoteBackend(name)
    else:
        return _open_weights(name, loras, options)
    if is_special:
        raise ValueError(
            "lumora's own model takes no LoRA files, step cache or number of GPUs; name another one with --model."
        )
    return LumoraBackend(folder, device)


def _open_weights(
    name: str,
    loras: Sequence[tuple[Path, float]],
    options: dict[str, Any],
) -> Backend:
    from lumora.backends.diffusers.catalog import catalog, entry_of_folder, find_entry
    from lumora.backends.diffusers.diffusers_backend import DiffusersBackend
    from lumora.backends.diffusers.lora import LoraFile
    from lumora.backends.diffusers.memory_planning import CHOICES

    memory = options["memory"]
    if memory is not None and memory not in CHOICES:
        raise ValueError(f"A memory plan is one of {', '.join(CHOICES)}, not {memory!r}.")
    options = {**options, "loras": [LoraFile(path, strength) for path, strength in loras]}
    if Path(name).is_dir():
        folder = Path(name)
        if not (folder / "model_index.json").is_file():
            raise ValueError(f"There is no model in {folder}: it has neither model.json nor model_index.json.")
        return DiffusersBackend(entry_of_folder(folder), folder, **options)
    entry = find_entry(name)
    if entry is None and name.count("/") != 1:
        close = get_close_matches(name, [DEFAULT_MODEL, *catalog()], 1)
        meant = f"; did you mean {close[0]}?" if close else "."
        raise ValueError(f"There is no model {name!r}{meant} `lumora models list` shows them.")
    from lumora.backends.diffusers.hub import find_file, find_model, find_snapshot

    snapshot = find_model(entry) if entry else find_snapshot(name)
    extra = [find_file(file) for file in entry.extra_files] if entry else []
    if snapshot is None or None in extra:
        raise ValueError(f"The model {name} is not on this machine; run `lumora models pull {name}`.")
    entry = entry or entry_of_folder(snapshot.folder, name)
    if entry.extra_files:
        files = [file for file in extra if file is not None]
        options["transformer_file"] = files.pop() if entry.transformer_file else None
        options["loras"] = [*map(LoraFile, files), *options["loras"]]
    return DiffusersBackend(entry, snapshot.folder, snapshot.commit, **options)
