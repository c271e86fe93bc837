"""The structure that docs/architecture.md describes: imports point down, nothing is defined twice, files are short."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lumora"
MODULES = sorted(SOURCE.rglob("*.py"))
FRONT = ("__init__", "__main__")
"""The Python API and `python -m lumora` may import from every layer."""


def part_of(path: Path) -> str:
    """The package or module directly under lumora that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def drawn_layers() -> dict[str, int]:
    """Each part's height, read from the drawing in the architecture page; 0 is the lowest row."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    drawing = re.search(r"Imports point down only.*?```\n(.*?)```", page, re.DOTALL)
    assert drawing, "docs/architecture.md has no drawing of the layers."
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
    assert not wrong_imports(part, parsed(path))


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
    functions = [n for n in ast.walk(parsed(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f"{f.name} (line {f.lineno})" for f in functions if (f.end_lineno or 0) - f.lineno >= 60]
    assert not long, f"Over 60 lines: {', '.join(long)}"


def module_name(path: Path) -> str:
    return ".".join(("lumora", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


def imported_modules(path: Path, modules: set[str]) -> set[str]:
    """The modules of lumora that a file imports, also inside of functions."""
    imported: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            imported |= (names & modules) or {node.module}
    return (imported & modules) - {module_name(path)}


def test_no_modules_import_one_another_in_a_cycle():
    modules = {module_name(path): path for path in MODULES}
    graph = {name: imported_modules(path, set(modules)) for name, path in modules.items()}
    while leaves := {name for name, needed in graph.items() if not needed}:
        graph = {name: needed - leaves for name, needed in graph.items() if name not in leaves}
    assert not graph, f"These import one another, or a module that is in a cycle: {sorted(graph)}"


def test_no_module_name_and_no_public_type_is_defined_twice():
    names, types = Counter[str](), Counter[str]()
    for path in MODULES:
        # A verb or a router may have the name of what it calls.
        if part_of(path) == "cli" or path.parent.name == "routes" or path.stem in FRONT:
            continue
        names[path.stem] += 1
        classes = (node.name for node in parsed(path).body if isinstance(node, ast.ClassDef))
        types.update(name for name in classes if not name.startswith("_"))
    names.update(folder.name for folder in SOURCE.rglob("*") if (folder / "__init__.py").exists())
    names["lumora"] = 0  # the package itself, and the backend of its own model
    assert not [name for name, count in names.items() if count > 1]
    assert not [name for name, count in types.items() if count > 1]


def test_a_prompt_passes_each_layer_once_downwards():
    """cli -> service -> backends -> diffusion -> model; no layer calls back into one above it, and the command line
    calls no network itself."""
    cli = {part for path in (SOURCE / "cli").glob("*.py") for _, part in imported_parts(parsed(path))}
    assert not cli & {"diffusion", "model"}
    service = {part for path in (SOURCE / "service").glob("*.py") for _, part in imported_parts(parsed(path))}
    assert {"backends", "safety", "provenance"} <= service and not service & {"diffusion", "model", "codec", "cli"}


def test_pictures_and_presets_need_no_torch():
    heavy = {"torch", "mujoco"}
    for name in ("media/video.py", "config.py", "presets.py"):
        top = ast.parse((SOURCE / name).read_text()).body
        imports = [n for n in top if isinstance(n, ast.Import | ast.ImportFrom)]
        names = {a.name for n in imports if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module or "" for n in imports if isinstance(n, ast.ImportFrom)}
        assert not heavy & {n.split(".")[0] for n in names}, name
