"""`lumora verify`, `lumora detect`, `lumora replay`: is a file what it says, is it ours, and can it be made again?"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from lumora.cli.flags import File

if TYPE_CHECKING:
    from lumora.provenance.detect import Detection
    from lumora.provenance.manifest import Manifest
    from lumora.provenance.model_attribution import CodecTrace

STATES = {
    "trusted": (0, "signed by {signer}, who is trusted, and unchanged since"),
    "intact": (3, "unchanged since it was signed, by {signer}, whom nobody here vouches for"),
    "tampered": (4, "changed after it was signed, or its signature is not valid"),
    "absent": (5, "without a manifest: nothing is known about it; perhaps `lumora detect` finds more"),
}
"""Exit code and words for what `lumora verify` found."""
ANSWERS = {"ours": 0, "not ours": 3, "cannot tell": 4}
"""Exit codes of `lumora detect`."""


@dataclass(frozen=True)
class Verify:
    """Check the signed manifest of a file. Exit code 0: trusted, 3: unknown signer, 4: tampered with, 5: none."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """A video or picture."""
    json: bool = False
    """Say it as JSON."""

    def run(self) -> int:
        from lumora.provenance.manifest import read

        manifest = read(self.file)
        code, words = STATES[manifest.state]
        if self.json:
            print(json.dumps(dataclasses.asdict(manifest), indent=2))
            return code
        print(f"{self.file}: {manifest.state}, {words.format(signer=manifest.signer)}.")
        for line in _about(manifest):
            print(f"  {line}")
        return code


@dataclass(frozen=True)
class Detect:
    """Find out whether a video was made here, manifest or not. Exit code 0: ours, 3: not ours, 4: cannot tell."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """A video or picture, perhaps cut, resized or encoded anew."""
    json: bool = False
    """Say it as JSON."""
    save_manifest: File = None
    """Write the signed manifest (.c2pa) of the delivered file here, where it is known which one it is."""

    def run(self) -> int:
        from lumora.atomic_io import atomic_write
        from lumora.backends.lumora.pipeline import load_codec
        from lumora.provenance.detect import detect

        found = detect(self.file, codec=load_codec())
        if self.save_manifest and found.record and found.answer == "ours":
            with atomic_write(self.save_manifest) as part:
                part.write_bytes(found.record.manifest)
        if self.json:
            print(json.dumps(_evidence(found), indent=2))
        else:
            print(f"{self.file}: {found.answer} (p = {found.p_value:.1e}).")
            for witness, said in _witnesses(found).items():
                print(f"  {witness:10s} {said}")
        return ANSWERS[found.answer]


def _about(manifest: Manifest) -> list[str]:
    recipe = manifest.recipe
    lines = [f"generator  {manifest.generator}"] if manifest.generator else []
    if recipe.get("request"):
        lines += [f"made       {recipe.get('made_at')}", f"prompt     {recipe['request'].get('prompt')}"]
    lines += [f"problem    {problem}" for problem in manifest.problems]
    for parent in manifest.ingredients:
        changed = f", TAMPERED WITH before it was used: {', '.join(parent['problems'])}" if parent["problems"] else ""
        lines.append(f"made of    {parent['title']} ({parent['relation']}){changed}")
    return lines


def _witnesses(found: Detection) -> dict[str, str]:
    said = {
        "manifest": found.manifest.state,
        "mark": f"p = {found.watermark.p_value:.1e}, {found.watermark.tried} places tried",
    }
    if found.record:
        recipe = found.record.recipe
        said["looks"] = f"alike by {found.likeness:.2f} of 1"
        said["record"] = f"{found.record.record}, {recipe['made_at']}, {recipe['request']['prompt']!r}"
    if found.codec_trace:
        said["passive"] = f"p = {found.codec_trace.p_value:.1e}, {_of_model(found.codec_trace)}"
    return said


def _of_model(trace: CodecTrace) -> str:
    from lumora.provenance.detect import NOT_OURS

    return "looks like this model's work, here or elsewhere" if trace.p_value <= NOT_OURS else "no trace of this model"


def _evidence(found: Detection) -> dict[str, Any]:
    record, passive = found.record, found.codec_trace
    return {
        "answer": found.answer,
        "p_value": found.p_value,
        "manifest": found.manifest.state,
        "mark": {
            "p_value": found.watermark.p_value,
            "payload": f"{found.watermark.payload:08x}",
            "tried": found.watermark.tried,
        },
        "looks": {"likeness": found.likeness},
        "passive": passive and {"p_value": passive.p_value, "passes": passive.passes, "grid": passive.grid},
        "record": record and {"record": record.record, "sha256": record.sha256, **record.recipe},
    }
