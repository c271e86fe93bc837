"""Clips of the simulated world with the facts that are true of them, for the training and the check of instruments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int8, UInt8
from torch import Tensor

from lumora.config import VideoShape
from lumora.world.clip import make_scene
from lumora.world.facts import Fact, facts_from_dicts, facts_of, mirror_fact
from lumora.world.render import render


class LabeledClip(NamedTuple):
    """One clip with its facts and its segmentation."""

    pixels: UInt8[Tensor, "t h w c"]
    facts: tuple[Fact, ...]
    subject: Int8[Tensor, "t h w"] | None = None
    """Number of the subject that each pixel shows, −1 for the background; None if unknown."""

    def mirrored(self) -> LabeledClip:
        """Left and right exchanged, in pixels and facts."""
        subject = None if self.subject is None else self.subject.flip(2)
        return LabeledClip(self.pixels.flip(2), tuple(mirror_fact(fact) for fact in self.facts), subject)


def rendered_clips(
    preset: str, seed: int, indices: Sequence[int], shape: VideoShape, batch_size: int = 8
) -> Iterator[LabeledClip]:
    """Clips of the world, rendered as they are needed."""
    for first in range(0, len(indices), batch_size):
        scenes = [make_scene(preset, seed, i, shape) for i in indices[first : first + batch_size]]
        rendering = render([s for s, _ in scenes], [t for _, t in scenes], shape.height, shape.width)
        for pixels, subject, (scene, trajectory) in zip(rendering.frames, rendering.subject, scenes, strict=True):
            yield LabeledClip(pixels, facts_of(scene, trajectory), subject)


class ShardedClips:
    """Clips of a folder of shards: `frames-*.npy` uint8 (N, T, H, W, 3) with `clips-*.jsonl`, the facts of each clip.

    Raises ValueError if the folder has no shards.
    """

    def __init__(self, folder: Path):
        names = sorted(folder.glob("clips-*.jsonl"))
        if not names:
            raise ValueError(f"There are no clips in {folder}; make some with `lumora world render`.")
        self._frames: list[np.ndarray] = []
        self._subjects: list[np.ndarray | None] = []
        self._facts: list[tuple[int, int, tuple[Fact, ...]]] = []
        for shard, name in enumerate(names):
            frames, subjects = (
                name.with_name(name.name.replace("clips", kind)).with_suffix(".npy") for kind in ("frames", "subjects")
            )
            self._frames.append(np.load(frames, mmap_mode="r"))
            self._subjects.append(np.load(subjects, mmap_mode="r") if subjects.exists() else None)
            rows = [json.loads(line) for line in name.read_text().splitlines()]
            self._facts += [(shard, i, facts_from_dicts(row["facts"])) for i, row in enumerate(rows)]

    def __len__(self) -> int:
        return len(self._facts)

    def __getitem__(self, index: int) -> LabeledClip:
        shard, row, facts = self._facts[index]
        subjects = self._subjects[shard]
        subject = None if subjects is None else torch.from_numpy(subjects[row].astype(np.int8) - 1)
        return LabeledClip(torch.from_numpy(np.array(self._frames[shard][row])), facts, subject)

    def shuffled(self, epochs: int, generator: torch.Generator) -> Iterator[LabeledClip]:
        for _ in range(epochs):
            for index in torch.randperm(len(self), generator=generator).tolist():
                yield self[index]
