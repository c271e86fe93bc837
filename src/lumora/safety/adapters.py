"""A moderation service over HTTP as a check.

It fails closed: an answer that is missing or not understood raises, and the moderator refuses.
"""

from __future__ import annotations

import base64
import io
import json
import os
import urllib.request
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from lumora.safety.policy import Endpoint, Policy
from lumora.safety.verdict import Score, Verdict

SERVICE_CATEGORIES = {
    "violence": "violence",
    "violence/graphic": "violence",
    "sexual": "sexual",
    "sexual/minors": "minors",
    "hate": "hate",
    "hate/threatening": "hate",
    "harassment": "harassment",
    "harassment/threatening": "harassment",
    "self-harm": "self_harm",
    "self-harm/intent": "self_harm",
    "self-harm/instructions": "self_harm",
    "illicit": "illicit",
    "illicit/violent": "illicit",
}
"""Maps the categories of OpenAI's moderation API to the policy's."""
MAX_RESPONSE_BYTES = 1 << 20


class ModerationService:
    """An OpenAI-compatible `/v1/moderations` endpoint for texts, and for images if the service takes them."""

    def __init__(self, policy: Policy, endpoint: Endpoint):
        """Raises ValueError if the environment variable that should hold the service's key is not set."""
        self.policy = policy
        self.endpoint = endpoint
        self.api_key = os.environ.get(endpoint.api_key_env) if endpoint.api_key_env else None
        if endpoint.api_key_env and not self.api_key:
            raise ValueError(
                f"The moderation service's key is missing; set the environment variable {endpoint.api_key_env}."
            )

    def check(self, content: str | UInt8[np.ndarray, "h w 3"], /) -> Verdict:
        image = not isinstance(content, str)
        body = {"input": [{"type": "image_url", "image_url": {"url": _data_url(content)}}] if image else content}
        response = self._post(body | ({"model": self.endpoint.model} if self.endpoint.model else {}))
        scores: dict[str, Score] = {}
        for result in _results(response):
            for service_category, value in _scores(result).items():
                category = _policy_category(service_category, value)
                if category is not None:
                    score = Score(value, f"moderation service, {service_category}")
                    scores[category] = max(scores.get(category, score), score, key=lambda s: s.value)
        return self.policy.judge(scores)

    def _post(self, body: Mapping[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        request = urllib.request.Request(self.endpoint.url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=self.endpoint.timeout) as response:
            content = response.read(MAX_RESPONSE_BYTES + 1)
        if len(content) > MAX_RESPONSE_BYTES:
            raise ValueError("the moderation service's response is longer than a megabyte")
        return json.loads(content)


def _results(response: Any) -> list[Mapping[str, Any]]:
    results = response.get("results") if isinstance(response, dict) else None
    if not isinstance(results, list) or not results or not all(isinstance(result, dict) for result in results):
        raise ValueError("the moderation service's response has no results")
    return results


def _scores(result: Mapping[str, Any]) -> dict[str, float]:
    """The service's scores; 1 for what it flags. Raises ValueError for a result without scores or flags."""
    scores = {name: float(value) for name, value in (result.get("category_scores") or {}).items()}
    flags = {name: 1.0 for name, flagged in (result.get("categories") or {}).items() if flagged}
    if not isinstance(result.get("flagged"), bool) or not (scores or flags or result.get("categories")):
        raise ValueError("the moderation service's result has no scores")
    if result["flagged"] and not flags:
        raise ValueError("the moderation service flags the content and names no category")
    return scores | flags


def _policy_category(service_category: str, value: float) -> str | None:
    """None for an unknown category that is not flagged. Raises ValueError for an unknown one that is."""
    if service_category not in SERVICE_CATEGORIES and value >= 1:
        raise ValueError(f"the moderation service flags {service_category!r}, which the policy has no category for")
    return SERVICE_CATEGORIES.get(service_category)


def _data_url(image: UInt8[np.ndarray, "h w 3"]) -> str:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
