"""The checks that a policy asks for, as two moderators: one for texts, one for frames.

Checks that need PyTorch are imported when they are asked for: the others take 190 MB less without it.

policy = Policy.load()
text_moderator(policy).check("a red ball rolls")    # -> Verdict
frame_moderator(policy).check(video.frames)         # -> Verdict
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from lumora.safety.adapters import ModerationService
from lumora.safety.frame_check import FrameCheck
from lumora.safety.nudity import NudityCheck
from lumora.safety.policy import Policy
from lumora.safety.symbols import SymbolCheck
from lumora.safety.verdict import Check, Moderator

TEXT_TIMEOUT, FRAME_TIMEOUT = 30.0, 600.0
"""Seconds after which an unanswered check refuses."""
SECONDS_PER_FRAME = 1.0
"""More for each frame: one of 832x480 takes 0.2 s of a free core, and a minute of video has 1,440."""


def text_moderator(policy: Policy) -> Moderator[str]:
    """Judges texts. Loads no video model; the prompt check's own weights are loaded once a process.

    Raises ValueError if the policy names a guard or service that cannot be used.
    """
    from lumora.safety.prompt_check import PromptCheck

    checks: list[Check[str]] = [PromptCheck.load(policy)]
    if policy.moderations is not None:
        checks.append(ModerationService(policy, policy.moderations))
    checks += _guards(policy, "text")
    return Moderator(checks, TEXT_TIMEOUT)


def frame_moderator(policy: Policy, every_frame: bool = False) -> Moderator[UInt8[np.ndarray, "t h w 3"]]:
    """Judges the frames of videos and images. Raises ValueError if a guard, a service or the nudity classifier cannot
    be used."""
    image_checks: list[Check[Any]] = [SymbolCheck(policy)]
    if policy.moderations is not None and policy.moderations.images:
        image_checks.append(ModerationService(policy, policy.moderations))
    image_checks += _guards(policy, "image")
    return Moderator([FrameCheck(image_checks), NudityCheck(policy, every_frame)], FRAME_TIMEOUT, SECONDS_PER_FRAME)


def _guards(policy: Policy, kind: Literal["text", "image"]) -> list[Check[Any]]:
    if not policy.guards:
        return []
    from lumora.safety.guards import guard_input, load_guard

    return [load_guard(policy, guard) for guard in policy.guards if guard_input(guard) == kind]
