"""The red team's tables of prompts that are written by hand."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any


def read_table(name: str) -> dict[str, Any]:
    """The content of the file `name`, a .toml of this package."""
    return tomllib.loads((files("lumora.redteam") / name).read_text("utf-8"))
