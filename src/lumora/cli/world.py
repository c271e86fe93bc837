"""`lumora world`: clips of the simulated world."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lumora.cli.flags import Output, OutputVerb, Preset, WorldSize
from lumora.config import Resolution
from lumora.terminal import say

if TYPE_CHECKING:
    import numpy as np

    from lumora.config import VideoShape
    from lumora.world.caption import Caption


@dataclass(frozen=True)
class WorldSample(OutputVerb):
    """Write one clip of the world, and a .json file beside it with its captions, facts and scene."""

    output: Output
    """The video file: .mp4, .gif, .webp or .png."""
    preset: Preset = "simple"
    """Preset of the world; `film` and `plain-film` have several shots per clip."""
    seed: int = 0
    """Seed of the world."""
    index: int = 0
    """Number of the clip within its seed."""
    seconds: float = 2.0
    """Length of the clip."""
    size: WorldSize = Resolution(128, 128)
    """Width and height in pixels."""
    fps: float = 8.0
    """Frames per second."""

    def run(self) -> None:
        from lumora.atomic_io import atomic_write
        from lumora.media.encode import checked_suffix
        from lumora.media.video import Video

        checked_suffix(self.output)
        json_file = self.output.with_suffix(".json")
        for file in (self.output, json_file):
            self.check_output(file)
        shape = _video_shape(self.seconds, self.size, self.fps)
        from lumora.world.clip import has_films

        make = _multi_shot_clip if has_films(self.preset) else _single_shot_clip
        frames, description = make(self.preset, self.seed, self.index, shape)
        Video(frames, shape.fps).save(self.output)
        with atomic_write(json_file) as part:
            part.write_text(json.dumps(description, indent=2) + "\n")
        say(f"{self.output}, {json_file}: {description['captions']['sentence']['text']}")


@dataclass(frozen=True)
class WorldContactSheet(OutputVerb):
    """Write one image of many clips, each with its caption."""

    output: Output
    """The image file: .png."""
    preset: Preset = "full"
    """Preset of the world."""
    seed: int = 0
    """Seed of the world."""
    num_clips: int = 16
    """Clips 0 … num_clips − 1 of the seed."""
    columns: int = 2
    """Clips side by side."""
    size: WorldSize = Resolution(128, 128)
    """Width and height of a clip in pixels."""

    def run(self) -> None:
        from lumora.media.contact_sheet import contact_sheet
        from lumora.media.encode import checked_suffix
        from lumora.media.video import Video

        checked_suffix(self.output)
        self.check_output(self.output)
        from lumora.world.clip import has_films

        multi_shot = has_films(self.preset)
        shape = _video_shape(4.0 if multi_shot else 2.0, self.size, 8.0)
        make = _multi_shot_clip if multi_shot else _single_shot_clip
        clips = [make(self.preset, self.seed, index, shape) for index in range(self.num_clips)]
        videos = [Video(frames, shape.fps) for frames, _ in clips]
        labels = [description["captions"]["sentence"]["text"] for _, description in clips]
        sheet = contact_sheet(videos, self.columns, pictures=8 if multi_shot else 4, labels=labels)
        Video(sheet[None], 1.0).save(self.output)
        say(f"{self.output}: {self.num_clips} clips.")


def _single_shot_clip(preset: str, seed: int, index: int, shape: VideoShape) -> tuple[np.ndarray, dict[str, Any]]:
    """The frames of a clip, and its captions, facts and scene."""
    from lumora.world.clip import make_clip
    from lumora.world.facts import facts_to_dicts

    clip = make_clip(preset, seed, index, shape)
    captions = {length: _caption_to_dict(caption) for length, caption in clip.captions.items()}
    scene = dataclasses.asdict(clip.scene)
    return clip.frames.numpy(), {"captions": captions, "facts": facts_to_dicts(clip.facts), "scene": scene}


def _multi_shot_clip(preset: str, seed: int, index: int, shape: VideoShape) -> tuple[np.ndarray, dict[str, Any]]:
    """The frames of a clip; its captions, and for each shot its first frame, captions, facts and scene; and
    `visible`, the share of each subject that is visible in each frame."""
    from lumora.world.clip import make_film
    from lumora.world.facts import facts_to_dicts

    film = make_film(preset, seed, index, shape)
    first_frames = (0, *film.cuts)
    shots = [
        {
            "first_frame": first_frames[n],
            "captions": {length: _caption_to_dict(script.shots[n]) for length, script in film.scripts.items()},
            "facts": facts_to_dicts(film.facts[n]),
            "scene": dataclasses.asdict(scene),
        }
        for n, scene in enumerate(film.scenes)
    ]
    captions = {length: _caption_to_dict(script.whole) for length, script in film.scripts.items()}
    return film.frames.numpy(), {"captions": captions, "shots": shots, "visible": film.visibility().round(2).tolist()}


def _caption_to_dict(caption: Caption) -> dict[str, Any]:
    from lumora.world.facts import facts_to_dicts

    return {"text": caption.text, "facts": facts_to_dicts(caption.facts)}


def _video_shape(seconds: float, size: Resolution, fps: float) -> VideoShape:
    from lumora.config import VideoShape

    width, height = size.width, size.height
    if not (0 < seconds <= 60 and 0 < fps <= 60 and min(width, height) >= 16 and max(width, height) <= 4096):
        raise ValueError("A clip of the world has up to 60 seconds, up to 60 fps and sides of 16 to 4,096 pixels.")
    return VideoShape(1 + round(seconds * fps), height, width, fps)
