"""Signed manifests on real files: changed files are told apart from unchanged ones and from unknown ones."""

import datetime
import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import film, remuxed
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rubric import crjson, missed
from signing import RECIPE, boxes, signed, signed_outside_validity, tampered, with_remote_manifest

from lumora.cli import main
from lumora.media.encode import SUFFIXES
from lumora.media.video import Video, encode_video
from lumora.provenance import certificates
from lumora.provenance.manifest import MIME, Ingredient, read, sign


@pytest.mark.parametrize("kind", MIME)
def test_every_format_is_signed_without_changing_its_frames(kind: str, tmp_path: Path):
    out = signed(tmp_path, kind)
    found = read(out)
    assert found.state == "trusted" and found.recipe == RECIPE and not found.problems
    assert np.array_equal(Video.load(out).frames, Video.load(tmp_path / f"plain{kind}").frames)
    assert read(tmp_path / f"plain{kind}").state == "absent"
    renamed = out.rename(tmp_path / "no_suffix")
    assert read(renamed).state == "trusted"


def test_formats_that_are_signed_are_those_that_are_written(tmp_path: Path):
    assert tuple(MIME) == SUFFIXES
    for kind in SUFFIXES:
        encode_video(kind, film(), tmp_path / "any name")
        assert read(tmp_path / "any name").state == "absent"


def test_a_file_of_an_unknown_signer_is_intact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clip = signed(tmp_path)
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "another"))
    assert read(clip).state == "intact" and read(clip).recipe_is_intact


def test_no_flipped_bit_in_media_data_or_index_is_accepted(tmp_path: Path):
    """A flipped bit in the index (moov) can make the file unparsable, so no hash can be compared."""
    content = signed(tmp_path).read_bytes()
    rng, changed = np.random.default_rng(0), tmp_path / "changed.mp4"
    states: dict[bytes, Counter[str]] = {b"mdat": Counter(), b"moov": Counter()}
    for name, begin, end in [box for box in boxes(content) if box[0] in (b"mdat", b"moov")]:
        for position in rng.integers(begin, end, 75):
            flipped = bytearray(content)
            flipped[position] ^= 1 << int(rng.integers(8))
            changed.write_bytes(flipped)
            states[name][read(changed).state] += 1
    assert states[b"mdat"] == {"tampered": 75}
    assert states[b"moov"].keys() <= {"tampered", "unreadable"} and states[b"moov"]["tampered"] > 60


def test_a_truncated_file_is_tampered_and_a_remuxed_one_has_no_manifest(tmp_path: Path):
    clip = signed(tmp_path)
    content = clip.read_bytes()
    for share in (0.999, 0.9, 0.7):
        (tmp_path / "cut.mp4").write_bytes(content[: int(share * len(content))])
        assert read(tmp_path / "cut.mp4").state == "tampered"
    assert read(remuxed(clip, tmp_path / "remuxed.mp4")).state == "absent"


@pytest.mark.parametrize(
    "content",
    [b"", b"no video at all", b"\x00\x00\x00\x18ftypmp42", np.random.default_rng(0).bytes(5000)],
    ids=["empty", "text", "only a header", "noise"],
)
def test_a_file_that_cannot_be_parsed_is_unreadable_and_not_tampered(content: bytes, tmp_path: Path):
    (tmp_path / "file.mp4").write_bytes(content)
    assert read(tmp_path / "file.mp4").state == "unreadable"


def test_a_missing_file_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="no file"):
        read(tmp_path / "none.mp4")


