"""`lumora keys`: API keys of `lumora serve`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from lumora.cli.flags import File, Text, WholeNumber
from lumora.terminal import say

if TYPE_CHECKING:
    from lumora.serve.key_store import KeyStore


@dataclass(frozen=True, kw_only=True)
class _Keys:
    data_dir: Annotated[File, arg(help_behavior_hint="(default: serve in the state folder)")] = None
    """Folder of the server's database."""
    database_url: Annotated[Text, arg(help_behavior_hint="(default: SQLite in the data folder)")] = None
    """The server's PostgreSQL database, as postgresql://user:password@host/name."""

    def store(self) -> KeyStore:
        from lumora.provenance.keystore import state_folder
        from lumora.serve.database import create_tables, make_engine
        from lumora.serve.key_store import KeyStore
        from lumora.serve.settings import ServeSettings

        data_dir = Path(self.data_dir or state_folder() / "serve").absolute()
        settings = ServeSettings(str(data_dir), database_url=self.database_url)
        create_tables(settings)
        return KeyStore(make_engine(settings))


@dataclass(frozen=True, kw_only=True)
class KeysCreate(_Keys):
    """Create an API key and print it; it cannot be read again. From then on the server needs keys."""

    name: Annotated[Positional[str], arg(metavar="NAME")]
    """Who or what uses the key."""
    scopes: tuple[Literal["create", "read", "review", "admin"], ...] = ("create", "read")
    """What it may do: create videos, read its own, review reports and appeals; admin: everything, for all keys."""
    max_jobs: WholeNumber = None
    """Most jobs of the key that wait or run (default: the server's limit)."""

    def run(self) -> None:
        record, key = self.store().create(self.name, self.scopes, self.max_jobs)
        say(f"{record.id}, scopes {', '.join(record.scopes)}. Keep this key; only its hash is stored:", key)


@dataclass(frozen=True, kw_only=True)
class KeysList(_Keys):
    """List the API keys, without their secrets."""

    def run(self) -> None:
        for key in self.store().list():
            state = "active" if key.revoked_at is None else f"revoked on {_day(key.revoked_at)}"
            most = "" if key.max_jobs is None else f", at most {key.max_jobs} jobs"
            scopes = ", ".join(key.scopes)
            say(f"{key.id}  {key.prefix}_…  {scopes}{most}  {_day(key.created_at)}  {state}  {key.name}")


@dataclass(frozen=True, kw_only=True)
class KeysRevoke(_Keys):
    """Refuse an API key and its sessions from now on; what was made with it stays."""

    key_id: Annotated[Positional[str], arg(metavar="ID")]
    """As `lumora keys list` shows it."""

    def run(self) -> None:
        say(f"{self.store().revoke(self.key_id).id} is revoked.")


def _day(unix_time: int) -> str:
    return datetime.fromtimestamp(unix_time, UTC).strftime("%Y-%m-%d")
