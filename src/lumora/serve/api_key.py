"""`ApiKey`: who asks, and what may be seen and done."""

from __future__ import annotations

from dataclasses import dataclass

SCOPES = ("create", "read", "review", "admin")


@dataclass(frozen=True)
class ApiKey:
    """The key of a request. Without keys, on loopback, everyone is `OPEN`."""

    id: str
    """Owner of the objects that it makes; "" without keys."""
    scopes: frozenset[str]
    max_jobs: int | None = None

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    def sees(self, owner: str) -> bool:
        return owner == self.id or "admin" in self.scopes


OPEN = ApiKey("", frozenset(SCOPES))
