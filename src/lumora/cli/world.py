"""`lumora world`: clips of the simulated world."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lumora.cli.flags import Output, Preset, WorldSize

if TYPE_CHECKING:
    import numpy as np

    from lumora.config import VideoShape
    from lumora.world.caption import Caption


@dataclass(frozen=True)
class WorldSample:
    """Write one clip of the world (a film of the `film` preset), with captions, facts and scenes as .json beside it."""

    output: Output
    """Where to write the clip: .mp4, .gif, .webp or .png."""
    preset: Preset = "simple"
    """How rich the world is."""
    seed: int = 0
    index: int = 0
    """Which clip of the seed."""
    seconds: float = 2.0
    size: WorldSize = (128, 128)
    """Width and height in pixels."""
    fps: float = 8.0

    def run(self) -> None:
        from lumora.atomic_io import atomic_write
        from lumora.media.video import Video, check_destination

        check_destination(self.output)
        shape = _shape(self.seconds, self.size, self.fps)
        from lumora.world.clip import has_films

        frames, about = (_film if has_films(self.preset) else _clip)(self.preset, self.seed, self.index, shape)
        description = self.output.with_suffix(".json")
        Video(frames, shape.fps).save(self.output)
        with atomic_write(description) as part:
            part.write_text(json.dumps(about, indent=2) + "\n")
        print(f"{self.output}, {description}: {about['captions']['sentence']['text']}")


@dataclass(frozen=True)
class WorldSheet:
    """Draw one picture of many clips, each with its caption."""

    output: Output
    """Where to write the picture: .png."""
    preset: Preset = "full"
    """How rich the world is."""
    seed: int = 0
    count: int = 16
    """Clips 0 … count − 1 of the seed."""
    columns: int = 2
    size: WorldSize = (128, 128)
    """Width and height of a clip in pixels."""

    def run(self) -> None:
        from lumora.media.video import Video, check_destination, contact_sheet

        check_destination(self.output)
        from lumora.world.clip import has_films

        films = has_films(self.preset)
        shape = _shape(4.0 if films else 2.0, self.size, 8.0)
        make = _film if films else _clip
        clips = [make(self.preset, self.seed, index, shape) for index in range(self.count)]
        videos = [Video(frames, shape.fps) for frames, _ in clips]
        labels = [about["captions"]["sentence"]["text"] for _, about in clips]
        sheet = contact_sheet(videos, self.columns, pictures=8 if films else 4, labels=labels)
        Video(sheet[None], 1.0).save(self.output)
        print(f"{self.output}: {self.count} clips.")


def _clip(preset: str, seed: int, index: int, shape: VideoShape) -> tuple[np.ndarray, dict[str, Any]]:
    """The frames of a clip, and all that is known of it."""
    from lumora.world.clip import make_clip
    from lumora.world.facts import facts_to_dicts

    clip = make_clip(preset, seed, index, shape)
    captions = {length: _as_dict(caption) for length, caption in clip.captions.items()}
    about = {"captions": captions, "facts": facts_to_dicts(clip.facts), "scene": dataclasses.asdict(clip.scene)}
    return clip.frames.numpy(), about


def _film(preset: str, seed: int, index: int, shape: VideoShape) -> tuple[np.ndarray, dict[str, Any]]:
    """The frames of a film, and all that is known of it: also where it is cut, and how much of whom shows when."""
    from lumora.world.clip import make_film
    from lumora.world.facts import facts_to_dicts

    film = make_film(preset, seed, index, shape)
    begins = (0, *film.cuts)
    shots = [
        {
            "begins": begins[n],
            "captions": {length: _as_dict(script.shots[n]) for length, script in film.scripts.items()},
            "facts": facts_to_dicts(film.facts[n]),
            "scene": dataclasses.asdict(scene),
        }
        for n, scene in enumerate(film.scenes)
    ]
    captions = {length: _as_dict(script.whole) for length, script in film.scripts.items()}
    return film.frames.numpy(), {"captions": captions, "shots": shots, "visible": film.visibility().round(2).tolist()}


def _as_dict(caption: Caption) -> dict[str, Any]:
    from lumora.world.facts import facts_to_dicts

    return {"text": caption.text, "facts": facts_to_dicts(caption.facts)}


def _shape(seconds: float, size: tuple[int, int], fps: float) -> VideoShape:
    from lumora.config import VideoShape

    width, height = size
    if not (0 < seconds <= 60 and 0 < fps <= 60 and min(width, height) >= 16 and max(width, height) <= 4096):
        raise ValueError(
            "A clip of the world has up to 60 seconds and frames a second, and sides of 16 to 4,096 pixels."
        )
    return VideoShape(1 + round(seconds * fps), height, width, fps)
