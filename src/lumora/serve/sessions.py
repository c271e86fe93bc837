"""The studio's session: a signed cookie that names an API key, and the origin check that such a cookie needs.

The cookie holds no secret of the key. It is valid until it expires or the key is revoked.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

COOKIE = "lumora_session"
LIFETIME_SECONDS = 7 * 24 * 3600
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OWN_HEADER = "x-lumora"
"""A header that a page of another origin cannot send without permission (CORS), which is never given."""
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class SessionSigner:
    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"session", hashlib.sha256)

    def issue(self, key_id: str, now: float | None = None) -> str:
        """The value of the cookie for a key."""
        expires = int((time.time() if now is None else now) + LIFETIME_SECONDS)
        return f"{key_id}.{expires}.{self._signature(key_id, str(expires))}"

    def key_id(self, cookie: str, now: float | None = None) -> str | None:
        """The key that a cookie names; None if the cookie was not issued here or has expired."""
        parts = cookie.split(".")
        if len(parts) != 3:
            return None
        key_id, expires, signature = parts
        if not hmac.compare_digest(self._signature(key_id, expires).encode(), signature.encode()):
            return None
        return key_id if int(expires) >= (time.time() if now is None else now) else None

    def _signature(self, key_id: str, expires: str) -> str:
        return hmac.new(self._key, f"{key_id}\n{expires}".encode(), hashlib.sha256).hexdigest()


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a request with a cookie was sent by a page of this server.

    Browsers set `Sec-Fetch-Site`, and pages cannot change it. Programs prove it by the header `X-Lumora: 1`.
    """
    return headers.get("sec-fetch-site") == "same-origin" or headers.get(OWN_HEADER) == "1"


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a browser sent the request for a page of another origin. Programs such as SDKs send neither header."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def is_loopback_name(host: str) -> bool:
    """Whether a Host header names this machine: another name that resolves to loopback is DNS rebinding."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name in LOOPBACK_NAMES
