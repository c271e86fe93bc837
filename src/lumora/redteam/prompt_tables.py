"""The red team's sentences that are written by hand, tables beside the code that sends them."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any


def read_table(table: str) -> dict[str, Any]:
    """What `table`, a .toml of this package, says."""
    return tomllib.loads((files("lumora.redteam") / table).read_text("utf-8"))
