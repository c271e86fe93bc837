"""The signed manifest in a file (C2PA 2.4): who made it, from what, and whether it was changed since.

Manifests have the traits of the C2PA conformance program's rubric for generators (version 0.2). Only a product with a
certificate of the program's trust list is conformant; a repository can be no more than ready for it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from io import BufferedRandom, BytesIO
from pathlib import Path
from typing import Any, Literal

import c2pa
from PIL import Image

from lumora.atomic_io import error_reason
from lumora.media.sniff import BinaryFile, sniff
from lumora.provenance.certificates import SigningIdentity, signing_identity, trusted_roots

ManifestState = Literal["trusted", "intact", "expired", "not yet valid", "tampered", "absent", "remote", "unreadable"]
"""What is known about a file:

- "trusted": unchanged since it was signed, and the signer's certificate leads to a trusted root.
- "intact": unchanged since it was signed, by an unknown signer.
- "expired": unchanged since it was signed, but the signer's certificate has expired. Without a time stamp nobody can
  tell whether it was valid at that time; the index knows files that were published here.
- "not yet valid": unchanged since it was signed, but the signer's certificate is not valid yet. A clock is wrong.
- "tampered": the content or the manifest was changed after it was signed. A hash or the signature does not match.
- "absent": there is no manifest, or the file format cannot carry one.
- "remote": the manifest is stored on a server, and nothing is fetched.
- "unreadable": the file or its manifest cannot be parsed, or does not follow the specification.

All but "tampered" may be used as ingredients: a new signature over a tampered file would make it look genuine, while
the others claim nothing false. The first four say that the recipe is as the signer wrote it.
"""
Relation = Literal["parentOf", "componentOf", "inputTo"]
"""How an ingredient is used: a video that is edited or extended (at most one), a further video that becomes part of the
result, or an image or video that is an input of the model, such as a first frame."""

MIME = {".mp4": "video/mp4", ".gif": "image/gif", ".webp": "image/webp", ".png": "image/png"}
"""The file formats that lumora writes. All of them can carry a manifest."""
RECIPE = "lumora.recipe"
"""Label of the assertion that holds all that is needed to make the same frames again."""
SOFT_BINDING = "lumora.watermark.1"
"""Name of the watermark, which leads back to a manifest that was stripped."""
MAX_INGREDIENT_DEPTH = 20
"""Of the tree of ingredients that is read."""

_GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
_UNKNOWN_TYPE = "application/octet-stream"
"""A media type that the library does not parse."""
_MINING = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.ai_inference", "cawg.data_mining")
_TRUSTED, _UNTRUSTED = "signingCredential.trusted", "signingCredential.untrusted"
_OUTSIDE_VALIDITY = "signingCredential.expired"
"""Validation codes of the specification (section 15.2). The last one is also used before the validity begins."""
_CHANGED = ("assertion.missing", "assertion.undeclared", "assertion.boxesHash.unknownBox")
"""Codes of what was removed from a signed file or added to it. Codes of other changes end with `mismatch`."""


@dataclass(frozen=True)
class Ingredient:
    """A file that the new one is made from."""

    path: Path
    relationship: Relation

    @cached_property
    def manifest(self) -> Manifest:
        """What its manifest says. It is read once; raises as `read`."""
        return read(self.path)


@dataclass(frozen=True)
class Manifest:
    """What a file's manifest says, and whether it can be believed."""

    state: ManifestState
    problems: tuple[str, ...] = ()
    """C2PA's validation codes of what is wrong, or a sentence that says why the file cannot be read."""
    signer: str | None = None
    signed_at: str | None = None
    """By a time stamp authority; lumora uses none."""
    valid_from: str | None = None
    valid_until: str | None = None
    """The validity of the signer's certificate, where the present is outside of it."""
    generator: str | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    """Of lumora's own files: `request`, `model`, `record`."""
    ingredients: tuple[dict[str, Any], ...] = ()
    """For each its `title`, `relation`, the `state` in which it was used, its `problems` and its own `ingredients`."""

    @property
    def usable_as_ingredient(self) -> bool:
        return self.state != "tampered"

    @property
    def recipe_is_intact(self) -> bool:
        """Whether the recipe is as the signer wrote it."""
        return self.state in ("trusted", "intact", "expired", "not yet valid")


def sign(
    source: Path, destination: Path, kind: str, title: str, recipe: dict[str, Any], parents: Sequence[Ingredient] = ()
) -> bytes:
    """Writes `source` to `destination` with a signed manifest, and returns the manifest.

    `kind` is the file format, a key of MIME. `recipe` holds `record`, the payload of the watermark. Raises ValueError
    for a certificate that cannot sign, and OSError where the result does not read back as trusted; discard
    `destination` then.
    """
    assert source != destination, "the library would truncate the source"
    with source.open("rb") as unsigned, destination.open("w+b") as signed:
        return _sign(unsigned, signed, kind, title, recipe, parents)


