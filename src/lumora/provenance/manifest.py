"""The signed manifest in a file (C2PA 2.4): what made it, of what, and whether anything was changed since.

Its traits are those of the conformance programme's rubric for generators (version 0.2). Only a signer with a
certificate of the programme's trust list is conformant; a repository can be no more than ready for it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import c2pa

from lumora.atomic_io import error_reason
from lumora.media.sniff import sniff
from lumora.provenance.certificates import SigningIdentity, signing_identity, trusted_roots

ManifestState = Literal["trusted", "intact", "tampered", "absent"]
"""Signed by one who is trusted and unchanged; unchanged, by somebody unknown; changed since; without a manifest."""
Relation = Literal["parentOf", "componentOf", "inputTo"]
"""A video that was changed or gone on with, of which there is one at most; another one that was put beside it; a
picture that was only looked at, such as the one to begin with."""

MIME = {".mp4": "video/mp4", ".gif": "image/gif", ".webp": "image/webp", ".png": "image/png"}
"""The kinds of file that lumora writes; all of them can carry a manifest."""
RECIPE = "lumora.recipe"
"""Label of the assertion that holds all that is needed to make the pixels again."""
SOFT_BINDING = "lumora.watermark.1"
"""Name of the mark in the pixels that leads back to a manifest which was stripped."""

_GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
_NO_LEARNING = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.ai_inference", "cawg.data_mining")


@dataclass(frozen=True)
class Ingredient:
    """A file that the new one is made of."""

    path: Path
    relationship: Relation


@dataclass(frozen=True)
class Manifest:
    """What a file's manifest says, and whether it can be believed."""

    state: ManifestState
    problems: tuple[str, ...] = ()
    """C2PA's codes of what is wrong with the file, or with what it was made of."""
    signer: str | None = None
    signed_at: str | None = None
    generator: str | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    """Of lumora's own files: `request`, `model`, `record`."""
    ingredients: tuple[dict[str, Any], ...] = ()
    """`title`, `relation`, and the `problems` that were found in it when it was used."""


def sign(
    source: Path, destination: Path, kind: str, title: str, recipe: dict[str, Any], parents: Sequence[Ingredient] = ()
) -> bytes:
    """Writes `source`, a file of `kind` (a suffix in MIME), to `destination` with a signed manifest, which it gives
    too.

    `recipe` holds `record`, the value of the watermark in the pixels. Raises ValueError for a certificate that can't
    sign and OSError where the result does not read back as trusted; throw `destination` away then, whatever it holds.
    """
    assert source != destination, "the library would truncate the source"
    identity = signing_identity()
    try:
        with (
            _context(identity) as context,
            _builder(context, kind, title, recipe, parents) as builder,
            _signer(identity) as signer,
            source.open("rb") as unsigned,
            destination.open("w+b") as signed,
        ):
            manifest = bytes(builder.sign(signer, MIME[kind], unsigned, signed))
    except c2pa.C2paError as error:
        raise OSError(f"The file can't be signed: {error_reason(error)}.") from error
    back = read(destination, identity)
    if back.state != "trusted" or back.recipe != json.loads(json.dumps(recipe)):
        raise OSError(f"The signature does not read back as it was made ({', '.join(back.problems) or back.state}).")
    return manifest


def read(path: Path, identity: SigningIdentity | None = None) -> Manifest:
    """What the manifest of a file says; the content decides of what kind it is, not the name.

    Signatures are trusted that lead to the roots of `trusted_roots`, or to `identity`'s own certificates. Nothing is
    fetched from the network. Raises ValueError for a file that isn't there.
    """
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    try:
        with (
            path.open("rb") as file,
            _context(identity) as context,
            c2pa.Reader(_format(path), file, context=context) as reader,
        ):
            return _manifest(json.loads(reader.json()), reader.get_validation_state())
    except c2pa.C2paError as error:
        # Kinds of the library's errors are attributes that it adds to their base class.
        nothing = type(error).__name__ in ("_C2paManifestNotFound", "_C2paNotSupported")
        return Manifest("absent") if nothing else Manifest("tampered", problems=(str(error),))


def _format(path: Path) -> str:
    """The media type by the content; of what lumora can't read, the suffix."""
    found = sniff(path)
    return found.mime if found else path.suffix.lower()[1:] or "bin"


@contextlib.contextmanager
def _context(identity: SigningIdentity | None) -> Iterator[c2pa.Context]:
    roots = trusted_roots() + (identity.certificates if identity else "")
    trust = {"user_anchors": roots} if roots else {}
    with c2pa.Context.from_dict({**_OFFLINE, "trust": trust}) as context:
        yield context


