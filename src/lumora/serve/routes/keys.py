"""`/v1/keys`: API keys, for the scope admin."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lumora.serve.api_key import Scope
from lumora.serve.bodies import body_of, openapi_body
from lumora.serve.context import Context
from lumora.serve.errors import ApiError, not_found
from lumora.serve.key_store import DEFAULT_SCOPES, MAX_NAME_CHARACTERS, KeyRecord
from lumora.serve.keys import Admin
from lumora.serve.schemas import Strict

router = APIRouter(prefix="/v1/keys", tags=["keys"])


class KeyCreate(Strict):
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=10)] = DEFAULT_SCOPES
    max_jobs: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class KeyObject(BaseModel):
    id: str
    object: Literal["api_key"] = "api_key"
    name: str
    prefix: str
    scopes: list[Scope]
    max_jobs: int | None
    created_at: int
    revoked_at: int | None


class KeyWithSecret(KeyObject):
    key: str
    """Shown only here."""


class KeyList(BaseModel):
    object: Literal["list"] = "list"
    data: list[KeyObject]


class KeyRevoked(BaseModel):
    id: str
    object: Literal["api_key.deleted"] = "api_key.deleted"
    deleted: Literal[True] = True


@router.get("")
def list_keys(context: Context, key: Admin) -> KeyList:
    """All keys, also revoked ones."""
    return KeyList(data=[KeyObject(**_fields(record)) for record in context.access.keys.list()])


@router.post("", openapi_extra=openapi_body("KeyCreate"))
def create_key(context: Context, key: Admin, body: Annotated[KeyCreate, body_of(KeyCreate)]) -> KeyWithSecret:
    """A new key. The answer holds the key itself, which is shown only once."""
    try:
        record, secret = context.access.keys.create(body.name, body.scopes, body.max_jobs)
    except ValueError as error:
        raise ApiError(400, str(error)) from None
    return KeyWithSecret(**_fields(record), key=secret)


@router.delete("/{key_id}")
def revoke_key(key_id: str, context: Context, key: Admin) -> KeyRevoked:
    """Refuses a key and its sessions from now on. What was made with it stays."""
    try:
        context.access.keys.revoke(key_id)
    except ValueError:
        raise not_found("active key", key_id) from None
    return KeyRevoked(id=key_id)


def _fields(record: KeyRecord) -> dict[str, Any]:
    return {**vars(record), "scopes": list(record.scopes)}
