"""`lumora world`: clips of the simulated world."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lumora.cli.flags import Output, Preset, WorldSize

if TYPE_CHECKING:
    from lumora.config import VideoShape


@dataclass(frozen=True)
class WorldSample:
    """Write one clip of the world, with its captions, facts and scene as .json beside it."""

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
        from lumora.files import written_whole
        from lumora.video import Video, check_destination

        check_destination(self.output)
        shape = _shape(self.seconds, self.size, self.fps)
        from lumora.world.clip import make_clip
        from lumora.world.facts import facts_to_dicts

        clip = make_clip(self.preset, self.seed, self.index, shape)
        about = {
            "captions": {
                length: {"text": caption.text, "facts": facts_to_dicts(caption.facts)}
                for length, caption in clip.captions.items()
            },
            "facts": facts_to_dicts(clip.facts),
            "scene": dataclasses.asdict(clip.scene),
        }
        description = self.output.with_suffix(".json")
        Video(clip.frames.numpy(), shape.fps).save(self.output)
        with written_whole(description) as part:
            part.write_text(json.dumps(about, indent=2) + "\n")
        print(f"{self.output}, {description}: {clip.captions['sentence'].text}")


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
        from lumora.video import Video, check_destination, contact_sheet

        check_destination(self.output)
        shape = _shape(2.0, self.size, 8.0)
        from lumora.world.clip import make_clip

        clips = [make_clip(self.preset, self.seed, index, shape) for index in range(self.count)]
        videos = [Video(clip.frames.numpy(), shape.fps) for clip in clips]
        sheet = contact_sheet(videos, self.columns, labels=[clip.captions["sentence"].text for clip in clips])
        Video(sheet[None], 1.0).save(self.output)
        print(f"{self.output}: {self.count} clips.")


def _shape(seconds: float, size: tuple[int, int], fps: float) -> VideoShape:
    from lumora.config import VideoShape

    width, height = size
    if not (0 < seconds <= 60 and 0 < fps <= 60 and min(width, height) >= 16 and max(width, height) <= 4096):
        raise ValueError(
            "A clip of the world has up to 60 seconds and frames a second, and sides of 16 to 4,096 pixels."
        )
    return VideoShape(1 + round(seconds * fps), height, width, fps)