def _signer(identity: SigningIdentity) -> c2pa.Signer:
    # No time stamp authority: it would need the network.
    return c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(identity.algorithm, identity.certificates.encode(), identity.key.encode(), None)
    )


@contextlib.contextmanager
def _builder(
    context: c2pa.Context, kind: str, title: str, recipe: dict[str, Any], parents: Sequence[Ingredient]
) -> Iterator[c2pa.Builder]:
    agent = {"name": "lumora", "version": version("lumora")}
    actions = [*_inception(parents, agent), {"action": "c2pa.watermarked.bound", "softwareAgent": agent}]
    mark = {"alg": SOFT_BINDING, "blocks": [{"scope": {}, "value": recipe["record"]}]}
    mining = {"entries": {name: {"use": "notAllowed"} for name in _NO_LEARNING}}
    claims = {
        "c2pa.actions.v2": {"actions": actions, "allActionsIncluded": True},
        "c2pa.soft-binding": mark,
        "cawg.training-mining": mining,
        RECIPE: {"json": json.dumps(recipe)},  # the library takes a list of numbers for bytes, and rounds others
    }
    # Without `created` they'd be taken for assertions gathered from others: valid, but not conformant.
    assertions = [{"label": label, "data": data, "created": True} for label, data in claims.items()]
    definition = {
        "claim_generator_info": [{**agent, "specVersion": "2.4.0"}],
        "title": title,
        "format": MIME[kind],
        "assertions": assertions,
    }
    with c2pa.Builder(definition, context) as builder:
        for number, parent in enumerate(parents):
            about = {"title": parent.path.name, "relationship": parent.relationship, "label": _ingredient(number)}
            with parent.path.open("rb") as file:
                builder.add_ingredient(about, _format(parent.path), file)
        yield builder


def _inception(parents: Sequence[Ingredient], agent: dict[str, str]) -> list[dict[str, Any]]:
    """A file that goes on with another opens and edits it; any other one is created, perhaps of something given."""
    made = {"digitalSourceType": _GENERATED, "softwareAgent": agent, **_of(parents, "inputTo")}
    placed = [{"action": "c2pa.placed", **which}] if (which := _of(parents, "componentOf")) else []
    if opened := _of(parents, "parentOf"):
        return [{"action": "c2pa.opened", **opened}, {"action": "c2pa.edited", **made}, *placed]
    return [{"action": "c2pa.created", **made}, *placed]


def _of(parents: Sequence[Ingredient], relation: Relation) -> dict[str, Any]:
    which = [_ingredient(number) for number, parent in enumerate(parents) if parent.relationship == relation]
    return {"parameters": {"ingredientIds": which}} if which else {}


def _ingredient(number: int) -> str:
    return f"given{number}"


def _manifest(store: dict[str, Any], state: str | None) -> Manifest:
    active = store["manifests"][store["active_manifest"]]
    signature = active.get("signature_info") or {}
    results = store.get("validation_results") or {}
    failures = (results.get("activeManifest") or {}).get("failure") or []
    assertions = {a["label"]: a["data"] for a in active.get("assertions", ())}
    generator = (active.get("claim_generator_info") or [{}])[0]
    return Manifest(
        {"Trusted": "trusted", "Valid": "intact"}.get(state or "", "tampered"),  # type: ignore[arg-type]
        tuple(dict.fromkeys(f["code"] for f in failures)),
        signature.get("common_name") or signature.get("issuer"),
        signature.get("time"),
        " ".join(str(generator[k]) for k in ("name", "version") if generator.get(k)) or None,
        _recipe(assertions.get(RECIPE)),
        tuple(_parent(p) for p in active.get("ingredients", ())),
    )


def _recipe(found: Any) -> dict[str, Any]:
    """Files of before it was text hold it as it is; what a stranger wrote may be anything, and counts as none."""
    try:
        recipe = json.loads(found["json"]) if found and "json" in found else found
    except (TypeError, ValueError):
        return {}
    return recipe if isinstance(recipe, dict) else {}


def _parent(ingredient: dict[str, Any]) -> dict[str, Any]:
    failures = ((ingredient.get("validation_results") or {}).get("activeManifest") or {}).get("failure") or []
    problems = sorted({f["code"] for f in failures} - {"signingCredential.untrusted"})
    return {"title": ingredient.get("title"), "relation": ingredient.get("relationship"), "problems": problems}
