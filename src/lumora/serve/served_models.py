"""The models of a server by the names under which clients ask for them. A worker holds one of them in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lumora.backends.base import Backend

DEFAULT_NAME = "lumora"
"""The name of the model that comes with lumora, and of another one of its kind in a folder."""
MODEL_ALIASES = ("sora-2", "sora-2-pro")
"""Models of the clients that this API was written for; they are answered by the first model of the server."""


def served_name(model: str) -> str:
    """The name of a model that is given as a name, a folder, a repository or the address of another server."""
    if model.startswith(("http://", "https://")):
        return model.partition("#")[2] or "remote"
    if Path(model).is_dir():
        return DEFAULT_NAME if (Path(model) / "model.json").is_file() else Path(model).name
    return model


class ServedModels:
    """Backends, opened when they are first asked for; nothing is loaded before they run."""

    def __init__(self, models: Sequence[str], num_gpus: int = 1) -> None:
        """`num_gpus` make a video together. Raises ValueError if two models have one name."""
        self._models = {served_name(model): model for model in models} or {DEFAULT_NAME: DEFAULT_NAME}
        if len(self._models) < len(models):
            raise ValueError("Two models of this server have the same name; rename a folder.")
        self._num_gpus = num_gpus
        self._backends: dict[str, Backend] = {}
        self._taken: str | None = None

    @property
    def names(self) -> list[str]:
        """The first one is the default."""
        return list(self._models)

    def resolve(self, name: str | None) -> str:
        """The model that a client means. Raises KeyError for one that is not served."""
        if name is None or name in MODEL_ALIASES:
            return self.names[0]
        if name not in self._models:
            raise KeyError(name)
        return name

    def backend(self, name: str = "") -> Backend:
        """The backend of a name, "" for the default. Raises ValueError, in one sentence, if it is not here."""
        from lumora.backends.model_selection import open_backend

        name = name or self.names[0]
        if name not in self._models:
            raise ValueError(f"This server has no model {name!r} any more.")
        if name not in self._backends:
            self._backends[name] = open_backend(self._models[name], num_gpus=self._num_gpus)
        return self._backends[name]

    def take(self, name: str = "") -> Backend:
        """As `backend`, after the model that was taken before has given its memory back."""
        name = name or self.names[0]
        if self._taken not in (None, name):
            self.backend(self._taken or "").unload()
        self._taken = name
        return self.backend(name)

    @property
    def show_people(self) -> bool:
        """Whether one of the models can show people."""
        return any(self.backend(name).capabilities().shows_people for name in self.names)
