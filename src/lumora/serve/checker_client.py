"""The API's side of the checker: calls over a local socket, one JSON line each way."""

from __future__ import annotations

import json
import socket
from typing import Any

from lumora.serve.errors import ApiError

TIMEOUT_SECONDS = 120.0


class CheckerClient:
    """Several threads may call at once."""

    def __init__(self, address: str) -> None:
        self._address = address

    def call(self, method: str, **parameters: Any) -> Any:
        """The result of a method of `checker.METHODS`.

        Raises ApiError as the checker says: 400 for what it refuses, 503 while it does not run.
        """
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(TIMEOUT_SECONDS)
                connection.connect(self._address)
                connection.sendall(json.dumps({"method": method, "parameters": parameters}).encode() + b"\n")
                with connection.makefile("rb") as answer:
                    line = answer.readline()
        except (OSError, TimeoutError):
            line = b""
        if not line:
            message = "The checks are not running yet; try again in a few seconds."
            raise ApiError(503, message, "checker_unavailable", headers={"Retry-After": "5"})
        content = json.loads(line)
        if "error" in content:
            error = content["error"]
            raise ApiError(error.pop("status"), error.pop("message"), error.pop("code", None), **error)
        return content["result"]
