"""The probe: a network, trained on rendered clips, that reads facts from the pixels of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lumora.evaluate.instruments.probe_targets import CLIP_CATEGORIES, SUBJECT_CATEGORIES, options
from lumora.precision import autocast, fast_dtype
from lumora.world.facts import Category, Fact, value_of
from lumora.world.scene import COLORS

SIDE = 128
"""Side in pixels to which every frame is resized."""
FRAMES = 17
"""Number of frames to which every clip is resampled: eight overlapping triples."""
STEPS = (FRAMES - 1) // 2
GRID = SIDE // 16
GLIMPSE_RESOLUTION = 64
"""Side in pixels to which every frame is resized for glimpses."""
GLIMPSE = 48
"""Side of a glimpse in these pixels: nearly all subjects are smaller."""


@dataclass(frozen=True)
class ProbeLogits:
    """Logits of B clips over the options of each category."""

    clip: dict[Category, Float[Tensor, "b _"]]
    present: Float[Tensor, "b colors"]
    subject: dict[Category, Float[Tensor, "b colors _"]]
    """Logits for the colors that were requested; 0 for the others."""
    where: Float[Tensor, "b steps places colors"] | None = None
    """Whether something of a color is in a cell of the grid, in each triple of frames."""


class Probe(nn.Module):
    """A small convolutional network over triples of frames, with attention that locates each color in space.

    Every triple gives a grid of tokens with position embeddings. For each color the network predicts for every token
    whether an object of that color is there (supervised with segmentations where they exist). Where a color is found,
    it takes glimpses at a higher resolution (arXiv:1406.6247); the eight positions, attended tokens and glimpses of a
    color give the categories of its object. Categories of the whole clip come from the grids as a whole, which the
    object heads see too, because the motion of the camera moves all objects.
    """

    def __init__(self, width: int = 128, subject: Sequence[Category] = SUBJECT_CATEGORIES):
        """`subject` are the categories of subjects that it predicts: an older probe may have fewer."""
        super().__init__()
        self.trunk = nn.Sequential(
            *_convolution(36, width // 4, stride=2),
            *_convolution(width // 4, width // 4),
            *_convolution(width // 4, width // 2, stride=2),
            *_convolution(width // 2, width // 2),
            *_convolution(width // 2, width, stride=2),
            *_convolution(width, width),
            *_convolution(width, width),
        )
        self.place = nn.Parameter(torch.randn(GRID * GRID, width) * 0.1)
        self.value, self.where = nn.Linear(width, width), nn.Linear(width, len(COLORS))
        self.shrink = nn.Linear(width, width // 8)
        self.whole = _perceptron(STEPS * (width // 8) * GRID * GRID // 4 + width, 2 * width, width)
        self.closely = nn.Sequential(
            *_convolution(36, width // 4),
            *_convolution(width // 4, width // 2, stride=2),
            *_convolution(width // 2, width // 2),
            *_convolution(width // 2, width, stride=2),
            nn.Flatten(),
            nn.Linear(width * (GLIMPSE // 8) ** 2, width // 2),
            nn.ReLU(),
        )
        self.find = _perceptron(STEPS * (width + 3), width, width)
        self.present = nn.Linear(width, 1)
        self.each = _perceptron(STEPS * (width + 3 + width // 2) + width, 2 * width, width)
        self.clip = nn.ModuleDict({c: nn.Linear(width, len(options(c))) for c in CLIP_CATEGORIES})
        self.subject = nn.ModuleDict({c: nn.Linear(width, len(options(c))) for c in SUBJECT_CATEGORIES if c in subject})

    @property
    def subject_categories(self) -> tuple[Category, ...]:
        """The categories of subjects that it predicts."""
        return tuple(c for c in SUBJECT_CATEGORIES if c in self.subject)

    def forward(
        self, frames: Float[Tensor, "b t h w c"], requested: Bool[Tensor, "b colors"] | None = None
    ) -> ProbeLogits:
        """Takes FRAMES frames of SIDE × SIDE pixels in [−1, 1]; computes in the device's fast precision.

        `requested` are the colors to take glimpses of; None: those that are found present.
        """
        triples = triples_of(frames)
        with autocast(frames.device):
            return self._predict(self.grid(triples) + self.place, triples, requested)

    def grid(self, triples: Float[Tensor, "b s h w c"]) -> Float[Tensor, "b s n d"]:
        """The trunk's tokens of each triple of frames, under autocast."""
        return rearrange(self.trunk(folded(triples.flatten(0, 1))), "(b s) d h w -> b s (h w) d", s=STEPS)

    def _predict(
        self,
        grid: Float[Tensor, "b s n d"],
        triples: Float[Tensor, "b s h w c"],
        requested: Bool[Tensor, "b colors"] | None,
    ) -> ProbeLogits:
        small = rearrange(self.shrink(grid), "b s (h w) d -> (b s) d h w", h=GRID)
        layout = rearrange(F.avg_pool2d(small, 2), "(b s) d h w -> b (s d h w)", s=STEPS)
        whole = self.whole(torch.cat([layout, grid.mean((1, 2))], dim=1))
        where = self.where(grid).float()
        attention = where.softmax(dim=2)  # over the cells of the grid, for each color
        values = torch.einsum("bsnc,bsnd->bcsd", attention, self.value(grid).float())
        positions = torch.einsum("bsnc,nx->bcsx", attention, _cell_positions(grid.device))
        confidence = rearrange(where.amax(dim=2), "b s c -> b c s 1")
        found = torch.cat([values, positions, confidence / 4], dim=-1)
        present = self.present(self.find(found.flatten(2)))[..., 0].float()
        chosen = requested if requested is not None else present.gt(0)
        clip, color = chosen.nonzero(as_tuple=True)
        fine = reduce(triples, "b s (h p) (w q) c -> b s h w c", "mean", h=GLIMPSE_RESOLUTION, w=GLIMPSE_RESOLUTION)
        glimpses = self._glimpses(fine, clip, positions[clip, color].detach())
        evidence = torch.cat([found[clip, color], glimpses], dim=-1).flatten(1)
        each = self.each(torch.cat([evidence, whole[clip]], dim=1))
        return ProbeLogits(
            clip={c: head(whole).float() for c, head in zip(CLIP_CATEGORIES, self.clip.values(), strict=True)},
            present=present,
            subject={
                c: each.new_zeros(*chosen.shape, len(options(c)), dtype=torch.float32).index_put(
                    (clip, color), head(each).float()
                )
                for c, head in zip(self.subject_categories, self.subject.values(), strict=True)
            },
            where=where,
        )

    def _glimpses(
        self, triples: Float[Tensor, "b s h w c"], clip: Int[Tensor, " n"], positions: Float[Tensor, "n s 2"]
    ) -> Float[Tensor, "n s d"]:
        """Features of the pixels around these positions (row and column, from −1 to 1), one for each triple of a
        clip."""
        # The position of a cell is its center: the outermost ones are half a cell away from the border.
        centers = ((positions * (1 - 1 / GRID) + 1) * GLIMPSE_RESOLUTION / 2).round().long()
        offsets = torch.arange(GLIMPSE, device=positions.device) - GLIMPSE // 2
        rows, columns = (centers[..., None] + offsets).clamp(0, GLIMPSE_RESOLUTION - 1).unbind(2)
        triple = clip[:, None] * STEPS + torch.arange(STEPS, device=positions.device)
        row_starts = (triple[..., None, None] * GLIMPSE_RESOLUTION + rows[..., None]) * GLIMPSE_RESOLUTION
        pixels = row_starts + columns[..., None, :]
        crops = triples.flatten(0, 3)[pixels.flatten(0, 1)]
        return rearrange(self.closely(folded(crops)), "(n s) d -> n s d", s=STEPS)

    @torch.inference_mode()
    def read(self, frames: Float[Tensor, "b t h w c"]) -> list[ProbeReading]:
        """Reads each clip of a prepared batch."""
        self.eval()
        logits = self(frames)
        return [ProbeReading.of(logits, i) for i in range(len(frames))]

    def read_clips(self, clips: Sequence[UInt8[Tensor, "t h w c"]], batch_size: int = 16) -> list[ProbeReading]:
        """Reads clips, which may differ in size."""
        batches = [clips[first : first + batch_size] for first in range(0, len(clips), batch_size)]
        return [reading for batch in batches for reading in self.read(prepare_all(batch))]

    def save(self, path: Path) -> None:
        save_file({n: t.to(torch.bfloat16) if t.is_floating_point() else t for n, t in self.state_dict().items()}, path)

    @classmethod
    def load(cls, path: Path, add_missing_heads: bool = False) -> Probe:
        """The probe at `path`; `add_missing_heads` adds untrained heads for the categories that it does not predict.

        Raises ValueError if there is no file at `path`.
        """
        if not path.exists():
            raise ValueError(
                f"There is no probe at {path}; train one with "
                "`python -m lumora.evaluate.instruments.probe_training train`."
            )
        weights = {n: t.float() if t.is_floating_point() else t for n, t in load_file(path).items()}
        subject: list[Category] = [
            c for c in SUBJECT_CATEGORIES if add_missing_heads or f"subject.{c}.weight" in weights
        ]
        probe = cls(weights["place"].shape[1], subject)
        probe.load_state_dict((probe.state_dict() if add_missing_heads else {}) | weights)
        return probe.eval()


