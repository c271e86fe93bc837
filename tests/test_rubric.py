"""Every file of every verb that delivers: signed by one who is trusted, with all traits of C2PA's rubric for
generators, what it was made of as its ingredients, and all that is needed to make it again."""

import copy
import dataclasses
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rubric import ORIGINAL, TRAITS, Crjson, crjson, missed

from lumora import Request
from lumora.backends.lumora.weights import model_hash
from lumora.cli import main
from lumora.provenance.index import Index
from lumora.provenance.manifest import read

PARENT, BESIDE, SEEN = "parentOf", "componentOf", "inputTo"


@dataclass(frozen=True)
class Made:
    """How a file is asked for, and what its manifest must say of where it comes from."""

    words: str
    """Of the shell; clip, other, picture, board and extended are files that there are."""
    parents: tuple[tuple[str, str], ...] = ()
    """Titles and relations."""
    kind: str = ".mp4"

    @property
    def inception(self) -> str:
        return "c2pa.opened" if PARENT in dict(self.parents).values() else "c2pa.created"


OF_CLIP = (("clip.mp4", PARENT),)
FILES = {
    "generate": Made("generate 'a ball' --seconds 1"),
    "generate, webp": Made("generate 'a ball' --seconds 1", kind=".webp"),
    "generate, gif": Made("generate 'a ball' --seconds 1", kind=".gif"),
    "generate, png": Made("generate 'a ball'", kind=".png"),
    "image to video": Made("generate 'a ball' --seconds 1 --image picture.png", (("picture.png", SEEN),)),
    "two images to video": Made(
        "generate 'a ball' --seconds 1 --image picture.png --last-image clip.mp4",
        (("picture.png", SEEN), ("clip.mp4", SEEN)),
    ),
    "extend": Made("extend clip.mp4 'a ball' --seconds .5", OF_CLIP),
    "extend backward": Made("extend clip.mp4 'a ball' --seconds .5 --backward", OF_CLIP, ".webp"),
    "extend again": Made("extend extended.mp4 'a ball' --seconds .5", (("extended.mp4", PARENT),)),
    "loop": Made("loop clip.mp4 'a ball' --seconds .5", OF_CLIP, ".gif"),
    "connect": Made("connect clip.mp4 other.webp 'a ball' --seconds .5", (*OF_CLIP, ("other.webp", BESIDE))),
    "infill": Made("infill clip.mp4 'a ball' --from .3 --to .6", OF_CLIP),
    "edit": Made("edit clip.mp4 'a cube'", OF_CLIP),
    "storyboard": Made("storyboard board.toml", (("picture.png", SEEN),)),
    "reproduction of a video": Made("reproduce clip.mp4"),
    "reproduction of an extension": Made("reproduce extended.mp4 --inputs clip.mp4", OF_CLIP),
}


