"""Trains the emotion reader on rendered clips and checks it on held-out ones.

python -m lumora.evaluate.instruments.emotion_training train --shards data/full/frames --out faces.npz
python -m lumora.evaluate.instruments.emotion_training check --faces faces.npz --clips 300
"""

from __future__ import annotations

import itertools
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from lumora.backends.lumora.weights import DEFAULT_FOLDER
from lumora.config import VideoShape
from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.color_tables import ColorTables
from lumora.evaluate.instruments.color_tracker import MIN_FOUND_SHARE, UNRELIABLE_COLORS, track_colors
from lumora.evaluate.instruments.emotions import Crops, EmotionReader, crop_character
from lumora.evaluate.instruments.labeled_clips import LabeledClip, ShardedClips, rendered_clips
from lumora.evaluate.metrics.proportions import Proportion
from lumora.evaluate.suites.corruptions import corrupted
from lumora.evaluate.suites.held_out import HELD_OUT_SEED
from lumora.terminal import say, warn
from lumora.world.facts import Fact, value_of
from lumora.world.sample import sample_scene

EVERY = 3
"""Stride between the frames that are used: neighbors are nearly the same."""
HEIGHTS = (8, 12, 16, 24, 32, 48)
"""Heights of a character in pixels at which the check begins a new row."""


def characters(facts: Sequence[Fact]) -> list[tuple[str, str, str]]:
    """Color, kind and emotion of each character with a face and a reliable color."""
    emotions = [f for f in facts if f.category == "emotion"]
    cast = [(value_of(facts, "color", f.subject), value_of(facts, "kind", f.subject), f.value) for f in emotions]
    return [
        (color, kind, emotion) for color, kind, emotion in cast if color and kind and color not in UNRELIABLE_COLORS
    ]


def examples(tables: ColorTables, clips: Iterable[LabeledClip]) -> Iterator[tuple[str, str, Crops]]:
    """Kind, emotion and crops of each character that the color tracker finds."""
    for clip in clips:
        cast = characters(clip.facts)
        frames = clip.pixels[::EVERY].numpy()
        tracks = track_colors(tables, frames).tracks if cast else {}
        for color, kind, emotion in cast:
            crops = crop_character(frames, tracks[color])
            if len(crops):
                yield kind, emotion, crops


def emotion_accuracy(
    reader: EmotionReader, tables: ColorTables, clips: Sequence[LabeledClip]
) -> dict[str, dict[str, Proportion]]:
    """How many emotions are read correctly, in renders and in corrupted ones: in total, by emotion, by kind of
    character, and by the character's height in pixels. A character that the tracker does not find counts as wrong."""
    columns: dict[str, dict[str, Proportion]] = {}
    real = [clip.pixels.numpy() for clip in clips]
    for name, videos in {"renders": real, **corrupted(real)}.items():
        rows: dict[str, list[bool]] = defaultdict(list)
        for frames, clip in zip(videos, clips, strict=True):
            tracks = track_colors(tables, frames).tracks
            for color, kind, emotion in characters(clip.facts):
                track = tracks[color]
                correct = track.found_share >= MIN_FOUND_SHARE and reader.read(frames, track).get(kind) == emotion
                for row in ("all", emotion, kind, _height(track.boxes, frames)):
                    rows[row].append(correct)
        columns[name] = {row: Proportion(sum(answers), len(answers)) for row, answers in rows.items()}
    return columns


def _height(boxes: np.ndarray, frames: Frames) -> str:
    if np.isnan(boxes).all():
        return "not found"
    pixels = float(np.nanmedian(boxes[:, 3] - boxes[:, 1])) * frames.shape[1]
    return f"from {max((h for h in HEIGHTS if h <= pixels), default=0):2} pixels"


def _train_command(shards: Path, out: Path) -> None:
    """Train on the clips in the folder `shards` and write the result to `out`."""
    tables, source = ColorTables.load(DEFAULT_FOLDER / "tables.npz"), ShardedClips(shards)
    EmotionReader.fit(examples(tables, (source[i] for i in range(len(source))))).save(out)


def _check_command(faces: Path, preset: str = "full", clips: int = 300, size: int = 64, frames: int = 17) -> None:
    """Count how many emotions are read correctly in held-out clips with a character, and in corrupted ones.

    A clip has two seconds, `frames` frames of `size` × `size` pixels.
    """
    shape = VideoShape(frames, size, size, (frames - 1) / 2)
    scenes = ((i, sample_scene(preset, HELD_OUT_SEED, i).subjects) for i in itertools.count())
    indices = (
        index for index, cast in scenes if any(one.emotion and one.color not in UNRELIABLE_COLORS for one in cast)
    )
    held_out = list(rendered_clips(preset, HELD_OUT_SEED, list(itertools.islice(indices, clips)), shape))
    columns = emotion_accuracy(EmotionReader.load(faces), ColorTables.load(DEFAULT_FOLDER / "tables.npz"), held_out)
    say(" " * 16 + "".join(f"{name:>24}" for name in columns))
    for row in sorted({row for rows in columns.values() for row in rows}):
        say(f"{row:16}" + "".join(f"{_format(rows.get(row)):>24}" for rows in columns.values()))


def _format(proportion: Proportion | None) -> str:
    if proportion is None:
        return "–"
    low, high = proportion.interval()
    return f"{proportion.value:.0%} [{low:.0%}, {high:.0%}] of {proportion.count}"


def main() -> None:
    import tyro

    try:
        tyro.extras.subcommand_cli_from_dict({"train": _train_command, "check": _check_command})
    except ValueError as error:
        warn(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
