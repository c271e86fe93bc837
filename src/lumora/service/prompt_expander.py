"""Expansion of prompts: by the world's grammar on this machine, or by a language model that an address names.

The result is shown to the user and checked by the policy as any prompt (`service.generate`). Settings are environment
variables: LUMORA_EXPANDER_URL and LUMORA_EXPANDER_MODEL name the language model, LUMORA_EXPANDER_KEY_VARIABLE the
variable that holds its key, and LUMORA_EXPANDER_TEMPLATE a file with its instructions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from lumora.chat_completions import ChatEndpoint, complete
from lumora.request.spec import MAX_PROMPT_CHARACTERS, Request
from lumora.safety.word_lists import is_foreign
from lumora.world.prompt_expansion import expand_prompt
from lumora.world.prompt_reader import read_prompt

INSTRUCTIONS = (
    "You rewrite short prompts for a text-to-video model as one descriptive paragraph in English: subjects and their "
    "looks, what they do, the place, the light, and the camera. Keep every detail of the prompt exactly as stated: "
    "number, kind, color, size, action, direction, place, time and style. Add only details that it leaves open and "
    "that agree with it. Answer with the paragraph alone, in at most 120 words."
)
"""The instructions of a language model; LUMORA_EXPANDER_TEMPLATE replaces them."""


@runtime_checkable
class PromptExpander(Protocol):
    def expand(self, prompt: str, seed: int) -> str:
        """A descriptive prompt that states all that `prompt` states; the same for the same seed."""
        ...


class WorldExpander:
    """The expander that comes with lumora: no download, no network. It describes what the simulated world has."""

    def expand(self, prompt: str, seed: int) -> str:
        if is_foreign(prompt.casefold()):
            return prompt  # details would be in another language
        expanded = expand_prompt(prompt, np.random.default_rng([seed, 6])).text
        return expanded if len(expanded) <= MAX_PROMPT_CHARACTERS else prompt


@dataclass(frozen=True)
class ChatExpander:
    """A language model behind an OpenAI-compatible address. An answer that loses or changes what lumora can read in
    the prompt is replaced by the expansion of `WorldExpander`."""

    endpoint: ChatEndpoint
    instructions: str = INSTRUCTIONS

    def expand(self, prompt: str, seed: int) -> str:
        """Raises ValueError, in one sentence, if the model does not answer."""
        answer = " ".join(complete(self.endpoint, self.instructions, prompt, seed=seed).split()).strip('"“” ')
        if len(answer) <= MAX_PROMPT_CHARACTERS and keeps_known_values(prompt, answer):
            return answer
        return WorldExpander().expand(prompt, seed)


def keeps_known_values(prompt: str, expanded: str) -> bool:
    """Whether every value that can be read in the prompt can be read in the expansion, and no second place, light,
    style or camera move."""
    before, after = ({(f.category, f.value) for f in read_prompt(text).facts} for text in (prompt, expanded))
    single = {category for category, _ in before} & {"place", "light", "style", "camera"}
    return before <= after and {pair for pair in after if pair[0] in single} <= before


def load_expander(settings: Mapping[str, str] = os.environ) -> PromptExpander:
    """The expander that the settings name. Raises ValueError, in one sentence, for settings that cannot be used."""
    url, model = settings.get("LUMORA_EXPANDER_URL"), settings.get("LUMORA_EXPANDER_MODEL")
    if not url:
        return WorldExpander()
    if not model:
        raise ValueError("Set LUMORA_EXPANDER_MODEL to the model that LUMORA_EXPANDER_URL shall use.")
    template = settings.get("LUMORA_EXPANDER_TEMPLATE")
    instructions = Path(template).read_text("utf-8").strip() if template else INSTRUCTIONS
    return ChatExpander(ChatEndpoint(url, model, settings.get("LUMORA_EXPANDER_KEY_VARIABLE", "")), instructions)


def expand_request(request: Request, expander: PromptExpander) -> Request:
    """The request with its prompt expanded.

    Raises ValueError, in one sentence, for one with several shots, or with images or videos: details that are drawn
    would contradict them.
    """
    check_expandable(bool(request.next_shots), bool(request.conditions))
    return replace(request, prompt=expander.expand(request.prompt, request.seed))


def check_expandable(has_shots: bool, has_inputs: bool) -> None:
    """Raises ValueError, in one sentence, for a request whose prompt is not expanded."""
    if has_shots or has_inputs:
        what = "several shots" if has_shots else "images or videos"
        raise ValueError(f"A prompt with {what} is not expanded, because the added details would contradict them.")
