"""A published video in another file format. Its frames keep their watermark, and the new file is signed."""

from __future__ import annotations

from pathlib import Path

from lumora.atomic_io import atomic_write, temporary_file
from lumora.media.encode import checked_suffix
from lumora.media.video import Video, encode_video
from lumora.provenance.manifest import Ingredient, read, sign


def convert(source: Path, destination: Path) -> None:
    """Writes the video in `source`, which was published here, to `destination` in the format of its suffix.

    The new manifest has the recipe of `source` and names it as the parent. Raises ValueError for a file without a
    recipe that can be believed, and OSError, with a sentence, where the file cannot be written.
    """
    kind, manifest = checked_suffix(destination), read(source)
    if not manifest.recipe_is_intact or not manifest.recipe:
        raise ValueError(f"{source} has no manifest of a video that was published here.")
    video = Video.load(source)
    with atomic_write(destination) as signed, temporary_file(destination) as encoded:
        encode_video(kind, video, encoded)
        sign(encoded, signed, kind, destination.name, manifest.recipe, [Ingredient(source, "parentOf")])
