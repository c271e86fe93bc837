"""`lumora generate`, and what all verbs that make a video have in common."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg

from lumora.backends.diffusers.memory_planning import MemoryLevel
from lumora.cli.flags import (
    GUIDANCE,
    OF_THE_MODEL,
    AspectRatio,
    File,
    Keyframe,
    Lora,
    Model,
    Number,
    Output,
    OutputVerb,
    ResizeMode,
    Size,
    WholeNumber,
)
from lumora.cli.progress import progress_bar
from lumora.terminal import say, warn

if TYPE_CHECKING:
    from pathlib import Path

    from lumora.backends.base import Backend, Plan
    from lumora.provenance.index import PublishedRecord
    from lumora.provenance.manifest import Ingredient
    from lumora.request import Request
    from lumora.service.tasks import TaskBuilder, VideoJob


@dataclass(frozen=True, kw_only=True)
class VideoVerb(OutputVerb, ABC):
    """Flags of every verb that makes a video."""

    output: Output
    """File to write: .mp4, .gif, .webp, or a still image as .png."""
    size: Annotated[Size, arg(help_behavior_hint="(default: the shape of the input, else the model's own)")] = None
    """Width and height in pixels."""
    aspect_ratio: Annotated[AspectRatio, arg(help_behavior_hint="")] = None
    """Width by height, such as 16:9; the number of pixels is about that of the model's default size."""
    keyframe: Annotated[UseAppendAction[tuple[Keyframe, ...]], arg(help_behavior_hint="")] = ()
    """An image to show at a second of the video, such as 1.5=image.png; can be repeated."""
    resize_mode: ResizeMode = "crop"
    """How inputs with another aspect ratio are fitted: crop them, or letterbox them with black bars."""
    fps: Annotated[Number, OF_THE_MODEL] = None
    """Frames per second."""
    seed: int = 0
    """Seed of the noise; the same seed makes the same video."""
    steps: Annotated[WholeNumber, OF_THE_MODEL] = None
    """Number of denoising steps; more take longer."""
    guidance_scale: Annotated[Number, GUIDANCE] = None
    """Scale of classifier-free guidance; 1 samples the model without guidance."""
    negative_prompt: str = ""
    """What the video should not show."""
    model: Model = None
    """Another model: a name of `lumora models list`, a folder, a repository of the hub that was pulled, or the address
    of another server of the Videos API."""
    lora: Annotated[UseAppendAction[tuple[Lora, ...]], arg(help_behavior_hint="")] = ()
    """A LoRA file of an open-weight model, and its strength (default: 1); can be repeated."""
    memory_plan: Annotated[MemoryLevel | None, arg(help_behavior_hint="(default: by the GPU's free memory)")] = None
    """What of an open-weight model lies on the GPU, from the fastest to the smallest."""
    step_cache: Annotated[Number, arg(help_behavior_hint="(default: off)")] = None
    """Skip blocks of an open-weight model in steps that change less than this share, such as 0.05."""
    gpus: int = 1
    """GPUs that make one video together, by context parallelism; for Wan's models."""

    @abstractmethod
    def job(self, builder: TaskBuilder) -> VideoJob:
        """What is asked for, and the files that it is made from."""

    def expansion(self) -> Callable[[Request], Request] | None:
        """How its prompt is expanded, if it is."""
        return None

    def inputs(self) -> list[Path]:
        """The files that it is made from."""
        return [file for _, file in self.keyframe]

    def builder(self, backend: Backend) -> TaskBuilder:
        """A builder with the settings and keyframes of the flags; it prints how clips are changed."""
        from lumora.service.tasks import OutputSettings, Placement, TaskBuilder

        if self.size is not None and self.aspect_ratio is not None:
            raise ValueError("Give either a size or an aspect ratio.")
        size = self.size
        if self.aspect_ratio is not None:
            size = backend.capabilities().size_for(self.aspect_ratio)
        settings = OutputSettings(
            size=size,
            fps=self.fps,
            seed=self.seed,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance_scale,
            negative_prompt=self.negative_prompt,
            resize_mode=self.resize_mode,
        )
        keyframes = tuple(Placement(file, second) for second, file in self.keyframe)
        return TaskBuilder(backend, settings, keyframes, on_clip=say)

    def run(self) -> None:
        from lumora.backends.model_selection import open_backend
        from lumora.media.encode import checked_suffix

        began = time.monotonic()
        checked_suffix(self.output)
        overwrite = self.check_output(self.output, self.inputs())
        backend = open_backend(
            self.model,
            loras=self.lora,
            memory=self.memory_plan,
            step_cache=self.step_cache,
            num_gpus=self.gpus,
            say=say,
        )
        job = self.job(self.builder(backend))
        plan, _ = make_video(
            job.request, backend, self.output, job.ingredients, overwrite=overwrite, expand=self.expansion()
        )
        still = self.output.suffix.lower() == ".png" or plan.num_frames == 1
        frames = "1 frame" if still else f"{plan.num_frames} frames"
        say(f"{self.output}: {frames} of {plan.size}, made in {time.monotonic() - began:.1f} s.")


