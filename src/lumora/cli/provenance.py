"""`lumora verify` and `lumora detect`: is a file unchanged since it was signed, and was it made here?"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from lumora.cli.flags import File, OutputVerb
from lumora.cli.progress import progress_bar
from lumora.terminal import say, warn

if TYPE_CHECKING:
    from lumora.provenance.detect import Detection
    from lumora.provenance.manifest import Manifest
    from lumora.provenance.model_attribution import CodecTrace

TRUSTED, INTACT, TAMPERED, UNPROVEN = 0, 3, 4, 5
VERIFY_RESULTS = {
    "trusted": (TRUSTED, "unchanged since it was signed by {signer}, who is trusted here"),
    "intact": (INTACT, "unchanged since it was signed by {signer}, who is not known here"),
    "tampered": (TAMPERED, "changed after it was signed by {signer}"),
    "absent": (UNPROVEN, "it has no manifest; `lumora detect` may recognize it"),
    "remote": (UNPROVEN, "its manifest is stored on a server, and lumora fetches nothing from the network"),
    "unreadable": (UNPROVEN, "the file or its manifest cannot be read"),
    "expired": (UNPROVEN, "unchanged since it was signed by {signer}, whose certificate expired on {valid_until}"),
    "not yet valid": (UNPROVEN, "unchanged since it was signed by {signer}, whose certificate begins on {valid_from}"),
}
"""For each state the exit code of `lumora verify` and what it says."""
DETECT_EXIT_CODES = {"ours": 0, "not ours": 3, "cannot tell": 4}


@dataclass(frozen=True)
class Verify:
    """Check the signed manifest of a file. Exit code 0: trusted, 3: intact but unknown signer, 4: changed after it was
    signed, 5: nothing is proven (no manifest, unreadable, or signed outside the certificate's validity)."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """A video or an image."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        from lumora.provenance.manifest import read

        manifest = read(self.file)
        code, sentence = VERIFY_RESULTS[manifest.state]
        if self.json:
            say(*json.dumps(dataclasses.asdict(manifest), indent=2).splitlines())
            return code
        dates = {name: (getattr(manifest, name) or "an unknown day")[:10] for name in ("valid_from", "valid_until")}
        signer = manifest.signer or "an unknown signer"
        say(f"{self.file}: {manifest.state}: {sentence.format(signer=signer, **dates)}.")
        say(*(f"  {line}" for line in _manifest_lines(manifest)))
        return code


@dataclass(frozen=True)
class Detect(OutputVerb):
    """Find out whether a video was made here, with or without a manifest. Exit code 0: ours, 3: not ours, 4: cannot
    tell."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """A video or an image, which may be cropped, resized or encoded again."""
    json: bool = False
    """Print JSON."""
    save_manifest: File = None
    """Write the signed manifest (.c2pa) of the published file here, if the video is recognized."""

    def run(self) -> int:
        from lumora.atomic_io import atomic_write
        from lumora.backends.lumora.pipeline import load_codec
        from lumora.provenance.detect import detect

        if self.save_manifest:
            self.check_output(self.save_manifest, [self.file])
        with progress_bar("Loading the codec") as report:
            found = detect(self.file, None, load_codec(), partial(report, "Examining the video"))
        warn(*(f"lumora: {warning}" for warning in found.warnings))
        if self.save_manifest and found.record and found.answer == "ours":
            with atomic_write(self.save_manifest) as part:
                part.write_bytes(found.record.manifest)
        if self.json:
            say(*json.dumps(_detection_json(found), indent=2).splitlines())
        else:
            say(f"{self.file}: {found.answer} (p = {found.p_value:.1e}).")
            say(*(f"  {name:12s} {text}" for name, text in _evidence(found).items()))
        return DETECT_EXIT_CODES[found.answer]


def _manifest_lines(manifest: Manifest) -> list[str]:
    recipe = manifest.recipe
    lines = [f"generator   {manifest.generator}"] if manifest.generator else []
    if isinstance(request := recipe.get("request"), dict):  # other software may have written anything
        lines += [f"made        {recipe.get('made_at')}", f"prompt      {request.get('prompt')}"]
    lines += [f"problem     {problem}" for problem in manifest.problems]
    for parent in manifest.ingredients:
        changed = " TAMPERED WITH before it was used:" if parent["state"] == "tampered" else ""
        problems = f",{changed} {', '.join(parent['problems'])}" if parent["problems"] else ""
        lines.append(f"ingredient  {parent['title']} ({parent['relation']}){problems}")
    return lines


def _evidence(found: Detection) -> dict[str, str]:
    reading, trace = found.watermark, found.codec_trace
    lines = {"manifest": found.manifest.state}
    if reading:
        lines["watermark"] = f"p = {reading.p_value:.1e}, {reading.num_alignments} alignments tried"
    if found.record:
        recipe = found.record.recipe
        lines["fingerprint"] = f"similarity {found.similarity:.2f}"
        lines["record"] = f"{found.record.record}, {recipe['made_at']}, {recipe['request']['prompt']!r}"
    if trace:
        lines["codec trace"] = f"p = {trace.p_value:.1e}, {_trace_text(trace)}"
    return lines


def _trace_text(trace: CodecTrace) -> str:
    from lumora.provenance.detect import NOT_OURS_P_VALUE

    if trace.p_value <= NOT_OURS_P_VALUE:
        return "looks like a video of this model, made here or elsewhere"
    return "no trace of this model"


def _detection_json(found: Detection) -> dict[str, Any]:
    record, reading, trace = found.record, found.watermark, found.codec_trace
    return {
        "answer": found.answer,
        "p_value": found.p_value,
        "manifest": found.manifest.state,
        "watermark": reading
        and {
            "p_value": reading.p_value,
            "payload": f"{reading.payload:08x}",
            "num_alignments": reading.num_alignments,
        },
        "fingerprint": {"similarity": found.similarity},
        "codec_trace": trace and {"p_value": trace.p_value, "passes": trace.passes, "grid": trace.grid},
        "record": record and {"record": record.record, "sha256": record.sha256, **record.recipe},
    }
