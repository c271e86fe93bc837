"""A client of OpenAI-compatible chat completions, as Ollama, vLLM, llama.cpp and hosted services offer them."""

from __future__ import annotations

import base64
import io
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

MAX_RESPONSE_BYTES = 1 << 20


@dataclass(frozen=True)
class ChatEndpoint:
    """Where a model answers."""

    url: str
    """Base address, such as `http://localhost:11434/v1`."""
    model: str
    key_variable: str = ""
    """Name of the environment variable that holds the key; empty if the service wants none."""
    timeout: float = 120.0
    """Seconds."""


def complete(
    endpoint: ChatEndpoint,
    system: str,
    user: str,
    pictures: Sequence[UInt8[np.ndarray, "h w 3"]] = (),
    seed: int = 0,
    max_tokens: int = 512,
) -> str:
    """The model's answer to a text and pictures. Raises ValueError, in one sentence, if there is none."""
    content: Any = user
    if pictures:
        images = [{"type": "image_url", "image_url": {"url": _data_url(picture)}} for picture in pictures]
        content = [{"type": "text", "text": user}, *images]
    messages = [{"role": "system", "content": system}, {"role": "user", "content": content}]
    body = {"model": endpoint.model, "messages": messages, "seed": seed, "max_tokens": max_tokens, "temperature": 0.7}
    answer = _post(endpoint, body)
    try:
        text = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{endpoint.url} gave an answer without text.")
    return text.strip()


def _post(endpoint: ChatEndpoint, body: Mapping[str, Any]) -> Any:
    headers = {"Content-Type": "application/json"}
    if endpoint.key_variable:
        key = os.environ.get(endpoint.key_variable)
        if not key:
            raise ValueError(f"The key of {endpoint.url} is missing; set the variable {endpoint.key_variable}.")
        headers["Authorization"] = f"Bearer {key}"
    url = f"{endpoint.url.rstrip('/')}/chat/completions"
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"The address of a model begins with http:// or https://, not {endpoint.url!r}.")
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=endpoint.timeout) as response:
            content = response.read(MAX_RESPONSE_BYTES + 1)
    except urllib.error.HTTPError as error:
        raise ValueError(f"{url} answered {error.code} {error.reason}.") from error
    except OSError as error:  # URLError and timeouts
        raise ValueError(f"{url} does not answer: {getattr(error, 'reason', error)}.") from error
    if len(content) > MAX_RESPONSE_BYTES:
        raise ValueError(f"The answer of {url} is longer than a megabyte.")
    try:
        return json.loads(content)
    except ValueError as error:
        raise ValueError(f"{url} did not answer with JSON.") from error


def _data_url(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    with io.BytesIO() as stream:
        Image.fromarray(picture).save(stream, "JPEG", quality=90)
        return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
