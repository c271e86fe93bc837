"""The checks that a policy asks for, as two panels: one for texts, one for frames. This is what the rest of lumora
calls.

policy = Policy.load()
text_moderator(policy).check("a red ball rolls") -> Verdict; frame_moderator(policy).check(video.frames) -> Verdict
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import UInt8

from lumora.safety.adapters import Moderations
from lumora.safety.frame_check import FrameReview
from lumora.safety.guards import judges, load_guard
from lumora.safety.policy import Policy
from lumora.safety.prompt_check import PromptCheck
from lumora.safety.symbols import SymbolCheck
from lumora.safety.verdict import Check, Moderator
from lumora.text_encoder.encoder import TextEncoder

TEXT_SECONDS, FRAME_SECONDS = 30.0, 600.0
"""After which a check that has not answered refuses; a minute of video at 24 frames a second takes minutes."""


def text_moderator(policy: Policy, encoder: TextEncoder | None = None) -> Moderator[str]:
    """Judges prompts; `encoder` spares loading one where there is one already. Raises ValueError for a bad policy."""
    checks: list[Check[str]] = [PromptCheck.load(policy, encoder)]
    if policy.moderations is not None:
        checks.append(Moderations(policy, policy.moderations))
    checks += [load_guard(policy, guard) for guard in policy.guards if judges(guard) == "texts"]
    return Moderator(checks, TEXT_SECONDS)


def frame_moderator(policy: Policy) -> Moderator[UInt8[np.ndarray, "t h w 3"]]:
    """Judges the frames of videos and pictures. Raises ValueError for a bad policy."""
    pictures: list[Check[Any]] = [SymbolCheck(policy)]
    if policy.moderations is not None and policy.moderations.pictures:
        pictures.append(Moderations(policy, policy.moderations))
    pictures += [load_guard(policy, guard) for guard in policy.guards if judges(guard) == "pictures"]
    return Moderator([FrameReview(pictures)], FRAME_SECONDS)
