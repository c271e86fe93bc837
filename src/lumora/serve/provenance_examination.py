"""The whole examination of a file's origin: manifest, watermark, detector. Called in a sandbox; it imports PyTorch."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from lumora.backends.lumora.pipeline import load_codec
from lumora.codec import Codec
from lumora.provenance.detect import NOT_OURS_P_VALUE, OURS_P_VALUE, Answer, Detection, detect
from lumora.serve.provenance_words import c2pa_result, manifest_report

ANSWER_WORDS: dict[Answer, str] = {
    "ours": "This was made and published here.",
    "not ours": "Nothing suggests that this was made here. That is no proof: strong changes remove all traces.",
    "cannot tell": "There are weak signs that this was made here, or by the same model elsewhere; too weak to say so.",
}


def examine(path: str) -> dict[str, Any]:
    """Results of the types c2pa, watermark and detector, the manifest, and `record`, the published video that it is.

    Raises ValueError, in one sentence, for a file that is no video or image.
    """
    try:
        found = detect(Path(path), None, warm_up())
    except ValueError as error:
        raise ValueError(str(error).replace(path, "The file")) from None
    return {
        "results": [c2pa_result(found.manifest), _watermark(found), _detector(found)],
        "manifest": manifest_report(found.manifest),
        "summary": ANSWER_WORDS[found.answer],
        "record": found.record.record if found.record else None,
    }


@cache
def warm_up() -> Codec:
    """Loads the codec, once, in the template. On the CPU: a forked process cannot use a GPU."""
    return load_codec(device="cpu")


def _watermark(found: Detection) -> dict[str, Any]:
    p_value = found.watermark.p_value if found.watermark else None
    is_found = p_value is not None and p_value <= OURS_P_VALUE
    is_weak = p_value is not None and p_value < NOT_OURS_P_VALUE
    words = {
        (True, True): "The pixels carry the invisible mark of this server.",
        (False, True): "There are weak traces of this server's invisible mark, too weak to be sure.",
        (False, False): "The invisible mark of this server was not found.",
    }
    explanation = words[is_found, is_weak] if p_value is not None else "Nothing was ever marked by this server."
    return {
        "type": "watermark",
        "outcome": "detected" if is_found else "not_detected",
        "p_value": p_value,
        "explanation": explanation,
    }


def _detector(found: Detection) -> dict[str, Any]:
    return {
        "type": "detector",
        "outcome": "detected" if found.answer == "ours" else "not_detected",
        "answer": found.answer,
        "p_value": found.p_value,
        "similarity": found.similarity,
        "generated_at": found.record.recipe.get("made_at") if found.record else None,
        "codec_trace_p_value": found.codec_trace.p_value if found.codec_trace else None,
        "explanation": ANSWER_WORDS[found.answer],
    }
