"""`RemoteBackend`: a model of another server behind the interface of all backends.

The other server makes the frames; ids, retries, the review, the watermark and the signature are ours.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from lumora.atomic_io import atomic_write
from lumora.backends.base import Cancel, Cancelled, Capabilities, Plan, Preview, Progress
from lumora.backends.diffusers.catalog import find_entry
from lumora.backends.remote.video_client import RemoteFailure, RemoteJob, VideoClient
from lumora.config import Resolution
from lumora.media.video import Video
from lumora.request.serialization import to_recipe
from lumora.request.spec import Request, check_range

KEY_VARIABLE = "LUMORA_REMOTE_KEY"
"""Environment variable with the API key of the other server, if it needs one."""
POLL_SECONDS = 1.0
MAX_WAIT_SECONDS = 6 * 3600.0
"""Of one video; a server that takes longer is given up."""
MAX_SECONDS = 60.0
DEFAULT_SIZE, DEFAULT_FPS, DEFAULT_FRAMES, DEFAULT_STEPS = Resolution(832, 480), 16.0, 81, 50
"""Of models that the catalogue does not have."""


@dataclass(frozen=True)
class RemoteModel:
    """What is known of the other server's model."""

    name: str
    is_lumora: bool
    limits: Capabilities


class RemoteBackend:
    """The first model of the server at `url`. Nothing is asked before it is needed."""

    def __init__(self, url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url = url.partition("#")[0].rstrip("/").removesuffix("/v1")
        self._client = VideoClient(self.url, os.environ.get(KEY_VARIABLE) or None, sleep)
        self._sleep = sleep

    @cached_property
    def model(self) -> RemoteModel:
        """Raises RemoteFailure if the server cannot be reached."""
        answer = self._client.model()
        name = str(answer.get("id", "unknown"))
        is_lumora = answer.get("owned_by") == "lumora"
        return RemoteModel(name, is_lumora, _limits(name, answer if is_lumora else {}))

    def capabilities(self) -> Capabilities:
        return self.model.limits

    def prepare(self, request: Request) -> Plan:
        """Raises ValueError, in one sentence, for tasks that such servers do not have."""
        limits = self.capabilities()
        is_first = [c.start == c.shot_index == c.strength == 0 and c.mask_span is None for c in request.conditions]
        if request.next_shots or request.loop or len(is_first) > 1 or not all(is_first):
            raise ValueError("Another server makes videos from a text or a first image only; use a model here.")
        if any(len(condition.video.frames) > 1 for condition in request.conditions):
            raise ValueError("Another server starts from an image, not from a clip; use a model here.")
        size = request.size or limits.size
        rounded = limits.nearest_size(size)
        seconds = limits.seconds if request.seconds is None else request.seconds
        check_range("seconds", seconds, 0, limits.max_seconds)
        fps = float(max(1, round(request.fps or limits.fps)))
        steps = request.num_inference_steps or limits.num_inference_steps
        num_frames = 1 + limits.frame_step * max(0, round((seconds * fps - 1) / limits.frame_step))
        resolved = replace(request, size=rounded, seconds=seconds, fps=fps, num_inference_steps=steps)
        said = f"Sizes are made in steps of {limits.size_step} pixels, so {size} becomes {rounded}."
        return Plan(resolved, rounded, fps, num_frames, (said,) if size != rounded else ())

    def run(
        self,
        plan: Plan,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        resume_path: Path | None = None,
        on_preview: Preview | None = None,
    ) -> Video:
        """As `Backend.run`; there are no previews. Raises RemoteFailure, in one sentence."""
        job = self._continued(plan, resume_path) or self._created(plan, resume_path)
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        while job.status in ("queued", "in_progress"):
            if cancel is not None and cancel.is_set():
                self._client.cancel(job.id, self.model.is_lumora)
                raise Cancelled
            if time.monotonic() > deadline:
                self._client.cancel(job.id, self.model.is_lumora)
                raise RemoteFailure(f"The other server took more than {MAX_WAIT_SECONDS / 3600:g} hours.")
            if progress is not None:
                progress(min(99, job.progress), 100)
            self._sleep(POLL_SECONDS)
            job = self._client.get(job.id)
        if job.status == "failed":
            raise RemoteFailure(f"The other server failed: {job.error}")
        with tempfile.TemporaryDirectory(prefix="lumora-") as folder:
            file = Path(folder) / "video.mp4"
            self._client.download(job.id, file)
            video = Video.load(file)
        if progress is not None:
            progress(100, 100)
        return video

    def run_batch(
        self,
        plans: Sequence[Plan],
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        resume_path: Path | None = None,
        on_preview: Preview | None = None,
    ) -> list[Video]:
        """One after another; `resume_path` is used for a single one."""
        if len(plans) == 1:
            return [self.run(plans[0], progress, cancel, resume_path)]
        videos = []
        for number, plan in enumerate(plans):
            report = progress and (lambda done, total, n=number: progress(n * total + done, len(plans) * total))
            videos.append(self.run(plan, report or None, cancel))
        return videos

    def unload(self) -> None:
        """The memory is the other server's."""

    def identity(self) -> dict[str, Any]:
        """The weights are not known here, so their hash is that of the model's name."""
        digest = hashlib.sha256(f"remote {self.model.name}".encode()).hexdigest()
        return {"sha256": digest, "sampling": 0, "name": self.model.name, "remote": True}

    def _created(self, plan: Plan, resume_path: Path | None) -> RemoteJob:
        job = self._client.create(self._fields(plan), _image(plan), secrets.token_hex(16))
        if resume_path is not None:
            with atomic_write(resume_path) as part:
                part.touch(0o600)
                part.write_text(json.dumps({"request": self._fingerprint(plan), "job": job.id}))
        return job

    def _continued(self, plan: Plan, resume_path: Path | None) -> RemoteJob | None:
        """The job of an interrupted call, if the other server still has it."""
        if resume_path is None or not resume_path.is_file():
            return None
        try:
            kept = json.loads(resume_path.read_text())
            job_id = kept["job"] if kept["request"] == self._fingerprint(plan) else None
        except (ValueError, TypeError, KeyError):
            raise ValueError(f"{resume_path} is not unfinished work of lumora; move it, that is kept there.") from None
        try:
            job = self._client.get(job_id) if job_id else None
        except RemoteFailure:
            return None
        return None if job is None or job.status == "failed" else job

    def _fingerprint(self, plan: Plan) -> str:
        return hashlib.sha256(json.dumps([self.model.name, to_recipe(plan.request)]).encode()).hexdigest()

    def _fields(self, plan: Plan) -> dict[str, str]:
        """The form of a request. The names are those that all these servers have."""
        request, fields = plan.request, {"prompt": plan.request.prompt, "size": str(plan.size)}
        seconds = request.seconds or 0.0
        fields["seconds"] = f"{seconds:g}" if self.model.is_lumora else str(max(1, math.ceil(seconds)))
        fields["fps"], fields["seed"] = f"{plan.fps:g}", str(request.seed)
        if not self.model.is_lumora:
            fields["num_frames"] = str(plan.num_frames)
        if request.negative_prompt:
            fields["negative_prompt"] = request.negative_prompt
        if request.num_inference_steps is not None:
            fields["num_inference_steps"] = str(request.num_inference_steps)
        if request.guidance_scale is not None:
            fields["guidance_scale"] = f"{request.guidance_scale:g}"
        return fields


def _image(plan: Plan) -> bytes | None:
    """The first image as PNG, at the size of the video."""
    for condition in plan.request.conditions:
        picture = condition.video.resize(plan.size.height, plan.size.width, plan.request.resize_mode)
        content = io.BytesIO()
        Image.fromarray(picture.frames[0]).save(content, "PNG")
        return content.getvalue()
    return None


def _limits(name: str, answer: dict[str, Any]) -> Capabilities:
    """What a model makes: what another lumora says, what the catalogue knows, or a guess."""
    said = answer.get("capabilities", {})
    entry = find_entry(name)
    size = entry.resolution if entry else DEFAULT_SIZE
    if isinstance(said.get("size"), str):
        size = Resolution.parse(said["size"])
    step = entry.calls.size_step if entry else int(said.get("size_step", 16))
    fps = entry.fps if entry else float(said.get("fps", DEFAULT_FPS))
    num_frames = entry.num_frames if entry else DEFAULT_FRAMES
    return Capabilities(
        tasks=frozenset({"text", "image"}),
        size=size,
        size_step=step,
        aspect_step=int(said.get("aspect_step", step)),
        min_side=int(said.get("min_side", step)),
        max_side=int(said.get("max_side", 2048)),
        fps=fps,
        max_fps=60.0,
        seconds=float(said.get("seconds", num_frames / fps)),
        max_seconds=float(said.get("max_seconds", MAX_SECONDS)),
        frame_step=entry.calls.frame_step if entry else int(said.get("frame_step", 4)),
        num_inference_steps=entry.num_inference_steps if entry else int(said.get("num_inference_steps", DEFAULT_STEPS)),
        max_inference_steps=200,
        max_shots=1,
        license=entry.license if entry else str(answer.get("license", "Unknown: that of the other server's model.")),
        shows_people=bool(said.get("shows_people", True)),
    )
