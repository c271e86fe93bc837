"""Signatures, marks and the index, on real files: what was changed is told apart from what was not."""

import datetime
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import film, recoded
from cryptography import x509
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rubric import crjson, missed

from lumora.media.video import Video, encode_video
from lumora.provenance import certificates, manifest, watermark
from lumora.provenance.detect import detect
from lumora.provenance.fingerprint import fingerprint_of
from lumora.provenance.index import Index, PublishedRecord
from lumora.provenance.informed_detector import reference_dct_of
from lumora.provenance.keystore import watermark_key
from lumora.provenance.manifest import MIME, Ingredient, read, sign

RECIPE = {"record": "0badcafe", "request": {"prompt": "a red ball", "width": None, "seconds": 2.0}, "made_at": "now"}
KEY = bytes(range(32))


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder that nothing is in yet."""
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "fresh"))
    return tmp_path / "fresh"


def signed(folder: Path, kind: str = ".mp4", parents: tuple[Ingredient, ...] = (), name: str = "clip") -> Path:
    plain, out = folder / f"plain{kind}", folder / f"{name}{kind}"
    film().save(plain)
    sign(plain, out, kind, out.name, RECIPE, parents)
    return out


def remuxed(source: Path, path: Path) -> Path:
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return path


# Certificates


def test_a_development_chain_is_made_once_and_kept_from_others(fresh: Path):
    first, again = certificates.signing_identity(), certificates.signing_identity()
    assert first == again and "PRIVATE" not in repr(first)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in fresh.iterdir())
    leaf, root = x509.load_pem_x509_certificates(first.certificates.encode())
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= datetime.timedelta(days=366)
    leaf.verify_directly_issued_by(root)
    assert x509.load_pem_x509_certificate(certificates.trusted_roots().encode()) == root


def test_a_leaf_is_renewed_under_the_same_root_before_it_ends(fresh: Path, monkeypatch: pytest.MonkeyPatch):
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=340)
    with monkeypatch.context() as past:
        past.setattr(certificates, "_now", lambda: long_ago)
        old, roots = certificates.signing_identity(), certificates.trusted_roots()
    new = certificates.signing_identity()
    assert new.key != old.key and certificates.trusted_roots() == roots
    assert new.certificates != old.certificates and new == certificates.signing_identity()


def test_keys_are_encrypted_where_there_is_a_passphrase(fresh: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LUMORA_PASSPHRASE", "open sesame")
    identity = certificates.signing_identity()
    assert all(b"BEGIN ENCRYPTED PRIVATE" in (fresh / name).read_bytes() for name in ("root.pem", "signer.pem"))
    assert "BEGIN PRIVATE" in identity.key
    for wrong in ("", "open barley"):
        monkeypatch.setenv("LUMORA_PASSPHRASE", wrong)
        with pytest.raises(ValueError, match="LUMORA_PASSPHRASE"):
            certificates.signing_identity()
    assert certificates.trusted_roots()  # who only verifies needs no passphrase


def test_an_operator_brings_a_certificate_of_their_own(tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch):
    certificates.signing_identity()
    authority = fresh.rename(tmp_path / "authority")
    monkeypatch.setenv("LUMORA_CERTIFICATE", str(authority / "signer.pem"))
    monkeypatch.setenv("LUMORA_KEY", str(authority / "signer.pem"))
    clip = signed(tmp_path)
    assert read(clip).state == "intact"  # nobody here vouches for that authority yet
    monkeypatch.setenv("LUMORA_TRUST", str(authority / "root.pem"))
    assert read(clip).state == "trusted"
    monkeypatch.setenv("LUMORA_KEY", str(authority / "root.pem"))
    with pytest.raises(ValueError, match="belong together"):
        certificates.signing_identity()
    monkeypatch.setenv("LUMORA_CERTIFICATE", str(authority / "none.pem"))
    with pytest.raises(ValueError, match="LUMORA_CERTIFICATE"):
        certificates.signing_identity()


# Manifests


@pytest.mark.parametrize("kind", MIME)
def test_every_kind_of_file_is_signed_and_shows_the_same(kind: str, tmp_path: Path):
    out = signed(tmp_path, kind)
    found = read(out)
    assert found.state == "trusted" and found.recipe == RECIPE and not found.problems
    assert np.array_equal(Video.load(out).frames, Video.load(tmp_path / f"plain{kind}").frames)
    assert read(tmp_path / f"plain{kind}").state == "absent"
    renamed = out.rename(tmp_path / "no_suffix")
    assert read(renamed).state == "trusted"


def test_a_stranger_sees_an_intact_file_of_somebody_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clip = signed(tmp_path)
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "another"))
    assert read(clip).state == "intact"


def boxes(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the body of each box of an MP4."""
    place = 0
    while place < len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        yield content[place + 4 : place + 8], place + 8, place + size
        place += size


