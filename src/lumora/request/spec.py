"""`Request`: everything that a user can ask for, independent of any model."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from lumora.config import Resolution
from lumora.media.video import ResizeMode, Video
from lumora.request.conditions import Condition, Shot
from lumora.terminal import check_unicode

MAX_PROMPT_CHARACTERS = 2_000


@dataclass(frozen=True)
class Request:
    """One video to make.

    Every task is such a request: an image or video at the start is continued, one at the "end" is led up to, two are
    connected, one with a `mask_span` is filled in, one with a `strength` is edited. A field that is None is decided by
    the backend (`Backend.prepare`).

    Raises ValueError, in one sentence, for a request that no backend can make.
    """

    prompt: str
    """May be empty if there is a condition."""
    seconds: float | None = None
    """Duration of the first shot; 0 asks for a still image."""
    size: Resolution | None = None
    fps: float | None = None
    seed: int = 0
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    """Scale of classifier-free guidance: 1 samples the model without guidance, 0 ignores the prompt."""
    negative_prompt: str = ""
    """What the video should not show. It replaces the empty prompt of classifier-free guidance."""
    conditions: tuple[Condition, ...] = ()
    """If two of them cover a frame, the later one counts."""
    next_shots: tuple[Shot, ...] = ()
    """Shots after the first one, which is `prompt` and `seconds`."""
    loop: bool = False
    """The end leads back to the beginning, which must be given as a condition."""
    resize_mode: ResizeMode = "crop"
    """How conditions with another aspect ratio are fitted to `size`."""

    def __post_init__(self) -> None:
        for prompt in (self.prompt, *(shot.prompt for shot in self.next_shots)):
            if not prompt.strip() and not self.conditions:
                raise ValueError("The prompt is empty; say what the video shall show.")
        for text in self.texts():
            check_unicode(text)
            if len(text) > MAX_PROMPT_CHARACTERS:
                raise ValueError(f"The prompt has {len(text):,} characters; use at most {MAX_PROMPT_CHARACTERS:,}.")
        check_range("seed", self.seed, 0, 2**63 - 1)
        if self.guidance_scale is not None:
            check_range("guidance scale", self.guidance_scale, 0, 100)
        for condition in self.conditions:
            if condition.shot_index not in range(1 + len(self.next_shots)):
                raise ValueError(
                    f"A condition is given for shot {condition.shot_index}; shots are 0 to {len(self.next_shots)}."
                )
        self._check_loop()

    def _check_loop(self) -> None:
        if not self.loop:
            return
        if any(shot.hard_cut for shot in self.next_shots):
            raise ValueError("A loop has no cuts; join its shots or leave the loop out.")
        if not any(c.start == c.shot_index == c.strength == 0 for c in self.conditions):
            raise ValueError("A loop returns to its beginning; give an image or a video to begin with.")

    def shots(self, seconds: float) -> tuple[Shot, ...]:
        """All shots; `seconds` is the duration of the first one."""
        return (Shot(self.prompt, seconds), *self.next_shots)

    def texts(self) -> Iterator[str]:
        """Every free text of the request, however deep: prompts, negative and source prompts. They must pass the checks
        of the policy.

        A text is every field of type `str`, so a field that is added later is included without further code.
        """
        yield from iter_texts(self)

    def videos(self) -> Iterator[Video]:
        return (condition.video for condition in self.conditions)


def iter_texts(value: Any) -> Iterator[str]:
    """The non-empty free texts of a tree of dataclasses. Fields with a fixed set of values (`Literal`) are not free."""
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from [item] if isinstance(item, str) and item else iter_texts(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, Video):
        free = text_fields(type(value))
        for field in dataclasses.fields(value):
            content = getattr(value, field.name)
            if not isinstance(content, str):
                yield from iter_texts(content)
            elif content and field.name in free:
                yield content


def text_fields(kind: Any) -> set[str]:
    """Names of the fields of a dataclass that hold free text."""
    hints = typing.get_type_hints(kind)
    return {field.name for field in dataclasses.fields(kind) if _may_be_text(hints[field.name])}


def _may_be_text(hint: Any) -> bool:
    if typing.get_origin(hint) is Literal:
        return False
    return hint is str or any(_may_be_text(part) for part in typing.get_args(hint))


def check_range(name: str, value: float | int, least: float | int, most: float | int) -> None:
    """Raises ValueError, in one sentence, if `value` is not between `least` and `most`."""
    if not least <= value <= most:  # also true for NaN
        low, high, wrong = (f"{x:,}" if isinstance(x, int) else f"{x:,g}" for x in (least, most, value))
        raise ValueError(f"{name[:1].upper() + name[1:]} must be between {low} and {high}, not {wrong}.")
