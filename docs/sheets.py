"""Renders the images of docs/world.md.

Run `python docs/sheets.py` in the root of the repository.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from lumora.config import VideoShape
from lumora.media.contact_sheet import contact_sheet
from lumora.media.video import Video
from lumora.world.clip import make_clip, make_film
from lumora.world.physics import simulate
from lumora.world.render import render
from lumora.world.sample import sample_scene
from lumora.world.scene import CHARACTERS, COLORS, EMOTIONS, LIGHTS, PLACES, STYLES, Camera, Scene, Subject

DOCS = Path(__file__).parent
SHAPE = VideoShape(17, 128, 128)
FILM = VideoShape(33, 128, 128)
CAMERA = Camera(position=(0.0, -2.6, 1.0), target=(0.0, 0.0, 0.5))
"""Close enough that a face fills the image."""


def main() -> None:
    write("world-stage.png", clips("stage", 8))
    write("world-plain.png", clips("plain", 8))
    write("world-simple.png", clips("simple", 8))
    write("world-full.png", clips("full", 16))
    write("world-characters.png", characters())
    write("world-films.png", films(8))
    write("world-styles.png", styles())


def clips(preset: str, count: int) -> np.ndarray:
    """The first clips of seed 0 with their captions."""
    world_clips = [make_clip(preset, 0, index, SHAPE) for index in range(count)]
    videos = [Video(clip.frames.numpy(), SHAPE.fps) for clip in world_clips]
    return contact_sheet(videos, columns=2, labels=[clip.captions["sentence"].text for clip in world_clips])


def films(count: int) -> np.ndarray:
    """The first films of seed 0 with their captions."""
    world_films = [make_film("film", 0, index, FILM) for index in range(count)]
    videos = [Video(film.frames.numpy(), FILM.fps) for film in world_films]
    labels = [film.scripts["sentence"].whole.text for film in world_films]
    return contact_sheet(videos, columns=1, pictures=11, labels=labels, height=80)


def styles() -> np.ndarray:
    """One frame of three scenes in every style."""
    scenes = [replace(sample_scene("full", 0, index), style=style) for index in (1, 3, 8) for style in STYLES]
    trajectories = [simulate(scene, SHAPE.fps, 6) for scene in scenes]
    frames = render(scenes, trajectories, SHAPE.height, SHAPE.width).frames[:, -1:].numpy()
    videos = [Video(picture, SHAPE.fps) for picture in frames]
    return contact_sheet(videos, columns=len(STYLES), pictures=1, labels=[scene.style for scene in scenes])


def characters() -> np.ndarray:
    """Every character with every emotion, in alternating places, lights and colors."""
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
    """Writes a PNG file with colors rounded to multiples of 4, which is invisible and saves a third of the size."""
    coarse = ((sheet.astype(np.int32) + 2) // 4 * 4).clip(0, 255).astype(np.uint8)
    Image.fromarray(coarse).save(DOCS / name, optimize=True)
    print(f"{name}: {(DOCS / name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