def check_signing() -> None:
    """Signs an image of one pixel in memory, so that a certificate that cannot sign is known before a video is made.

    Raises as `sign`.
    """
    image = BytesIO()
    Image.new("RGB", (1, 1)).save(image, "PNG")
    _sign(image, BytesIO(), ".png", "check", {"record": "00000000"})


def _sign(
    source: BinaryFile,
    destination: BufferedRandom | BytesIO,
    kind: str,
    title: str,
    recipe: dict[str, Any],
    parents: Sequence[Ingredient] = (),
) -> bytes:
    identity = signing_identity()
    try:
        with (
            _context(identity) as context,
            _builder(context, kind, title, recipe, parents) as builder,
            _signer(identity) as signer,
        ):
            manifest = bytes(builder.sign(signer, MIME[kind], source, destination))
            destination.seek(0)
            with c2pa.Reader(MIME[kind], destination, context=context) as reader:
                back = _manifest(reader)
    except c2pa.C2paError as error:
        raise OSError(f"The file cannot be signed: {error_reason(error)}.") from error
    if back.state != "trusted" or back.recipe != json.loads(json.dumps(recipe)):
        raise OSError(f"The signature does not read back as it was made ({', '.join(back.problems) or back.state}).")
    return manifest


def read(path: Path) -> Manifest:
    """What a file's manifest says. The content decides the file format, not the name.

    Trusted are the roots of `trusted_roots`. Nothing is fetched from the network.
    Raises ValueError, with a sentence, for a file that does not exist or cannot be opened.
    """
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    try:
        file_format = sniff(path)
        if file_format is None:
            return Manifest("unreadable", problems=("it is no video or image in a known format",))
        with (
            path.open("rb") as file,
            _context() as context,
            c2pa.Reader(file_format.mime, file, context=context) as reader,
        ):
            return _manifest(reader)
    except c2pa.C2paError as error:
        return _without_manifest(error)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error_reason(error)}.") from error


def _without_manifest(error: c2pa.C2paError) -> Manifest:
    """The kinds of the library's errors are subclasses, or the first word of the message."""
    kind = type(error).__name__.removeprefix("_C2pa")
    message = str(error)
    if kind in ("ManifestNotFound", "NotSupported"):
        return Manifest("absent")
    if message.startswith("Remote"):
        return Manifest("remote", problems=(message.removeprefix("Remote: "),))
    return Manifest("unreadable", problems=(error_reason(error).partition(": ")[2] or message,))


@contextlib.contextmanager
def _context(identity: SigningIdentity | None = None) -> Iterator[c2pa.Context]:
    roots = trusted_roots() + (identity.certificates if identity else "")
    trust = {"user_anchors": roots} if roots else {}
    with c2pa.Context.from_dict({**_OFFLINE, "trust": trust}) as context:
        yield context


def _signer(identity: SigningIdentity) -> c2pa.Signer:
    # Without a time stamp authority, which would need the network.
    return c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(identity.algorithm, identity.certificates.encode(), identity.key.encode(), None)
    )


@contextlib.contextmanager
def _builder(
    context: c2pa.Context, kind: str, title: str, recipe: dict[str, Any], parents: Sequence[Ingredient]
) -> Iterator[c2pa.Builder]:
    agent = {"name": "lumora", "version": version("lumora")}
    generated = recipe.get("model", {}) is not None  # None: it is cut from its ingredients
    actions = [*_inception(parents, agent, generated), {"action": "c2pa.watermarked.bound", "softwareAgent": agent}]
    watermark = {"alg": SOFT_BINDING, "blocks": [{"scope": {}, "value": recipe["record"]}]}
    mining = {"entries": {name: {"use": "notAllowed"} for name in _MINING}}
    claims = {
        "c2pa.actions.v2": {"actions": actions, "allActionsIncluded": True},
        "c2pa.soft-binding": watermark,
        "cawg.training-mining": mining,
        RECIPE: {"json": json.dumps(recipe)},  # as text: the library rounds numbers, and stores some lists as bytes
    }
    # Without `created` they become gathered assertions: valid, but not conformant.
    assertions = [{"label": label, "data": data, "created": True} for label, data in claims.items()]
    definition = {
        "claim_generator_info": [{**agent, "specVersion": "2.4.0"}],
        "title": _title(title),
        "format": MIME[kind],
        "assertions": assertions,
    }
    with c2pa.Builder(definition, context) as builder:
        for number, parent in enumerate(parents):
            _add_ingredient(builder, parent, _ingredient_label(number))
        yield builder


def _add_ingredient(builder: c2pa.Builder, parent: Ingredient, label: str) -> None:
    """Adds a file with its manifest, or without one where the library cannot parse the file."""
    about = {"title": _title(parent.path.name), "relationship": parent.relationship, "label": label}
    parsable = parent.manifest.state not in ("unreadable", "remote")
    file_format = sniff(parent.path) if parsable else None
    with parent.path.open("rb") as file:
        builder.add_ingredient(about, file_format.mime if file_format else _UNKNOWN_TYPE, file)