@dataclass(frozen=True)
class ProbeReading:
    """What the probe has read from one clip."""

    clip: dict[Category, str]
    present: frozenset[str]
    """Colors of the objects that are present."""
    subject: dict[str, dict[Category, str]]
    """For every color the categories of its object; valid only if the color is present."""

    @classmethod
    def of(cls, logits: ProbeLogits, index: int) -> ProbeReading:
        def best(category: Category, row: Tensor) -> str:
            return options(category)[int(row.argmax())]

        return cls(
            clip={c: best(c, rows[index]) for c, rows in logits.clip.items()},
            present=frozenset(np.array(COLORS)[(logits.present[index] > 0).cpu().numpy()].tolist()),
            subject={
                color: {c: best(c, rows[index, k]) for c, rows in logits.subject.items()}
                for k, color in enumerate(COLORS)
            },
        )

    def shows(self, fact: Fact, stated: Sequence[Fact]) -> bool | None:
        """Whether the clip shows `fact`, one of those `stated` together; None if the probe cannot tell.

        A fact about a red object must be true of the red object. If no color is stated, it may be true of any object.
        """
        if fact.value not in options(fact.category):
            return None
        if fact.category in CLIP_CATEGORIES:
            return self.clip[fact.category] == fact.value
        if fact.category == "color":
            return fact.value in self.present
        if not all(fact.category in values for values in self.subject.values()):
            return None
        other = None if fact.other is None else value_of(stated, "color", fact.other)
        if other is not None and other not in self.present:
            return False
        color = value_of(stated, "color", fact.subject)
        candidates = self.present if color is None else self.present & {color}
        return any(self.subject[c][fact.category] == fact.value for c in candidates)


