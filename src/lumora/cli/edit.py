"""`lumora extend`, `loop`, `connect`, `infill`, `edit`, `storyboard`: requests with inputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import FlagCreatePairsOff, Positional, arg

from lumora.cli.flags import Number, Text
from lumora.cli.generate import VideoVerb

if TYPE_CHECKING:
    from lumora.backends.base import Backend, Plan
    from lumora.media.video import Video
    from lumora.provenance.manifest import Ingredient
    from lumora.request import Request, storyboard


@dataclass(frozen=True, kw_only=True)
class ClipVerb(VideoVerb):
    """A verb that starts from a clip."""

    clip: Annotated[Positional[Path], arg(metavar="CLIP")]
    """A video of any size and frame rate; it is resized to the size and rate of the output."""

    def ingredients(self) -> list[Ingredient]:
        from lumora.provenance.manifest import Ingredient

        return [Ingredient(self.clip, "parentOf"), *super().ingredients()]

    def output_plan(self, backend: Backend) -> tuple[dict[str, Any], Plan]:
        """The settings of the request, and the plan of a single frame with them, which tells size and frame rate.

        Settings that cannot be made are refused here, before the whole clip is read.
        """
        from lumora.config import Resolution
        from lumora.request import Request
        from lumora.service.inputs import load_image

        height, width = load_image(self.clip).frames.shape[1:3]
        settings = self.settings(backend.capabilities(), Resolution(width, height))
        return settings, backend.prepare(Request("a clip", seconds=0.0, **settings))

    def load(self, backend: Backend, plan: Plan, file: Path | None = None) -> Video:
        """The clip, or another `file`, at the size and frame rate of the output."""
        return self.original(backend, plan, file).resample_fps(plan.fps)

    def original(self, backend: Backend, plan: Plan, file: Path | None = None) -> Video:
        """The clip at the size of the output and its own frame rate; prints how it was changed."""
        from lumora.service.inputs import load_clip, load_image

        file = file or self.clip
        height, width = load_image(file).frames.shape[1:3]
        video = load_clip(file, backend.capabilities(), plan.size, self.resize_mode)
        description = f"{len(video.frames)} frames of {width}x{height} at {video.fps:g} fps"
        description += ", with audio" if video.audio is not None else ""
        if (width, height) != (plan.size.width, plan.size.height):
            description += f", resized to {plan.size} ({self.resize_mode})"
        description += "" if video.fps == plan.fps else f", played at {plan.fps:g} fps"
        print(f"{file}: {description}.")
        return video


def total_seconds(seconds: float, backend: Backend, *clips: Video) -> float:
    """Duration of clips and of `seconds` that are generated. Raises ValueError if that is nothing, or too long."""
    most = backend.capabilities().max_seconds
    if not seconds > 0:  # also true for NaN
        raise ValueError(f"The generated part must last more than 0 seconds, not {seconds:g}.")
    given = sum(clip.seconds for clip in clips)
    if given + seconds > most:
        raise ValueError(f"The inputs and {seconds:g} seconds more are longer than {most:g} seconds, the most.")
    return given + seconds


@dataclass(frozen=True, kw_only=True)
class Extend(ClipVerb):
    """Make a clip longer; the clip itself stays as it is."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")] = ""
    """What the whole video shows."""
    seconds: float = 2.0
    """How much longer."""
    backward: FlagCreatePairsOff[bool] = False
    """Extend it before its beginning instead of after its end."""

    def request(self, backend: Backend) -> Request:
        from lumora.request import Condition, Request

        settings, plan = self.output_plan(backend)
        clip = self.load(backend, plan)
        conditions = Condition(clip, "end" if self.backward else 0.0), *self.keyframes()
        seconds = total_seconds(self.seconds, backend, clip)
        return Request(self.prompt, seconds, conditions=conditions, **settings)


