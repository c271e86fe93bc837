"""The published files of every command: they are trusted, have all traits of C2PA's rubric for generators, name the
right ingredients, and hold everything that is needed to make them again."""

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

PARENT, COMPONENT, INPUT = "parentOf", "componentOf", "inputTo"


@dataclass(frozen=True)
class Case:
    """A command, and what the manifest of its file must say about the ingredients."""

    command: str
    """clip.mp4, other.webp, picture.png, board.toml and extended.mp4 exist."""
    parents: tuple[tuple[str, str], ...] = ()
    """Titles and relations."""
    suffix: str = ".mp4"

    @property
    def inception(self) -> str:
        return "c2pa.opened" if PARENT in dict(self.parents).values() else "c2pa.created"


OF_CLIP = (("clip.mp4", PARENT),)
CASES = {
    "generate": Case("generate 'a ball' --seconds 1"),
    "generate, webp": Case("generate 'a ball' --seconds 1", suffix=".webp"),
    "generate, gif": Case("generate 'a ball' --seconds 1", suffix=".gif"),
    "generate, png": Case("generate 'a ball'", suffix=".png"),
    "image to video": Case("generate 'a ball' --seconds 1 --image picture.png", (("picture.png", INPUT),)),
    "two images to video": Case(
        "generate 'a ball' --seconds 1 --image picture.png --last-image clip.mp4",
        (("picture.png", INPUT), ("clip.mp4", INPUT)),
    ),
    "extend": Case("extend clip.mp4 'a ball' --seconds .5", OF_CLIP),
    "extend backward": Case("extend clip.mp4 'a ball' --seconds .5 --backward", OF_CLIP, ".webp"),
    "extend again": Case("extend extended.mp4 'a ball' --seconds .5", (("extended.mp4", PARENT),)),
    "loop": Case("loop clip.mp4 'a ball' --seconds .5", OF_CLIP, ".gif"),
    "connect": Case("connect clip.mp4 other.webp 'a ball' --seconds .5", (*OF_CLIP, ("other.webp", COMPONENT))),
    "infill": Case("infill clip.mp4 'a ball' --from .3 --to .6", OF_CLIP),
    "edit": Case("edit clip.mp4 'a cube'", OF_CLIP),
    "storyboard": Case("storyboard board.toml", (("picture.png", INPUT),)),
    "reproduction of a video": Case("reproduce clip.mp4"),
    "reproduction of an extension": Case("reproduce extended.mp4 --inputs clip.mp4", OF_CLIP),
}


@pytest.fixture(scope="module")
def folder(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that others are made from, by the same tiny model."""
    folder = tmp_path_factory.mktemp("given")
    run(folder, weights, "generate 'a ball' --seconds 1", "clip.mp4")
    run(folder, weights, "generate 'a cube' --seconds 1 --seed 1", "other.webp")
    run(folder, weights, "generate 'a ball' --seed 2", "picture.png")
    run(folder, weights, "extend clip.mp4 'a ball' --seconds .5", "extended.mp4")
    board = 'cast = "A ball."\n[[shot]]\nprompt = "It rolls."\nseconds = 1\nimage = "picture.png"\n'
    (folder / "board.toml").write_text(board + '[[shot]]\nprompt = "It falls."\nseconds = 1\n')
    return folder


def run(folder: Path, weights: Path, command: str, name: str) -> Path:
    words = [str(folder / word) if (folder / word).is_file() else word for word in shlex.split(command)]
    steps = [] if words[0] == "reproduce" else ["--steps", "1"]
    assert main([*words, *steps, "-o", str(folder / name), "--overwrite", "--model", str(weights)]) == 0
    return folder / name


@pytest.mark.usefixtures("quick_review")
@pytest.mark.parametrize("name", CASES)
def test_files_of_every_command_are_trusted_and_have_all_traits(name: str, folder: Path, weights: Path):
    case = CASES[name]
    file = run(folder, weights, case.command, f"out{case.suffix}")
    found, active, index = read(file), crjson(file), Index()
    assert found.state == "trusted" and not found.problems
    assert missed(active) == []
    assert [(parent["title"], parent["relation"]) for parent in found.ingredients] == list(case.parents)
    assert not any(parent["problems"] for parent in found.ingredients)
    first, *others = active["assertions"]["c2pa.actions.v2"]["actions"]
    assert first["action"] == case.inception
    generated = next(action for action in (first, *others) if "digitalSourceType" in action)
    assert generated["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert index.has(found.recipe["record"]) and found.recipe["model"]["sha256"] == model_hash(weights)
    assert active["assertions"]["c2pa.soft-binding"]["blocks"][0]["value"] == found.recipe["record"]
    assert found.recipe["request"].keys() == {field.name for field in dataclasses.fields(Request)}
    assert found.recipe["request"]["prompt"].lower().startswith("a ") and found.recipe["policy"]


# The rubric itself: each trait can be missing


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


DEFECTS: dict[str, Callable[[Crjson], Any]] = {
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


def test_each_of_the_31_traits_can_be_missing(folder: Path, weights: Path):
    complete = crjson(run(folder, weights, CASES["connect"].command, "complete.mp4"))
    assert len(TRAITS) == 31 and TRAITS.keys() == DEFECTS.keys() and missed(complete) == []
    for trait, make_defect in DEFECTS.items():
        make_defect(broken := copy.deepcopy(complete))
        assert trait in missed(broken), trait
