"""`lumora extend`, `loop`, `connect`, `infill`, `edit`, `storyboard`: requests with inputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from lumora.cli.flags import Number, Text
from lumora.cli.generate import VideoVerb
from lumora.terminal import say

if TYPE_CHECKING:
    from lumora.request import storyboard
    from lumora.service.tasks import TaskBuilder, VideoJob


@dataclass(frozen=True, kw_only=True)
class ClipVerb(VideoVerb):
    """A verb that starts from a clip."""

    clip: Annotated[Positional[Path], arg(metavar="CLIP")]
    """A video of any size and frame rate; it is resized to the size and rate of the output."""

    def inputs(self) -> list[Path]:
        return [self.clip, *super().inputs()]


@dataclass(frozen=True, kw_only=True)
class Extend(ClipVerb):
    """Make a clip longer; the clip itself stays as it is."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")] = ""
    """What the whole video shows."""
    seconds: float = 2.0
    """How much longer."""
    backward: FlagCreatePairsOff[bool] = False
    """Extend it before its beginning instead of after its end."""

    def job(self, builder: TaskBuilder) -> VideoJob:
        return builder.extend(self.clip, self.prompt, self.seconds, self.backward)


@dataclass(frozen=True, kw_only=True)
class Loop(ClipVerb):
    """Lead the end of a clip back to its beginning, so that it can be played in a loop."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")] = ""
    """What the whole video shows."""
    seconds: float = 1.5
    """Duration of the way back."""

    def job(self, builder: TaskBuilder) -> VideoJob:
        return builder.loop(self.clip, self.prompt, self.seconds)


@dataclass(frozen=True, kw_only=True)
class Connect(ClipVerb):
    """Generate what lies between two clips."""

    second: Annotated[Positional[Path], arg(metavar="SECOND_CLIP")]
    """The clip that follows."""
    prompt: Annotated[Positional[str], arg(metavar="PROMPT")] = ""
    """What the whole video shows."""
    seconds: float = 2.0
    """Duration of the generated part."""

    def inputs(self) -> list[Path]:
        return [*super().inputs(), self.second]

    def job(self, builder: TaskBuilder) -> VideoJob:
        return builder.connect(self.clip, self.second, self.prompt, self.seconds)


@dataclass(frozen=True, kw_only=True)
class Infill(ClipVerb):
    """Generate missing frames of a clip: those of a gap, or those between its frames if --fps is higher."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")] = ""
    """What the whole video shows."""
    from_: Annotated[Number, arg(name="from", help_behavior_hint="")] = None
    """Second at which the gap begins."""
    to: Annotated[Number, arg(help_behavior_hint="")] = None
    """Second at which the gap ends."""

    def job(self, builder: TaskBuilder) -> VideoJob:
        return builder.infill(self.clip, self.prompt, self.from_, self.to)


@dataclass(frozen=True, kw_only=True)
class Edit(ClipVerb):
    """Edit only what the prompt changes in a clip."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")]
    """What changes, such as "now at night"; if the source prompt is not known, everything that the result shows."""
    source_prompt: Annotated[Text, arg(help_behavior_hint="(default: from the clip's manifest)")] = None
    """What the clip shows now; "" if PROMPT says everything that the result shows."""
    strength: float = 0.6
    """0 keeps the clip, 1 ignores it."""

    def job(self, builder: TaskBuilder) -> VideoJob:
        builder.check_settings(self.clip)
        return builder.edit(self.clip, self.prompt, self.strength, self.source())

    def source(self) -> str:
        """What the clip shows, as the flag or its manifest says."""
        from lumora.service.inputs import known_caption

        if self.source_prompt is not None:
            return self.source_prompt
        known = known_caption(self.clip)
        say(f"The clip shows: {known}" if known else "The clip has no known caption; give one with --source-prompt.")
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

    def job(self, builder: TaskBuilder) -> VideoJob:
        from lumora.service.tasks import Placement

        first, *others = self.content.shots()
        images = self.content.images(self.board.parent)
        placements = [Placement(image, shot_index=index) for index, image in images]
        return builder.generate(first.prompt, first.seconds, placements, others)
