"""Draws the picture of docs/tasks.md again: a strip for each task, of the first held-out clip with a moving thing.

python docs/tasks.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lumora import Given, Pipeline, Request, Shot, Video
from lumora.config import VideoShape
from lumora.evaluate.starts import held_out_starts
from lumora.video import contact_sheet

DOCS = Path(__file__).parent
RED = np.array([255, 0, 0], np.uint8)
"""The colour of the line under frames that were given."""


def main() -> None:
    pipeline = Pipeline.load()
    shape = pipeline.config.shape
    start = held_out_starts("plain", 1, VideoShape(25, shape.height, shape.width, shape.fps))[0]
    made = [(label, shown(pipeline, request)) for label, request in tasks(start.prompt, start.frames, shape.fps)]
    videos = [Video(start.frames, shape.fps), *(video for _, video in made)]
    sheet = contact_sheet(
        videos, columns=2, pictures=9, labels=[start.prompt, *(label for label, _ in made)], height=64
    )
    Image.fromarray(sheet).save(DOCS / "tasks.png", optimize=True)
    print(f"tasks.png: {(DOCS / 'tasks.png').stat().st_size / 1000:.0f} kB")


def tasks(prompt: str, real: np.ndarray, fps: float) -> list[tuple[str, Request]]:
    """All tasks, of one clip of 25 frames."""

    def cut(start: int, stop: int, every: int = 1) -> Video:
        return Video(real[start:stop:every], fps / every)

    half, seconds = Given(cut(0, 13)), 25 / fps
    pictures = Given(cut(0, 1)), Given(cut(12, 13), 12 / fps), Given(cut(24, 25), "end")
    other = "A red ball rolls in the desert at noon."
    return [
        ("text alone", Request(prompt, seconds)),
        ("image", Request(prompt, seconds, given=pictures[:1])),
        ("image and last image", Request(prompt, seconds, given=pictures[::2])),
        ("image, keyframe and last image", Request(prompt, seconds, given=pictures)),
        ("extend", Request(prompt, seconds, given=(half,))),
        ("extend backward", Request(prompt, seconds, given=(Given(cut(12, 25), "end"),))),
        ("infill", Request(prompt, seconds, given=(Given(cut(0, 9)), Given(cut(17, 25), 17 / fps)))),
        ("frame rate doubled", Request(prompt, seconds, given=(Given(cut(0, 25, every=2)),))),
        ("connect", Request(prompt, seconds, given=(Given(cut(0, 9)), Given(cut(16, 25), "end")))),
        ("loop", Request(prompt, seconds, given=(half,), loop=True)),
        (f"edit, strength .7: {other}", Request(other, seconds, given=(Given(cut(0, 25), strength=0.7),))),
        (f"storyboard, then: {other}", Request(prompt, 1.5, then=(Shot(other, 1.5),))),
    ]


def shown(pipeline: Pipeline, request: Request) -> Video:
    """The video, with a line under the frames that were given."""
    frames = pipeline.generate(request).frames
    for take in request.takes(pipeline.config):
        given = [take.begins + frame for frame in take.kept() if frame < take.shown]
        frames[given, -2:] = RED
    return Video(frames, request.fps)


if __name__ == "__main__":
    main()
