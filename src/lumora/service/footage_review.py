"""The safety checks as a review of footage that becomes training data."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

if TYPE_CHECKING:
    from lumora.safety.verdict import Moderator


def review_footage(policy: Path | None, frames: UInt8[np.ndarray, "t h w 3"]) -> str | None:
    """Why the checks of the policy in a file (None: the default policy) refuse frames; None if they are allowed.

    The checks are loaded once in each process. A check that gives no answer refuses.
    """
    verdict = _frame_moderator(policy).check(frames)
    return None if verdict.allowed else verdict.reason


@lru_cache(1)
def _frame_moderator(policy: Path | None) -> Moderator[np.ndarray]:
    from lumora.safety.moderators import frame_moderator
    from lumora.safety.policy import Policy

    return frame_moderator(Policy.load(policy))
