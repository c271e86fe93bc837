"""`lumora reproduce`: the same video again, from its manifest."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, UseAppendAction, arg

from lumora.cli.flags import Lora, Model, Output, OutputVerb
from lumora.cli.generate import make_video
from lumora.terminal import say, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lumora.backends.base import Backend
    from lumora.media.video import Video
    from lumora.provenance.manifest import Ingredient
    from lumora.request import Request


SAME, DIFFERENT, UNKNOWN = 0, 3, 4


@dataclass(frozen=True)
class Reproduce(OutputVerb):
    """Make a video again from its manifest, and compare the two. Exit code 0: the same frames, 3: other frames, 4: the
    manifest does not say what the frames were."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """A video that lumora made; if its manifest is lost, one that `lumora detect` recognizes."""
    output: Output
    """File to write."""
    inputs: tuple[Path, ...] = ()
    """The images and videos that it was made of, if any."""
    model: Annotated[Model, arg(help_behavior_hint="(default: the one that its manifest names)")] = None
    """The model that made it: a name, a folder or a repository of the hub."""
    lora: Annotated[UseAppendAction[tuple[Lora, ...]], arg(help_behavior_hint="")] = ()
    """The LoRA files that it was made with, and their strengths."""

    def run(self) -> int:
        from lumora.media.encode import checked_suffix
        from lumora.provenance.index import Index
        from lumora.request.serialization import from_recipe

        checked_suffix(self.output)
        overwrite = self.check_output(self.output, [self.file, *self.inputs])
        recipe = _recipe_of(self.file)
        _check_recipe(self.file, recipe)
        backend = _backend_of(self.file, recipe["model"], self.model, self.lora)
        videos = {path: self.possible_inputs(path, recipe["request"], backend) for path in self.inputs}
        request = from_recipe(recipe["request"], itertools.chain(*videos.values()))
        record = recipe["record"] if Index().has(recipe["record"]) else None
        if record is None:
            warn("lumora: The video was published elsewhere, so its watermark will differ.")
        _, published = make_video(request, backend, self.output, _ingredients(request, videos), record, overwrite)
        code, comparison = _comparison(recipe.get("video"), published.recipe["video"])
        say(f"{self.output}: made again from the manifest of {self.file}; {comparison}.")
        return code

    def possible_inputs(self, path: Path, request: dict[str, Any], backend: Backend) -> list[Video]:
        """What a verb may have read of an input: its first frame, and the clip at the size of the video, at its own
        frame rate and at the video's."""
        from lumora.config import Resolution
        from lumora.service.inputs import load_clip, load_image

        size = Resolution(**request["size"])
        clip = load_clip(path, backend.capabilities(), size, request["resize_mode"])
        return [load_image(path), clip, clip.resample_fps(request["fps"])]


def _comparison(expected: str | None, made: str) -> tuple[int, str]:
    """The exit code, and what the hashes of the frames before watermarking say."""
    if expected is None:
        return UNKNOWN, "it does not say what the frames were, so they cannot be compared"
    if expected != made:
        return DIFFERENT, "the frames are not the same, as on another kind of machine"
    return SAME, "the frames are the same"


def _check_recipe(file: Path, recipe: dict[str, Any]) -> None:
    from lumora.request.serialization import RECIPE_VERSION

    if recipe.get("version", 1) != RECIPE_VERSION:
        raise ValueError(f"{file} was made by an older version of lumora, whose recipe this version cannot reproduce.")
    if recipe["model"] is None:
        raise ValueError("This video is cut from others and no model made it, so there is nothing to reproduce.")


def _backend_of(
    file: Path, made_by: dict[str, Any], model: str | Path | None, loras: Sequence[tuple[Path, float]]
) -> Backend:
    """The given model, or the one that a manifest names. Raises ValueError if it did not make the file."""
    from lumora.backends.diffusers.catalog import catalog
    from lumora.backends.model_selection import open_backend

    # Several entries of the catalogue share a repository, so the name comes first.
    name = made_by.get("name") if made_by.get("name") in catalog() else made_by.get("hub_id")
    backend = open_backend(model or name or None, loras=loras, step_cache=made_by.get("step_cache"), say=say)
    identity = backend.identity()
    if made_by["sha256"] != identity["sha256"]:
        name = made_by.get("name")
        raise ValueError(f"{file} was made by another model{f', {name}' if name else ''}; name it with --model.")
    if made_by.get("sampling", 1) != identity["sampling"]:
        raise ValueError(f"{file} was made by a version of lumora that made other pixels of the same request.")
    if made_by.get("loras", []) != identity.get("loras", []):
        raise ValueError(f"{file} was made with other LoRA files; give them with --lora.")
    return backend


def _ingredients(request: Request, videos: dict[Path, list[Video]]) -> list[Ingredient]:
    """The files of a request's conditions, related as the verbs relate them: the first clip is the parent, another clip
    is a component, images are inputs."""
    from lumora.provenance.manifest import Ingredient
    from lumora.request.serialization import video_hash

    file_of = {video_hash(video): path for path, candidates in videos.items() for video in candidates}
    ingredients: list[Ingredient] = []
    for video in request.videos():
        has_parent = any(ingredient.relationship == "parentOf" for ingredient in ingredients)
        clip = "componentOf" if has_parent else "parentOf"
        ingredients.append(Ingredient(file_of[video_hash(video)], "inputTo" if len(video.frames) == 1 else clip))
    return ingredients


def _recipe_of(file: Path) -> dict[str, Any]:
    from lumora.provenance.detect import detect
    from lumora.provenance.manifest import read

    manifest = read(file)
    if manifest.recipe_is_intact and manifest.recipe:
        return manifest.recipe
    found = detect(file)
    if found.answer == "ours" and found.record:
        return found.record.recipe
    raise ValueError(f"{file} has no trustworthy manifest of lumora, and it is not known here.")
