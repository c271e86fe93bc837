"""Publishing a video: its frames are moderated, then it is watermarked, encoded, signed and registered."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lumora.atomic_io import atomic_write, temporary_file
from lumora.media.encode import checked_suffix
from lumora.media.video import Video, encode_video
from lumora.provenance import watermark
from lumora.provenance.fingerprint import fingerprint_of
from lumora.provenance.index import Index, PublishedRecord
from lumora.provenance.informed_detector import reference_dct_of
from lumora.provenance.keystore import watermark_key
from lumora.provenance.latent_store import LatentStore
from lumora.provenance.manifest import Ingredient, sign
from lumora.request.serialization import RECIPE_VERSION, to_recipe
from lumora.request.spec import Request
from lumora.service.moderation import Moderation, check_frames


def publish(
    video: Video,
    request: Request,
    destination: Path,
    moderation: Moderation,
    model: dict[str, Any] | None,
    ingredients: Sequence[Ingredient] = (),
    history: Sequence[str] = (),
    record: str | None = None,
) -> PublishedRecord:
    """Writes `video` to `destination`, or leaves nothing there.

    `model` is the identity of the backend that made it, or None if it is cut from the ingredients. `ingredients` are
    the files that it is made from, `history` the texts that these were made of. `record` is given if an earlier record
    is reproduced. The latents of the video are kept for later extensions and edits.

    Raises ModerationBlocked if the frames are refused, ValueError and OSError, in one sentence, for other failures.
    """
    kind, index, latent_store = checked_suffix(destination), Index(), LatentStore()
    video = _first_frame(video) if kind == ".png" else video
    check_frames(video.frames, moderation)
    record = record or index.new_record()
    marked = watermark.embed(video, int(record, 16), watermark_key())
    recipe = {
        "version": RECIPE_VERSION,
        "model": model,
        "policy": moderation.policy.version,
        "thresholds": moderation.policy.thresholds,
        "before": [{"prompt": text} for text in history],
        "request": to_recipe(request),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "record": record,
    }
    with atomic_write(destination) as signed, temporary_file(destination) as encoded:
        encode_video(kind, marked, encoded)
        manifest = sign(encoded, signed, kind, destination.name, recipe, ingredients)
        sha256 = hashlib.sha256(signed.read_bytes()).hexdigest()
        published = PublishedRecord(record, sha256, recipe, manifest, fingerprint_of(video), reference_dct_of(video))
        index.add(published)
    if video.latents is not None:
        latent_store.keep(sha256, video.latents)
    return published


def _first_frame(video: Video) -> Video:
    """A still image is watermarked as one."""
    return Video(video.frames[:1], video.fps)
