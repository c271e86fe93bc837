"""Learning to read emotions from renders, and what that reading is worth on others.

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
from jaxtyping import UInt8

from lumora.backends.lumora.weights import DEFAULT_FOLDER
from lumora.config import VideoShape
from lumora.evaluate.instruments.color_tracker import SEEN, UNSURE, ColorTables, tracked
from lumora.evaluate.instruments.emotions import Faces, Heads, heads_of
from lumora.evaluate.instruments.probe_training import Clip, ShardedClips, rendered_clips
from lumora.evaluate.metrics.proportions import Proportion
from lumora.evaluate.suites.corruptions import degraded
from lumora.evaluate.suites.held_out import HELD_OUT_SEED
from lumora.world.facts import Fact, value_of
from lumora.world.sample import sample_scene

EVERY = 3
"""Of so many frames one is learnt from: the others are much like it."""
HEIGHTS = (8, 12, 16, 24, 32, 48)
"""Pixels of somebody's height at which the check begins a new row."""


def people(facts: Sequence[Fact]) -> list[tuple[str, str, str]]:
    """Colour, kind and emotion of everybody with a face and a colour that the tables are sure of."""
    felt = [f for f in facts if f.category == "emotion"]
    told = [(value_of(facts, "color", f.subject), value_of(facts, "kind", f.subject), f.value) for f in felt]
    return [(color, kind, felt) for color, kind, felt in told if color and kind and color not in UNSURE]


def examples(tables: ColorTables, clips: Iterable[Clip]) -> Iterator[tuple[str, str, Heads]]:
    """Kind, emotion and heads of everybody whom the tables find."""
    for clip in clips:
        cast = people(clip.facts)
        frames = clip.pixels[::EVERY].numpy()
        tracks = tracked(tables, frames)[2] if cast else {}
        for color, kind, felt in cast:
            heads = heads_of(frames, tracks[color])
            if len(heads):
                yield kind, felt, heads


def accuracy(faces: Faces, tables: ColorTables, clips: Sequence[Clip]) -> dict[str, dict[str, Proportion]]:
    """How many emotions are read right, in renders and in the same made worse: of all, of each emotion, of each kind,
    and by the height in pixels at which somebody is seen. Whom the tables don't find counts as read wrong."""
    columns: dict[str, dict[str, Proportion]] = {}
    real = [clip.pixels.numpy() for clip in clips]
    for name, some in {"renders": real, **degraded(real)}.items():
        read: dict[str, list[bool]] = defaultdict(list)
        for frames, clip in zip(some, clips, strict=True):
            tracks = tracked(tables, frames)[2]
            for color, kind, felt in people(clip.facts):
                track = tracks[color]
                right = track.seen >= SEEN and faces.read(frames, track).get(kind) == felt
                for row in ("all", felt, kind, _height(track.boxes, frames)):
                    read[row].append(right)
        columns[name] = {row: Proportion(sum(found), len(found)) for row, found in read.items()}
    return columns


def _height(boxes: np.ndarray, frames: UInt8[np.ndarray, "t h w 3"]) -> str:
    if np.isnan(boxes).all():
        return "not found"
    pixels = float(np.nanmedian(boxes[:, 3] - boxes[:, 1])) * frames.shape[1]
    return f"from {max((h for h in HEIGHTS if h <= pixels), default=0):2} pixels"


def _train_command(shards: Path, out: Path) -> None:
    """Learn from the clips in the folder `shards`, and write what is learnt to `out`."""
    tables, source = ColorTables.load(DEFAULT_FOLDER / "tables.npz"), ShardedClips(shards)
    Faces.fit(examples(tables, (source[i] for i in range(len(source))))).save(out)


def _check_command(faces: Path, preset: str = "full", clips: int = 300, size: int = 64, frames: int = 17) -> None:
    """How many emotions are read right in so many held-out clips with somebody in them, and in the same made worse.

    A clip has two seconds, so many frames, and so many pixels of a side.
    """
    shape = VideoShape(frames, size, size, (frames - 1) / 2)
    scenes = ((i, sample_scene(preset, HELD_OUT_SEED, i).subjects) for i in itertools.count())
    met = (index for index, cast in scenes if any(one.emotion and one.color not in UNSURE for one in cast))
    held_out = list(rendered_clips(preset, HELD_OUT_SEED, list(itertools.islice(met, clips)), shape))
    columns = accuracy(Faces.load(faces), ColorTables.load(DEFAULT_FOLDER / "tables.npz"), held_out)
    print(" " * 16 + "".join(f"{name:>24}" for name in columns))
    for row in sorted({row for shares in columns.values() for row in shares}):
        print(f"{row:16}" + "".join(f"{_written(shares.get(row)):>24}" for shares in columns.values()))


def _written(share: Proportion | None) -> str:
    if share is None:
        return "–"
    low, high = share.interval()
    return f"{share.value:.0%} [{low:.0%}, {high:.0%}] of {share.stated}"


def main() -> None:
    import tyro

    try:
        tyro.extras.subcommand_cli_from_dict({"train": _train_command, "check": _check_command})
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
