"""Types of flags. A value that cannot be parsed gives one sentence that says why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from tyro.conf import FlagCreatePairsOff, arg
from tyro.constructors import PrimitiveConstructorSpec

from lumora.config import Resolution


def _whole_number(words: list[str]) -> int:
    try:
        return int(words[0])
    except ValueError:
        raise ValueError(f"{words[0]!r} is not a whole number") from None


def _number(words: list[str]) -> float:
    try:
        return float(words[0])
    except ValueError:
        raise ValueError(f"{words[0]!r} is not a number") from None


def _size(words: list[str]) -> Resolution:
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", words[0])
    if not match:
        raise ValueError(f"a size is width x height, such as 128x128, not {words[0]!r}")
    return Resolution(int(match[1]), int(match[2]))


def _aspect_ratio(words: list[str]) -> float:
    match = re.fullmatch(r"(\d{1,4}):(\d{1,4})", words[0])
    if not match or "0" in match.groups():
        raise ValueError(f"an aspect ratio is width : height, such as 16:9, not {words[0]!r}")
    return int(match[1]) / int(match[2])


def _keyframe(words: list[str]) -> tuple[float, Path]:
    second, equals, file = words[0].partition("=")
    if not equals or not file:
        raise ValueError(f"a keyframe is a second and an image, such as 1.5=image.png, not {words[0]!r}")
    return _number([second]), Path(file)


def _lora(words: list[str]) -> tuple[Path, float]:
    file, equals, strength = words[0].rpartition("=")
    return (Path(file), _number([strength])) if equals else (Path(words[0]), 1.0)


def _flag(metavar: str, read: Callable[[list[str]], Any]) -> PrimitiveConstructorSpec[Any]:
    """One word that `read` parses; None if the flag is not given."""
    return PrimitiveConstructorSpec(1, metavar, read, lambda value: True, _said)


def _said(value: Any) -> list[str]:
    return [str(value)]


GUIDANCE = arg(help_behavior_hint="(default: 4; further windows 2; several shots 1.5; with kept frames 1)")
OF_THE_MODEL = arg(help_behavior_hint="(default: the model's own)")
AspectRatio: TypeAlias = Annotated[float | None, _flag("W:H", _aspect_ratio)]
ResizeMode: TypeAlias = Literal["crop", "letterbox"]
Keyframe: TypeAlias = Annotated[tuple[float, Path], _flag("SECOND=FILE", _keyframe)]
Preset: TypeAlias = Literal["plain", "simple", "medium", "full", "film", "plain-film", "stage", "stage-film"]
WholeNumber: TypeAlias = Annotated[int | None, _flag("N", _whole_number)]
Number: TypeAlias = Annotated[float | None, _flag("X", _number)]
Size: TypeAlias = Annotated[Resolution | None, _flag("WxH", _size)]
WorldSize: TypeAlias = Annotated[Resolution, _flag("WxH", _size)]
Output: TypeAlias = Annotated[Path, arg(aliases=["-o"], metavar="FILE")]
Directory: TypeAlias = Annotated[Path, arg(metavar="FOLDER")]
TrainPreset: TypeAlias = Literal["tiny", "cpu", "gpu", "400m", "2b"]
Device: TypeAlias = Annotated[
    str | None, _flag("DEVICE", lambda words: words[0]), arg(help_behavior_hint="(default: a GPU where there is one)")
]
File: TypeAlias = Annotated[Path | None, _flag("FILE", lambda words: Path(words[0])), arg(help_behavior_hint="")]
Model: TypeAlias = Annotated[
    str | Path | None, _flag("MODEL", lambda words: words[0]), arg(help_behavior_hint="(default: lumora's own)")
]
Lora: TypeAlias = Annotated[tuple[Path, float], _flag("FILE[=STRENGTH]", _lora)]
Text: TypeAlias = Annotated[str | None, _flag("TEXT", lambda words: words[0]), arg(help_behavior_hint="")]


@dataclass(frozen=True, kw_only=True)
class OutputVerb:
    """A verb that writes files."""

    overwrite: FlagCreatePairsOff[bool] = False
    """Replace files that exist. Without it, a question is asked on a terminal."""

    def check_output(self, path: Path, inputs: Iterable[Path] = ()) -> bool:
        """Whether a file may be replaced by `path`, which the verb will write.

        Raises OSError with one sentence, before any work, if it cannot be written, is one of the inputs, or exists and
        may not be replaced.
        """
        from lumora.atomic_io import check_output
        from lumora.terminal import confirm

        try:
            check_output(path, inputs, self.overwrite)
        except FileExistsError:
            if not confirm(f"{path} exists. Replace it?"):
                raise
            check_output(path, inputs, overwrite=True)
            return True
        return self.overwrite

    def check_report_folder(self, folder: Path) -> None:
        """Creates the folder of a report, which may not hold another one. Raises as `check_output`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("report.json", "index.html"):
            self.check_output(folder / name)


def require_extra(module: str, extra: str) -> None:
    """Raises ValueError unless `module`, which the extra `extra` installs, is there."""
    if find_spec(module) is None:
        raise ValueError(f"This needs {module}; install it with `pip install 'lumora[{extra}]'`.")
