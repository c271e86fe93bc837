"""The only road from the network to a person: nothing leaves it unreviewed, unmarked, unsigned or unregistered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lumora.atomic_io import atomic_write, temporary_file
from lumora.media.video import Video, checked_suffix, encode_video
from lumora.provenance import watermark
from lumora.provenance.fingerprint import fingerprint_of
from lumora.provenance.index import Index, PublishedRecord
from lumora.provenance.informed_detector import reference_dct_of
from lumora.provenance.keystore import watermark_key
from lumora.provenance.latent_store import LatentStore
from lumora.provenance.manifest import Ingredient, Manifest, read, sign
from lumora.request.serialization import SAMPLER_VERSION, iter_fields, model_hash, to_recipe
from lumora.request.spec import Request
from lumora.safety.policy import Policy
from lumora.safety.prompt_check import combined_prompts
from lumora.safety.verdict import Moderator

Content = TypeVar("Content")


class ModerationBlocked(ValueError):
    """Why there is no video, in a sentence."""


def publish(
    request: Request,
    destination: Path,
    make: Callable[[Request], Video],
    text_moderator: Moderator[str],
    frame_moderator: Moderator[np.ndarray],
    provenance: dict[str, Any],
    parents: Sequence[Ingredient] = (),
    record: str | None = None,
) -> PublishedRecord:
    """Makes the video that is asked for and writes it to `destination`, or leaves nothing there.

    `words` judges prompts, `pictures` frames: panels, because a panel answers in time whatever its checks do. `about`
    goes into the manifest beside the request (`origin`). `parents` are the files that what is given
    in the request comes from. `record` makes the pixels of that record once more. The video's latents, if it has any,
    are kept for what will be made of the file. Raises Refused where a check refuses, fails or takes too long,
    ValueError and OSError, in a sentence, for what else goes wrong.
    """
    kind, index, kept = checked_suffix(destination), Index(), LatentStore()
    before = [{"prompt": prompt} for parent in parents for prompt in _prompts(_untampered(parent).recipe)]
    for name, value in iter_fields(request):
        if name in ("prompt", "source_prompt") and value:
            _must_pass(text_moderator, value, "the prompt")
        elif isinstance(value, Video):
            _must_pass(frame_moderator, value.frames, "what was given")
    for whole in combined_prompts(list(_prompts([before, to_recipe(request)]))):
        _must_pass(text_moderator, whole, "what the prompts ask for together")
    video = _shown(make(request), kind)
    _must_pass(frame_moderator, video.frames, "the video")
    record = record or index.new_record()
    marked = watermark.embed(video, int(record, 16), watermark_key())
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    recipe = {**provenance, "before": before, "request": to_recipe(request), "made_at": made_at, "record": record}
    with atomic_write(destination) as signed, temporary_file(destination) as encoded:
        encode_video(kind, marked, encoded)
        manifest = sign(encoded, signed, kind, destination.name, recipe, parents)
        sha256 = hashlib.sha256(signed.read_bytes()).hexdigest()
        delivered = PublishedRecord(record, sha256, recipe, manifest, fingerprint_of(video), reference_dct_of(video))
        index.add(delivered)
    if video.latents is not None:
        kept.keep(sha256, video.latents)
    return delivered


def provenance_info(weights: Path | None, policy: Policy) -> dict[str, Any]:
    """What a manifest says beside the request: the hash of the model in the folder `weights` (None: the one that comes
    with lumora), and by which policy and thresholds it was checked."""
    model = {"sha256": model_hash(weights), "sampling": SAMPLER_VERSION}
    return {"model": model, "policy": policy.version, "thresholds": policy.thresholds}


def _shown(video: Video, kind: str) -> Video:
    """As much of a video as a file of this kind shows: a still is marked as a still."""
    return Video(video.frames[:1], video.fps) if kind == ".png" else video


def _untampered(parent: Ingredient) -> Manifest:
    """What a parent says of itself. A new manifest over a tampered one would look trusted."""
    found = read(parent.path)
    if found.state == "tampered":
        raise ModerationBlocked(
            f"{parent.path} was changed after it was signed ({', '.join(found.problems)}); give the original."
        )
    return found


def _prompts(recipe: Any) -> Iterator[str]:
    """All prompts in a recipe, those of what it was made of too; a stranger may have written anything into it."""
    if isinstance(recipe, dict):
        for name, value in recipe.items():
            yield from [value] if name in ("prompt", "source_prompt") and isinstance(value, str) else _prompts(value)
    elif isinstance(recipe, list):
        for value in recipe:
            yield from _prompts(value)


def _must_pass(panel: Moderator[Content], content: Content, what: str) -> None:
    verdict = panel.check(content)
    if not verdict.allowed:
        raise ModerationBlocked(f"{what[:1].upper()}{what[1:]} does not pass. {verdict.reason}")