@dataclass(frozen=True, kw_only=True)
class Generate(VideoVerb):
    """Make a video from a prompt."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")]
    """What the video shows."""
    seconds: Annotated[Number, arg(help_behavior_hint="(default: 2, and 0 for a .png)")] = None
    """Duration; 0 makes a still image."""
    image: File = None
    """First frame."""
    last_image: File = None
    """Last frame."""
    expand: FlagCreatePairsOff[bool] = False
    """Add details that the prompt leaves open, and show the prompt that is used (docs/prompts.md)."""

    def inputs(self) -> list[Path]:
        return [*super().inputs(), *(file for file in (self.image, self.last_image) if file)]

    def expansion(self) -> Callable[[Request], Request] | None:
        if not self.expand:
            return None
        from lumora.service.prompt_expander import check_expandable, expand_request, load_expander

        check_expandable(has_shots=False, has_inputs=bool(self.inputs()))
        expander = load_expander()

        def expanded(request: Request) -> Request:
            result = expand_request(request, expander)
            say(f"Prompt: {result.prompt}")
            return result

        return expanded

    def job(self, builder: TaskBuilder) -> VideoJob:
        from lumora.service.tasks import Placement

        placements = [Placement(self.image)] if self.image else []
        placements += [Placement(self.last_image, "end")] if self.last_image else []
        is_still = self.output.suffix.lower() == ".png"
        return builder.generate(self.prompt, 0.0 if is_still and self.seconds is None else self.seconds, placements)


def make_video(
    request: Request,
    backend: Backend,
    output: Path,
    ingredients: Sequence[Ingredient],
    record: str | None = None,
    overwrite: bool = False,
    expand: Callable[[Request], Request] | None = None,
) -> tuple[Plan, PublishedRecord]:
    """Runs the service with a progress bar and prints what the plan says."""
    from lumora.media.encode import output_warnings
    from lumora.service.generate import generate

    resume_path = output.with_name(f"{output.name}.work")
    plans: list[Plan] = []
    reports: list[Callable[[str, int, int], None]] = []

    def show_plan(plan: Plan) -> None:
        plans.append(plan)
        has_audio = any(video.audio is not None for video in request.videos())
        input_warnings = (warning for video in request.videos() for warning in video.warnings)
        of_format = output_warnings(output.suffix.lower(), plan.fps, has_audio)
        for warning in dict.fromkeys([*input_warnings, *of_format, *plan.warnings]):
            warn(f"lumora: {warning}")
        for height, width in dict.fromkeys(video.frames.shape[1:3] for video in request.videos()):
            if (width, height) != (plan.size.width, plan.size.height):  # videos were resized when they were read
                say(f"An input of {width}x{height} is resized to {plan.size} ({request.resize_mode}).")
        reports.append(stack.enter_context(progress_bar("Loading the model")))

    with contextlib.ExitStack() as stack:
        try:
            published = generate(
                request,
                backend,
                output,
                ingredients=ingredients,
                expand=expand,
                on_plan=show_plan,
                record=record,
                overwrite=overwrite,
                progress=lambda done, total: reports[0]("Generating the video", done, total),
                resume_path=resume_path,
            )
        except KeyboardInterrupt:
            if resume_path.is_file():
                warn(f"lumora: The same command continues from {resume_path}.")
            raise
    if any(video.latents is not None for video in plans[0].request.videos()):
        say("It continues the latents that were kept of the input.")
    return plans[0], published
