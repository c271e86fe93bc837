"""The only road from the network to a person: nothing leaves it unreviewed, unmarked, unsigned or unregistered."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from lumora.files import part_file, reason, written_whole
from lumora.generate.recipe import as_recipe, leaves
from lumora.generate.request import Request
from lumora.provenance import watermark
from lumora.provenance.index import Delivered, Index, looks_of
from lumora.provenance.manifest import Parent, read, sign
from lumora.provenance.state import watermark_key
from lumora.video import Video, checked_suffix, write_as

Content = TypeVar("Content")

CHECK_SECONDS = 60.0
"""A check that takes longer refuses."""


class Verdict(Protocol):
    """What a check says; it lets pass only where `allowed` is True."""

    @property
    def allowed(self) -> bool: ...
    @property
    def reason(self) -> str: ...


class Refused(ValueError):
    """Why there is no video, in a sentence."""


def deliver(
    request: Request,
    destination: Path,
    make: Callable[[Request], Video],
    check_prompt: Callable[[str], Verdict],
    review_frames: Callable[[np.ndarray], Verdict],
    about: dict[str, Any],
    parents: Sequence[Parent] = (),
    record: str | None = None,
) -> Delivered:
    """Makes the video that is asked for and writes it to `destination`, or leaves nothing there.

    `about` goes into the manifest beside the request: the model's hash, the policy. `parents` are the files that what
    is given in the request comes from. `record` makes the pixels of that record once more. Raises Refused where a
    check refuses, fails or takes too long, ValueError and OSError, in a sentence, for what else goes wrong.
    """
    kind, index = checked_suffix(destination), Index()
    for parent in parents:
        _must_be_untampered(parent)
    for name, value in leaves(request):
        if name == "prompt":
            _must_pass(check_prompt, value, "the prompt")
        elif isinstance(value, Video):
            _must_pass(review_frames, value.frames, "what was given")
    video = _shown(make(request), kind)
    _must_pass(review_frames, video.frames, "the video")
    record = record or index.new_record()
    marked = watermark.embed(video, int(record, 16), watermark_key())
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    recipe = {**about, "request": as_recipe(request), "made_at": made_at, "record": record}
    with written_whole(destination) as signed, part_file(destination) as encoded:
        write_as(kind, marked, encoded)
        manifest = sign(encoded, signed, kind, destination.name, recipe, parents)
        sha256 = hashlib.sha256(signed.read_bytes()).hexdigest()
        index.add(delivered := Delivered(record, sha256, recipe, manifest, looks_of(marked)))
    return delivered


def _shown(video: Video, kind: str) -> Video:
    """As much of a video as a file of this kind shows: a still is marked as a still."""
    return Video(video.frames[:1], video.fps) if kind == ".png" else video


def _must_be_untampered(parent: Parent) -> None:
    """A new manifest over a tampered parent would look trusted."""
    found = read(parent.path)
    if found.state == "tampered":
        raise Refused(
            f"{parent.path} was changed after it was signed ({', '.join(found.problems)}); give the original."
        )


def _must_pass(check: Callable[[Content], Verdict], content: Content, what: str) -> None:
    """Raises Refused unless the check says in time that `content` is allowed."""
    said: list[Verdict | Exception] = []

    def ask() -> None:
        try:
            said.append(check(content))
        except Exception as error:  # whatever goes wrong, the answer is no
            said.append(error)

    asked = threading.Thread(target=ask, daemon=True)  # one that hangs must not keep the process alive
    asked.start()
    asked.join(CHECK_SECONDS)
    answer = said[0] if said else TimeoutError(f"it took longer than {CHECK_SECONDS:g} s")
    if isinstance(answer, Exception):
        raise Refused(f"Refused, because {what} could not be checked: {reason(answer)}.")
    if getattr(answer, "allowed", None) is not True:
        raise Refused(f"{what[:1].upper()}{what[1:]} is not allowed. {getattr(answer, 'reason', '')}".strip())
