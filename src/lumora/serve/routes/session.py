"""`/v1/session`: the studio signs in with a key and gets a cookie that scripts cannot read."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from lumora.serve.api_key import ApiKey, Scope
from lumora.serve.bodies import body_of, openapi_body
from lumora.serve.context import Context
from lumora.serve.errors import ApiError
from lumora.serve.keys import Anyone
from lumora.serve.schemas import Strict
from lumora.serve.sessions import COOKIE, LIFETIME_SECONDS

router = APIRouter(prefix="/v1/session", tags=["session"])


class SignIn(Strict):
    key: Annotated[str, Field(min_length=1, max_length=200)]


class SessionObject(BaseModel):
    object: Literal["session"] = "session"
    key_id: str | None
    """None while the server is open."""
    scopes: list[Scope]
    max_jobs: int | None


class SessionDeleted(BaseModel):
    object: Literal["session.deleted"] = "session.deleted"
    deleted: Literal[True] = True


@router.post("", openapi_extra=openapi_body("SignIn"))
def sign_in(
    request: Request, response: Response, context: Context, body: Annotated[SignIn, body_of(SignIn)]
) -> SessionObject:
    """Sets the session cookie. Raises 401 for an unknown or revoked key."""
    key = context.access.keys.authenticate(body.key.strip())
    if key is None:
        raise ApiError(401, "This API key is unknown or revoked.")
    response.set_cookie(
        COOKIE,
        context.access.sessions.issue(key.id),
        max_age=LIFETIME_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return _session(key)


@router.get("")
def get_session(key: Anyone) -> SessionObject:
    """Who is signed in, and what the key may do."""
    return _session(key)


@router.delete("")
def sign_out(request: Request, response: Response) -> SessionDeleted:
    """Removes the cookie. Revoking the key ends all its sessions."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return SessionDeleted()


def _session(key: ApiKey) -> SessionObject:
    scopes: list[Scope] = sorted(key.scopes)
    return SessionObject(key_id=key.id or None, scopes=scopes, max_jobs=key.max_jobs)
