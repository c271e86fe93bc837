"""Objects of the API: what clients send and what they receive."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lumora.request.spec import MAX_PROMPT_CHARACTERS

Status: TypeAlias = Literal["queued", "in_progress", "completed", "failed"]
MAX_SEED = 2**63 - 1


def _from_json_text(value: Any) -> Any:
    """Forms carry lists and objects as JSON texts."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("is not JSON") from None
    return value


def _seconds(value: Any) -> Any:
    """Seconds are a number or a text."""
    if isinstance(value, bool) or (isinstance(value, str) and not re.fullmatch(r"\d{1,4}(\.\d{1,6})?", value.strip())):
        raise ValueError("seconds is a number of seconds, such as 4")
    return value


Prompt: TypeAlias = Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)]
Seconds: TypeAlias = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=3_600, allow_inf_nan=False)]
Size: TypeAlias = Annotated[str, Field(pattern=r"^[1-9]\d{0,4}x[1-9]\d{0,4}$", examples=["1280x720"])]
Seed: TypeAlias = Annotated[int, Field(ge=0, le=MAX_SEED)]
Tags: TypeAlias = Annotated[
    list[Annotated[str, Field(max_length=60)]], Field(max_length=20), BeforeValidator(_from_json_text)
]
Title: TypeAlias = Annotated[str, Field(max_length=200)]


