"""A request as plain data, for a manifest, and back: with its model's hash, all that is needed to make a video
again."""

from __future__ import annotations

import dataclasses
import hashlib
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lumora.backends.lumora.segments import edited_caption
from lumora.backends.lumora.weights import model_folder
from lumora.media.video import Video
from lumora.request.spec import MAX_PROMPT_CHARACTERS, Request

SAMPLER_VERSION = 3
"""Goes up with each change of how a model makes pixels of a request; recipes of before it was written down are of 1."""


def to_recipe(value: Any) -> Any:
    """A request in dicts, lists and numbers; instead of a video that was given, hashes of it and of its latents, if it
    has any, stand there."""
    if isinstance(value, Video):
        latents = {} if value.latents is None else {"latents": value.latents.digest}
        return {"video": video_hash(value), **latents}
    if dataclasses.is_dataclass(value):
        return {field.name: to_recipe(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return [to_recipe(item) for item in value] if isinstance(value, (tuple, list)) else value


def from_recipe(recipe: dict[str, Any], given: Iterable[Video] = ()) -> Request:
    """The request that `recipe` was made of; `given` are the videos and pictures that it began with, in any order.

    Raises ValueError, in a sentence, where one of them is missing, and as Request does.
    """
    try:
        return _restored(Request, recipe, {video_hash(video): video for video in given})
    except (TypeError, KeyError, StopIteration) as error:
        raise ValueError(f"This recipe is not one that this version understands: {error}.") from error


def source_caption(recipe: Any) -> str:
    """What the video of a recipe shows, as far as its prompt says; empty for what is none: a stranger may have written
    anything into a file."""
    match recipe:
        case {"prompt": str(prompt), "conditions": list(given)}:
            edited = [thing for thing in given if isinstance(thing, dict) and thing.get("strength") not in (0, 1)]
            source = edited[0].get("source_prompt") if edited else ""
            return edited_caption(source if isinstance(source, str) else "", prompt)[:MAX_PROMPT_CHARACTERS]
    return ""


def iter_fields(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a request, however deep, with the name of its field: prompts, numbers, videos."""
    if dataclasses.is_dataclass(value) and not isinstance(value, Video):
        for field in dataclasses.fields(value):
            yield from iter_fields(getattr(value, field.name), field.name)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from iter_fields(item, name)
    else:
        yield name, value


def video_hash(video: Video) -> str:
    """SHA-256 of a video's pixels, shape and rate, and of its sound."""
    whole = hashlib.sha256(f"{video.frames.shape} {video.fps!r} ".encode() + video.frames.tobytes())
    if video.audio is not None:
        whole.update(video.audio.tobytes())
    return whole.hexdigest()


def model_hash(folder: Path | None = None) -> str:
    """SHA-256 of all that decides what a model makes: its configuration and the weights of its two networks."""
    whole = hashlib.sha256()
    for name in ("model.json", "codec.safetensors", "transformer.safetensors"):
        with (model_folder(folder) / name).open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _restored(hint: Any, value: Any, given: dict[str, Video]) -> Any:
    if isinstance(value, dict) and isinstance(value.get("video"), str):
        return _the_same(value, given)
    if isinstance(value, dict):
        kind: Any = next(kind for kind in _kinds(hint) if dataclasses.is_dataclass(kind) and kind is not Video)
        hints = typing.get_type_hints(kind)
        return kind(**{name: _restored(hints[name], item, given) for name, item in value.items()})
    return tuple(_restored(hint, item, given) for item in value) if isinstance(value, list) else value


def _the_same(value: dict[str, Any], given: dict[str, Video]) -> Video:
    """The given video of these hashes, with its latents only if they were gone on from."""
    video = given.get(value["video"])
    if video is None:
        raise ValueError("This video was made of another picture or video; give that too, with --given.")
    if "latents" not in value:
        return video.without_latents()
    if video.latents is None or video.latents.digest != value["latents"]:
        raise ValueError(
            "This video went on from the latents of a video that was given, and they are not kept here any more "
            "(or that is another copy of its file), so it can't be made again."
        )
    return video


def _kinds(hint: Any) -> Iterator[Any]:
    """All types that an annotation names."""
    yield hint
    for part in typing.get_args(hint):
        yield from _kinds(part)