def _title(name: str) -> str:
    """A file's name as text: bytes that are no UTF-8 are replaced."""
    return os.fsencode(name).decode(errors="replace")


def _inception(parents: Sequence[Ingredient], agent: dict[str, str], generated: bool) -> list[dict[str, Any]]:
    """The first actions: a file with a parent opens and edits it; any other file is created, perhaps from inputs.

    An edit that no model made, such as a cut, does not say that its content is generated.
    """
    source = {"digitalSourceType": _GENERATED} if generated else {}
    made = {**source, "softwareAgent": agent, **_references(parents, "inputTo")}
    components = _references(parents, "componentOf")
    placed = [{"action": "c2pa.placed", **components}] if components else []
    if opened := _references(parents, "parentOf"):
        return [{"action": "c2pa.opened", **opened}, {"action": "c2pa.edited", **made}, *placed]
    return [{"action": "c2pa.created", **made}, *placed]


def _references(parents: Sequence[Ingredient], relation: Relation) -> dict[str, Any]:
    labels = [_ingredient_label(number) for number, parent in enumerate(parents) if parent.relationship == relation]
    return {"parameters": {"ingredientIds": labels}} if labels else {}


def _ingredient_label(number: int) -> str:
    return f"given{number}"


def _manifest(reader: c2pa.Reader) -> Manifest:
    store = json.loads(reader.json())
    active = store["manifests"][store["active_manifest"]]
    signature = active.get("signature_info") or {}
    codes = _codes(store, "failure")
    state, validity = _state(store), {}
    if state == "expired":
        validity = _validity(json.loads(reader.crjson()), store["active_manifest"])
        if validity["valid_from"] and datetime.fromisoformat(validity["valid_from"]) > datetime.now(UTC):
            state = "not yet valid"
    assertions = {assertion["label"]: assertion["data"] for assertion in active.get("assertions", ())}
    generator = (active.get("claim_generator_info") or [{}])[0]
    return Manifest(
        state,
        tuple(dict.fromkeys(codes)),
        signature.get("common_name") or signature.get("issuer"),
        signature.get("time"),
        **validity,
        generator=" ".join(str(generator[k]) for k in ("name", "version") if generator.get(k)) or None,
        recipe=_recipe(assertions.get(RECIPE)),
        ingredients=_ingredients(active, store["manifests"]),
    )


def _codes(validated: dict[str, Any], kind: Literal["success", "failure"]) -> list[str]:
    """The validation codes of a manifest store or of an ingredient."""
    results = validated.get("validation_results") or {}
    return [found["code"] for found in (results.get("activeManifest") or {}).get(kind) or ()]


def _state(validated: dict[str, Any]) -> ManifestState:
    """The state of a file with a manifest; "expired" stands for "not yet valid" too."""
    failures = set(_codes(validated, "failure"))
    if any((code.endswith("mismatch") and not code.startswith("timeStamp")) or code in _CHANGED for code in failures):
        return "tampered"
    if others := failures - {_UNTRUSTED}:
        return "expired" if others == {_OUTSIDE_VALIDITY} else "unreadable"
    return "trusted" if _TRUSTED in _codes(validated, "success") and not failures else "intact"


def _validity(crjson: dict[str, Any], label: str) -> dict[str, str | None]:
    active = next((manifest for manifest in crjson["manifests"] if manifest["label"] == label), {})
    validity = (active.get("signature", {}).get("certificateInfo") or {}).get("validity") or {}
    return {"valid_from": validity.get("notBefore"), "valid_until": validity.get("notAfter")}


def _recipe(found: Any) -> dict[str, Any]:
    """The first files hold the recipe itself, later ones as text. Anything else, by other software, counts as none."""
    try:
        recipe = json.loads(found["json"]) if found and "json" in found else found
    except (TypeError, ValueError):
        return {}
    return recipe if isinstance(recipe, dict) else {}


def _ingredients(manifest: dict[str, Any], store: dict[str, Any], depth: int = 0) -> tuple[dict[str, Any], ...]:
    """The tree of what a file was made from; a store that contains itself is cut off."""
    if depth == MAX_INGREDIENT_DEPTH:
        return ()
    return tuple(
        _ingredient(ingredient, _ingredients(store.get(ingredient.get("active_manifest"), {}), store, depth + 1))
        for ingredient in manifest.get("ingredients") or ()
    )


def _ingredient(ingredient: dict[str, Any], ingredients: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    problems = set(_codes(ingredient, "failure")) - {_UNTRUSTED}
    return {
        "title": ingredient.get("title"),
        "relation": ingredient.get("relationship"),
        "state": _state(ingredient) if ingredient.get("active_manifest") else "absent",
        "problems": sorted(problems),
        "ingredients": ingredients,
    }