@dataclass(frozen=True, kw_only=True)
class Loop(ClipVerb):
    """Lead the end of a clip back to its beginning, so that it can be played in a loop."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")] = ""
    """What the whole video shows."""
    seconds: float = 1.5
    """Duration of the way back."""

    def request(self, backend: Backend) -> Request:
        from lumora.request import Condition, Request

        settings, plan = self.output_plan(backend)
        clip = self.load(backend, plan)
        conditions = Condition(clip), *self.keyframes()
        seconds = total_seconds(self.seconds, backend, clip)
        return Request(self.prompt, seconds, conditions=conditions, loop=True, **settings)


@dataclass(frozen=True, kw_only=True)
class Connect(ClipVerb):
    """Generate what lies between two clips."""

    second: Annotated[Positional[Path], arg(metavar="SECOND_CLIP")]
    """The clip that follows."""
    prompt: Annotated[Positional[str], arg(metavar="PROMPT")] = ""
    """What the whole video shows."""
    seconds: float = 2.0
    """Duration of the generated part."""

    def request(self, backend: Backend) -> Request:
        from lumora.request import Condition, Request

        settings, plan = self.output_plan(backend)
        first, second = self.load(backend, plan), self.load(backend, plan, self.second)
        conditions = Condition(first), Condition(second, "end"), *self.keyframes()
        seconds = total_seconds(self.seconds, backend, first, second)
        return Request(self.prompt, seconds, conditions=conditions, **settings)

    def ingredients(self) -> list[Ingredient]:
        from lumora.provenance.manifest import Ingredient

        return [*super().ingredients(), Ingredient(self.second, "componentOf")]


@dataclass(frozen=True, kw_only=True)
class Infill(ClipVerb):
    """Generate missing frames of a clip: those of a gap, or those between its frames if --fps is higher."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")] = ""
    """What the whole video shows."""
    from_: Annotated[Number, arg(name="from", help_behavior_hint="")] = None
    """Second at which the gap begins."""
    to: Annotated[Number, arg(help_behavior_hint="")] = None
    """Second at which the gap ends."""

    def request(self, backend: Backend) -> Request:
        from lumora.request import Condition, Request

        settings, plan = self.output_plan(backend)
        clip = self.load(backend, plan) if self.fps is None else self.original(backend, plan)
        if (self.from_ is None) != (self.to is None):
            raise ValueError("A gap has two ends; give both --from and --to.")
        span = None if self.from_ is None or self.to is None else (self.from_, self.to)
        condition, num_frames = Condition(clip, mask_span=span), len(clip.frames)
        if len(condition.masked_frames) == num_frames:
            raise ValueError(f"The gap must leave some of the clip's {clip.seconds:g} seconds.")
        if not condition.masked_frames and plan.fps <= clip.fps:
            raise ValueError("No frames are missing; give --from and --to, or a higher --fps than that of the clip.")
        seconds = (num_frames - 1) / clip.fps + 1 / plan.fps
        return Request(self.prompt, seconds, conditions=(condition, *self.keyframes()), **settings)


@dataclass(frozen=True, kw_only=True)
class Edit(ClipVerb):
    """Edit only what the prompt changes in a clip."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")]
    """What changes, such as "now at night"; if the source prompt is not known, everything that the result shows."""
    source_prompt: Annotated[Text, arg(help_behavior_hint="(default: from the clip's manifest)")] = None
    """What the clip shows now; "" if PROMPT says everything that the result shows."""
    strength: float = 0.6
    """0 keeps the clip, 1 ignores it."""

    def request(self, backend: Backend) -> Request:
        from lumora.request import Condition, Request

        settings, plan = self.output_plan(backend)
        clip = self.load(backend, plan)
        condition = Condition(clip, strength=self.strength, source_prompt=self.source())
        return Request(self.prompt, clip.seconds, conditions=(condition, *self.keyframes()), **settings)

    def source(self) -> str:
        """What the clip shows, as the flag or its manifest says."""
        from lumora.service.inputs import known_caption

        if self.source_prompt is not None:
            return self.source_prompt
        known = known_caption(self.clip)
        print(f"The clip shows: {known}" if known else "The clip has no known caption; give one with --source-prompt.")
        return known


@dataclass(frozen=True, kw_only=True)
class Storyboard(VideoVerb):
    """Make the shots of a storyboard (docs/tasks.md), with a cast that is described once."""

    board: Annotated[Positional[Path], arg(metavar="BOARD")]
    """The storyboard, a .toml file."""

    @cached_property
    def content(self) -> storyboard.Storyboard:
        from lumora.request.storyboard import Storyboard

        return Storyboard.load(self.board)

    def request(self, backend: Backend) -> Request:
        from lumora.request import Request

        first, *others = self.content.shots()
        return Request(
            first.prompt,
            first.seconds,
            conditions=(*self.content.conditions(self.board.parent), *self.keyframes()),
            next_shots=tuple(others),
            **self.settings(backend.capabilities()),
        )

    def ingredients(self) -> list[Ingredient]:
        from lumora.provenance.manifest import Ingredient

        images = [entry.image for entry in self.content.shot if entry.image]
        return [*(Ingredient(self.board.parent / image, "inputTo") for image in images), *super().ingredients()]
