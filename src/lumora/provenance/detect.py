"""Is this video one of ours? Three witnesses: the manifest, the mark in the pixels, and the index of what was
delivered. A fourth one knows our model's hand (`passive.py`).

For each record of the index, the looks say where in the video it would have to lie, and the mark is read there. Of a
foreign video the two are independent (the key's coins know nothing of pictures), so their p-values join by Fisher's
method, times the number of records. For the few records that it looks like most, which again are found without the key,
the mark is read once more against what is known of their pixels (`known.py`). Beside it stands the mark alone, which
needs no index. The best of the three counts three times.

The passive trace is not joined to them, because it tells another thing: that the video is of this model, whoever ran
it. What others made with it was never delivered here and has the trace all the same. So it changes no p-value and never
says "ours"; it only takes back a "not ours".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from lumora.codec import Codec
from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.dct import reduced, reduction_stages
from lumora.provenance.fingerprint import Likeness, chance_of, likeness
from lumora.provenance.index import Index, PublishedRecord
from lumora.provenance.informed_detector import chance_of_mark
from lumora.provenance.keystore import watermark_key
from lumora.provenance.manifest import Manifest, read
from lumora.provenance.model_attribution import CodecTrace, trace_of

Answer = Literal["ours", "not ours", "cannot tell"]
OURS = 1e-6
"""From this p-value on a video is ours: of a million foreign ones, one is taken for ours."""
NOT_OURS = 1e-2
"""From this p-value on there is no trace of us, which is no proof: strong changes remove all traces."""

LIKEST = 32
"""Records against which the mark is read once more; each takes up to two tenths of a second."""


@dataclass(frozen=True)
class Detection:
    answer: Answer
    p_value: float
    """Chance, at most, that a foreign video gives as much evidence; 0 where a signature says it."""
    record: PublishedRecord | None
    """Which delivered video it is."""
    manifest: Manifest
    watermark: watermark.WatermarkReading
    likeness: float | None
    """How much it looks like `record`, from 0 to 1; None without a record."""
    codec_trace: CodecTrace | None
    """Of the model, in a video that it or another lumora made; None where it was not looked for."""


def detect(path: Path, index: Index | None = None, codec: Codec | None = None) -> Detection:
    """With the model's `codec` it looks for passive traces too.

    Raises ValueError, in a sentence, for a file that can't be read as a video or picture.
    """
    manifest, video = read(path), Video.load(path)
    passive = trace_of(video, codec) if codec else None
    mark = watermark.read(video, watermark_key(), enough=0.0)
    records = (index or Index()).all()
    alike = likeness(reduction_stages(video), [record.fingerprint for record in records])
    signed = next((r for r in records if r.record == manifest.recipe.get("record")), None)
    if manifest.state == "trusted" and signed:
        return Detection("ours", 0.0, signed, manifest, mark, alike[records.index(signed)].value, passive)
    chances = with_index(video, mark, records, alike, watermark_key())
    best = min(range(len(records)), key=lambda n: chances[n], default=None)
    p_value = joined(mark, chances)
    answer = _answer(p_value, passive)
    if best is None or chances[best] > NOT_OURS:
        return Detection(answer, p_value, None, manifest, mark, None, passive)
    return Detection(answer, p_value, records[best], manifest, mark, alike[best].value, passive)


def _answer(p_value: float, passive: CodecTrace | None) -> Answer:
    if p_value <= OURS:
        return "ours"
    traceless = p_value >= NOT_OURS and (passive is None or passive.p_value > NOT_OURS)
    return "not ours" if traceless else "cannot tell"


def with_index(
    video: Video,
    mark: watermark.WatermarkReading,
    records: Sequence[PublishedRecord],
    alike: Sequence[Likeness],
    key: bytes,
) -> list[float]:
    """For each record the chance, at most, that a foreign video has as much evidence for it or for another one, by the
    better of the two ways that need the index. What is read once more counts by rank: the likest record has a half of
    the trust, the next a sixth, a twelfth and so on, which add up to one."""
    payloads = [int(record.record, 16) for record in records]
    chances = [min(1.0, joint * len(records)) for joint in joint_p_values(mark, payloads, alike)]
    luma, likest = reduced(video), sorted(range(len(records)), key=lambda n: -alike[n].value)[:LIKEST]
    for rank, n in enumerate(likest, start=1):
        signs = watermark.signs_of(payloads[n], key, len(luma))
        chances[n] = min(chances[n], rank * (rank + 1) * informed_p_value(luma, video.fps, records[n], alike[n], signs))
    return chances


def informed_p_value(
    luma: Float[np.ndarray, "t h w"],
    fps: float,
    record: PublishedRecord,
    like: Likeness,
    signs: Float[np.ndarray, "q n"],
) -> float:
    """As `chance_of_mark`, for the place where the looks say that a video lies in a record's, and for the whole of it:
    those of a still scene are alike from any beginning."""
    places = {0, like.place}
    return len(places) * min(chance_of_mark(luma, fps, record.reference_dct, place, signs) for place in places)


def joined(mark: watermark.WatermarkReading, chances: Sequence[float]) -> float:
    """The p-value of all witnesses: the mark alone, and two ways with the index."""
    return min(1.0, 3 * min([mark.p_value, *chances]))


def joint_p_values(mark: watermark.WatermarkReading, payloads: Sequence[int], alike: Sequence[Likeness]) -> list[float]:
    """For each record the chance, at most, that a foreign video has so much of its mark and its looks."""
    fits = mark.p_values_of(payloads, [like.place for like in alike])
    return [_fisher(float(fit), chance_of(like.value)) for fit, like in zip(fits, alike, strict=True)]


def _fisher(first: float, second: float) -> float:
    """The p-value of two independent ones: P(product ≤ p) = p · (1 − ln p)."""
    product = max(first, 1e-300) * max(second, 1e-300)
    return min(1.0, product * (1 - math.log(max(product, 1e-300))))