@pytest.fixture(scope="module")
def folder(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files to make others of, delivered by the same tiny model."""
    folder = tmp_path_factory.mktemp("given")
    shoot(folder, weights, "generate 'a ball' --seconds 1", "clip.mp4")
    shoot(folder, weights, "generate 'a cube' --seconds 1 --seed 1", "other.webp")
    shoot(folder, weights, "generate 'a ball' --seed 2", "picture.png")
    shoot(folder, weights, "extend clip.mp4 'a ball' --seconds .5", "extended.mp4")
    board = 'cast = "A ball."\n[[shot]]\nprompt = "It rolls."\nseconds = 1\nimage = "picture.png"\n'
    (folder / "board.toml").write_text(board + '[[shot]]\nprompt = "It falls."\nseconds = 1\n')
    return folder


def shoot(folder: Path, weights: Path, words: str, name: str) -> Path:
    there = [str(folder / word) if (folder / word).is_file() else word for word in shlex.split(words)]
    steps = [] if there[0] == "reproduce" else ["--steps", "1"]
    assert main([*there, *steps, "-o", str(folder / name), "--model", str(weights)]) == 0
    return folder / name


@pytest.mark.parametrize("asked", FILES)
def test_every_file_of_every_verb_is_trusted_and_has_all_traits_of_the_rubric(asked: str, folder: Path, weights: Path):
    made = FILES[asked]
    file = shoot(folder, weights, made.words, f"out{made.kind}")
    said, active, index = read(file), crjson(file), Index()
    assert said.state == "trusted" and not said.problems
    assert missed(active) == []
    assert [(parent["title"], parent["relation"]) for parent in said.ingredients] == list(made.parents)
    assert not any(parent["problems"] for parent in said.ingredients)
    first, *others = active["assertions"]["c2pa.actions.v2"]["actions"]
    assert first["action"] == made.inception
    generated = next(action for action in (first, *others) if "digitalSourceType" in action)
    assert generated["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert index.has(said.recipe["record"]) and said.recipe["model"]["sha256"] == model_hash(weights)
    assert active["assertions"]["c2pa.soft-binding"]["blocks"][0]["value"] == said.recipe["record"]
    assert said.recipe["request"].keys() == {field.name for field in dataclasses.fields(Request)}
    assert said.recipe["request"]["prompt"].lower().startswith("a ") and said.recipe["policy"]


# The rubric itself: each trait can be missed


def actions(manifest: Crjson) -> list[dict[str, Any]]:
    return manifest["assertions"]["c2pa.actions.v2"]["actions"]


def ingredient(manifest: Crjson) -> dict[str, Any]:
    return manifest["assertions"]["c2pa.ingredient.v3"]


def add(label: str, value: dict[str, Any]) -> Callable[[Crjson], None]:
    return lambda manifest: manifest["assertions"].update({label: value})


def renamed(number: int, name: str) -> Callable[[Crjson], None]:
    return lambda manifest: actions(manifest)[number].update(action=name)


def failed(code: str) -> Callable[[Crjson], None]:
    return lambda manifest: manifest["validationResults"]["failure"].append({"code": code})


def tiff_in_boxes(manifest: Crjson) -> None:
    add("c2pa.hash.boxes", {})(manifest)
    add("c2pa.asset-type.v2", {"dc:format": "image/tiff"})(manifest)


def opened_and_nothing_else(manifest: Crjson) -> None:
    del actions(manifest)[1:]
    manifest["assertions"]["c2pa.actions.v2"]["allActionsIncluded"] = False


BROKEN: dict[str, Callable[[Crjson], Any]] = {
    "mandatory_dst_for_perceptible_transformations": lambda m: actions(m)[1].pop("digitalSourceType"),
    "mandatory_spec_version": lambda m: m["claim.v2"]["claim_generator_info"].update(specVersion="2.2.0"),
    "mandatory_all_actions_included": lambda m: m["assertions"]["c2pa.actions.v2"].pop("allActionsIncluded"),
    "no_dst_for_opened_action": lambda m: actions(m)[0].update(digitalSourceType="x"),
    "well_formed_data_present": lambda m: m.pop("validationResults"),
    "well_formed_success": failed("assertion.action.malformed"),
    "valid_data_present": lambda m: m.pop("validationResults"),
    "valid_success": failed("assertion.bmffHash.mismatch"),
    "inception_action_position": lambda m: m["claim.v2"].update(created_assertions=[]),
    "no_deprecated_assertions": add("stds.exif", {}),
    "no_unsupported_assertions": add("c2pa.invented", {}),
    "no_deprecated_actions": renamed(3, "c2pa.watermarked"),
    "no_unsupported_actions": renamed(3, "c2pa.invented"),
    "no_unrecognized_custom_assertions": add("recipe", {}),
    "no_unrecognized_custom_actions": renamed(3, "marked"),
    "no_unrecognized_custom_action_parameters": lambda m: actions(m)[0]["parameters"].update(strength=1),
    "discouraged_legacy_action_parameters": lambda m: actions(m)[0]["parameters"].update(description="opened"),
    "active_manifest_urn": lambda m: m.update(label="urn:uuid:1"),
    "review_ratings_datasource": add(
        "lumora.rated", {"reviewRatings": [], "dataSource": {"type": "humanEntry.anonymous"}}
    ),
    "ingredient_v3_no_active_manifest": lambda m: ingredient(m).pop("activeManifest"),
    "ingredient_v3_mandatory_validation_results": lambda m: ingredient(m).pop("validationResults"),
    "ingredient_relationship_values": lambda m: ingredient(m).update(relationship="cousinOf"),
    "mandatory_dst_for_created_action": renamed(3, "c2pa.created"),
    "no_deprecated_claim_fields": lambda m: m["claim.v2"].update(specVersion="2.4.0"),
    "ingredient_v3_choice": lambda m: ingredient(m).update(digitalSourceType="x"),
    "alternative_content_representation_choice": add("lumora.original", {"parameters": {"type": ORIGINAL}}),
    "forbidden_labels_in_external_references": add("lumora.far", {"label": "c2pa.hash.data", "url": "there"}),
    "no_url_in_hashes": lambda m: m["assertions"]["c2pa.hash.bmff.v3"].update(url="there"),
    "all_actions_included_opened": opened_and_nothing_else,
    "opened_action_ingredient_reference": lambda m: actions(m)[0].pop("parameters"),
    "no_box_hash_for_tiff": tiff_in_boxes,
}


def test_there_are_31_traits_and_each_can_be_missed(folder: Path, weights: Path):
    whole = crjson(shoot(folder, weights, FILES["connect"].words, "whole.mp4"))
    assert len(TRAITS) == 31 and TRAITS.keys() == BROKEN.keys() and missed(whole) == []
    for trait, spoil in BROKEN.items():
        spoil(spoilt := copy.deepcopy(whole))
        assert trait in missed(spoilt), trait
