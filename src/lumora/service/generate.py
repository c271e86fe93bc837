"""The one entry point for every video: request, checks, plan, video, published file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lumora.backends.base import Backend, Cancel, Plan, Progress
from lumora.media.video import check_destination
from lumora.provenance.index import PublishedRecord
from lumora.provenance.manifest import Ingredient
from lumora.request.spec import Request
from lumora.service.moderation import (
    Moderation,
    ModerationBlocked,
    check_conditions,
    check_texts,
    texts_of_ingredients,
)
from lumora.service.publish import publish


def generate(
    request: Request,
    backend: Backend,
    destination: Path,
    moderation: Moderation | None = None,
    *,
    ingredients: Sequence[Ingredient] = (),
    expand: Callable[[Request], Request] | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    record: str | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    resume_path: Path | None = None,
) -> PublishedRecord:
    """Makes the video of `request` and writes it to `destination`, or leaves nothing there.

    1. Checks the destination, and every text before and after `expand`, an optional expansion of the prompts. Nothing
       of the model is loaded until they have passed.
    2. `backend.prepare` decides sizes and frames; `on_plan` receives the plan, for example to show its warnings.
    3. Checks the frames of the conditions and runs the backend.
    4. Publishes the video (`publish`).

    `ingredients` are the files that the conditions come from. `resume_path` keeps unfinished work; it is removed when
    the video is finished or refused.

    Raises ModerationBlocked if a check refuses, Cancelled, ValueError and OSError, in one sentence, for what else goes
    wrong.
    """
    check_destination(destination)
    moderation = moderation or Moderation.load()
    history = texts_of_ingredients(ingredients)
    check_texts(request, moderation, history)
    if expand is not None:
        request = expand(request)
        check_texts(request, moderation, history)
    plan = backend.prepare(request)
    if on_plan:
        on_plan(plan)
    check_conditions(plan.request, moderation)
    video = backend.run(plan, progress, cancel, resume_path)
    try:
        published = publish(
            video, plan.request, destination, moderation, backend.identity(), ingredients, history, record
        )
    except ModerationBlocked:
        _remove(resume_path)
        raise
    _remove(resume_path)
    return published


def _remove(resume_path: Path | None) -> None:
    if resume_path is not None:
        resume_path.unlink(missing_ok=True)
