"""Who asks: the key of a request and what it may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from lumora.serve.api_key import OPEN, ApiKey
from lumora.serve.errors import ApiError


def current_key(request: Request) -> ApiKey:
    """The key of this request. Raises 401 for a missing or wrong one."""
    return OPEN


def requires(scope: str) -> Callable[..., ApiKey]:
    """A dependency: the current key, which must have `scope`. Raises 403 otherwise."""

    def checked(key: Annotated[ApiKey, Depends(current_key)]) -> ApiKey:
        if not key.may(scope):
            raise ApiError(403, f"This key lacks the scope {scope!r}.")
        return key

    return checked


Reader = Annotated[ApiKey, Depends(requires("read"))]
Creator = Annotated[ApiKey, Depends(requires("create"))]
Reviewer = Annotated[ApiKey, Depends(requires("review"))]
Admin = Annotated[ApiKey, Depends(requires("admin"))]
