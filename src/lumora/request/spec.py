"""What is asked for: everything that decides a video, and the sentences for what can't be made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lumora.backends.lumora.segments import Condition, Segment, Shot, make_segments
from lumora.config import ModelConfig
from lumora.media.video import ResizeMode

MAX_PROMPT_CHARACTERS = 2_000
"""Characters; what is past some 128 tokens of it is not read."""
MIN_SIDE, MAX_SIDE = 32, 1024
MAX_SECONDS = 60
MAX_FPS = 60
MAX_STEPS = 1_000
MAX_TOKENS = 65_536
"""Latent positions after patching of one video: more would not end in a day."""
MAX_SHOTS = 60
GUIDANCE, CONTINUATION_GUIDANCE, MULTI_SHOT_GUIDANCE, CONDITIONED_GUIDANCE = 4.0, 2.0, 1.5, 1.0
"""Of what is made from words alone, and of edits; of the further pieces of a long video, which more of it makes harsher
from piece to piece; of several shots, where more of it gives a film in black and white colours; and of what is made
beside frames that are kept: there more adds contrast and flicker, and no fact (LOG.md)."""


@dataclass(frozen=True)
class Request:
    """One video to make: shots, and given things on their time line, which are kept where they lie.

    Every task is such a request: a picture or video given at the start is continued, at the "end" led up to, at both
    connected, with a gap filled in; see docs/tasks.md. The same request makes the same pixels. Raises ValueError, in a
    sentence, for a bad one.
    """

    prompt: str
    """May be empty where something is given: then nothing is said."""
    seconds: float = 2.0
    """0 asks for a picture, a video of one frame."""
    width: int | None = None
    height: int | None = None
    """Pixels; None is what the model makes best."""
    fps: float = 8.0
    seed: int = 0
    num_inference_steps: int = 24
    guidance_scale: float | None = None
    """How far to lean to the prompt: 1 samples the model as it is, 0 ignores the prompt. None: 4, or 1 where something
    given is kept, which says more than the prompt does."""
    conditions: tuple[Condition, ...] = ()
    """Where two of them lie on one frame, the later one counts."""
    next_shots: tuple[Shot, ...] = ()
    """Shots that follow on `prompt` and `seconds`, which are the first."""
    loop: bool = False
    """The end leads into the beginning, which must be given."""
    resize_mode: ResizeMode = "crop"
    """How given pictures of another shape are fitted to width × height."""

    def __post_init__(self) -> None:
        for shot in self.shots:
            if not shot.prompt.strip() and not self.conditions:
                raise ValueError("The prompt is empty; say what the video shall show.")
            if len(shot.prompt) > MAX_PROMPT_CHARACTERS:
                raise ValueError(
                    f"The prompt has {len(shot.prompt):,} characters; use at most {MAX_PROMPT_CHARACTERS:,}."
                )
            _check_range("seconds", shot.seconds, 0, MAX_SECONDS)
        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None:
                _check_range(name, side, MIN_SIDE, MAX_SIDE)
        _check_range("frames a second", self.fps, 1, MAX_FPS)
        _check_range("steps", self.num_inference_steps, 1, MAX_STEPS)
        _check_range("guidance", self.resolve_guidance_scale(), 0, 100)
        _check_range("seed", self.seed, 0, 2**63 - 1)
        _check_range("the number of shots", len(self.shots), 1, MAX_SHOTS)
        _check_range("seconds of all shots", self.duration, 0, MAX_SECONDS)
        self._check_given()

    def _check_given(self) -> None:
        for thing in self.conditions:
            if thing.shot_index not in range(len(self.shots)):
                raise ValueError(
                    f"Something is given in shot {thing.shot_index}, and the shots are 0 to {len(self.next_shots)}."
                )
            left = sum(shot.seconds for shot in self.shots[thing.shot_index :])
            if thing.start != "end" and round(thing.start * self.fps) >= max(1, round(left * self.fps)):
                raise ValueError(
                    f"Something is given at {thing.start:g} seconds, and the video ends at {left:g}; "
                    "give it earlier or ask for more seconds."
                )
        if self.loop and any(shot.hard_cut for shot in self.next_shots):
            raise ValueError("A loop has no cuts; join its shots or leave the loop out.")
        if self.loop and not any(thing.start == thing.shot_index == thing.strength == 0 for thing in self.conditions):
            raise ValueError("A loop comes back to its beginning; give a picture or a video to begin with.")

    @property
    def shots(self) -> tuple[Shot, ...]:
        return (Shot(self.prompt, self.seconds), *self.next_shots)

    @property
    def duration(self) -> float:
        """Seconds of all shots."""
        return sum(shot.seconds for shot in self.shots)

    def resolve_guidance_scale(self, goes_on: bool = False) -> float:
        """`guidance`, decided; of a piece that goes on from what was made before, or of the first."""
        if self.guidance_scale is not None:
            return self.guidance_scale
        if any(thing.is_edited for thing in self.conditions):
            return GUIDANCE
        if any(thing.strength == 0 for thing in self.conditions):
            return CONDITIONED_GUIDANCE
        if self.next_shots:
            return MULTI_SHOT_GUIDANCE
        return CONTINUATION_GUIDANCE if goes_on else GUIDANCE

    def size(self, config: ModelConfig) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height or config.shape.height, self.width or config.shape.width

    def segments(self, config: ModelConfig) -> list[Segment]:
        """What lies where on the time line.

        A model that has learnt cuts makes all shots together, but not where something is given beyond the first one,
        which would have to lie on whole latent frames, nor where one goes on without a cut, which it has not learnt.
        """
        apart = not all(shot.hard_cut for shot in self.next_shots) or not all(
            self._within_the_first(t) for t in self.conditions
        )
        together = config.multi_shot and bool(self.next_shots) and not apart
        return make_segments(
            self.shots, self.conditions, self.fps, config.codec.temporal_compression, self.loop, together
        )

    def _within_the_first(self, thing: Condition) -> bool:
        """Whether it lies within the first shot."""
        if thing.shot_index or thing.start == "end":
            return False
        return round(thing.start * self.fps) + thing.num_frames_at(self.fps) <= round(self.seconds * self.fps)

    def num_frames(self, config: ModelConfig) -> int:
        """How many frames the video has: nearly seconds × fps, as many as latent frames hold (see `timeline.takes`)."""
        return sum(take.num_frames - len(take.dropped_frames) for take in self.segments(config))

    def check(self, config: ModelConfig) -> None:
        """Raises ValueError, in a sentence, where the request is fine but a model of this `config` can't make it."""
        space, (height, width) = config.codec.spatial_compression, self.size(config)
        if width % space or height % space:
            raise ValueError(
                f"This model makes sizes in steps of {space} pixels, so not {width}x{height}; "
                f"the nearest is {_nearest(width, space)}x{_nearest(height, space)}."
            )
        latents = sum(take.num_latents for take in self.segments(config))
        size = (latents, height // space, width // space)
        tokens = math.prod(math.ceil(n / p) for n, p in zip(size, config.transformer.patch_size, strict=True))
        if tokens > MAX_TOKENS:
            raise ValueError(
                f"{self.duration:g} seconds of {width}x{height} at {self.fps:g} frames a second are "
                f"{tokens:,} tokens, and {MAX_TOKENS:,} is the most; ask for a shorter, smaller or slower clip."
            )

    def warnings(self, config: ModelConfig) -> Iterator[str]:
        """Sentences for what a model of this `config` can make, but was not trained to."""
        shape, (height, width) = config.shape, self.size(config)
        pixels = height * width / (shape.height * shape.width)
        if not 0.6 < pixels < 1.7:
            usual = f"{shape.width}x{shape.height}"
            yield f"This model was trained on pictures of about {usual} pixels; {width}x{height} will look worse."
        if max(height, width) > 2 * min(height, width):
            yield f"This model was trained on no pictures as long and thin as {width}x{height}."
        if not 0.45 < self.fps / shape.fps < 2.2:
            yield f"This model was trained on {shape.fps:g} frames a second; at {self.fps:g} things will move wrongly."
        for together, what in ((False, "shot"), (True, "film")):
            usual = config.trained_frames(together) / shape.fps
            lengths = [take.num_frames / self.fps for take in self.segments(config) if take.multi_shot == together]
            if lengths and max(lengths) > 1.5 * usual:
                yield (
                    f"This model was trained on {usual:.2g} seconds at a time; a longer {what} is made "
                    "piece by piece, and what leaves the picture is forgotten."
                )


def size_of_shape(config: ModelConfig, aspect: float) -> tuple[int, int]:
    """(width, height) of this width by height, of about as many pixels as the model makes best, in whole tokens."""
    shape, step = config.shape, config.codec.spatial_compression * config.transformer.patch_size[1]
    if math.isclose(aspect, shape.width / shape.height, rel_tol=0.02):
        return shape.width, shape.height
    pixels = shape.width * shape.height
    return _nearest(math.sqrt(pixels * aspect), step), _nearest(math.sqrt(pixels / aspect), step)


def _nearest(side: float | int, step: int) -> int:
    least, most = math.ceil(MIN_SIDE / step), MAX_SIDE // step
    return step * min(max(round(side / step), least), most)


def _check_range(name: str, value: float | int, least: int, most: int) -> None:
    if not least <= value <= most:  # false for NaN too
        raise ValueError(f"{name[:1].upper() + name[1:]} must lie between {least:,} and {most:,}, not {value:,}.")