def prepare_all(clips: Sequence[UInt8[Tensor, "t h w c"]]) -> Float[Tensor, "b T H W c"]:
    return torch.stack([prepare(clip) for clip in clips])


def prepare(clip: UInt8[Tensor, "t h w c"]) -> Float[Tensor, "T H W c"]:
    """The input of the probe: FRAMES frames at even times, SIDE × SIDE pixels in [−1, 1]."""
    times = torch.linspace(0, clip.shape[0] - 1, FRAMES).round().long()
    return scaled(clip[times.to(clip.device)])


def scaled(frames: UInt8[Tensor, "t h w c"]) -> Float[Tensor, "t H W c"]:
    """Resized to SIDE × SIDE pixels in [−1, 1]."""
    if frames.shape[1:3] != (SIDE, SIDE):
        flat = rearrange(frames, "t h w c -> t c h w").float()
        flat = F.interpolate(flat, size=(SIDE, SIDE), mode="bilinear", antialias=True)
        frames = rearrange(flat, "t c h w -> t h w c")
    return (frames.to(fast_dtype(frames.device)) / 127.5).sub_(1)


def triples_of(frames: Float[Tensor, "b t h w c"], step: int = 2) -> Float[Tensor, "b s h w _"]:
    """The middle frame of each overlapping triple, `step` frames apart, and its differences to the other two."""
    before, middle, after = frames[:, :-2:step], frames[:, 1:-1:step], frames[:, 2::step]
    return torch.cat([middle, 2 * (middle - before), 2 * (after - middle)], dim=-1)


def _cell_positions(device: torch.device) -> Float[Tensor, "cells 2"]:
    """Row and column of each cell of the grid, from −1 to 1."""
    along = torch.linspace(-1, 1, GRID, device=device)
    return torch.cartesian_prod(along, along)


def folded(images: Float[Tensor, "n h w c"]) -> Float[Tensor, "n _ _ _"]:
    """Space to depth: 2 × 2 pixels become one of four times the channels.

    Channels come first in the shape and last in memory (channels-last), so the data is copied only once.
    """
    return rearrange(images, "n (h p) (w q) c -> n h w (p q c)", p=2, q=2).movedim(-1, 1)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, outputs), nn.ReLU())
