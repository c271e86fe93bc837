"""Previews of a running job, from a worker to the API of the same machine. They are stored nowhere."""

from __future__ import annotations

import base64
import io
import json
import socket

import numpy as np
from jaxtyping import UInt8
from PIL import Image

MAX_SIDE = 256
WANTED, UNWANTED = b"1", b"0"


class PreviewSender:
    """Sends to the socket of the API; where that does not listen, previews are dropped."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: socket.socket | None = None
        self._wanted = False

    def is_wanted(self) -> bool:
        """Whether a client listens. The API sends `WANTED` or `UNWANTED` whenever that changes."""
        try:
            said = self._connected().recv(1024, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return self._wanted
        except OSError:
            said = b""
        if not said:
            self._disconnect()
        else:
            self._wanted = said.endswith(WANTED)
        return self._wanted

    def send(self, owner: str, video_id: str, step: int, total: int, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        if not self.is_wanted():
            return
        message = {"owner": owner, "id": video_id, "step": step, "total": total, "image": _data_uri(frame)}
        try:
            self._connected().sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._disconnect()

    def _connected(self) -> socket.socket:
        if self._connection is None:
            self._connection = socket.socket(socket.AF_UNIX)
            self._connection.settimeout(1.0)
            self._connection.connect(self._address)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._wanted = None, False


def _data_uri(frame: UInt8[np.ndarray, "h w 3"]) -> str:
    image = Image.fromarray(frame)
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=70)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
