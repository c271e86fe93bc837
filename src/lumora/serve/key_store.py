"""API keys: created, listed, revoked and recognized. Only their hashes are stored.

A key is `lumora_<id>_<secret>`. The id finds the row; the secret has 256 random bits, so a plain SHA-256 of it is safe
to store.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, insert, select, update

from lumora.serve.api_key import SCOPES, ApiKey, Scope
from lumora.serve.database import keys
from lumora.serve.settings import ServeSettings

DEFAULT_SCOPES: tuple[Scope, ...] = ("create", "read")
MAX_NAME_CHARACTERS = 100
_PREFIX = "lumora"
_NO_HASH = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class KeyRecord:
    """What may be shown of a key."""

    id: str
    name: str
    prefix: str
    """Beginning of the key, to recognize it by."""
    scopes: tuple[Scope, ...]
    max_jobs: int | None
    """Most videos that may wait or be in progress at once; None for the server's limit."""
    created_at: int
    """Unix time, in seconds."""
    revoked_at: int | None


class KeyStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._exist = False

    def create(
        self, name: str, scopes: Collection[Scope] = DEFAULT_SCOPES, max_jobs: int | None = None
    ) -> tuple[KeyRecord, str]:
        """A new key: what may be shown of it, and the key itself, which cannot be read again.

        Raises ValueError, in one sentence, for a bad name, scope or limit.
        """
        if not name.strip() or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
            raise ValueError(f"A key's name has 1 to {MAX_NAME_CHARACTERS} printable characters.")
        if not scopes or set(scopes) - set(SCOPES):
            raise ValueError(f"A key has one or more of the scopes {', '.join(SCOPES)}.")
        if max_jobs is not None and max_jobs < 1:
            raise ValueError(f"A key must allow at least one job, not {max_jobs}.")
        key_id, secret = f"key_{secrets.token_hex(8)}", secrets.token_urlsafe(32)
        key = KeyRecord(
            id=key_id,
            name=name.strip(),
            prefix=f"{_PREFIX}_{key_id.removeprefix('key_')}",
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            max_jobs=max_jobs,
            created_at=int(time.time()),
            revoked_at=None,
        )
        with self._engine.begin() as connection:
            row = {**vars(key), "scopes": list(key.scopes), "hash": _hash(secret)}
            connection.execute(insert(keys).values(row))
        return key, f"{key.prefix}_{secret}"

    def list(self) -> list[KeyRecord]:
        """All keys, also revoked ones, the oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(keys).order_by(keys.c.created_at, keys.c.id)).mappings()
            return [_record(row) for row in rows]

    def revoke(self, key_id: str) -> KeyRecord:
        """The key is refused from now on, and its sessions too. Raises ValueError for an unknown or revoked key."""
        with self._engine.begin() as connection:
            here = (keys.c.id == key_id) & keys.c.revoked_at.is_(None)
            if not connection.execute(update(keys).where(here).values(revoked_at=time.time())).rowcount:
                raise ValueError(f"There is no active key {key_id!r}; `lumora keys list` shows them.")
            return _record(connection.execute(select(keys).where(keys.c.id == key_id)).mappings().one())

    def exist(self) -> bool:
        """Whether a key was ever created: revoking the last one must not open the server to everybody."""
        if not self._exist:  # keys are never removed, so it stays true
            with self._engine.connect() as connection:
                self._exist = connection.execute(select(keys.c.id).limit(1)).first() is not None
        return self._exist

    def authenticate(self, token: str) -> ApiKey | None:
        """Who has this key; None for an unknown or revoked one."""
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        row = self._row(f"key_{key_id}")
        # Unknown keys are compared too, so that they take as long as known ones.
        is_right = hmac.compare_digest(_hash(secret), row["hash"] if row else _NO_HASH)
        return _active_key(row) if row and prefix == _PREFIX and is_right else None

    def active(self, key_id: str) -> ApiKey | None:
        """Who has the key of this id, which a session names; None for an unknown or revoked one."""
        row = self._row(key_id)
        return _active_key(row) if row else None

    def _row(self, key_id: str) -> Any:
        with self._engine.connect() as connection:
            query = select(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None))
            return connection.execute(query).mappings().first()


def check_address(settings: ServeSettings, store: KeyStore) -> None:
    """Raises ValueError, in one sentence, for an address that others can reach while no key exists."""
    if not settings.is_loopback and not store.exist():
        raise ValueError(
            f"Others can reach {settings.host}, and there are no keys; create one with `lumora keys create NAME`, "
            "or serve on 127.0.0.1."
        )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _active_key(row: Any) -> ApiKey:
    return ApiKey(row["id"], frozenset(row["scopes"]), row["max_jobs"])


def _record(row: Any) -> KeyRecord:
    return KeyRecord(
        id=row["id"],
        name=row["name"],
        prefix=row["prefix"],
        scopes=tuple(row["scopes"]),
        max_jobs=row["max_jobs"],
        created_at=int(row["created_at"]),
        revoked_at=None if row["revoked_at"] is None else int(row["revoked_at"]),
    )
