"""From a request to a plan: sizes, durations, segments and warnings for a model of lumora's own kind. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

from lumora.backends.base import Capabilities, Plan, Task
from lumora.backends.timeline.segments import Segment, make_segments
from lumora.config import ModelConfig, Resolution
from lumora.diffusion.defaults import CONDITIONED_GUIDANCE, CONTINUATION_GUIDANCE, GUIDANCE, MULTI_SHOT_GUIDANCE
from lumora.request.conditions import Condition, Shot
from lumora.request.spec import Request, check_range

SAMPLER_VERSION = 4
"""Goes up with each change of the pixels that a model makes of a request."""
MIN_SIDE, MAX_SIDE = 32, 1024
MAX_SECONDS = 60.0
MAX_FPS = 60.0
MAX_INFERENCE_STEPS = 1_000
MAX_SHOTS = 60
MAX_TOKENS = 65_536
"""Video tokens of one request; more would take more than a day."""
SECONDS = 2.0
NUM_INFERENCE_STEPS = 24
LICENSE = "Apache-2.0"


@dataclass(frozen=True)
class LumoraPlan(Plan):
    segments: tuple[Segment, ...]


def capabilities(config: ModelConfig) -> Capabilities:
    """What a model can make."""
    return Capabilities(
        tasks=frozenset(get_args(Task)),
        size=config.shape.resolution,
        size_step=config.codec.spatial_compression,
        aspect_step=config.codec.spatial_compression * config.transformer.patch_size[1],
        min_side=MIN_SIDE,
        max_side=MAX_SIDE,
        fps=config.shape.fps,
        max_fps=MAX_FPS,
        seconds=SECONDS,
        max_seconds=MAX_SECONDS,
        frame_step=config.codec.temporal_compression,
        num_inference_steps=NUM_INFERENCE_STEPS,
        max_inference_steps=MAX_INFERENCE_STEPS,
        max_shots=MAX_SHOTS,
        license=LICENSE,
    )


def prepare(request: Request, config: ModelConfig) -> LumoraPlan:
    """Decides what the request leaves open and lays out its segments.

    Raises ValueError, in one sentence, for a request that a model with this configuration cannot make.
    """
    limits = capabilities(config)
    size = limits.nearest_size(request.size or limits.size)
    seconds = limits.seconds if request.seconds is None else request.seconds
    fps = limits.fps if request.fps is None else request.fps
    steps = NUM_INFERENCE_STEPS if request.num_inference_steps is None else request.num_inference_steps
    resolved = replace(request, seconds=seconds, size=size, fps=fps, num_inference_steps=steps)
    shots = resolved.shots(seconds)
    _check_limits(resolved, shots, fps, steps, limits)
    multi_shot = config.multi_shot and bool(request.next_shots) and _can_be_multi_shot(resolved, seconds, fps)
    segments = make_segments(
        shots, request.conditions, fps, config.codec.temporal_compression, request.loop, multi_shot
    )
    _check_tokens(segments, size, shots, fps, config)
    num_frames = sum(segment.num_frames - len(segment.dropped_frames) for segment in segments)
    warnings = tuple(_warnings(request, size, fps, segments, config))
    return LumoraPlan(resolved, size, fps, num_frames, warnings, tuple(segments))


def is_unguided(request: Request) -> bool:
    """Whether a distilled transformer can make the request: its guidance is fixed by its training."""
    is_edit = any(condition.is_edited for condition in request.conditions)
    return request.guidance_scale is None and not request.negative_prompt.strip() and not is_edit


def resolve_guidance_scale(request: Request, continues: bool = False) -> float:
    """The guidance scale of a window; `continues` says whether it continues frames that were generated before."""
    if request.guidance_scale is not None:
        return request.guidance_scale
    if any(condition.is_edited for condition in request.conditions):
        return GUIDANCE
    if any(condition.strength == 0 for condition in request.conditions):
        return CONDITIONED_GUIDANCE
    if request.next_shots:
        return MULTI_SHOT_GUIDANCE
    return CONTINUATION_GUIDANCE if continues else GUIDANCE


def _check_limits(request: Request, shots: tuple[Shot, ...], fps: float, steps: int, limits: Capabilities) -> None:
    limits.check_shots(shots)
    check_range("frames a second", fps, 1, limits.max_fps)
    check_range("steps", steps, 1, limits.max_inference_steps)
    for condition in request.conditions:
        seconds_left = sum(shot.seconds for shot in shots[condition.shot_index :])
        if condition.start != "end" and round(condition.start * fps) >= max(1, round(seconds_left * fps)):
            raise ValueError(
                f"A condition begins at {condition.start:g} seconds, and the video ends at {seconds_left:g}; "
                "let it begin earlier or ask for more seconds."
            )


def _can_be_multi_shot(request: Request, seconds: float, fps: float) -> bool:
    """Whether all shots can be sampled together: not if a shot continues the one before it, which the model has not
    learned, nor if a condition lies beyond the first shot, where it would have to fill whole latent frames."""

    def within_first_shot(condition: Condition) -> bool:
        if condition.shot_index or condition.start == "end":
            return False
        return round(condition.start * fps) + condition.num_frames_at(fps) <= round(seconds * fps)

    return all(shot.hard_cut for shot in request.next_shots) and all(map(within_first_shot, request.conditions))


def _check_tokens(
    segments: list[Segment], size: Resolution, shots: tuple[Shot, ...], fps: float, config: ModelConfig
) -> None:
    compression = config.codec.spatial_compression
    shape = (sum(s.num_latents for s in segments), size.height // compression, size.width // compression)
    tokens = math.prod(math.ceil(n / p) for n, p in zip(shape, config.transformer.patch_size, strict=True))
    if tokens > MAX_TOKENS:
        raise ValueError(
            f"{sum(shot.seconds for shot in shots):g} seconds of {size} at {fps:g} frames a second are "
            f"{tokens:,} tokens, and {MAX_TOKENS:,} is the most; ask for a shorter, smaller or slower clip."
        )


def _warnings(
    request: Request, size: Resolution, fps: float, segments: list[Segment], config: ModelConfig
) -> Iterator[str]:
    shape = config.shape
    if request.size is not None and size != request.size:
        step = config.codec.spatial_compression
        yield f"This model makes sizes in steps of {step} pixels, so {request.size} becomes {size}."
    if not 0.6 < size.width * size.height / (shape.width * shape.height) < 1.7:
        yield f"This model was trained on pictures of about {shape.resolution} pixels; {size} will look worse."
    if max(size.width, size.height) > 2 * min(size.width, size.height):
        yield f"This model was not trained on pictures as long and thin as {size}."
    if not 0.45 < fps / shape.fps < 2.2:
        yield f"This model was trained on {shape.fps:g} frames a second; at {fps:g} motion will be wrong."
    for multi_shot, noun in ((False, "shot"), (True, "sequence of shots")):
        trained_seconds = config.trained_frames(multi_shot) / shape.fps
        durations = [segment.num_frames / fps for segment in segments if segment.multi_shot == multi_shot]
        if durations and max(durations) > 1.5 * trained_seconds:
            yield (
                f"This model was trained on {trained_seconds:.2g} seconds at a time; a longer {noun} is made in "
                "windows, and what leaves the picture is forgotten."
            )
    if request.negative_prompt and any(condition.is_edited for condition in request.conditions):
        yield "The negative prompt has no effect on an edit, whose guidance starts from the source prompt."
    elif request.negative_prompt and resolve_guidance_scale(request) == 1:
        yield "The negative prompt has no effect at a guidance scale of 1."
