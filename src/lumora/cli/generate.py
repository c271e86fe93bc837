"""`lumora generate`, and what all verbs that make a video have in common."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, UseAppendAction, arg

from lumora.cli.flags import GUIDANCE, OF_THE_MODEL, Aspect, File, Fit, Keyframe, Number, Output, Size
from lumora.cli.progress import progress_bar

if TYPE_CHECKING:
    from lumora.backends.lumora.segments import Condition
    from lumora.config import ModelConfig
    from lumora.media.video import Video
    from lumora.provenance.manifest import Ingredient
    from lumora.request.spec import Request


@dataclass(frozen=True, kw_only=True)
class Making(ABC):
    """What every video is made with."""

    output: Output
    """Where to write it: .mp4, .gif, .webp, or a still as .png."""
    size: Annotated[Size, arg(help_behavior_hint="(default: of the clip's shape, else the model's own)")] = None
    """Width and height in pixels."""
    aspect: Annotated[Aspect, arg(help_behavior_hint="")] = None
    """Width by height, such as 16:9, of about as many pixels as the model makes best."""
    keyframe: Annotated[UseAppendAction[tuple[Keyframe, ...]], arg(help_behavior_hint="")] = ()
    """A picture to show at a second of the video, such as 1.5=picture.png; as often as you like."""
    fit: Fit = "crop"
    """How given pictures of another shape are fitted: what sticks out is cut off, or what is missing is black."""
    fps: Annotated[Number, OF_THE_MODEL] = None
    """Frames a second."""
    seed: int = 0
    """Another number makes another video; the same one makes the same."""
    steps: int = 24
    """Steps of the sampler: more take longer and look better."""
    guidance: Annotated[Number, GUIDANCE] = None
    """How far to lean to the prompt; 1 samples the model as it is."""
    weights: File = None
    """The folder of another model than the one that comes with lumora."""

    @abstractmethod
    def request(self, config: ModelConfig) -> Request:
        """What is asked for, of a model of this configuration."""

    def keyframes(self) -> tuple[Condition, ...]:
        from lumora.backends.lumora.segments import Condition

        return tuple(Condition(_picture(file), second) for second, file in self.keyframe)

    def parents(self) -> list[Ingredient]:
        """The files that it is made of."""
        from lumora.provenance.manifest import Ingredient

        return [Ingredient(file, "inputTo") for _, file in self.keyframe]

    def run(self) -> None:
        from lumora.backends.lumora.weights import read_config
        from lumora.media.video import check_destination

        began = time.monotonic()
        check_destination(self.output)
        config = read_config(self.weights)
        request = self.request(config)
        request.check(config)
        frames, (height, width) = request.num_frames(config), request.size(config)
        for doubt in request.warnings(config):
            print(f"lumora: {doubt}", file=sys.stderr)
        for h, w in dict.fromkeys(thing.video.frames.shape[1:3] for thing in request.conditions):
            if (h, w) != (height, width):  # clips were scaled when they were read
                print(f"What is given of {w}x{h} is scaled to {width}x{height} ({self.fit}).")
        make_and_deliver(request, self.output, self.weights, self.parents())
        still = self.output.suffix.lower() == ".png" or frames == 1
        long = "1 frame" if still else f"{frames} frames"
        print(f"{self.output}: {long} of {width}x{height}, made in {time.monotonic() - began:.1f} s.")

    def how(self, config: ModelConfig, clip: Video | None = None) -> dict[str, Any]:
        """The fields of a request that all tasks have; of the shape of `clip` unless a flag says otherwise."""
        from lumora.request.spec import size_of_shape

        if self.size is not None and self.aspect is not None:
            raise ValueError("Give either a size or an aspect ratio.")
        size = self.size or (None, None)
        if self.aspect is not None:
            size = size_of_shape(config, self.aspect)
        elif self.size is None and clip is not None:
            size = size_of_shape(config, clip.frames.shape[2] / clip.frames.shape[1])
        return {
            "width": size[0],
            "height": size[1],
            "fps": self.rate(config),
            "seed": self.seed,
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance,
            "resize_mode": self.fit,
        }

    def rate(self, config: ModelConfig) -> float:
        return config.shape.fps if self.fps is None else self.fps


@dataclass(frozen=True, kw_only=True)
class Generate(Making):
    """Make a video of a prompt."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")]
    """What the video shall show."""
    seconds: Annotated[Number, arg(help_behavior_hint="(default: 2, and 0 for a .png)")] = None
    """Duration; 0 makes a picture."""
    image: File = None
    """A picture to begin with."""
    last_image: File = None
    """A picture to end with."""

    def request(self, config: ModelConfig) -> Request:
        from lumora.backends.lumora.segments import Condition
        from lumora.request.spec import Request

        first = [Condition(_picture(self.image))] if self.image else []
        last = [Condition(_picture(self.last_image), "end")] if self.last_image else []
        given = (*first, *self.keyframes(), *last)
        usual_seconds = 0.0 if self.output.suffix.lower() == ".png" else Request.seconds
        seconds = usual_seconds if self.seconds is None else self.seconds
        return Request(self.prompt, seconds, conditions=given, **self.how(config))

    def parents(self) -> list[Ingredient]:
        from lumora.provenance.manifest import Ingredient

        ends = [Ingredient(file, "inputTo") for file in (self.image, self.last_image) if file]
        return [*super().parents(), *ends]


def _picture(file: Path) -> Video:
    from lumora.media.video import Video

    return Video.load(file, max_frames=1)


def make_and_deliver(
    request: Request, output: Path, weights: Path | None, parents: Sequence[Ingredient], record: str | None = None
) -> None:
    """Wakes the model, makes the video, and lets it out by the only road."""
    from lumora.media.encode import output_warnings

    given = [condition.video for condition in request.conditions]
    has_audio = any(video.audio is not None for video in given)
    warnings = [warning for video in given for warning in video.warnings]
    for warning in dict.fromkeys([*warnings, *output_warnings(output.suffix.lower(), request.fps, has_audio)]):
        print(f"lumora: {warning}", file=sys.stderr)
    # A long video goes on from here if it is interrupted and asked for again.
    work = output.with_name(f"{output.name}.work")
    with progress_bar("Waking the model") as report:
        from lumora.backends.lumora.pipeline import Pipeline
        from lumora.safety.moderators import frame_moderator, text_moderator
        from lumora.safety.policy import Policy
        from lumora.service.publish import ModerationBlocked, provenance_info, publish

        policy, pipeline = Policy.load(), Pipeline.from_pretrained(weights)
        words, frames = text_moderator(policy, pipeline.text_encoder), frame_moderator(policy)

        def make(request: Request) -> Video:
            return pipeline.generate(request, lambda done, steps: report("Making the video", done, steps), work)

        request = pipeline.drop_unused_latents(request)
        try:
            publish(request, output, make, words, frames, provenance_info(weights, policy), parents, record)
        except ModerationBlocked:
            work.unlink(missing_ok=True)  # nothing stays of what is not let out
            raise
        except KeyboardInterrupt:
            if work.is_file():
                print(f"\nlumora: The same command goes on from where it was, which {work} holds.", file=sys.stderr)
            raise
    work.unlink(missing_ok=True)
    if any(thing.video.latents is not None for thing in request.conditions):
        print("It goes on from the latents that were kept of what was given.")
