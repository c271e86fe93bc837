"""Is this video one of ours? Combines the evidence of the manifest, the watermark and the index of published videos.

Three p-values are computed, and the smallest counts three times (Bonferroni):

1. The watermark alone. This needs no index.
2. The watermark and the fingerprint together, for each record of the index. The fingerprint gives the alignment, and
   the watermark is read there. For a foreign video the two are independent, because the key does not depend on any
   video, so their p-values are combined by Fisher's method, and multiplied by the number of records.
3. The watermark read with knowledge of the original (`informed_detector.py`), for the records with the most similar
   fingerprints.

A file that is byte for byte a published one, or carries a trusted manifest of a published one, needs no p-value.

The codec's trace (`model_attribution.py`) is evidence of another kind: it says that the model made the video, whoever
ran it. Videos that others made with the same model were not published here and have the same trace. So it changes no
p-value and never makes the answer "ours"; it only turns "not ours" into "cannot tell".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from lumora.codec import Codec
from lumora.media.reader import FrameReader
from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.dct import ALIGNMENTS, LumaBuffer, ReducedVideo, reduced_luma, search_stages
from lumora.provenance.fingerprint import FingerprintMatch, fingerprint_p_value, match_fingerprints
from lumora.provenance.index import Index, PublishedRecord
from lumora.provenance.informed_detector import sign_p_value
from lumora.provenance.keystore import existing_watermark_key
from lumora.provenance.manifest import Manifest, read
from lumora.provenance.model_attribution import TRACE_FRAMES, CodecTrace, central_part, trace_of

Answer = Literal["ours", "not ours", "cannot tell"]
OURS_P_VALUE = 1e-6
"""A video is ours up to this p-value: of a million foreign videos, at most one is taken for ours."""
NOT_OURS_P_VALUE = 1e-2
"""From this p-value on there is no evidence. That is no proof: strong attacks remove all traces."""
MAX_INFORMED = 32
"""Records that are tested by the informed detector, the most similar first. Each takes up to 0.2 s."""


@dataclass(frozen=True)
class Detection:
    """The answer and the evidence for it."""

    answer: Answer
    p_value: float
    """Upper bound of the probability of as much evidence for a foreign video. 0 where the file or its signature is
    proof."""
    record: PublishedRecord | None
    """The published video that it is."""
    manifest: Manifest
    watermark: watermark.WatermarkReading | None
    """None where there is no key, so nothing was ever watermarked here."""
    similarity: float | None
    """Of the fingerprint to that of `record`, from 0 to 1. None without a record."""
    codec_trace: CodecTrace | None
    """None where no codec was given, or the video is too small."""
    warnings: tuple[str, ...] = ()
    """What was changed or is missing in what was read (`FrameReader.warnings`)."""


def detect(
    path: Path,
    index: Index | None = None,
    codec: Codec | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Detection:
    """Examines a file. `index` is the one in the state folder by default; with `codec` the codec's trace is measured.

    Nothing is written. `progress` is called with the work done and the total. Raises ValueError, with a sentence, for a
    file that cannot be read as a video or an image.
    """
    report = progress or (lambda done, total: None)
    manifest, records = read(path), (index or Index()).all()
    clip, trace, warnings = _read_video(path, codec, lambda fraction: report(round(90 * fraction), 100))
    key = existing_watermark_key()
    reading = watermark.read(clip, key, stop_at=0.0) if key else None
    report(95, 100)
    matches = match_fingerprints(search_stages(clip), [record.fingerprint for record in records])
    report(100, 100)
    proven = _proven_record(path, manifest, records)
    if proven is not None:
        similarity = matches[proven].similarity
        return Detection("ours", 0.0, records[proven], manifest, reading, similarity, trace, warnings)
    if key is None or reading is None:
        return Detection(_answer(1.0, trace), 1.0, None, manifest, None, None, trace, warnings)
    p_values = index_p_values(clip, reading, records, matches, key)
    p_value = combined_p_value(reading, p_values)
    answer, best = _answer(p_value, trace), min(range(len(records)), key=p_values.__getitem__, default=None)
    if best is None or p_values[best] > NOT_OURS_P_VALUE:
        return Detection(answer, p_value, None, manifest, reading, None, trace, warnings)
    similarity = matches[best].similarity
    return Detection(answer, p_value, records[best], manifest, reading, similarity, trace, warnings)


def combined_p_value(reading: watermark.WatermarkReading, by_index: Sequence[float]) -> float:
    """The smallest of the three p-values at the top of this module, times three."""
    return min(1.0, 3 * min([reading.p_value, *by_index]))


def index_p_values(
    clip: ReducedVideo,
    reading: watermark.WatermarkReading,
    records: Sequence[PublishedRecord],
    matches: Sequence[FingerprintMatch],
    key: bytes,
) -> list[float]:
    """For each record the smaller of the p-values that need the index, corrected for the number of records.

    Fisher's is multiplied by the number of records. The informed detector's is weighted by the record's rank in
    similarity (a weighted Bonferroni correction): 1/2 for the first, 1/6, 1/12 and so on, which add up to one.
    """
    payloads = [int(record.record, 16) for record in records]
    p_values = [min(1.0, p * len(records)) for p in fisher_p_values(reading, payloads, matches)]
    most_similar = sorted(range(len(records)), key=lambda n: -matches[n].similarity)[:MAX_INFORMED]
    for rank, n in enumerate(most_similar, start=1):
        signs = watermark.signs_of(payloads[n], key, len(clip.luma))
        p_values[n] = min(p_values[n], rank * (rank + 1) * informed_p_value(clip, records[n], matches[n], signs))
    return p_values


def fisher_p_values(
    reading: watermark.WatermarkReading, payloads: Sequence[int], matches: Sequence[FingerprintMatch]
) -> list[float]:
    """For each record the p-value of its watermark and its fingerprint together, by Fisher's method."""
    if not matches:
        return []
    from scipy.stats import combine_pvalues  # importing it takes a second and 60 MB

    by_watermark = reading.p_values_of(payloads, [match.alignment for match in matches])
    by_fingerprint = [fingerprint_p_value(match.similarity) for match in matches]
    both = np.stack([np.maximum(by_watermark, 1e-300), by_fingerprint])  # the method takes logarithms
    combined: Any = combine_pvalues(both, method="fisher", axis=0)  # scipy's annotations lack the result's type
    return combined.pvalue.tolist()


