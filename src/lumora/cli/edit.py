"""`lumora extend`, `loop`, `connect`, `infill`, `edit`, `storyboard`: requests with something given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import FlagCreatePairsOff, Positional, arg

from lumora.cli.flags import Number
from lumora.cli.generate import Making

if TYPE_CHECKING:
    from lumora.config import ModelConfig
    from lumora.media.video import Video
    from lumora.provenance.manifest import Ingredient
    from lumora.request import storyboard
    from lumora.request.spec import Request


@dataclass(frozen=True, kw_only=True)
class WithClip(Making):
    """What is made of a clip."""

    clip: Annotated[Positional[Path], arg(metavar="CLIP")]
    """A video of any size and rate; it is scaled, and shown at the video's rate."""

    def parents(self) -> list[Ingredient]:
        from lumora.provenance.manifest import Ingredient

        return [Ingredient(self.clip, "parentOf"), *super().parents()]

    def like_the_clip(self, config: ModelConfig) -> dict[str, Any]:
        """The fields of a request that all tasks have; the size is that of the clip, unless a flag says otherwise.

        What is wrong with them is said here, before all of a clip is read and scaled.
        """
        from lumora.media.video import Video
        from lumora.request.spec import Request

        how = self.how(config, Video.load(self.clip, max_frames=1))
        Request("a clip", seconds=0.0, **how).check(config)
        return how

    def load(self, how: dict[str, Any], file: Path | None = None) -> Video:
        """The clip, or that of another `file`, at the video's size and rate."""
        return self.original(how, file).resample_fps(how["fps"])

    def original(self, how: dict[str, Any], file: Path | None = None) -> Video:
        """The clip at the video's size and its own rate; says what is done to it."""
        from lumora.media.video import Video
        from lumora.provenance.latent_store import LatentStore
        from lumora.request.spec import MAX_SECONDS

        file, most = file or self.clip, MAX_SECONDS + 1.0  # enough of a long film to refuse it
        height, width = Video.load(file, max_frames=1).frames.shape[1:3]
        read = Video.load(file, size=(how["height"], how["width"]), resize_mode=self.fit, max_seconds=most)
        video = LatentStore().joined(read, file)
        size = f"{how['width']}x{how['height']}"
        told = f"{len(video.frames)} frames of {width}x{height}, {video.fps:g} a second"
        told += ", with sound" if video.audio is not None else ""
        told += "" if size == f"{width}x{height}" else f", scaled to {size} ({self.fit})"
        told += "" if video.fps == how["fps"] else f", shown at {how['fps']:g}"
        print(f"{file}: {told}.")
        return video


def in_all(seconds: float, *clips: Video) -> float:
    """How long clips are with so many `seconds` that are made. Raises ValueError where that is none, or too long."""
    from lumora.request.spec import MAX_SECONDS

    if not seconds > 0:  # nor NaN
        raise ValueError(f"What is made must last more than 0 seconds, not {seconds:g}.")
    given = sum(clip.seconds for clip in clips)
    if given + seconds > MAX_SECONDS:
        raise ValueError(f"What is given and {seconds:g} seconds more are longer than {MAX_SECONDS} seconds, the most.")
    return given + seconds


@dataclass(frozen=True, kw_only=True)
class Extend(WithClip):
    """Make a clip longer; what is there stays as it is."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")] = ""
    """What the whole video shows."""
    seconds: float = 2.0
    """How much longer."""
    backward: FlagCreatePairsOff[bool] = False
    """Before its beginning instead of behind its end."""

    def request(self, config: ModelConfig) -> Request:
        from lumora.backends.lumora.segments import Condition
        from lumora.request.spec import Request

        how = self.like_the_clip(config)
        clip = self.load(how)
        given = Condition(clip, "end" if self.backward else 0.0), *self.keyframes()
        return Request(self.prompt, in_all(self.seconds, clip), conditions=given, **how)


@dataclass(frozen=True, kw_only=True)
class Loop(WithClip):
    """Lead the end of a clip back to its beginning, so that it can go round and round."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")] = ""
    """What the whole video shows."""
    seconds: float = 1.5
    """How long the way back takes."""

    def request(self, config: ModelConfig) -> Request:
        from lumora.backends.lumora.segments import Condition
        from lumora.request.spec import Request

        how = self.like_the_clip(config)
        clip = self.load(how)
        given = Condition(clip), *self.keyframes()
        return Request(self.prompt, in_all(self.seconds, clip), conditions=given, loop=True, **how)


