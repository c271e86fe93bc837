"""Requests as plain data for a manifest, and back. With the model's identity this is all that is needed to reproduce a
video."""

from __future__ import annotations

import dataclasses
import hashlib
import typing
from collections.abc import Iterable, Iterator
from typing import Any

from lumora.media.video import Video
from lumora.request.conditions import Condition, Shot, edited_caption
from lumora.request.spec import MAX_PROMPT_CHARACTERS, Request, text_fields

RECIPE_VERSION = 2
"""Version of the names in a recipe. Recipes without a version are of version 1, whose names `upgrade_recipe` maps."""
_VERSION_1 = {
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "given": "conditions",
    "then": "next_shots",
    "fit": "resize_mode",
    "cut": "hard_cut",
    "shot": "shot_index",
    "gap": "mask_span",
}
TEXT_FIELDS = frozenset(set.union(*map(text_fields, (Request, Condition, Shot))))


def to_recipe(value: Any) -> Any:
    """A request as dicts, lists and numbers. A video is replaced by its hash and the hash of its latents, if any."""
    if isinstance(value, Video):
        latents = {} if value.latents is None else {"latents": value.latents.digest}
        return {"video": video_hash(value), **latents}
    if dataclasses.is_dataclass(value):
        return {field.name: to_recipe(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return [to_recipe(item) for item in value] if isinstance(value, (tuple, list)) else value


def from_recipe(recipe: dict[str, Any], videos: Iterable[Video] = ()) -> Request:
    """The request of a recipe; `videos` are the videos and images of its conditions, in any order.

    Raises ValueError, in one sentence, if one of them is missing, and as Request does.
    """
    try:
        return _restored(Request, recipe, {video_hash(video): video for video in videos})
    except (TypeError, KeyError, StopIteration) as error:
        raise ValueError(f"This recipe is not one that this version understands: {error}.") from error


def upgrade_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe of a manifest with today's names; recipes of version 1 are converted."""
    if recipe.get("version", 1) != 1 or not recipe:
        return recipe
    upgraded = _renamed(recipe)
    request = upgraded.get("request")
    if isinstance(request, dict):
        for condition in request.get("conditions") or ():
            if isinstance(condition, dict) and "prompt" in condition:
                condition["source_prompt"] = condition.pop("prompt")
        width, height = request.pop("width", None), request.pop("height", None)
        request["size"] = {"width": width, "height": height} if width and height else None
    return {**upgraded, "version": 1}


def source_caption(request: Any) -> str:
    """What the video of a request, as it stands in a recipe, shows according to its prompt; empty if it does not say.

    The recipe may come from a stranger's file, so nothing of its structure is taken for granted.
    """
    match request:
        case {"prompt": str(prompt), "conditions": list(conditions)}:
            edited = [c for c in conditions if isinstance(c, dict) and c.get("strength") not in (0, 1)]
            source = edited[0].get("source_prompt") if edited else ""
            return edited_caption(source if isinstance(source, str) else "", prompt)[:MAX_PROMPT_CHARACTERS]
    return ""


def recipe_texts(recipe: Any) -> Iterator[str]:
    """Every free text in a recipe, those of the videos that it was made of included."""
    if isinstance(recipe, dict):
        for name, value in recipe.items():
            yield from [value] if name in TEXT_FIELDS and isinstance(value, str) else recipe_texts(value)
    elif isinstance(recipe, list):
        for value in recipe:
            yield from recipe_texts(value)


def video_hash(video: Video) -> str:
    """SHA-256 of a video's pixels, shape and rate, and of its audio."""
    digest = hashlib.sha256(f"{video.frames.shape} {video.fps!r} ".encode() + video.frames.tobytes())
    if video.audio is not None:
        digest.update(video.audio.tobytes())
    return digest.hexdigest()


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {_VERSION_1.get(name, name): _renamed(item) for name, item in value.items()}
    return [_renamed(item) for item in value] if isinstance(value, list) else value


def _restored(hint: Any, value: Any, videos: dict[str, Video]) -> Any:
    if isinstance(value, dict) and isinstance(value.get("video"), str):
        return _matching_video(value, videos)
    if isinstance(value, dict):
        kind: Any = next(kind for kind in _types_in(hint) if dataclasses.is_dataclass(kind) and kind is not Video)
        hints = typing.get_type_hints(kind)
        return kind(**{name: _restored(hints[name], item, videos) for name, item in value.items()})
    return tuple(_restored(hint, item, videos) for item in value) if isinstance(value, list) else value


def _matching_video(value: dict[str, Any], videos: dict[str, Video]) -> Video:
    """The video of these hashes, with its latents only if they were used."""
    video = videos.get(value["video"])
    if video is None:
        raise ValueError("This video was made from another image or video; give that too, with --inputs.")
    if "latents" not in value:
        return video.without_latents()
    if video.latents is None or video.latents.digest != value["latents"]:
        raise ValueError(
            "This video continued the latents of a video that was given, and they are no longer kept here "
            "(or this is another copy of its file), so it cannot be reproduced."
        )
    return video


def _types_in(hint: Any) -> Iterator[Any]:
    """All types that an annotation names."""
    yield hint
    for part in typing.get_args(hint):
        yield from _types_in(part)
