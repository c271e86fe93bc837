"""A stronger check of another house behind the same protocol: a moderation service.

It fails closed: what it can't answer, or answers in a way that isn't understood, raises, and the panel refuses.
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

THEIR_CATEGORIES = {
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
"""The categories of OpenAI's moderation API, and ours."""
MOST_BYTES = 1 << 20


class Moderations:
    """An OpenAI-compatible `/v1/moderations` endpoint: texts, and single pictures where the service takes them."""

    def __init__(self, policy: Policy, endpoint: Endpoint):
        """Raises ValueError where the endpoint's key is to be in an environment variable and isn't."""
        self.policy = policy
        self.endpoint = endpoint
        self.key = os.environ.get(endpoint.key_variable) if endpoint.key_variable else None
        if endpoint.key_variable and not self.key:
            raise ValueError(
                f"The moderation service's key is missing: set the environment variable {endpoint.key_variable}."
            )

    def check(self, content: str | UInt8[np.ndarray, "h w 3"], /) -> Verdict:
        given = (
            content if isinstance(content, str) else [{"type": "image_url", "image_url": {"url": _data_url(content)}}]
        )
        answer = self._asked({"input": given} | ({"model": self.endpoint.model} if self.endpoint.model else {}))
        scores: dict[str, Score] = {}
        for result in _results(answer):
            for theirs, value in _values(result).items():
                ours = _ours(theirs, value)
                if ours is not None:
                    score = Score(value, f"moderation service, {theirs}")
                    scores[ours] = max(scores.get(ours, score), score, key=lambda s: s.value)
        return self.policy.judge(scores)

    def _asked(self, question: Mapping[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(self.endpoint.url, json.dumps(question).encode(), headers)
        with urllib.request.urlopen(request, timeout=self.endpoint.seconds) as response:
            said = response.read(MOST_BYTES + 1)
        if len(said) > MOST_BYTES:
            raise ValueError("the moderation service's answer is longer than a megabyte")
        return json.loads(said)


def _results(answer: Any) -> list[Mapping[str, Any]]:
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or not results or not all(isinstance(result, dict) for result in results):
        raise ValueError("the moderation service's answer has no results")
    return results


def _values(result: Mapping[str, Any]) -> dict[str, float]:
    """The service's scores; what it flags outright has 1. Raises ValueError for a result without a single answer."""
    scores = {name: float(value) for name, value in (result.get("category_scores") or {}).items()}
    flags = {name: 1.0 for name, flagged in (result.get("categories") or {}).items() if flagged}
    if not isinstance(result.get("flagged"), bool) or not (scores or flags or result.get("categories")):
        raise ValueError("the moderation service's result says nothing")
    if result["flagged"] and not flags:
        raise ValueError("the moderation service flags something and doesn't say what")
    return scores | flags


def _ours(theirs: str, value: float) -> str | None:
    """Our name for their category; what isn't flagged may be unknown, what is may not."""
    if theirs not in THEIR_CATEGORIES and value >= 1:
        raise ValueError(f"the moderation service flags {theirs!r}, which is no category that lumora knows")
    return THEIR_CATEGORIES.get(theirs)


def _data_url(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
