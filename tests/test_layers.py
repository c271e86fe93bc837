"""The house stays as docs/architecture.md draws it: imports point down, files and functions stay short."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lumora"
MODULES = sorted(SOURCE.rglob("*.py"))
FRONT = ("__init__", "__main__")
"""What stands before the house: the Python API and `python -m lumora` may import from every layer."""


def part_of(path: Path) -> str:
    """The package or module directly under lumora that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@cache
def drawn_layers() -> dict[str, int]:
    """Each part's height, read from the drawing in the architecture page; 0 is the lowest row."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    drawing = re.search(r"Imports point down only.*?```\n(.*?)```", page, re.DOTALL)
    assert drawing, "docs/architecture.md lost its drawing of the layers."
    rows = [re.findall(r"\w+", row) for row in reversed(drawing[1].strip().splitlines())]
    return {part: height for height, row in enumerate(rows) for part in row}


def imported_parts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and part of lumora for every import, also those inside of functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are written in full, from lumora."
            module = node.module or ""
            names = [f"lumora.{alias.name}" for alias in node.names] if module == "lumora" else [module]
        else:
            continue
        yield from ((node.lineno, name.split(".")[1]) for name in names if name.startswith("lumora."))


def wrong_imports(part: str, tree: ast.AST) -> list[str]:
    layers = drawn_layers()
    return [
        f"line {line}: {part} must not import {other}"
        for line, other in imported_parts(tree)
        if other != part and layers[other] >= layers[part]
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path: Path):
    part = part_of(path)
    if part in FRONT:
        return
    assert part in drawn_layers(), f"Draw {part} in docs/architecture.md."
    assert not wrong_imports(part, ast.parse(path.read_text()))


@pytest.mark.parametrize(
    ("part", "code", "wrong"),
    [
        ("world", "from lumora.config import VideoShape", 0),
        ("world", "from lumora.world.scene import Scene", 0),
        ("world", "def f():\n    from lumora.service.publish import publish", 1),
        ("codec", "import lumora.model.layers", 1),
        ("media", "from lumora import cli, world", 2),
    ],
)
def test_the_linter_sees_what_points_up_or_sideways(part: str, code: str, wrong: int):
    assert len(wrong_imports(part, ast.parse(code))) == wrong


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_and_functions_are_short(path: Path):
    text = path.read_text()
    assert text.count("\n") <= 400, "Over 400 lines: split it by concept."
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f"{f.name} (line {f.lineno})" for f in functions if (f.end_lineno or 0) - f.lineno >= 60]
    assert not long, f"Over 60 lines: {', '.join(long)}"


def test_pictures_and_presets_need_no_torch():
    heavy = {"torch", "mujoco"}
    for name in ("media/video.py", "config.py", "presets.py"):
        top = ast.parse((SOURCE / name).read_text()).body
        imports = [n for n in top if isinstance(n, ast.Import | ast.ImportFrom)]
        names = {a.name for n in imports if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module or "" for n in imports if isinstance(n, ast.ImportFrom)}
        assert not heavy & {n.split(".")[0] for n in names}, name
