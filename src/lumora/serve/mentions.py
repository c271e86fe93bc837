"""Characters in a prompt: `@name` becomes the character's description. No torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CastMember:
    """A character as a job uses it."""

    name: str
    description: str = ""
    everywhere: bool = False
    """Whether its description begins every prompt, because no prompt mentions it."""

    @property
    def text(self) -> str:
        """What stands for it in a prompt."""
        return self.description.strip(" .") or self.name


def mentions(prompt: str, name: str) -> bool:
    """Whether a prompt has `@name`."""
    return _mention(name).search(prompt) is not None


def with_descriptions(prompt: str, cast: Sequence[CastMember]) -> str:
    """The prompt as the model receives it: "@Ruby rolls" becomes "a small red ball rolls"."""
    for member in sorted(cast, key=lambda member: -len(member.name)):  # @Ann must not be found in @Anna
        prompt = _mention(member.name).sub(lambda _, text=member.text: text, prompt)
    return ". ".join([*(member.text for member in cast if member.everywhere), prompt]).strip()


def _mention(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)@{re.escape(name)}(?!\w)", re.IGNORECASE)
