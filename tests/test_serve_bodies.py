"""Forms and JSON on the same routes, and the settings that the supervisor hands to its processes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lumora.config import Resolution
from lumora.media.video import Video
from lumora.serve.bodies import nested
from lumora.serve.errors import ApiError
from lumora.serve.jobs import SORA_SIZES, JobSpec, ReferenceSpec, ShotSpec, output_size
from lumora.serve.schemas import EditBody, VideoCreate
from lumora.serve.settings import ENVIRONMENT_VARIABLE, ServeLimits, ServeSettings

NAMES = st.text("abcxyz_", min_size=1, max_size=6)
VALUES = st.text(max_size=5)


def test_names_of_a_form_nest_as_the_sdks_write_them():
    items = [
        ("prompt", "a ball"),
        ("input_reference[file_id]", "file_1"),
        ("tags[]", "a"),
        ("tags[]", "b"),
        ("characters[][id]", "char_1"),
        ("characters[][id]", "char_2"),
        ("nest[a][b]", "1"),
        ("nest[a][c]", "2"),
        ("n", "2"),
    ]
    assert nested(items) == {
        "prompt": "a ball",
        "input_reference": {"file_id": "file_1"},
        "tags": ["a", "b"],
        "characters": [{"id": "char_1"}, {"id": "char_2"}],
        "nest": {"a": {"b": "1", "c": "2"}},
        "n": "2",
    }


@given(st.lists(st.fixed_dictionaries({"prompt": VALUES, "seconds": VALUES}), min_size=1, max_size=4))
def test_lists_of_equal_objects_survive_a_form(shots: list[dict[str, str]]):
    items = [(f"shots[][{name}]", shot[name]) for shot in shots for name in shot]
    assert nested(items) == {"shots": shots}


def test_a_list_that_lost_its_alignment_is_refused():
    items = [("shots[][prompt]", "a"), ("shots[][seconds]", "2"), ("shots[][prompt]", "b")]
    with pytest.raises(ApiError, match="send JSON"):
        nested(items)


@given(st.lists(st.tuples(st.text("ab[]", max_size=9), VALUES), max_size=6))
def test_every_form_is_read_or_refused(items: list[tuple[str, Any]]):
    try:
        assert isinstance(nested(items), dict)
    except ApiError as error:
        assert error.status == 400


def test_forms_and_json_say_the_same():
    of_form = VideoCreate.model_validate(
        {"prompt": "a", "seconds": "4", "seed": "7", "loop": "true", "shots": '[{"prompt": "b", "seconds": 2}]'}
    )
    of_json = VideoCreate.model_validate(
        {"prompt": "a", "seconds": 4, "seed": 7, "loop": True, "shots": [{"prompt": "b", "seconds": 2.0}]}
    )
    assert of_form == of_json


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "prompt is empty"),
        ({"prompt": "a", "secnds": 2}, "secnds"),
        ({"prompt": "a", "seconds": True}, "seconds"),
        ({"prompt": "a", "seconds": "nan"}, "seconds"),
        ({"prompt": "a", "size": "0x5"}, "size"),
        ({"prompt": "a", "n": 9}, "n"),
        ({"prompt": "a" * 2_001}, "prompt"),
        ({"prompt": "a", "input_reference": {}}, "exactly one"),
        ({"prompt": "a", "input_reference": "{"}, "not JSON"),
        ({"prompt": "a", "references": [{"file_id": "x", "video_id": "y"}]}, "either"),
    ],
)
def test_a_wrong_field_is_named(body: dict[str, Any], said: str):
    with pytest.raises(ValidationError, match=said):
        VideoCreate.model_validate(body)


def test_the_video_of_an_edit_can_be_named_in_each_way_of_the_sdks():
    for video in ({"id": "video_1"}, '{"id": "video_1"}', {"video_id": "video_1"}, {"file_id": "file_1"}):
        EditBody.model_validate({"prompt": "at night", "video": video})


def test_a_job_is_stored_and_read_back():
    spec = JobSpec(
        "shots", shots=(ShotSpec("a", 1.0), ShotSpec("b", 2.0, False)), references=(ReferenceSpec("file_1", None),)
    )
    assert JobSpec.from_json(spec.to_json()) == spec and spec.input_ids == ("file_1",)
    with pytest.raises(ValueError, match="no field"):
        JobSpec.from_json({**spec.to_json(), "x": 1})


def test_sizes_of_sora_are_made_at_the_models_number_of_pixels():
    from lumora.backends.lumora import planning
    from lumora.config import ModelConfig

    limits = planning.capabilities(ModelConfig())
    for size in SORA_SIZES:
        width, height = map(int, size.split("x"))
        made = output_size(size, limits)
        assert made is not None and (made.width > made.height) == (width > height)
        assert 0.7 < made.width * made.height / (limits.size.width * limits.size.height) < 1.4
    assert output_size("96x64", limits) == Resolution(96, 64) and output_size(None, limits) is None


def test_settings_pass_through_the_environment(monkeypatch: pytest.MonkeyPatch):
    settings = ServeSettings("/data", workers=2, limits=ServeLimits(expire_after_hours=1.5))
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, settings.environment()[ENVIRONMENT_VARIABLE])
    assert ServeSettings.from_environment() == settings


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_only_loopback_is_loopback(host: str, loopback: bool):
    assert ServeSettings("/data", host=host).is_loopback == loopback


def test_the_database_is_sqlite_or_postgresql():
    assert ServeSettings("/data").sqlalchemy_url == "sqlite:////data/lumora.sqlite3"
    url = ServeSettings("/data", database_url="postgresql://a@b/c").sqlalchemy_url
    assert url == "postgresql+psycopg://a@b/c"
    with pytest.raises(ValueError, match="postgresql://"):
        _ = ServeSettings("/data", database_url="mysql://x").sqlalchemy_url


def test_cuts_take_parts_of_files_in_seconds(tmp_path: Any):
    from clips import noise

    from lumora.service.cut import ClipPart, read_cut

    first, second = (noise(count, seed).save(tmp_path / f"{seed}.mp4") for seed, count in ((1, 16), (2, 8)))
    cut = read_cut([ClipPart(first, 0.5, 1.0), ClipPart(second), ClipPart(first, 1.5)])
    expected = [*Video.load(first).frames[4:8], *Video.load(second).frames, *Video.load(first).frames[12:]]
    assert len(cut.video.frames) == 16 and all((a == b).all() for a, b in zip(cut.video.frames, expected, strict=True))
    assert [i.relationship for i in cut.ingredients] == ["parentOf", "componentOf"]
    for part in (ClipPart(first, 1.0, 3.0), ClipPart(first, 1.0, 1.0), ClipPart(first, 0.0, 0.01)):
        with pytest.raises(ValueError, match=r"part"):
            read_cut([part])
