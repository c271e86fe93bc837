"""Draws the pictures of docs/world.md again.

python docs/sheets.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lumora.config import VideoShape
from lumora.video import Video, contact_sheet
from lumora.world.clip import make_clip
from lumora.world.physics import simulate
from lumora.world.render import render
from lumora.world.scene import CHARACTERS, COLORS, EMOTIONS, LIGHTS, PLACES, Camera, Scene, Subject

DOCS = Path(__file__).parent
SHAPE = VideoShape(17, 128, 128)
CAMERA = Camera(position=(0.0, -2.6, 1.0), target=(0.0, 0.0, 0.5))
"""Near enough for a face to fill the picture."""


def main() -> None:
    write("world-plain.png", clips("plain", 8))
    write("world-simple.png", clips("simple", 8))
    write("world-full.png", clips("full", 16))
    write("world-characters.png", characters())


def clips(preset: str, count: int) -> np.ndarray:
    """The first clips of seed 0, as they come, each with its caption."""
    made = [make_clip(preset, 0, index, SHAPE) for index in range(count)]
    videos = [Video(clip.frames.numpy(), SHAPE.fps) for clip in made]
    return contact_sheet(videos, columns=2, labels=[clip.captions["sentence"].text for clip in made])


def characters() -> np.ndarray:
    """Every character in every mood; places, lights and colours take turns."""
    scenes, labels = [], []
    for row, kind in enumerate(CHARACTERS):
        for column, emotion in enumerate(EMOTIONS):
            color = COLORS[(5 * row + 2 * column + 2) % len(COLORS)]
            subject = Subject(kind, color, "matte", "large", (0.0, 0.0, 0.5), heading=0.25, emotion=emotion)
            place, light = PLACES[(row + column) % len(PLACES)], LIGHTS[column]
            scenes.append(Scene((subject,), place, light, CAMERA, seconds=2.0))
            labels.append(f"{emotion} {kind}")
    trajectories = [simulate(scene, SHAPE.fps, 1) for scene in scenes]
    frames = render(scenes, trajectories, SHAPE.height, SHAPE.width).frames.numpy()
    videos = [Video(picture, SHAPE.fps) for picture in frames]
    return contact_sheet(videos, columns=len(EMOTIONS), pictures=1, labels=labels)


def write(name: str, sheet: np.ndarray) -> None:
    """With colours in steps of four: nobody sees it, and the file shrinks by a third."""
    coarse = ((sheet.astype(np.int32) + 2) // 4 * 4).clip(0, 255).astype(np.uint8)
    Image.fromarray(coarse).save(DOCS / name, optimize=True)
    print(f"{name}: {(DOCS / name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