@dataclass(frozen=True, kw_only=True)
class Connect(WithClip):
    """Make what lies between two clips."""

    second: Annotated[Positional[Path], arg(metavar="SECOND_CLIP")]
    """The clip that follows."""
    prompt: Annotated[Positional[str], arg(metavar="PROMPT")] = ""
    """What the whole video shows."""
    seconds: float = 2.0
    """How much lies between."""

    def request(self, config: ModelConfig) -> Request:
        from lumora.backends.lumora.segments import Condition
        from lumora.request.spec import Request

        how = self.like_the_clip(config)
        first, second = self.load(how), self.load(how, self.second)
        given = Condition(first), Condition(second, "end"), *self.keyframes()
        return Request(self.prompt, in_all(self.seconds, first, second), conditions=given, **how)

    def parents(self) -> list[Ingredient]:
        from lumora.provenance.manifest import Ingredient

        return [*super().parents(), Ingredient(self.second, "componentOf")]


@dataclass(frozen=True, kw_only=True)
class Infill(WithClip):
    """Make some of a clip's frames again: those of a gap, or, with more --fps than it has, those between all others."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")] = ""
    """What the whole video shows."""
    from_: Annotated[Number, arg(name="from", help_behavior_hint="")] = None
    """Second at which the gap begins."""
    to: Annotated[Number, arg(help_behavior_hint="")] = None
    """Second at which it ends."""

    def request(self, config: ModelConfig) -> Request:
        from lumora.backends.lumora.segments import Condition
        from lumora.request.spec import Request

        how = self.like_the_clip(config)
        clip = self.load(how) if self.fps is None else self.original(how)
        if (self.from_ is None) != (self.to is None):
            raise ValueError("A gap has two ends; give both --from and --to.")
        gap = None if self.from_ is None or self.to is None else (self.from_, self.to)
        given, count, rate = Condition(clip, mask_span=gap), len(clip.frames), how["fps"]
        if len(given.masked_frames) == count:
            raise ValueError(f"The gap must leave some of the clip's {clip.seconds:g} seconds.")
        if not given.masked_frames and rate <= clip.fps:
            raise ValueError("Nothing is missing; say where --from and --to, or ask for more --fps than the clip has.")
        return Request(self.prompt, (count - 1) / clip.fps + 1 / rate, conditions=(given, *self.keyframes()), **how)


@dataclass(frozen=True, kw_only=True)
class Edit(WithClip):
    """Change what the words change in a clip, and leave the rest."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")]
    """What changes, as in "now at night"; of a clip of which nobody knows what it shows, all that it shall show."""
    shows: str | None = None
    """What the clip shows now. Of a clip that was made here this is known; "" if PROMPT says all that it shall show."""
    strength: float = 0.6
    """0 leaves it as it is, 1 forgets it."""

    def request(self, config: ModelConfig) -> Request:
        from lumora.backends.lumora.segments import Condition
        from lumora.request.spec import Request

        how = self.like_the_clip(config)
        clip = self.load(how)
        given = Condition(clip, strength=self.strength, source_prompt=self.source()), *self.keyframes()
        return Request(self.prompt, clip.seconds, conditions=given, **how)

    def source(self) -> str:
        """What the clip shows, as was said now or when it was made."""
        from lumora.provenance.manifest import read
        from lumora.request.serialization import source_caption

        if self.shows is not None:
            return self.shows
        known = source_caption(read(self.clip).recipe.get("request"))
        print(f"It shows: {known}" if known else "Nothing is known of what it shows; --shows or PROMPT should say it.")
        return known


@dataclass(frozen=True, kw_only=True)
class Storyboard(Making):
    """Make the shots of a storyboard (docs/tasks.md), with a cast that is described once."""

    board: Annotated[Positional[Path], arg(metavar="BOARD")]
    """The storyboard, a .toml file."""

    @cached_property
    def content(self) -> storyboard.Storyboard:
        from lumora.request.storyboard import Storyboard

        return Storyboard.load(self.board)

    def request(self, config: ModelConfig) -> Request:
        from lumora.request.spec import Request

        first, *then = self.content.shots()
        given = *self.content.conditions(self.board.parent), *self.keyframes()
        return Request(first.prompt, first.seconds, conditions=given, next_shots=tuple(then), **self.how(config))

    def parents(self) -> list[Ingredient]:
        from lumora.provenance.manifest import Ingredient

        pictures = [scene.image for scene in self.content.shot if scene.image]
        return [*(Ingredient(self.board.parent / picture, "inputTo") for picture in pictures), *super().parents()]
