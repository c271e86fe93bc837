"""A storyboard: a TOML file of shots, with a cast that is described once for all of them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from lumora.atomic_io import error_reason
from lumora.config import from_dict
from lumora.request.conditions import Shot


@dataclass(frozen=True)
class ShotEntry:
    """A `[[shot]]` of the file."""

    prompt: str
    seconds: float = 2.0
    cut: bool = True
    """Whether it begins with a hard cut."""
    image: str = ""
    """An image to begin with; the path is relative to the storyboard's folder."""


@dataclass(frozen=True)
class Storyboard:
    """The content of the file: `cast = "…"`, and a `[[shot]]` for each shot."""

    shot: tuple[ShotEntry, ...]
    cast: str = ""

    @classmethod
    def load(cls, file: Path) -> Storyboard:
        """Raises ValueError, in one sentence, if the file is missing or is not a storyboard."""
        try:
            board = from_dict(cls, tomllib.loads(file.read_text("utf-8-sig")), file.name)
        except FileNotFoundError:
            raise ValueError(f"There is no file {file}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{file} is not TOML: {error}.") from None
        except OSError as error:
            raise ValueError(f"{file} can't be read: {error_reason(error)}.") from None
        if not board.shot:
            raise ValueError(f"{file} has no shots; write a [[shot]] with a prompt for each.")
        return board

    def shots(self) -> tuple[Shot, ...]:
        """Every prompt begins with the cast, so that each shot describes its characters."""
        return tuple(Shot(f"{self.cast} {entry.prompt}".strip(), entry.seconds, entry.cut) for entry in self.shot)

    def images(self, folder: Path) -> list[tuple[int, Path]]:
        """Index and first image of every shot that has one; paths are relative to `folder`."""
        return [(index, folder / entry.image) for index, entry in enumerate(self.shot) if entry.image]
