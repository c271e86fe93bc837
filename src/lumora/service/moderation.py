"""The checks that every request and every video must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8

from lumora.provenance.manifest import Ingredient
from lumora.request.serialization import recipe_texts, upgrade_recipe
from lumora.request.spec import Request
from lumora.safety.policy import Policy
from lumora.safety.prompt_check import combined_prompts
from lumora.safety.verdict import Moderator

Content = TypeVar("Content")


class ModerationBlocked(ValueError):
    """Why a request or a video is refused, in one sentence."""

    def __init__(self, message: str, categories: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.categories = categories
        """Of the policy; empty if a check failed or a file was changed."""


class CheckFailed(ModerationBlocked):
    """A check gave no answer, which refuses too. The same content may pass later."""


@dataclass(frozen=True)
class Moderation:
    """A policy and its checks. A check that fails or takes too long refuses."""

    policy: Policy
    texts: Moderator[str]
    frames: Moderator[UInt8[np.ndarray, "t h w 3"]]

    @classmethod
    def load(cls, policy: Policy | Path | None = None, every_frame: bool = False) -> Moderation:
        """With a policy, its file, or the default policy. `every_frame`: the nudity classifier skips no frame, as for
        models that can show people. Raises ValueError for a bad policy."""
        from lumora.safety.moderators import frame_moderator, text_moderator

        policy = policy if isinstance(policy, Policy) else Policy.load(policy)
        return cls(policy, text_moderator(policy), frame_moderator(policy, every_frame))


def check_texts(request: Request, moderation: Moderation, history: Sequence[str] = ()) -> None:
    """Every text of the request, and all of them together with `history`, the texts of what it is made of.

    Raises ModerationBlocked.
    """
    texts = list(dict.fromkeys(request.texts()))
    for text in texts:
        _must_pass(moderation.texts, text, "the prompt")
    for combination in combined_prompts([*history, *texts]):
        _must_pass(moderation.texts, combination, "what the prompts ask for together")


def check_conditions(request: Request, moderation: Moderation) -> None:
    """The frames of every condition. Raises ModerationBlocked."""
    for video in request.videos():
        _must_pass(moderation.frames, video.frames, "an input")


def check_frames(frames: UInt8[np.ndarray, "t h w 3"], moderation: Moderation) -> None:
    """The frames of a generated video. Raises ModerationBlocked."""
    _must_pass(moderation.frames, frames, "the video")


def texts_of_ingredients(ingredients: Sequence[Ingredient]) -> list[str]:
    """The texts that the ingredients were made of, according to their manifests.

    Raises ModerationBlocked for a file that was changed after it was signed: a new manifest would make it look trusted.
    """
    texts: list[str] = []
    for ingredient in ingredients:
        manifest = ingredient.manifest
        if not manifest.usable_as_ingredient:
            raise ModerationBlocked(
                f"{ingredient.path} was changed after it was signed ({', '.join(manifest.problems)}); "
                "give the original."
            )
        texts += recipe_texts(upgrade_recipe(manifest.recipe))
    return texts


def _must_pass(moderator: Moderator[Content], content: Content, what: str) -> None:
    verdict = moderator.check(content)
    if not verdict.allowed:
        kind = ModerationBlocked if verdict.refused else CheckFailed
        raise kind(f"{what[:1].upper()}{what[1:]} does not pass. {verdict.reason}", verdict.refused)
