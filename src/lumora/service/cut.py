"""Cuts: parts of finished videos, trimmed and joined without a model. The result is reviewed and signed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lumora.backends.base import Cancel, Cancelled
from lumora.media.audio import num_samples, silence
from lumora.media.video import Video
from lumora.provenance.index import PublishedRecord
from lumora.provenance.latent_store import LatentStore
from lumora.provenance.manifest import Ingredient
from lumora.request.conditions import Condition
from lumora.request.spec import MAX_PROMPT_CHARACTERS, Request
from lumora.service.inputs import known_caption
from lumora.service.moderation import Moderation, check_texts, texts_of_ingredients
from lumora.service.publish import check_destination, publish


@dataclass(frozen=True)
class ClipPart:
    """A part of a file, in seconds; `end` None is the end of the file."""

    path: Path
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Cut:
    """Parts that were read and joined."""

    video: Video
    request: Request
    """Says what the video is made of: a condition for each part."""
    ingredients: tuple[Ingredient, ...]


def read_cut(parts: Sequence[ClipPart]) -> Cut:
    """Reads parts and joins them at the size and the frame rate of the first.

    Raises ValueError, in one sentence, for a file that cannot be read or a part outside of it.
    """
    whole: dict[Path, Video] = {}
    pieces: list[Video] = []
    for part in parts:
        if part.path not in whole:
            whole[part.path] = LatentStore().joined(Video.load(part.path), part.path)
        piece = _part_of(whole[part.path], part)
        if pieces:
            height, width = pieces[0].frames.shape[1:3]
            piece = piece.resize(height, width).resample_fps(pieces[0].fps)
        pieces.append(piece)
    starts = np.cumsum([0.0, *(piece.seconds for piece in pieces[:-1])])
    captions = dict.fromkeys(known_caption(path) for path in whole)
    conditions = (Condition(p.without_latents(), float(start)) for p, start in zip(pieces, starts, strict=True))
    video = pieces[0] if len(pieces) == 1 else _joined(pieces)
    request = Request(" ".join(captions).strip()[:MAX_PROMPT_CHARACTERS], video.seconds, conditions=tuple(conditions))
    first, *others = whole
    components = (Ingredient(path, "componentOf") for path in others)
    return Cut(video, request, (Ingredient(first, "parentOf"), *components))


def make_cut(
    parts: Sequence[ClipPart],
    destination: Path,
    moderation: Moderation,
    cancel: Cancel | None = None,
    overwrite: bool = False,
) -> PublishedRecord:
    """Publishes the joined parts. Raises what `generate` raises."""
    check_destination(destination, [part.path for part in parts], overwrite)
    cut = read_cut(parts)
    history = texts_of_ingredients(cut.ingredients)
    check_texts(cut.request, moderation, history)
    if cancel is not None and cancel.is_set():
        raise Cancelled
    return publish(cut.video, cut.request, destination, moderation, None, cut.ingredients, history, overwrite=overwrite)


def _part_of(video: Video, part: ClipPart) -> Video:
    end = video.seconds if part.end is None else part.end
    if not 0 <= part.start < end <= video.seconds + 1e-6:
        raise ValueError(
            f"{part.path} lasts {video.seconds:g} seconds, so it has no part from {part.start:g} to {end:g}."
        )
    first, last = round(part.start * video.fps), round(end * video.fps)
    if first == last:
        raise ValueError(f"The part from {part.start:g} to {end:g} of {part.path} is shorter than a frame.")
    outside = {*range(first), *range(last, len(video.frames))}
    return video.drop_frames(outside)


def _joined(pieces: Sequence[Video]) -> Video:
    """All pieces, which have one size and rate; those without audio are silent if others have some."""
    audio = None
    if any(piece.audio is not None for piece in pieces):
        audio = np.concatenate([_fitted_audio(piece) for piece in pieces])
    frames = np.concatenate([piece.frames for piece in pieces])
    return replace(pieces[0], frames=frames, audio=audio, latents=None)


def _fitted_audio(piece: Video) -> np.ndarray:
    fitted = silence(piece.seconds)
    if piece.audio is not None:
        count = min(len(fitted), num_samples(piece.seconds), len(piece.audio))
        fitted[:count] = piece.audio[:count]
    return fitted
