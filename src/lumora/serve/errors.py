"""Errors of the API: always `{"error": {message, type, param, code}}`, as the SDKs read it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from sqlalchemy.exc import DataError, OperationalError
from starlette.exceptions import HTTPException

from lumora.atomic_io import is_disk_full

LOG = logging.getLogger("lumora.serve")

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
    507: "server_error",
}
_CODES = {401: "invalid_api_key", 403: "insufficient_scope", 404: "not_found", 429: "rate_limit_exceeded"}


class ApiError(Exception):
    """An answer other than success, with one sentence that says what to do."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code or _CODES.get(status), param
        self.headers, self.extra = dict(headers or {}), extra

    def response(self) -> JSONResponse:
        return error_response(self.status, self.message, self.code, self.param, self.headers, **self.extra)


def not_found(kind: str, object_id: str) -> ApiError:
    """404 for an object that does not exist or that belongs to another key; the answer does not tell which."""
    return ApiError(404, f"There is no {kind} {object_id!r}.")


def error_response(
    status: int,
    message: str,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> JSONResponse:
    error = {"message": message, "type": _TYPES.get(status, "invalid_request_error"), "param": param, "code": code}
    return JSONResponse({"error": {**error, **extra}}, status, headers=dict(headers or {}))


def install_error_handlers(app: FastAPI) -> None:
    """Answers every exception as an error object."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ValidationError, _validation_error)
    app.add_exception_handler(OperationalError, _database_error)
    app.add_exception_handler(DataError, _data_error)
    app.add_exception_handler(OSError, _os_error)
    app.add_exception_handler(Exception, _unexpected)


def _api_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return error.response()


def _http_exception(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = error.detail if isinstance(error.detail, str) else HTTPStatus(error.status_code).phrase
    message = {404: "There is nothing at this address.", 405: "This address does not take that method."}
    return error_response(
        error.status_code,
        message.get(error.status_code, detail),
        _CODES.get(error.status_code),
        headers=error.headers,
    )


def _validation_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, (RequestValidationError, ValidationError))
    first = error.errors()[0]
    where = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    param = ".".join(where) or None
    message = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    return error_response(
        422 if isinstance(error, RequestValidationError) else 400, _sentence(param, message), param=param
    )


def _sentence(param: str | None, message: str) -> str:
    return f"{param}: {message}." if param else f"{message[:1].upper()}{message[1:]}."


def _database_error(_: Request, error: Exception) -> JSONResponse:
    LOG.error("The database cannot be used: %s", error)
    full = "full" in str(error)
    message = "The disk is full." if full else "The database cannot be used now; try again."
    return error_response(507 if full else 503, message, headers={"Retry-After": "5"})


def _data_error(_: Request, error: Exception) -> JSONResponse:
    """PostgreSQL stores no NUL characters, in values and in what is searched for."""
    LOG.warning("The database refused a value: %s", error)
    return error_response(400, "A text has characters that cannot be stored.", "invalid_value")


def _os_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OSError)
    LOG.error("A file cannot be used: %s", error)
    full = is_disk_full(error)
    return error_response(507 if full else 500, "The disk is full." if full else "A file of the server cannot be used.")


def _unexpected(_: Request, error: Exception) -> JSONResponse:
    LOG.exception("Unexpected error", exc_info=error)
    return error_response(500, "The server failed; its log says more.")
