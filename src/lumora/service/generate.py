"""The one entry point for every video: request, checks, plan, video, published file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lumora.atomic_io import check_output
from lumora.backends.base import Backend, Cancel, Plan, Preview, Progress
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
from lumora.service.publish import check_destination, check_publishing, publish
from lumora.service.tasks import VideoJob


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
    overwrite: bool = False,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    resume_path: Path | None = None,
    on_preview: Preview | None = None,
) -> PublishedRecord:
    """Makes the video of `request` and writes it to `destination`, or leaves nothing there.

    1. Checks the destination, prepares the plan (sizes, frames, warnings), and checks that its video can be published.
       Bad input is refused here, and `on_plan` receives the plan.
    2. Checks every text before and after `expand`, an optional expansion of the prompts, and the frames of the
       conditions.
    3. Runs the backend, which loads the model.
    4. Publishes the video (`publish`).

    `ingredients` are the files that the conditions come from; none of them can be the destination. A file that exists
    is replaced only with `overwrite`. `resume_path` keeps unfinished work; it is removed when the video is finished or
    refused. `on_preview` receives frames that the frame check allows.

    Raises ModerationBlocked if a check refuses, Cancelled, ValueError and OSError, in one sentence, for what else goes
    wrong.
    """
    check_destination(destination, [ingredient.path for ingredient in ingredients], overwrite)
    if resume_path is not None:
        check_output(resume_path, overwrite=True)
    plan = backend.prepare(request)
    check_publishing(plan, destination)
    moderation = moderation or Moderation.load(None, backend.capabilities().shows_people)
    history = texts_of_ingredients(ingredients)
    check_texts(request, moderation, history)
    if expand is not None:
        plan = backend.prepare(expand(request))
        check_texts(plan.request, moderation, history)
    if on_plan:
        on_plan(plan)
    check_conditions(plan.request, moderation)
    video = backend.run(plan, progress, cancel, resume_path, _reviewed(on_preview, moderation))
    try:
        published = publish(
            video, plan.request, destination, moderation, backend.identity(), ingredients, history, record, overwrite
        )
    except ModerationBlocked:
        _remove(resume_path)
        raise
    _remove(resume_path)
    return published


def generate_batch(
    jobs: Sequence[VideoJob],
    backend: Backend,
    destinations: Sequence[Path],
    moderation: Moderation,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    resume_path: Path | None = None,
    on_preview: Preview | None = None,
    is_wanted: Callable[[int], bool] = lambda _: True,
    on_video: Callable[[int, PublishedRecord | ModerationBlocked], None],
) -> None:
    """As `generate` for several jobs that the backend makes together (`Backend.run_batch`).

    `on_video` receives the index of each job with its record, or with the reason why its frames are refused. A job that
    is not wanted any more when its video is made is left out. Raises what `generate` raises where a job cannot be made;
    no video is made then.
    """
    plans, histories = [], []
    for job, destination in zip(jobs, destinations, strict=True):
        check_destination(destination, [ingredient.path for ingredient in job.ingredients], overwrite)
        plans.append(backend.prepare(job.request))
        check_publishing(plans[-1], destination)
        histories.append(texts_of_ingredients(job.ingredients))
        check_texts(job.request, moderation, histories[-1])
        check_conditions(plans[-1].request, moderation)
    videos = backend.run_batch(plans, progress, cancel, resume_path, _reviewed(on_preview, moderation))
    identity = backend.identity()
    for index, (job, plan, video) in enumerate(zip(jobs, plans, videos, strict=True)):
        if not is_wanted(index):
            continue
        try:
            outcome = publish(
                video,
                plan.request,
                destinations[index],
                moderation,
                identity,
                job.ingredients,
                histories[index],
                overwrite=overwrite,
            )
        except ModerationBlocked as error:
            outcome = error
        on_video(index, outcome)
    _remove(resume_path)


def _reviewed(on_preview: Preview | None, moderation: Moderation) -> Preview | None:
    """`on_preview` for frames that the frame check allows; others are dropped."""
    if on_preview is None:
        return None

    def show(index: int, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        if moderation.frames.check(frame[None]).allowed:
            on_preview(index, frame)

    return show


def _remove(resume_path: Path | None) -> None:
    if resume_path is not None:
        resume_path.unlink(missing_ok=True)
