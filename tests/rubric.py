"""The 31 traits that C2PA's conformance program demands of a generator's file, under their names in its rubric 0.2 for
specification 2.4 (c2pa-org/conformance-public, asset-rubrics/asset-rubric-conformance0.2-spec2.4.yml).

Each trait is a function of the active manifest in crJSON. Where the rubric lists everything that a file may hold, this
module allows only what lumora writes. So it is stricter: a file that passes here passes the rubric.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import c2pa

from lumora.provenance.certificates import trusted_roots

Crjson = dict[str, Any]

INCEPTIONS = {"c2pa.created", "c2pa.opened"}
NO_SOURCE_TYPE = {"c2pa.placed", "c2pa.watermarked.bound"}
"""Actions that need no digital source type: the first is exempt, the second is not perceptible."""
ACTIONS = {*INCEPTIONS, *NO_SOURCE_TYPE, "c2pa.edited"}
LABELS = {"c2pa.actions.v2", "c2pa.hash.bmff.v3", "c2pa.hash.data", "c2pa.ingredient.v3", "c2pa.soft-binding"}
OLD_LABELS = {"c2pa.claim", "c2pa.actions", "c2pa.asset-type", "c2pa.hash.bmff.v2"}
OLD_LABELS |= {"c2pa.ingredient", "c2pa.ingredient.v2"}
OLD_ACTIONS = {"c2pa.color_adjustments", "c2pa.copied", "c2pa.formatted", "c2pa.managed", "c2pa.printed"}
OLD_ACTIONS |= {"c2pa.produced", "c2pa.saved", "c2pa.version_updated", "c2pa.watermarked"}
RELATIONS = {"parentOf", "componentOf", "inputTo"}
ORIGINAL = "exif.originalPreservationImage"
"""A type of alternative representation, which must be stored in exactly one place."""
TIFF = {"image/tiff", "image/x-adobe-dng"}


@dataclass(frozen=True)
class Active:
    """The parts of a manifest that the rubric examines."""

    manifest: Crjson

    @cached_property
    def assertions(self) -> dict[str, Any]:
        return self.manifest["assertions"]

    @cached_property
    def labels(self) -> list[str]:
        """Without the numbers of repeated labels."""
        return [label.split("__")[0] for label in self.assertions]

    @cached_property
    def values(self) -> list[dict[str, Any]]:
        return list(self.assertions.values())

    @cached_property
    def actions(self) -> list[dict[str, Any]]:
        return [action for value in self.values for action in value.get("actions") or ()]

    @cached_property
    def names(self) -> list[str]:
        return [action["action"] for action in self.actions]

    @cached_property
    def ingredients(self) -> list[dict[str, Any]]:
        return [value for value in self.values if value.get("relationship") is not None]

    @cached_property
    def claim(self) -> dict[str, Any]:
        return self.manifest["claim.v2"]

    @cached_property
    def failures(self) -> list[str]:
        """Codes of failures, without that of an unknown signer, which is no matter of the rubric."""
        found = (self.manifest.get("validationResults") or {}).get("failure", [{"code": "no results"}])
        return [failure["code"] for failure in found if failure["code"] != "signingCredential.untrusted"]

    def of(self, name: str) -> Iterator[dict[str, Any]]:
        return (action for action in self.actions if action["action"] == name)

    def parameters(self) -> Iterator[dict[str, Any]]:
        return (action["parameters"] for action in self.actions if action.get("parameters") is not None)


def _spec_version(active: Active) -> str:
    info = active.claim["claim_generator_info"]
    return str((info[0] if isinstance(info, list) else info).get("specVersion"))


def _first_created_actions(active: Active) -> str:
    urls = [entry["url"] for entry in active.claim.get("created_assertions") or ()]
    return next((url for url in urls if "c2pa.actions" in url), "")


def _is_in_one_place(value: dict[str, Any]) -> bool:
    where = value.get("parameters") or {}
    if ORIGINAL not in (value.get("type"), where.get("type")):
        return True
    return sum(key in where for key in ("multiAssetPartIndex", "embeddedOriginalPreservationImage")) == 1


def _may_be_external(value: dict[str, Any]) -> bool:
    label = value.get("label")
    if label is None or value.get("url") is None or value.get("relationship") is not None:
        return True
    inside = ("c2pa.actions", "c2pa.cloud-data", "c2pa.external-reference", "c2pa.hash", "c2pa.ingredient")
    return not label.startswith(inside)


TRAITS: dict[str, Callable[[Active], bool]] = {
    # Demanded by the program beyond the specification
    "mandatory_dst_for_perceptible_transformations": lambda a: all(
        "digitalSourceType" in action for action in a.actions if action["action"] not in INCEPTIONS | NO_SOURCE_TYPE
    ),
    "mandatory_spec_version": lambda a: _spec_version(a).split(".")[:2] == ["2", "4"],
    "mandatory_all_actions_included": lambda a: all("allActionsIncluded" in v for v in a.values if "actions" in v),
    "no_dst_for_opened_action": lambda a: all("digitalSourceType" not in opened for opened in a.of("c2pa.opened")),
    # Results of the reader's validation
    "well_formed_data_present": lambda a: a.manifest.get("validationResults") is not None,
    "well_formed_success": lambda a: all("ismatch" in code for code in a.failures),
    "valid_data_present": lambda a: a.manifest.get("validationResults") is not None,
    "valid_success": lambda a: not any("ismatch" in code or code == "no results" for code in a.failures),
    # Specification 2.2
    "inception_action_position": lambda a: (
        _first_created_actions(a).endswith("c2pa.actions.v2") and a.names[0] in INCEPTIONS
    ),
    "no_deprecated_assertions": lambda a: not any(n in OLD_LABELS or n.startswith("stds.") for n in a.labels),
    "no_unsupported_assertions": lambda a: all(n in LABELS | OLD_LABELS for n in a.labels if n.startswith("c2pa.")),
    "no_deprecated_actions": lambda a: not OLD_ACTIONS.intersection(a.names),
    "no_unsupported_actions": lambda a: all(n in ACTIONS | OLD_ACTIONS for n in a.names if n.startswith("c2pa.")),
    "no_unrecognized_custom_assertions": lambda a: all("." in label for label in a.labels),
    "no_unrecognized_custom_actions": lambda a: all("." in name for name in a.names),
    "no_unrecognized_custom_action_parameters": lambda a: all(
        key in ("ingredients", "description", "ingredient") or "." in key for p in a.parameters() for key in p
    ),
    "discouraged_legacy_action_parameters": lambda a: (
        not any(key in p for p in a.parameters() for key in ("description", "ingredient"))
    ),
    "active_manifest_urn": lambda a: a.manifest["label"].startswith("urn:c2pa:"),
    "review_ratings_datasource": lambda a: (
        not any(
            "reviewRatings" in v and str((v.get("dataSource") or {}).get("type")).startswith("humanEntry.")
            for v in a.values
        )
    ),
    "ingredient_v3_no_active_manifest": lambda a: all(
        "activeManifest" in i for i in a.ingredients if "validationResults" in i
    ),
    "ingredient_v3_mandatory_validation_results": lambda a: all(
        "validationResults" in i for i in a.ingredients if "activeManifest" in i
    ),
    "ingredient_relationship_values": lambda a: all(i["relationship"] in RELATIONS for i in a.ingredients),
    "mandatory_dst_for_created_action": lambda a: all("digitalSourceType" in c for c in a.of("c2pa.created")),
    # Specification 2.4
    "no_deprecated_claim_fields": lambda a: "specVersion" not in a.claim,
    "ingredient_v3_choice": lambda a: (
        not any("activeManifest" in i and "digitalSourceType" in i for i in a.ingredients)
    ),
    "alternative_content_representation_choice": lambda a: all(map(_is_in_one_place, a.values)),
    "forbidden_labels_in_external_references": lambda a: all(map(_may_be_external, a.values)),
    "no_url_in_hashes": lambda a: (
        not any("url" in a.assertions.get(label, {}) for label in ("c2pa.hash.data", "c2pa.hash.bmff.v3"))
    ),
    "all_actions_included_opened": lambda a: (
        a.names != ["c2pa.opened"] or a.assertions["c2pa.actions.v2"].get("allActionsIncluded") is True
    ),
    "opened_action_ingredient_reference": lambda a: all(
        len((opened.get("parameters") or {}).get("ingredients") or ()) == 1 for opened in a.of("c2pa.opened")
    ),
    "no_box_hash_for_tiff": lambda a: (
        not ("c2pa.hash.boxes" in a.labels and a.assertions.get("c2pa.asset-type.v2", {}).get("dc:format") in TIFF)
    ),
}


def missed(manifest: Crjson) -> list[str]:
    """The names of the traits that a manifest does not have."""
    return [name for name, holds in TRAITS.items() if not holds(Active(manifest))]


def crjson(path: Path) -> Crjson:
    """The active manifest of a file, validated now, in the format that the rubric is written for."""
    trust = {"trust": {"user_anchors": trusted_roots()}}
    with c2pa.Context.from_dict(trust) as context, c2pa.Reader(path, context=context) as reader:
        return json.loads(reader.crjson())["manifests"][0]
