"""Who sends a request, an API key, the studio's session or everyone while the server is open; and from which origin."""

from __future__ import annotations

import secrets

from fastapi import Request
from sqlalchemy import Engine
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ConnectionScope

from lumora.provenance.keystore import stored_secret
from lumora.serve.api_key import OPEN, ApiKey
from lumora.serve.errors import ApiError
from lumora.serve.key_store import KeyStore
from lumora.serve.sessions import COOKIE, SAFE_METHODS, SessionSigner, is_foreign, is_loopback_name, is_same_origin
from lumora.serve.settings import ServeSettings
from lumora.serve.signed_urls import SIGNATURE, is_signed, use_secret


class Access:
    """Recognizes who sends requests."""

    def __init__(self, engine: Engine, settings: ServeSettings) -> None:
        self.keys = KeyStore(engine)
        self._may_be_open = settings.open_access and settings.is_loopback
        secret = stored_secret(settings.folder / "serve.key", new_secret)
        self.sessions = SessionSigner(secret)
        use_secret(secret)

    @property
    def is_open(self) -> bool:
        """Whether requests need no key: on loopback, as long as no key was ever created."""
        return self._may_be_open and not self.keys.exist()

    def key(self, request: Request) -> ApiKey:
        """Who sent the request. Raises ApiError: 401 without a valid key or session."""
        authorization = request.headers.get("authorization")
        if authorization is not None:
            return self._of_header(authorization)
        if (session := self._of_session(request)) is not None:
            return session
        if self.is_open:
            return OPEN
        raise _unauthorized("Send an API key in the header Authorization: Bearer KEY; `lumora keys create` makes one.")

    def has_signed_url(self, request: Request) -> bool:
        """Whether the URL was signed here for reading. Raises ApiError: 403 for a wrong or expired signature."""
        if request.method not in SAFE_METHODS or SIGNATURE not in request.query_params:
            return False
        if is_signed(request.url.path, request.url.query):
            return True
        raise ApiError(403, "This link has expired or was changed; ask for the object again.", code="invalid_signature")

    def _of_header(self, authorization: str) -> ApiKey:
        scheme, _, token = authorization.partition(" ")
        key = self.keys.authenticate(token.strip()) if scheme.lower() == "bearer" else None
        if key is not None:
            return key
        if self.is_open:  # SDKs always send a key
            return OPEN
        raise _unauthorized("This API key is unknown or revoked.")

    def _of_session(self, request: Request) -> ApiKey | None:
        cookie = request.cookies.get(COOKIE)
        key_id = self.sessions.key_id(cookie) if cookie else None
        key = self.keys.active(key_id) if key_id else None
        if key and request.method not in SAFE_METHODS and not is_same_origin(request.headers):
            raise ApiError(403, "With the session cookie, send the header X-Lumora: 1.", code="cross_origin")
        return key


class OriginCheck:
    """Refuses what a browser sends for a page of another origin, also while the server is open.

    Without it, any web page could send requests to a server on loopback. An open server also refuses a Host header that
    does not name this machine: another name would be DNS rebinding, or a proxy that opens the server to everybody.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: ConnectionScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            await ApiError(403, refusal, code="cross_origin").response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: ConnectionScope) -> str | None:
        headers = Headers(scope=scope)
        if not is_loopback_name(headers.get("host", "")) and scope["app"].state.context.access.is_open:
            return "Without keys this server answers only as localhost or 127.0.0.1; `lumora keys create` makes a key."
        if scope["method"] not in SAFE_METHODS and is_foreign(headers):
            return "Requests from pages of other origins are refused."
        return None


def new_secret() -> bytes:
    """256 random bits for the signatures of sessions and URLs."""
    return secrets.token_bytes(32)


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, message, headers={"WWW-Authenticate": "Bearer"})