@pytest.mark.parametrize(("begin", "end", "state"), [(-100, -10, "expired"), (10, 100, "not yet valid")])
def test_a_signature_outside_the_validity_of_its_certificate_is_said_and_is_not_tampering(
    begin: float, end: float, state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = signed_outside_validity(tmp_path, begin, end, "file.mp4")
    found = read(file)
    assert found.state == state and found.recipe == RECIPE and found.recipe_is_intact and found.usable_as_ingredient
    assert found.valid_from and found.valid_until and found.signer == "a signer"
    assert main(["verify", str(file)]) == 5
    day = found.valid_until if state == "expired" else found.valid_from
    assert day[:10] in capsys.readouterr().out
    assert read(tampered(file, tmp_path / "changed.mp4")).state == "tampered"
    child = signed(tmp_path, parents=(Ingredient(file, "parentOf"),))
    (parent,) = read(child).ingredients
    assert read(child).state == "trusted" and parent["state"] == "expired"  # an ingredient's validity is not recorded


def test_a_remote_manifest_is_said_and_not_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = with_remote_manifest(tmp_path)
    assert read(file).state == "remote" and "example.invalid" in read(file).problems[0]
    assert main(["verify", str(file)]) == 5 and "stored on a server" in capsys.readouterr().out
    child = signed(tmp_path, parents=(Ingredient(file, "inputTo"),))
    assert read(child).state == "trusted"


def test_verify_has_an_exit_code_for_each_kind_of_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    clip = signed(tmp_path)
    changed = tampered(clip, tmp_path / "changed.mp4")
    (tmp_path / "empty.mp4").touch()
    assert main(["verify", str(clip)]) == 0 and "trusted" in capsys.readouterr().out
    assert main(["verify", str(changed)]) == 4 and "changed after it was signed" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "plain.mp4")]) == 5 and "no manifest" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "empty.mp4")]) == 5 and "cannot be read" in capsys.readouterr().out
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "another"))
    assert main(["verify", str(clip), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["state"] == "intact"
    assert not (tmp_path / "another").exists()  # verify writes nothing


def test_inputs_without_a_readable_manifest_are_accepted_as_ingredients(tmp_path: Path):
    film(0, 1).save(tmp_path / "plain.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "plain.png").read_bytes()[:-20])
    (tmp_path / "plain.png").rename(tmp_path / "wrong_suffix.mp4")
    (tmp_path / "empty.mp4").touch()
    files = [tmp_path / name for name in ("cut.png", "wrong_suffix.mp4", "empty.mp4")]
    child = signed(tmp_path, parents=tuple(Ingredient(file, "inputTo") for file in files))
    found, active = read(child), crjson(child)
    assert found.state == "trusted" and [parent["state"] for parent in found.ingredients] == ["absent"] * 3
    assert missed(active) == []


@pytest.mark.parametrize("relations", [(), ("inputTo",), ("parentOf",), ("parentOf", "componentOf"), ("componentOf",)])
def test_manifests_have_the_traits_of_the_rubric(relations: tuple[Any, ...], tmp_path: Path):
    """All traits of the conformance program, and what these leave open."""
    given = signed(tmp_path, name="given")
    active = crjson(signed(tmp_path, parents=tuple(Ingredient(given, relation) for relation in relations)))
    claim, assertions = active["claim.v2"], active["assertions"]
    assert missed(active) == [] and not active["validationResults"]["failure"]
    created = [entry["url"].rsplit("/", 1)[1] for entry in claim["created_assertions"]]
    assert {"c2pa.actions.v2", "c2pa.soft-binding", "cawg.training-mining", "lumora.recipe"} <= set(created)
    first, *others = assertions["c2pa.actions.v2"]["actions"]
    if "parentOf" in relations:
        assert first["action"] == "c2pa.opened"
        first = others.pop(0)
        assert first["action"] == "c2pa.edited"
    else:
        assert first["action"] == "c2pa.created"
    assert first["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert first["softwareAgent"]["name"] == "lumora"
    names = [action["action"] for action in others]
    assert names == ["c2pa.placed"] * ("componentOf" in relations) + ["c2pa.watermarked.bound"]
    assert assertions["c2pa.soft-binding"]["blocks"][0]["value"] == RECIPE["record"]
    found = [value["relationship"] for value in assertions.values() if "relationship" in value]
    assert sorted(found) == sorted(relations)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


@settings(max_examples=15, phases=[Phase.generate])
@given(request=JSON, gap=st.lists(st.floats(0, 10), min_size=2, max_size=2), text=st.text(max_size=20))
def test_any_recipe_is_read_back_exactly(
    request: Any, gap: list[float], text: str, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("recipe")
    Video(film().frames[:1], 1.0).save(folder / "plain.png")
    recipe = {**RECIPE, "request": request, "gap": gap, "text": text, "numbers": [1, 2]}
    sign(folder / "plain.png", folder / "out.png", ".png", "out.png", recipe)
    assert read(folder / "out.png").recipe == recipe


def test_a_tampered_ingredient_is_reported_under_a_trusted_signature(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    good = signed(tmp_path, name="good")
    bad = tampered(good, tmp_path / "bad.mp4")
    child = signed(tmp_path, parents=(Ingredient(good, "parentOf"), Ingredient(bad, "inputTo")))
    assert read(child).state == "trusted" and not read(bad).usable_as_ingredient
    parents = {parent["title"]: parent for parent in read(child).ingredients}
    assert parents["good.mp4"]["problems"] == [] and parents["good.mp4"]["state"] == "trusted"
    assert "mismatch" in parents["bad.mp4"]["problems"][0] and parents["bad.mp4"]["state"] == "tampered"
    assert main(["verify", str(child)]) == 0 and capsys.readouterr().out.count("TAMPERED WITH") == 1


def test_verify_prints_no_control_characters_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    film(0, 1).save(tmp_path / "plain.png")
    recipe = {**RECIPE, "request": {"prompt": "a\x1b[2Jball\r\n"}}
    sign(tmp_path / "plain.png", tmp_path / "out.png", ".png", "out.png", recipe)
    assert main(["verify", str(tmp_path / "out.png")]) == 0
    printed = capsys.readouterr().out
    assert all(line.isprintable() for line in printed.splitlines()) and "ball" in printed
    sign(tmp_path / "plain.png", tmp_path / "out.png", ".png", "out.png", {**RECIPE, "request": "no object"})
    assert main(["verify", str(tmp_path / "out.png")]) == 0


def test_a_certificate_that_cannot_sign_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "state"))
    certificates.signing_identity()
    monkeypatch.setenv("LUMORA_CERTIFICATE", str(tmp_path / "state" / "root.pem"))
    monkeypatch.setenv("LUMORA_KEY", str(tmp_path / "state" / "root.pem"))
    film().save(tmp_path / "plain.mp4")
    with pytest.raises(OSError, match=r"sign.*\.$"):
        sign(tmp_path / "plain.mp4", tmp_path / "out.mp4", ".mp4", "out.mp4", RECIPE)


def test_an_operator_signs_with_a_certificate_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    authority = tmp_path / "authority"
    monkeypatch.setenv("LUMORA_STATE", str(authority))
    certificates.signing_identity()
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("LUMORA_CERTIFICATE", str(authority / "signer.pem"))
    monkeypatch.setenv("LUMORA_KEY", str(authority / "signer.pem"))
    clip = signed(tmp_path)
    assert read(clip).state == "intact"
    monkeypatch.setenv("LUMORA_TRUST_ANCHORS", str(authority / "root.pem"))
    assert read(clip).state == "trusted"


def test_a_file_is_signed_after_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "state"))
    future = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=20)
    with monkeypatch.context() as ahead:
        ahead.setattr(certificates, "_now", lambda: future)
        certificates.signing_identity()
    with caplog.at_level(logging.WARNING):
        assert read(signed(tmp_path)).state == "trusted"
    assert "check the clock" in caplog.text
