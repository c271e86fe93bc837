"""The tasks as requests: from prompts, files and settings to a `Request` and its ingredients.

The command line and the server build every request here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lumora.backends.base import Backend, Plan
from lumora.config import Resolution
from lumora.media.video import ResizeMode, Video
from lumora.provenance.manifest import Ingredient
from lumora.request.conditions import Condition, Shot
from lumora.request.spec import Request
from lumora.service.inputs import clip_size, known_caption, load_clip, load_image


@dataclass(frozen=True)
class OutputSettings:
    """Fields of a request that all tasks have. None is decided by the input or by the model."""

    size: Resolution | None = None
    fps: float | None = None
    seed: int = 0
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    negative_prompt: str = ""
    resize_mode: ResizeMode = "crop"

    def fields(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Placement:
    """An image or a clip that is given, and where it lies (`Condition`)."""

    path: Path
    start: float | Literal["end"] = 0.0
    shot_index: int = 0
    whole_clip: bool = False
    """False: only its first frame is given."""


@dataclass(frozen=True)
class VideoJob:
    """A request and the files that it is made from."""

    request: Request
    ingredients: tuple[Ingredient, ...] = ()


@dataclass(frozen=True)
class TaskBuilder:
    """Builds the requests of all tasks for one backend. `keyframes` can be combined with every task.

    All methods raise ValueError, in one sentence, for inputs and settings that cannot be used. Settings that cannot be
    made are refused before a clip is read.
    """

    backend: Backend
    settings: OutputSettings = field(default_factory=OutputSettings)
    keyframes: Sequence[Placement] = ()
    on_clip: Callable[[str], None] = lambda _: None
    """Receives a sentence for each clip that says how it is changed."""
    clip_sizes: dict[Path, Resolution] = field(default_factory=dict)
    """The sizes of the clips that were looked at."""

    def generate(
        self,
        prompt: str,
        seconds: float | None = None,
        placements: Sequence[Placement] = (),
        next_shots: Sequence[Shot] = (),
        loop: bool = False,
    ) -> VideoJob:
        """Text to video, image to video, storyboards and everything that is placed on a time line."""
        placements = (*placements, *self.keyframes)
        conditions = tuple(self._condition(placement) for placement in placements)
        request = Request(
            prompt, seconds, conditions=conditions, next_shots=tuple(next_shots), loop=loop, **self.settings.fields()
        )
        return VideoJob(request, tuple(Ingredient(placement.path, "inputTo") for placement in placements))

    def extend(self, clip: Path, prompt: str, seconds: float, backward: bool = False) -> VideoJob:
        """`seconds` more after the end of a clip, or before its beginning."""
        of_clip = self._fitted_to(clip)
        video = of_clip.load(clip)
        condition = Condition(video, "end" if backward else 0.0)
        return of_clip.job(prompt, of_clip.total_seconds(seconds, video), (condition,), (clip,))

    def loop(self, clip: Path, prompt: str, seconds: float) -> VideoJob:
        """`seconds` that lead the end of a clip back to its beginning."""
        of_clip = self._fitted_to(clip)
        video = of_clip.load(clip)
        total = of_clip.total_seconds(seconds, video)
        return of_clip.job(prompt, total, (Condition(video),), (clip,), loop=True)

    def connect(self, first: Path, second: Path, prompt: str, seconds: float) -> VideoJob:
        """`seconds` between two clips."""
        of_clip = self._fitted_to(first)
        videos = of_clip.load(first), of_clip.load(second)
        conditions = Condition(videos[0]), Condition(videos[1], "end")
        return of_clip.job(prompt, of_clip.total_seconds(seconds, *videos), conditions, (first, second))

    def infill(self, clip: Path, prompt: str, start: float | None = None, end: float | None = None) -> VideoJob:
        """The frames of a clip between two times; without them, those that a higher frame rate needs."""
        of_clip = self._fitted_to(clip)
        if (start is None) != (end is None):
            raise ValueError("A gap has two ends; give both its start and its end.")
        video = of_clip.load(clip, keep_fps=self.settings.fps is not None)
        span = None if start is None or end is None else (start, end)
        if (num_frames := len(video.frames)) == 1:
            raise ValueError(f"{clip} has one frame, so none is missing; give a video.")
        condition = Condition(video, mask_span=span)
        if len(condition.masked_frames) == num_frames:
            raise ValueError(f"The gap must leave some of the clip's {video.seconds:g} seconds.")
        if not condition.masked_frames and of_clip.plan.fps <= video.fps:
            raise ValueError("No frames are missing; give a gap, or a higher frame rate than that of the clip.")
        seconds = (num_frames - 1) / video.fps + 1 / of_clip.plan.fps
        return of_clip.job(prompt, seconds, (condition,), (clip,))

    def edit(self, clip: Path, prompt: str, strength: float, source_prompt: str | None = None) -> VideoJob:
        """A clip in which only what the prompt says changes. `source_prompt` is what the clip shows now (default: what
        its manifest says)."""
        of_clip = self._fitted_to(clip)
        of_clip.check()
        source_prompt = known_caption(clip) if source_prompt is None else source_prompt
        video = of_clip.load(clip)
        condition = Condition(video, strength=strength, source_prompt=source_prompt)
        return of_clip.job(prompt, video.seconds, (condition,), (clip,))

    def check_settings(self, clip: Path) -> None:
        """Refuses settings that cannot be made for a clip, of which only the first frame is read."""
        self._fitted_to(clip).check()

    def _condition(self, placement: Placement) -> Condition:
        if not placement.whole_clip:
            return Condition(load_image(placement.path), placement.start, shot_index=placement.shot_index)
        video = self._fitted_to(placement.path).load(placement.path)
        return Condition(video, placement.start, shot_index=placement.shot_index)

    def _fitted_to(self, clip: Path) -> _FittedBuilder:
        """A builder whose output has the shape of `clip`, unless the settings say otherwise."""
        settings = self.settings
        if settings.size is None:
            size = self.backend.capabilities().size_for(self._size_of(clip).aspect_ratio)
            settings = replace(settings, size=size)
        return _FittedBuilder(self.backend, settings, self.keyframes, self.on_clip, self.clip_sizes)

    def _size_of(self, clip: Path) -> Resolution:
        if clip not in self.clip_sizes:
            self.clip_sizes[clip] = clip_size(clip)
        return self.clip_sizes[clip]


@dataclass(frozen=True)
class _FittedBuilder(TaskBuilder):
    """A builder whose size is decided."""

    @cached_property
    def plan(self) -> Plan:
        """The plan of a single given frame, which tells size and frame rate, and refuses what cannot be made."""
        still = Condition(Video(np.zeros((1, 16, 16, 3), np.uint8), 1.0))
        return self.backend.prepare(Request("a clip", 0.0, conditions=(still,), **self.settings.fields()))

    def check(self) -> None:
        """Raises ValueError for settings that cannot be made."""
        _ = self.plan

    def load(self, clip: Path, keep_fps: bool = False) -> Video:
        """The clip at the size of the output, and at its frame rate or its own."""
        plan, size = self.plan, self._size_of(clip)
        video = load_clip(clip, self.backend.capabilities(), plan.size, self.settings.resize_mode)
        num_frames = len(video.frames)
        is_still = num_frames == 1
        description = f"an image of {size}" if is_still else f"{num_frames} frames of {size} at {video.fps:g} fps"
        description += ", with audio" if video.audio is not None else ""
        description += f", resized to {plan.size} ({self.settings.resize_mode})" if size != plan.size else ""
        description += f", played at {plan.fps:g} fps" if not is_still and video.fps != plan.fps else ""
        self.on_clip(f"{clip}: {description}.")
        return video if keep_fps else video.resample_fps(plan.fps)

    def total_seconds(self, seconds: float, *clips: Video) -> float:
        """Duration of clips and of `seconds` that are generated. Raises ValueError if that is nothing, or too long."""
        most = self.backend.capabilities().max_seconds
        if not seconds > 0:  # also true for NaN
            raise ValueError(f"The generated part must last more than 0 seconds, not {seconds:g}.")
        given = sum(clip.seconds for clip in clips)
        if given + seconds > most:
            raise ValueError(f"The inputs and {seconds:g} seconds more are longer than {most:g} seconds, the most.")
        return given + seconds

    def job(
        self, prompt: str, seconds: float, conditions: Sequence[Condition], clips: Sequence[Path], loop: bool = False
    ) -> VideoJob:
        """A request with these conditions. The first clip is the parent of the result, the others are components."""
        conditions = (*conditions, *(self._condition(keyframe) for keyframe in self.keyframes))
        request = Request(prompt, seconds, conditions=conditions, loop=loop, **self.settings.fields())
        parent, *others = clips
        ingredients = (
            Ingredient(parent, "parentOf"),
            *(Ingredient(clip, "componentOf") for clip in others),
            *(Ingredient(keyframe.path, "inputTo") for keyframe in self.keyframes),
        )
        return VideoJob(request, ingredients)
