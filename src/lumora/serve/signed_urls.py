"""Signed URLs that expire: a browser's `<video>` and `<img>` send no Authorization header.

Whoever has such a URL can read that one file until it expires. Every process signs with a random key of its own until
it is given the server's (`use_secret`).
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import time
from urllib.parse import parse_qsl, urlencode

LIFETIME_SECONDS = 6 * 3600
ROUNDING_SECONDS = 3600
"""Expiry is rounded up to a multiple of this, so that a resource keeps its URL, and browsers their cache, that long."""
_key = secrets.token_bytes(32)
EXPIRES, SIGNATURE = "expires", "signature"


def use_secret(secret: bytes) -> None:
    """Signs with the server's secret, so that URLs stay valid when the process is started again."""
    global _key
    _key = hmac.digest(secret, b"signed-url", hashlib.sha256)


def signed_url(path: str, **query: str) -> str:
    """The relative URL of `path` with a query, which can be read without a key until it expires."""
    expires = math.ceil((time.time() + LIFETIME_SECONDS) / ROUNDING_SECONDS) * ROUNDING_SECONDS
    signature = _signature(path, list(query.items()), str(expires))
    return f"{path}?{urlencode([*query.items(), (EXPIRES, expires), (SIGNATURE, signature)])}"


def is_signed(path: str, query: str) -> bool:
    """Whether a request's path and query were signed here and have not expired."""
    parameters = parse_qsl(query, keep_blank_values=True)
    signed = [(name, value) for name, value in parameters if name not in (EXPIRES, SIGNATURE)]
    expires = [value for name, value in parameters if name == EXPIRES]
    signatures = [value for name, value in parameters if name == SIGNATURE]
    if len(expires) != 1 or len(signatures) != 1:
        return False
    expected = _signature(path, signed, expires[0])
    # The number is parsed only if it was written here.
    return hmac.compare_digest(expected.encode(), signatures[0].encode()) and int(expires[0]) >= time.time()


def _signature(path: str, query: list[tuple[str, str]], expires: str) -> str:
    message = "\n".join((path, urlencode(sorted(query)), expires))
    return hmac.new(_key, message.encode(), hashlib.sha256).hexdigest()
