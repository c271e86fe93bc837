"""The checker: a process that imports torch and answers the API over a local socket.

Prompts are checked, and plans prepared, before a row exists, so that a refused prompt is an answer and no failed job.
"""

from __future__ import annotations

import importlib
import json
import logging
import socketserver
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lumora.backends.base import Plan
from lumora.serve.child_process import begin_process
from lumora.serve.errors import ApiError
from lumora.serve.jobs import JobSpec, Locate, batch_key, work_of
from lumora.serve.served_models import ServedModels
from lumora.serve.settings import ServeSettings
from lumora.service.convert import convert
from lumora.service.cut import read_cut
from lumora.service.moderation import (
    CheckFailed,
    Moderation,
    ModerationBlocked,
    check_texts,
    texts_of_ingredients,
)

LOG = logging.getLogger("lumora.serve.checker")

METHODS = {
    "ping": "lumora.serve.checker:ping",
    "check_job": "lumora.serve.checker:check_job",
    "check_prompt": "lumora.serve.prompt_review:check_prompt",
    "convert_video": "lumora.serve.checker:convert_video",
}
"""What the API can call: a name, and `module:function` that takes the state and the parameters."""


@dataclass(frozen=True)
class CheckerState:
    settings: ServeSettings

    @cached_property
    def models(self) -> ServedModels:
        return ServedModels(self.settings.models)

    @cached_property
    def moderation(self) -> Moderation:
        return Moderation.load()


def ping(state: CheckerState) -> bool:
    return True


def check_job(state: CheckerState, spec: dict[str, Any], paths: dict[str, str]) -> dict[str, Any]:
    """What will be made of a job. Raises ApiError 400 for a refused text and for what cannot be made.

    The frames of its inputs are reviewed by the worker, because that takes seconds.

    `paths` are the files of the videos and uploads that the job names, by id.
    """
    job_spec = JobSpec.from_json(spec)
    check = _check_cut if job_spec.task == "cut" else _check_generation
    try:
        return check(state, job_spec, lambda name: Path(paths[name]))
    except CheckFailed as error:
        raise ApiError(503, str(error), "check_failed", headers={"Retry-After": "5"}) from None
    except ModerationBlocked as error:
        raise ApiError(400, str(error), "moderation_blocked", "prompt", categories=list(error.categories)) from None
    except ValueError as error:
        raise ApiError(400, _without_paths(str(error), paths), "invalid_value") from None


def _check_generation(state: CheckerState, spec: JobSpec, locate: Locate) -> dict[str, Any]:
    backend = state.models.backend(spec.model)
    job = spec.build(backend, locate)
    plan = backend.prepare(job.request)
    check_texts(job.request, state.moderation, texts_of_ingredients(job.ingredients))
    shown = {"size": str(plan.size), "seconds": plan.num_frames / plan.fps, "fps": plan.fps}
    return {
        "made": {**shown, "num_frames": plan.num_frames},
        "seconds": _asked_seconds(spec, plan),
        "warnings": list(plan.warnings),
        "work": work_of(plan),
        "batch_key": batch_key(plan, spec.model),
    }


def _check_cut(state: CheckerState, spec: JobSpec, locate: Locate) -> dict[str, Any]:
    cut = read_cut(spec.clip_parts(locate))
    check_texts(cut.request, state.moderation, texts_of_ingredients(cut.ingredients))
    count, height, width, _ = cut.video.frames.shape
    made = {"size": f"{width}x{height}", "seconds": cut.video.seconds, "fps": cut.video.fps, "num_frames": count}
    return {"made": made, "seconds": cut.video.seconds, "warnings": [], "work": 0.0, "batch_key": None}


def _asked_seconds(spec: JobSpec, plan: Plan) -> float:
    """The whole duration as clients count it: a clip of 17 frames at 8 frames a second has 2 seconds."""
    seconds = sum(shot.seconds for shot in plan.request.shots(plan.request.seconds or 0.0))
    return max(0.0, seconds - 1 / plan.fps) if spec.videos else seconds


def convert_video(state: CheckerState, source: str, destination: str) -> None:
    """Writes a published video in another format."""
    try:
        convert(Path(source), Path(destination))
    except ValueError as error:
        LOG.error("%s", error)
        raise ApiError(500, "The file of this video cannot be read.") from None


def _without_paths(message: str, paths: dict[str, str]) -> str:
    """Clients know ids, not paths."""
    for name, path in paths.items():
        message = message.replace(path, name)
    return message


def answer(state: CheckerState, line: bytes) -> dict[str, Any]:
    """The answer to one call."""
    try:
        call = json.loads(line)
        module, _, name = METHODS[call["method"]].partition(":")
        return {"result": getattr(importlib.import_module(module), name)(state, **call["parameters"])}
    except ApiError as error:
        optional = {"param": error.param, "headers": error.headers}
        said = {"status": error.status, "message": error.message, "code": error.code, **error.extra}
        return {"error": {**said, **{name: value for name, value in optional.items() if value}}}
    except Exception:
        LOG.exception("A check failed")
        return {"error": {"status": 500, "message": "A check failed; the server's log says more."}}


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        if line := self.rfile.readline():
            self.wfile.write(json.dumps(answer(self.server.state, line)).encode() + b"\n")


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, state: CheckerState) -> None:
        self.state = state
        Path(state.settings.checker_socket).unlink(missing_ok=True)
        super().__init__(state.settings.checker_socket, _Handler)


def main() -> None:
    settings = begin_process()
    state = CheckerState(settings)
    state.moderation.texts.check("a ball")  # loads the check, so that the first request does not wait for it
    with _Server(state) as server:
        server.serve_forever()