def test_no_flipped_bit_in_pictures_or_their_index_is_accepted(tmp_path: Path):
    content = signed(tmp_path).read_bytes()
    rng, changed = np.random.default_rng(0), tmp_path / "changed.mp4"
    for name, begin, end in [box for box in boxes(content) if box[0] in (b"mdat", b"moov")]:
        for place in rng.integers(begin, end, 75):
            flipped = bytearray(content)
            flipped[place] ^= 1 << int(rng.integers(8))
            changed.write_bytes(flipped)
            assert read(changed).state == "tampered", (name, place - begin)


def test_what_is_cut_off_is_tampered_with_and_what_is_packed_anew_has_no_manifest(tmp_path: Path):
    clip = signed(tmp_path)
    content = clip.read_bytes()
    for share in (0.999, 0.9, 0.7):
        (tmp_path / "cut.mp4").write_bytes(content[: int(share * len(content))])
        assert read(tmp_path / "cut.mp4").state == "tampered"
    assert read(remuxed(clip, tmp_path / "remuxed.mp4")).state == "absent"
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    assert read(tmp_path / "noise.mp4").state != "trusted"
    with pytest.raises(ValueError, match="no file"):
        read(tmp_path / "none.mp4")


@pytest.mark.parametrize("relations", [(), ("inputTo",), ("parentOf",), ("parentOf", "componentOf"), ("componentOf",)])
def test_manifests_have_the_traits_of_the_rubric(relations: tuple[Any, ...], tmp_path: Path):
    """All of the programme's, and what they leave open."""
    given = signed(tmp_path, name="given")
    active = crjson(signed(tmp_path, parents=tuple(Ingredient(given, relation) for relation in relations)))
    claim, assertions = active["claim.v2"], active["assertions"]
    assert missed(active) == [] and not active["validationResults"]["failure"]
    created = [entry["url"].rsplit("/", 1)[1] for entry in claim["created_assertions"]]
    ours = {"c2pa.actions.v2", "c2pa.soft-binding", "cawg.training-mining", "lumora.recipe"}
    assert ours <= set(created)
    first, *others = assertions["c2pa.actions.v2"]["actions"]
    if "parentOf" in relations:
        assert first["action"] == "c2pa.opened"
        first = others.pop(0)
        assert first["action"] == "c2pa.edited"
    else:
        assert first["action"] == "c2pa.created"
    assert (
        first["digitalSourceType"].endswith("/trainedAlgorithmicMedia") and first["softwareAgent"]["name"] == "lumora"
    )
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
def test_whatever_a_recipe_holds_comes_back_exactly(
    request: Any, gap: list[float], text: str, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("recipe")
    Video(film().frames[:1], 1.0).save(folder / "plain.png")
    recipe = {**RECIPE, "request": request, "gap": gap, "text": text, "whole": [1, 2]}
    sign(folder / "plain.png", folder / "out.png", ".png", "out.png", recipe)
    assert read(folder / "out.png").recipe == recipe


def test_a_tampered_parent_is_told_apart_even_under_a_new_signature(tmp_path: Path):
    good = signed(tmp_path, name="good")
    content = bytearray(good.read_bytes())
    begin = next(begin for name, begin, _ in boxes(bytes(content)) if name == b"mdat")
    content[begin + 50] ^= 1
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(content)
    child = signed(tmp_path, parents=(Ingredient(good, "parentOf"), Ingredient(bad, "inputTo")))
    assert read(child).state == "trusted"
    problems = {parent["title"]: parent["problems"] for parent in read(child).ingredients}
    assert problems["good.mp4"] == [] and "mismatch" in problems["bad.mp4"][0]


def test_a_certificate_that_can_not_sign_says_so(tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch):
    certificates.signing_identity()
    monkeypatch.setenv("LUMORA_CERTIFICATE", str(fresh / "root.pem"))
    monkeypatch.setenv("LUMORA_KEY", str(fresh / "root.pem"))
    film().save(tmp_path / "plain.mp4")
    with pytest.raises(OSError, match=r"sign.*\.$"):
        sign(tmp_path / "plain.mp4", tmp_path / "out.mp4", ".mp4", "out.mp4", RECIPE)


# The mark


def psnr(a: Video, b: Video) -> float:
    return 10 * np.log10(255**2 / max(1e-9, np.square(a.frames.astype(float) - b.frames).mean()))


@pytest.mark.parametrize("shape", [(17, 64, 64), (49, 48, 96), (17, 128, 96)])
@settings(max_examples=3, phases=[Phase.generate])
@given(seed=st.integers(0, 2**31), payload=st.integers(0, 2**32 - 1))
def test_the_mark_is_faint_and_read_back_by_its_key_alone(seed: int, payload: int, shape: tuple[int, int, int]):
    video = film(seed, *shape)
    marked = watermark.embed(video, payload, KEY)
    assert marked.frames.shape == video.frames.shape and psnr(marked, video) >= 42
    found = watermark.read(marked, KEY)
    assert found.p_value <= 1e-6 and found.p_values_of([payload])[0] <= 1e-12
    assert (found.payload ^ payload).bit_count() <= 3
    assert watermark.read(marked, bytes(32), enough=1.0).p_value > 1e-4
    assert np.array_equal(marked.frames, watermark.embed(video, payload, KEY).frames)


def test_a_picture_is_marked_faintly_too_whether_or_not_it_is_large_enough_to_be_read():
    picture = film(0, 1)
    marked = watermark.embed(picture, 7, KEY)
    assert psnr(marked, picture) >= 42 and not np.array_equal(marked.frames, picture.frames)


def test_black_white_and_tiny_videos_can_be_marked_without_harm():
    for value, shape in ((0, (17, 64, 64)), (255, (5, 32, 32)), (7, (1, 1, 1)), (90, (2, 3, 200))):
        video = Video(np.full((*shape, 3), value, np.uint8), 8.0)
        assert psnr(watermark.embed(video, 5, KEY), video) >= 42


def test_the_bound_holds_for_wrong_keys():
    """Of so many wrong keys no more may reach a p-value than it says; known payloads likewise."""
    marked = watermark.embed(film(), 77, KEY)
    readings = [watermark.read(marked, number.to_bytes(32, "big"), enough=1.0) for number in range(300)]
    blind = np.array([reading.p_value for reading in readings])
    known = np.array([reading.p_values_of([77])[0] for reading in readings])
    for p_values in (blind, known):
        assert all((p_values <= level).mean() <= level for level in (0.5, 0.3, 0.1, 0.03))
        assert (p_values < 1).any()


def test_the_mark_stands_a_codec_another_size_rate_and_colour(tmp_path: Path):
    marked = watermark.embed(film(3, height=128, width=128), 0xDEADBEEF, KEY)
    for changed in (
        Video.load(recoded(marked, tmp_path / "a.mp4", 28)),
        marked.resize(64, 64),
        marked.resize(256, 256),
        Video(np.repeat(marked.frames, 3, axis=0), 24.0),
        Video(np.ascontiguousarray(marked.frames[..., [1, 0, 2]]), 8.0),
        Video((marked.frames * 0.7 + 20).astype(np.uint8), 8.0),
    ):
        assert watermark.read(changed, KEY).p_values_of([0xDEADBEEF])[0] <= 1e-6


def test_parts_in_space_and_time_are_found_by_search():
    marked = watermark.embed(film(3, height=128, width=128), 0xDEADBEEF, KEY)
    part = Video(np.ascontiguousarray(marked.frames[:, 14:114, 20:120]), 8.0)
    for changed in (part, Video(marked.frames[4:], 8.0)):
        found = watermark.read(changed, KEY, enough=0.0)
        assert found.p_values_of([0xDEADBEEF])[0] <= 1e-6
        assert np.square(found.scores).sum(axis=1).argmax() > 0
    assert watermark.read(part, KEY, enough=0.0).box.height == pytest.approx(100 / 128, abs=0.05)


# The index and the verdict


def registered(video: Video, record: str, index: Index) -> Video:
    marked = watermark.embed(video, int(record, 16), watermark_key())
    index.add(PublishedRecord(record, "00", {**RECIPE, "record": record}, b"manifest", fingerprint_of(video)))
    return marked


def test_what_lost_its_manifest_is_led_back_to_its_record(tmp_path: Path):
    index = Index(tmp_path / "index.sqlite3")
    marked = [registered(film(seed), f"{seed:08x}", index) for seed in range(1, 6)]
    for seed, video in enumerate(marked, start=1):
        for changed in (recoded(video, tmp_path / "a.mp4", 28), remuxed(tmp_path / "a.mp4", tmp_path / "b.mp4")):
            found = detect(changed, index)
            assert found.answer == "ours" and 0 < found.p_value <= 1e-6
            assert found.record and found.record.record == f"{seed:08x}" and found.record.manifest == b"manifest"


def test_a_foreign_video_is_not_ours(tmp_path: Path):
    index = Index(tmp_path / "index.sqlite3")
    for seed in range(1, 4):
        registered(film(seed), f"{seed:08x}", index)
    found = detect(film(99).save(tmp_path / "foreign.mp4"), index)
    assert found.answer == "not ours" and found.record is None
    assert detect(film(99).save(tmp_path / "foreign.mp4"), Index(tmp_path / "empty.sqlite3")).answer == "not ours"


def test_a_foreign_signature_that_names_a_record_of_ours_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    index = Index(tmp_path / "index.sqlite3")
    registered(film(1), RECIPE["record"], index)
    with monkeypatch.context() as stranger:
        stranger.setenv("LUMORA_STATE", str(tmp_path / "stranger"))
        film(99).save(tmp_path / "plain.mp4")
        sign(tmp_path / "plain.mp4", tmp_path / "liar.mp4", ".mp4", "liar.mp4", RECIPE)
    found = detect(tmp_path / "liar.mp4", index)
    assert found.manifest.state == "intact" and found.answer == "not ours"


def test_the_index_keeps_what_it_was_given_and_tells_what_is_wrong(tmp_path: Path):
    index = Index(tmp_path / "index.sqlite3")
    delivered = PublishedRecord(
        index.new_record(), "ab" * 32, RECIPE, b"\x00\x01", fingerprint_of(film()), reference_dct_of(film())
    )
    index.add(delivered)
    back = Index(tmp_path / "index.sqlite3").all()[0]
    assert (back.record, back.sha256, back.recipe, back.manifest) == (*_fields(delivered),)
    assert np.array_equal(back.fingerprint, delivered.fingerprint) and np.array_equal(
        back.reference_dct, delivered.reference_dct
    )
    assert index.has(delivered.record)
    (tmp_path / "broken.sqlite3").write_bytes(b"no database " * 100)
    with pytest.raises(OSError, match="index"):
        Index(tmp_path / "broken.sqlite3").all()


def _fields(delivered: PublishedRecord) -> tuple[Any, ...]:
    return delivered.record, delivered.sha256, delivered.recipe, delivered.manifest


def test_the_kinds_that_are_signed_are_those_that_are_written(tmp_path: Path):
    from lumora.media.encode import SUFFIXES

    assert tuple(MIME) == SUFFIXES
    for kind in SUFFIXES:
        encode_video(kind, film(), tmp_path / "any name")
        assert manifest.read(tmp_path / "any name").state == "absent"
