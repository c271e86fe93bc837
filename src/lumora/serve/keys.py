"""Types of a route's parameters that receive who asks, and refuse who may not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from lumora.serve.api_key import ApiKey, Scope
from lumora.serve.context import server_context
from lumora.serve.errors import ApiError


def current_key(request: Request) -> ApiKey:
    """Who sent this request. Raises ApiError 401 without a valid key or session."""
    return server_context(request).access.key(request)


def requires(scope: Scope) -> Callable[[ApiKey], Awaitable[ApiKey]]:
    """A dependency: the current key, which must have the scope. Raises ApiError 403 otherwise."""

    async def checked(key: Annotated[ApiKey, Depends(current_key)]) -> ApiKey:
        return _with_scope(key, scope)

    return checked


def _with_scope(key: ApiKey, scope: Scope) -> ApiKey:
    if not key.may(scope):
        raise ApiError(403, f"This key lacks the scope {scope!r}.")
    return key


def media_key(request: Request) -> ApiKey:
    """Who asks for a file. Whoever has a signed URL may read the one file that its path names."""
    if server_context(request).access.has_signed_url(request):
        return SIGNED_URL
    return _with_scope(current_key(request), "read")


SIGNED_URL = ApiKey("", frozenset({"admin"}))
"""Sees everything: the signature covers the path, so this is one file."""

Anyone = Annotated[ApiKey, Depends(current_key)]
Reader = Annotated[ApiKey, Depends(requires("read"))]
Creator = Annotated[ApiKey, Depends(requires("create"))]
Reviewer = Annotated[ApiKey, Depends(requires("review"))]
Admin = Annotated[ApiKey, Depends(requires("admin"))]
MediaReader = Annotated[ApiKey, Depends(media_key)]