def informed_p_value(
    clip: ReducedVideo, record: PublishedRecord, match: FingerprintMatch, signs: Float[np.ndarray, "q n"]
) -> float:
    """The informed detector's p-value at the alignment of the fingerprint, or at none: the fingerprints of a still
    scene are the same from any start."""
    candidates = {0, match.alignment}
    p_values = (sign_p_value(clip, record.reference_dct, ALIGNMENTS[n], signs) for n in candidates)
    return len(candidates) * min(p_values)


def _read_video(
    path: Path, codec: Codec | None, progress: Callable[[float], None]
) -> tuple[ReducedVideo, CodecTrace | None, tuple[str, ...]]:
    """The reduced video, its trace and what is to be said of it, frame by frame: at full size no more than one frame is
    held."""
    luma = LumaBuffer()
    parts: list[np.ndarray] = []
    with FrameReader(path) as reader:
        for number, frame in enumerate(reader):
            luma.append(reduced_luma(frame))
            if codec and number < TRACE_FRAMES:
                parts.append(central_part(frame, codec.config.spatial_compression))
            progress(min(1.0, reader.position / reader.duration) if reader.duration else 0.0)
        order, fps = reader.schedule()
        warnings = reader.warnings
    progress(1.0)
    trace = None
    if codec:
        beginning = order[:TRACE_FRAMES]
        trace = trace_of(Video(np.stack(parts)[beginning[beginning < len(parts)]], fps), codec)
    return ReducedVideo(luma.scheduled(order), fps), trace, warnings


def _proven_record(path: Path, manifest: Manifest, records: Sequence[PublishedRecord]) -> int | None:
    """The number of the record whose file this is byte for byte, or that a trusted manifest names."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    signed = manifest.recipe.get("record") if manifest.state == "trusted" else None
    return next((n for n, r in enumerate(records) if r.sha256 == sha256 or r.record == signed), None)


def _answer(p_value: float, trace: CodecTrace | None) -> Answer:
    if p_value <= OURS_P_VALUE:
        return "ours"
    no_trace = trace is None or trace.p_value > NOT_OURS_P_VALUE
    return "not ours" if p_value >= NOT_OURS_P_VALUE and no_trace else "cannot tell"
