"""Files are written completely or not at all; errors are one sentence."""

from pathlib import Path

import pytest

from lumora.atomic_io import atomic_write


def test_a_failed_write_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), atomic_write(path) as part:
        part.write_text("half")
        raise KeyError
    assert path.read_text() == "old"
    with atomic_write(path) as part:
        part.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("none/file", "no folder"), ("folder", "is a folder"), ("file/inside", "no folder"), ("x" * 300, "can't be")],
)
def test_unwritable_paths_are_refused_with_one_sentence(tmp_path: Path, name: str, sentence: str):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match=sentence) as raised, atomic_write(tmp_path / name) as part:
        part.write_text("new")
    assert str(raised.value).endswith(".") and "[Errno" not in str(raised.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "old"
