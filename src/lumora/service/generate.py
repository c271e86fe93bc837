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

    1. Checks the destination, and prepares the plan: sizes, frames, warnings. Bad input is refused here, and `on_plan`
       receives the plan.
    2. Checks every text before and after `expand`, an optional expansion of the prompts, and the frames of the
       conditions.
    3. Runs the backend, which loads the model.
    4. Publishes the video (`publish`).

    `ingredients` are the files that the conditions come from. `resume_path` keeps unfinished work; it is removed when
    the video is finished or refused.

    Raises ModerationBlocked if a check refuses, Cancelled, ValueError and OSError, in one sentence, for what else goes
    wrong.
    """
    check_destination(destination)
    plan = backend.prepare(request)
    moderation = moderation or Moderation.load()
    history = texts_of_ingredients(ingredients)
    check_texts(request, moderation, history)
    if expand is not None:
        plan = backend.prepare(expand(request))
        check_texts(plan.request, moderation, history)
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
