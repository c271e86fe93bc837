"""A storyboard: shots one after the other, and a cast that is described once for all of them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from lumora.atomic_io import error_reason
from lumora.backends.lumora.segments import Condition, Shot
from lumora.config import from_dict
from lumora.media.video import Video


@dataclass(frozen=True)
class ShotEntry:
    """A shot as the file has it."""

    prompt: str
    seconds: float = 2.0
    cut: bool = True
    image: str = ""
    """A picture that it begins with; the path counts from the storyboard's folder."""


@dataclass(frozen=True)
class Storyboard:
    """A file in TOML: `cast = "…"`, and a `[[shot]]` for each shot."""

    shot: tuple[ShotEntry, ...]
    cast: str = ""

    @classmethod
    def load(cls, file: Path) -> Storyboard:
        """Raises ValueError, in a sentence, for a file that is missing or no storyboard."""
        try:
            board = from_dict(cls, tomllib.loads(file.read_text()), file.name)
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
        """Every prompt begins with the cast: a network that forgets what it made knows it from the words alone."""
        return tuple(Shot(f"{self.cast} {scene.prompt}".strip(), scene.seconds, scene.cut) for scene in self.shot)

    def conditions(self, folder: Path) -> tuple[Condition, ...]:
        return tuple(
            Condition(Video.load(folder / scene.image, max_frames=1), shot_index=number)
            for number, scene in enumerate(self.shot)
            if scene.image
        )
