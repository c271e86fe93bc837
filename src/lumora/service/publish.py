"""Publishing a video: its frames are moderated, then it is watermarked, encoded, signed and registered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lumora.atomic_io import atomic_write, check_output, temporary_file
from lumora.backends.base import Plan
from lumora.media.encode import checked_suffix, estimated_bytes
from lumora.media.video import Video, encode_video
from lumora.provenance import watermark
from lumora.provenance.fingerprint import fingerprint_of
from lumora.provenance.index import Index, PublishedRecord
from lumora.provenance.informed_detector import reference_dct_of
from lumora.provenance.keystore import watermark_key
from lumora.provenance.latent_store import LatentStore
from lumora.provenance.manifest import Ingredient, check_signing, sign
from lumora.request.serialization import RECIPE_VERSION, to_recipe, video_hash
from lumora.request.spec import Request
from lumora.service.moderation import Moderation, check_frames


def check_destination(path: Path, inputs: Iterable[Path] = (), overwrite: bool = False) -> None:
    """`check_output` for a file whose format can be written and signed; raises ValueError for any other suffix."""
    checked_suffix(path)
    check_output(path, inputs, overwrite)


def check_publishing(plan: Plan, destination: Path) -> None:
    """Checks before a video is made what can make `publish` fail: the disk's room, the state folder and the
    signing certificate.

    Raises ValueError and OSError, in one sentence.
    """
    size = estimated_bytes(checked_suffix(destination), plan.size.width * plan.size.height, plan.num_frames)
    check_output(destination, overwrite=True, size=2 * size)  # with and without its signature
    watermark_key()
    Index().prepare()
    LatentStore()
    check_signing()


def publish(
    video: Video,
    request: Request,
    destination: Path,
    moderation: Moderation,
    model: dict[str, Any] | None,
    ingredients: Sequence[Ingredient] = (),
    history: Sequence[str] = (),
    record: str | None = None,
    overwrite: bool = False,
) -> PublishedRecord:
    """Writes `video` to `destination`, or leaves nothing there.

    `model` is the identity of the backend that made it, or None if it is cut from the ingredients. `ingredients` are
    the files that it is made from, `history` the texts that these were made of. `record` is given if an earlier record
    is reproduced. A file that exists is replaced only with `overwrite`. The latents of the video are kept for later
    extensions and edits.

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
        "video": video_hash(video),
    }
    with atomic_write(destination, overwrite) as signed, temporary_file(destination) as encoded:
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
