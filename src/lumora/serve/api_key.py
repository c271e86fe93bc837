"""`ApiKey`: who asks, and what may be seen and done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Scope: TypeAlias = Literal["create", "read", "review", "admin"]
"""What a key may do: make videos, read its own, review reports and appeals, or everything, for all keys."""
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True)
class ApiKey:
    """The key of a request. Without keys, on loopback, everyone is `OPEN`."""

    id: str
    """Owner of the objects that it makes; "" without keys."""
    scopes: frozenset[Scope]
    max_jobs: int | None = None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    def sees(self, owner: str) -> bool:
        return owner == self.id or "admin" in self.scopes


OPEN = ApiKey("", frozenset(SCOPES))
