"""The checks that every video of the command line passes: THE ONE PLACE where `lumora.safety` is joined.

Until it is, nothing is judged here, and the manifest says so: its `policy` is "none".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Unjudged:
    allowed: bool = True
    reason: str = "No policy is installed."


def check_prompt(text: str) -> Unjudged:
    return Unjudged()


def review_frames(frames: Any) -> Unjudged:
    return Unjudged()


POLICY = "none"
