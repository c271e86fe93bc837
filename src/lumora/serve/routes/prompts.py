"""`/v1/prompt_expansions`: a prompt with more details, to be read and edited before a video is made of it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lumora.serve.bodies import body_of, openapi_body
from lumora.serve.context import Context
from lumora.serve.keys import Creator
from lumora.serve.schemas import Prompt, Seed, Strict
from lumora.serve.submission import expanded_prompt

router = APIRouter(prefix="/v1/prompt_expansions", tags=["prompts"])


class PromptExpansionBody(Strict):
    prompt: Annotated[Prompt, Field(min_length=1)]
    seed: Seed = 0
    """Another seed gives other details."""


class PromptExpansion(BaseModel):
    object: Literal["prompt_expansion"] = "prompt_expansion"
    prompt: str
    revised_prompt: str
    """The prompt with details that it left open."""


@router.post("", openapi_extra=openapi_body("PromptExpansionBody"))
def expand_prompt(
    context: Context, key: Creator, body: Annotated[PromptExpansionBody, body_of(PromptExpansionBody)]
) -> PromptExpansion:
    """Adds details to a prompt without making a video. The policy checks both prompts."""
    revised = expanded_prompt(context, key, body.prompt, body.seed)
    return PromptExpansion(prompt=body.prompt, revised_prompt=revised)
