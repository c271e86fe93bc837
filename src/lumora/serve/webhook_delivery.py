"""One signed HTTP POST to an address of a client, after Standard Webhooks, and never to a private network.

The name is resolved once, every address that it has is checked, and the connection is made to a checked address, so
that a name that resolves differently the second time (DNS rebinding) gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import ipaddress
import secrets
import socket
import ssl
import threading
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from urllib.parse import SplitResult, urlsplit

SECRET_PREFIX = "whsec_"
MAX_URL_CHARACTERS = 2_000
TIMEOUT_SECONDS = 10.0
"""Of one delivery, from the connection to the status line."""
_TRANSLATED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
"""IPv6 addresses that stand for IPv4 addresses, perhaps private ones: NAT64, 6to4, Teredo."""


class DeliveryError(Exception):
    """The address cannot be reached or must not be. The message is one sentence."""


def new_signing_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, event_id: str, timestamp: int, body: str) -> str:
    """The value of `webhook-signature`: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.digest(key, f"{event_id}.{timestamp}.{body}".encode(), hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def signed_headers(signing_secrets: Sequence[str], event_id: str, timestamp: int, body: str) -> dict[str, str]:
    """The headers of a delivery, signed with each secret: while a secret is replaced, two are valid."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "lumora",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, event_id, timestamp, body) for secret in signing_secrets),
    }


def checked_url(url: str, allow_private: bool) -> SplitResult:
    """The parts of an address. Raises ValueError, in one sentence, for one that cannot be delivered to."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("The url is not an address.") from None
    schemes = ("https", "http") if allow_private else ("https",)
    if len(url) > MAX_URL_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"A url has at most {MAX_URL_CHARACTERS:,} ASCII characters and no spaces.")
    if parts.scheme not in schemes or not host:
        raise ValueError(f"A url begins with {' or '.join(f'{scheme}://' for scheme in schemes)} and names a host.")
    if parts.username is not None or parts.password is not None:
        raise ValueError("A url holds no user name and password.")
    return parts


def post(url: str, body: str, headers: dict[str, str], allow_private: bool = False) -> int:
    """Sends the body and returns the status of the answer. Raises DeliveryError."""
    try:
        parts = checked_url(url, allow_private)
    except ValueError as error:
        raise DeliveryError(str(error)) from None
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _public_address(host, port, allow_private)
    connection = HTTPConnection(host, port)
    try:
        with contextlib.ExitStack() as stack:
            connection.sock = stack.enter_context(socket.create_connection((address, port), TIMEOUT_SECONDS))
            # Each read may take the time-out again: this ends a server that sends a byte from time to time.
            watchdog = threading.Timer(TIMEOUT_SECONDS, _shut_down, [connection.sock])
            watchdog.daemon = True
            watchdog.start()
            stack.callback(watchdog.cancel)
            if parts.scheme == "https":
                context = ssl.create_default_context()
                connection.sock = stack.enter_context(context.wrap_socket(connection.sock, server_hostname=host))
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body.encode(), headers)
            return connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise DeliveryError(f"{host} cannot be reached: {str(error) or type(error).__name__}.") from None


def _public_address(host: str, port: int, allow_private: bool) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise DeliveryError(f"There is no host {host}.") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and not all(map(is_public, addresses)):
        raise DeliveryError(f"{host} is in a private network; nothing is delivered there.")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet: not to this machine, a private or a special network."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if any(ip in network for network in _TRANSLATED):
            return False
    return ip.is_global and not ip.is_multicast


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
