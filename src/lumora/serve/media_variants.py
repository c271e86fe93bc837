"""Thumbnail and sprite sheet of a published video: made of the published file and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lumora.atomic_io import atomic_write
from lumora.media.video import Video

THUMBNAIL, SPRITESHEET = "thumbnail.webp", "spritesheet.jpg"
THUMBNAIL_SIDE, SPRITE_SIDE, COLUMNS, MAX_SPRITES = 512, 160, 5, 25


def write_variants(file: Path, folder: Path) -> None:
    """Writes both into `folder`."""
    video = Video.load(file)
    thumbnail = _shrunk(video.frames[len(video.frames) // 2], THUMBNAIL_SIDE)
    with atomic_write(folder / THUMBNAIL) as part:
        thumbnail.save(part, format="WEBP", quality=85)
    with atomic_write(folder / SPRITESHEET) as part:
        _spritesheet(video).save(part, format="JPEG", quality=85)


def _spritesheet(video: Video) -> Image.Image:
    """Frames at equal distances, row by row."""
    count = min(MAX_SPRITES, len(video.frames))
    numbers = np.linspace(0, len(video.frames) - 1, count).round().astype(int)
    sprites = [_shrunk(video.frames[number], SPRITE_SIDE) for number in numbers]
    width, height = sprites[0].size
    rows = -(-count // COLUMNS)
    sheet = Image.new("RGB", (width * min(COLUMNS, count), height * rows))
    for number, sprite in enumerate(sprites):
        sheet.paste(sprite, (width * (number % COLUMNS), height * (number // COLUMNS)))
    return sheet


def _shrunk(frame: np.ndarray, side: int) -> Image.Image:
    image = Image.fromarray(frame)
    image.thumbnail((side, side))
    return image
