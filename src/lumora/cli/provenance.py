"""`lumora verify`, `lumora detect`, `lumora replay`: is a file what it says, is it ours, and can it be made again?"""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from lumora.cli.flags import File, Output
from lumora.cli.generate import make_and_deliver

if TYPE_CHECKING:
    from lumora.media.video import Video
    from lumora.provenance.detect import Detection
    from lumora.provenance.manifest import Ingredient, Manifest
    from lumora.provenance.model_attribution import CodecTrace
    from lumora.request.spec import Request

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
    manifest: File = None
    """Write the signed manifest (.c2pa) of the delivered file here, where it is known which one it is."""

    def run(self) -> int:
        from lumora.atomic_io import atomic_write
        from lumora.backends.lumora.pipeline import load_codec
        from lumora.provenance.detect import detect

        found = detect(self.file, codec=load_codec())
        if self.manifest and found.record and found.answer == "ours":
            with atomic_write(self.manifest) as part:
                part.write_bytes(found.record.manifest)
        if self.json:
            print(json.dumps(_evidence(found), indent=2))
        else:
            print(f"{self.file}: {found.answer} (p = {found.p_value:.1e}).")
            for witness, said in _witnesses(found).items():
                print(f"  {witness:10s} {said}")
        return ANSWERS[found.answer]


@dataclass(frozen=True)
class Replay:
    """Make a video again from what its manifest says: the same request, model and mark, the same pixels."""

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """A video that lumora made; where its manifest is lost, one that `lumora detect` recognises."""
    output: Output
    """Where to write it."""
    given: tuple[Path, ...] = ()
    """The pictures and videos that it was made of, where there were any."""
    weights: File = None
    """The folder of the model that made it, where that is not the one that comes with lumora."""

    def run(self) -> None:
        from lumora.provenance.index import Index
        from lumora.request.serialization import SAMPLER_VERSION, from_recipe, model_hash

        recipe = _recipe_of(self.file)
        if recipe["model"]["sha256"] != model_hash(self.weights):
            raise ValueError(f"{self.file} was made by another model; name its folder with --weights.")
        if recipe["model"].get("sampling", 1) != SAMPLER_VERSION:
            raise ValueError(f"{self.file} was made by a version of lumora that made other pixels of the same request.")
        readings = {path: self.readings(path, recipe["request"]) for path in self.given}
        request = from_recipe(recipe["request"], itertools.chain(*readings.values()))
        record = recipe["record"] if Index().has(recipe["record"]) else None
        if record is None:
            print("It was delivered elsewhere, so the mark will be another one.", file=sys.stderr)
        make_and_deliver(request, self.output, self.weights, _parents(request, readings), record)
        print(f"{self.output}: made again from the manifest of {self.file}.")

    def readings(self, path: Path, asked: dict[str, Any]) -> list[Video]:
        """What the verbs may have read of a given file: its first picture, and the clip at the video's size, at its own
        rate and at the video's, with what latents are kept of it."""
        from lumora.backends.lumora.weights import read_config
        from lumora.media.video import Video
        from lumora.provenance.latent_store import LatentStore

        shape = read_config(self.weights).shape
        size = asked["height"] or shape.height, asked["width"] or shape.width
        clip = LatentStore().joined(Video.load(path, size=size, resize_mode=asked["resize_mode"]), path)
        return [Video.load(path, max_frames=1), clip, clip.resample_fps(asked["fps"])]


def _parents(request: Request, readings: dict[Path, list[Video]]) -> list[Ingredient]:
    """The files whose content is in a request, as the verbs name them: what the first clip was is gone on with, another
    one lies beside it, and pictures were only looked at."""
    from lumora.media.video import Video
    from lumora.provenance.manifest import Ingredient
    from lumora.request.serialization import iter_fields, video_hash

    file_of = {video_hash(video): path for path, videos in readings.items() for video in videos}
    parents: list[Ingredient] = []
    for video in (value for _, value in iter_fields(request) if isinstance(value, Video)):
        begun = any(parent.relationship == "parentOf" for parent in parents)
        clip = "componentOf" if begun else "parentOf"
        parents.append(Ingredient(file_of[video_hash(video)], "inputTo" if len(video.frames) == 1 else clip))
    return parents


def _recipe_of(file: Path) -> dict[str, Any]:
    from lumora.provenance.detect import detect
    from lumora.provenance.manifest import read

    manifest = read(file)
    if manifest.state in ("trusted", "intact") and manifest.recipe:
        return manifest.recipe
    found = detect(file)
    if found.answer == "ours" and found.record:
        return found.record.recipe
    raise ValueError(f"{file} has no manifest of lumora's that can be believed, and it is not known here.")


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
