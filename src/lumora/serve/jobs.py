"""`JobSpec`: what one video is asked for, as it stands in its row, and the request that it becomes.

The API makes it from a request's body; the checker and the workers turn it into a `Request` with `service.tasks`. No
torch is imported here before that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lumora.backends.base import Capabilities
from lumora.config import Resolution, from_dict
from lumora.serve.mentions import CastMember, with_descriptions

if TYPE_CHECKING:
    from lumora.backends.base import Backend, Plan
    from lumora.service.cut import ClipPart
    from lumora.service.tasks import Placement, TaskBuilder, VideoJob

JobTask = Literal[
    "text", "image", "shots", "extend", "extend_backward", "infill", "connect", "loop", "edit", "remix", "cut"
]
SORA_SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")
"""Sizes that clients of Sora's API ask for. They are made at the model's own number of pixels."""
Locate = Callable[[str], Path]
"""From the id of a video or a file to its path."""


@dataclass(frozen=True)
class ReferenceSpec:
    """An image or video on the time line."""

    id: str
    start: float | None = 0.0
    """Seconds after the start of its shot; None: it ends where the video ends."""
    shot_index: int = 0
    whole_clip: bool = False


@dataclass(frozen=True)
class ShotSpec:
    prompt: str
    seconds: float
    hard_cut: bool = True


@dataclass(frozen=True)
class SegmentSpec:
    """A part of a video; `end` None is its end."""

    id: str
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class JobSpec:
    task: JobTask
    prompt: str = ""
    original_prompt: str = ""
    """What the client wrote, if `prompt` is its expansion."""
    seconds: float | None = None
    size: str | None = None
    fps: float | None = None
    seed: int = 0
    negative_prompt: str = ""
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    loop: bool = False
    shots: tuple[ShotSpec, ...] = ()
    """All shots; if there are any, `prompt` and `seconds` say nothing."""
    references: tuple[ReferenceSpec, ...] = ()
    videos: tuple[str, ...] = ()
    """The clips that are extended, edited, connected …"""
    strength: float = 0.6
    source_prompt: str | None = None
    start: float | None = None
    end: float | None = None
    segments: tuple[SegmentSpec, ...] = ()
    cast: tuple[CastMember, ...] = ()
    """The characters that the prompts mention."""
    model: str = ""
    """The served name of the model that makes it; "" is the server's default."""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> JobSpec:
        return from_dict(cls, value)

    def to_json(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self)))

    @property
    def input_ids(self) -> tuple[str, ...]:
        """The videos and files that the job reads, each once."""
        ids = (*self.videos, *(r.id for r in self.references), *(s.id for s in self.segments))
        return tuple(dict.fromkeys(ids))

    @property
    def parent_video_ids(self) -> list[str]:
        return [object_id for object_id in self.input_ids if object_id.startswith("video_")]

    def build(self, backend: Backend, locate: Locate, on_clip: Callable[[str], None] = lambda _: None) -> VideoJob:
        """The request of every task but "cut". Raises ValueError, in one sentence, for what cannot be made."""
        from lumora.service.tasks import OutputSettings, TaskBuilder

        settings = OutputSettings(
            size=output_size(self.size, backend.capabilities()),
            fps=self.fps,
            seed=self.seed,
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            negative_prompt=self.negative_prompt,
        )
        return self._build(TaskBuilder(backend, settings, on_clip=on_clip), locate)

    def clip_parts(self, locate: Locate) -> list[ClipPart]:
        """What a cut is joined of."""
        from lumora.service.cut import ClipPart

        return [ClipPart(locate(segment.id), segment.start, segment.end) for segment in self.segments]

    def _build(self, builder: TaskBuilder, locate: Locate) -> VideoJob:
        prompt, clips = self._with_cast(self.prompt), [locate(video) for video in self.videos]
        seconds = 0.0 if self.seconds is None else self.seconds
        match self.task:
            case "extend" | "extend_backward":
                return builder.extend(clips[0], prompt, seconds, backward=self.task == "extend_backward")
            case "connect":
                return builder.connect(clips[0], clips[1], prompt, seconds)
            case "loop":
                return builder.loop(clips[0], prompt, seconds)
            case "infill":
                return builder.infill(clips[0], prompt, self.start, self.end)
            case "edit" | "remix":
                return builder.edit(clips[0], prompt, self.strength, self.source_prompt)
        return self._build_generation(builder, prompt, locate)

    def _build_generation(self, builder: TaskBuilder, prompt: str, locate: Locate) -> VideoJob:
        from lumora.request.conditions import Shot

        placements = [_placement(reference, locate) for reference in self.references]
        shots = [Shot(self._with_cast(shot.prompt), shot.seconds, shot.hard_cut) for shot in self.shots]
        if not shots:
            return builder.generate(prompt, self.seconds, placements, loop=self.loop)
        first, *others = shots
        return builder.generate(first.prompt, first.seconds, placements, others, self.loop)

    def _with_cast(self, prompt: str) -> str:
        return with_descriptions(prompt, self.cast)


def output_size(size: str | None, limits: Capabilities) -> Resolution | None:
    """The size that is made: Sora's sizes, and those beyond the model's limits, at its own number of pixels."""
    if size is None:
        return None
    asked = Resolution.parse(size)
    if size in SORA_SIZES or max(asked.width, asked.height) > limits.max_side:
        return limits.size_for(asked.aspect_ratio)
    return asked


def work_of(plan: Plan) -> float:
    """Pixels · frames · steps: what the duration of a job is proportional to."""
    steps = plan.request.num_inference_steps or 1
    return float(plan.size.width * plan.size.height * plan.num_frames * steps)


def batch_key(plan: Plan, model: str = "") -> str | None:
    """Plans of a model with the same key can be made together; None: this one is made alone."""
    if plan.request.conditions or plan.request.next_shots:
        return None
    settings = replace(plan.request, prompt="-", seed=0)
    return hashlib.sha256(repr((model, settings, plan.size, plan.fps, plan.num_frames)).encode()).hexdigest()[:32]


def _placement(reference: ReferenceSpec, locate: Locate) -> Placement:
    from lumora.service.tasks import Placement

    start = "end" if reference.start is None else reference.start
    return Placement(locate(reference.id), start, reference.shot_index, reference.whole_clip)