class Strict(BaseModel):
    """Unknown fields are errors, so that a typing mistake is not ignored."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class MediaReference(Strict):
    """A file that was uploaded before, a video of this server, or a picture as a data URI."""

    file_id: str | None = None
    video_id: str | None = None
    id: str | None = None
    """The same as `video_id`; the SDKs send it for `video`."""
    image_url: str | None = None

    @model_validator(mode="after")
    def _one(self) -> MediaReference:
        if sum(value is not None for value in (self.file_id, self.video_id, self.id, self.image_url)) != 1:
            raise ValueError("give exactly one of file_id, video_id, id and image_url")
        return self


Media: TypeAlias = Annotated[MediaReference, BeforeValidator(_from_json_text)]


class Reference(Strict):
    """An image or video that the new video shows at a given time."""

    file_id: str | None = None
    video_id: str | None = None
    position: Literal["start", "end"] | Annotated[float, Field(ge=0, le=3_600)] = "start"
    """Where it lies: at the start or the end of the video, or so many seconds after the start of its shot."""
    shot_index: Annotated[int, Field(ge=0, le=100)] = 0

    @model_validator(mode="after")
    def _one(self) -> Reference:
        if (self.file_id is None) == (self.video_id is None):
            raise ValueError("give either file_id or video_id")
        return self


class ShotBody(Strict):
    prompt: Prompt
    seconds: Seconds = 2.0
    hard_cut: bool = True


class CharacterReference(Strict):
    id: str


class CommonFields(Strict):
    """Fields of every request that makes a video."""

    model: str | None = None
    seed: Seed | None = None
    size: Size | None = None
    fps: Annotated[float, Field(ge=1, le=60, allow_inf_nan=False)] | None = None
    negative_prompt: Prompt = ""
    num_inference_steps: Annotated[int, Field(ge=1, le=1_000)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    tags: Tags = Field(default_factory=list)
    title: Title | None = None
    n: Annotated[int, Field(ge=1, le=8)] = 1
    """Number of variations, each with its own seed."""


class VideoCreate(CommonFields):
    prompt: Prompt = ""
    seconds: Seconds | None = None
    input_reference: Media | None = None
    """An image, or a video of which the first frame is taken: the first frame of the new video."""
    loop: bool = False
    expand: bool = False
    """Add details that the prompt leaves open; `revised_prompt` of the video is what is used."""
    shots: Annotated[list[ShotBody], Field(max_length=60), BeforeValidator(_from_json_text)] = Field(
        default_factory=list
    )
    references: Annotated[list[Reference], Field(max_length=40), BeforeValidator(_from_json_text)] = Field(
        default_factory=list
    )
    characters: Annotated[list[CharacterReference], Field(max_length=10), BeforeValidator(_from_json_text)] = Field(
        default_factory=list
    )

    @model_validator(mode="after")
    def _prompt_or_shots(self) -> VideoCreate:
        if not self.prompt.strip() and not self.shots and self.input_reference is None and not self.references:
            raise ValueError("the prompt is empty; say what the video shall show")
        return self


class RemixBody(CommonFields):
    prompt: Prompt = Field(min_length=1)
    strength: Annotated[float, Field(gt=0, le=1)] = 0.8


class EditBody(CommonFields):
    prompt: Prompt = Field(min_length=1)
    video: Media
    strength: Annotated[float, Field(ge=0, le=1)] = 0.6
    source_prompt: Prompt | None = None


class ExtensionBody(CommonFields):
    prompt: Prompt = ""
    video: Media
    seconds: Seconds = 2.0
    direction: Literal["forward", "backward"] = "forward"


class ConnectionBody(CommonFields):
    prompt: Prompt = ""
    videos: Annotated[list[Media], Field(min_length=2, max_length=2), BeforeValidator(_from_json_text)]
    seconds: Seconds = 2.0


class InfillBody(CommonFields):
    prompt: Prompt = ""
    video: Media
    start: Annotated[float, Field(ge=0, le=3_600)] | None = None
    end: Annotated[float, Field(ge=0, le=3_600)] | None = None


class LoopBody(CommonFields):
    prompt: Prompt = ""
    video: Media
    seconds: Seconds = 1.5


class CutSegment(Strict):
    video: Media
    start: Annotated[float, Field(ge=0, le=3_600)] = 0.0
    end: Annotated[float, Field(gt=0, le=3_600)] | None = None


class CutBody(Strict):
    segments: Annotated[list[CutSegment], Field(min_length=1, max_length=60), BeforeValidator(_from_json_text)]
    tags: Tags = Field(default_factory=list)
    title: Title | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0


class VideoPatch(Strict):
    favorite: bool | None = None
    tags: Tags | None = None
    title: Title | None = None
    prompt: Prompt | None = None
    seconds: Seconds | None = None
    size: Size | None = None
    seed: Seed | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] | None = None


class Reorder(Strict):
    ids: Annotated[list[str], Field(min_length=1, max_length=500)]


class VideoFailure(BaseModel):
    code: str
    message: str


class MadeVideo(BaseModel):
    """What the model makes of a request."""

    size: str
    seconds: float
    fps: float
    num_frames: int


class VideoUrls(BaseModel):
    video: str
    thumbnail: str
    spritesheet: str


class VideoObject(BaseModel):
    id: str
    object: Literal["video"] = "video"
    created_at: int
    completed_at: int | None = None
    expires_at: int | None = None
    error: VideoFailure | None = None
    model: str
    progress: int
    prompt: str
    revised_prompt: str | None = None
    """The expanded prompt that the video is made of, if `expand` was asked for."""
    remixed_from_video_id: str | None = None
    seconds: str
    size: str
    status: Status
    task: str
    made: MadeVideo | None = None
    warnings: list[str]
    seed: int
    group_id: str | None = None
    variations: list[str] | None = None
    parent_video_ids: list[str]
    queue_position: int | None = None
    eta_seconds: float | None = None
    favorite: bool
    tags: list[str]
    title: str | None = None
    request: dict[str, Any]
    urls: VideoUrls | None = None


class VideoList(BaseModel):
    object: Literal["list"] = "list"
    data: list[VideoObject]
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None


class VideoDeleted(BaseModel):
    id: str
    deleted: Literal[True] = True
    object: Literal["video.deleted"] = "video.deleted"


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorAnswer(BaseModel):
    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (400, 401, 403, 404, 405, 409, 413, 415, 422, 429)
}
"""The answers that every route declares."""
