"""The probe: reads facts from the pixels of a clip. It measures a model's videos, so it must know the real ones well.

python -m lumora.evaluate.instruments.probe train --shards data/simple --out probe.safetensors
python -m lumora.evaluate.instruments.probe check --probe probe.safetensors --preset simple --clips 500
"""

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

from lumora.evaluate.instruments.probe_targets import CLIP, SUBJECT, options
from lumora.precision import autocast, fast_dtype
from lumora.world.facts import Category, Fact, value_of
from lumora.world.scene import COLORS

SIDE = 128
"""Pixels to which every frame is resized."""
FRAMES = 17
"""Frames to which every clip is resampled: eight overlapping triples."""
STEPS = (FRAMES - 1) // 2
GRID = SIDE // 16
CLOSE = 64
"""Pixels to which every frame is resized for the closer look."""
GLIMPSE = 48
"""Side, in pixels of those, of what is looked at closely: nearly all subjects are smaller."""


@dataclass(frozen=True)
class Logits:
    """What the probe thinks of B clips, as logits over the options of each category."""

    clip: dict[Category, Float[Tensor, "b _"]]
    present: Float[Tensor, "b colors"]
    subject: dict[Category, Float[Tensor, "b colors _"]]
    """Of the colours that were asked for; 0 of the others."""
    where: Float[Tensor, "b steps places colors"] | None = None
    """Whether something of a colour is at a place of the grid, in each triple of frames."""


class Probe(nn.Module):
    """A small convolutional network over triples of frames, and for each colour a look-out that finds it in space.

    Every triple gives a grid of tokens that carry their position. For each colour the network says of every token if
    something of that colour is there (taught where that is known, for this is how finding is learnt). Where a colour
    was found, it looks again, closely (a glimpse, arXiv:1406.6247): the eight places, tokens and glimpses tell where
    the thing was and what it looked like, and a small network over these answers. What concerns the whole clip is
    read from the grids as a whole; it is known to the other answers too, because a camera that moves moves all things.
    """

    def __init__(self, width: int = 128, subject: Sequence[Category] = SUBJECT):
        """`subject` are the categories that it tells of subjects: an older probe may know fewer."""
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
        self.each = _perceptron(STEPS * (width + 3 + width // 2) + width, 4 * width, width)
        self.clip = nn.ModuleDict({c: nn.Linear(width, len(options(c))) for c in CLIP})
        self.subject = nn.ModuleDict({c: nn.Linear(width, len(options(c))) for c in SUBJECT if c in subject})

    @property
    def tells(self) -> tuple[Category, ...]:
        """The categories that it tells of subjects."""
        return tuple(c for c in SUBJECT if c in self.subject)

    def forward(self, frames: Float[Tensor, "b t h w c"], asked: Bool[Tensor, "b colors"] | None = None) -> Logits:
        """Frames in [−1, 1], FRAMES of them, SIDE × SIDE. Computes in what the device does fastest.

        `asked` are the colours to look at closely; None: those that it finds present.
        """
        triples = triples_of(frames)
        with autocast(frames.device):
            return self._answer(self.grid(triples) + self.place, triples, asked)

    def grid(self, triples: Float[Tensor, "b s h w c"]) -> Float[Tensor, "b s n d"]:
        """The trunk's tokens of each triple of frames, under autocast."""
        return rearrange(self.trunk(folded(triples.flatten(0, 1))), "(b s) d h w -> b s (h w) d", s=STEPS)

    def _answer(
        self,
        grid: Float[Tensor, "b s n d"],
        triples: Float[Tensor, "b s h w c"],
        asked: Bool[Tensor, "b colors"] | None,
    ) -> Logits:
        small = rearrange(self.shrink(grid), "b s (h w) d -> (b s) d h w", h=GRID)
        layout = rearrange(F.avg_pool2d(small, 2), "(b s) d h w -> b (s d h w)", s=STEPS)
        whole = self.whole(torch.cat([layout, grid.mean((1, 2))], dim=1))
        where = self.where(grid).float()
        looks = where.softmax(dim=2)  # of all places, mostly at that of the colour
        seen = torch.einsum("bsnc,bsnd->bcsd", looks, self.value(grid).float())
        spots = torch.einsum("bsnc,nx->bcsx", looks, _places(grid.device))
        sure = rearrange(where.amax(dim=2), "b s c -> b c s 1")
        found = torch.cat([seen, spots, sure / 4], dim=-1)
        present = self.present(self.find(found.flatten(2)))[..., 0].float()
        chosen = asked if asked is not None else present.gt(0)
        clip, color = chosen.nonzero(as_tuple=True)
        fine = reduce(triples, "b s (h p) (w q) c -> b s h w c", "mean", h=CLOSE, w=CLOSE)
        glimpses = self._glimpses(fine, clip, spots[clip, color].detach())
        about = torch.cat([found[clip, color], glimpses], dim=-1).flatten(1)
        each = self.each(torch.cat([about, whole[clip]], dim=1))
        return Logits(
            clip={c: head(whole).float() for c, head in zip(CLIP, self.clip.values(), strict=True)},
            present=present,
            subject={
                c: each.new_zeros(*chosen.shape, len(options(c)), dtype=torch.float32).index_put(
                    (clip, color), head(each).float()
                )
                for c, head in zip(self.tells, self.subject.values(), strict=True)
            },
            where=where,
        )

    def _glimpses(
        self, triples: Float[Tensor, "b s h w c"], clip: Int[Tensor, " n"], spots: Float[Tensor, "n s 2"]
    ) -> Float[Tensor, "n s d"]:
        """What is around these places (row and column, from −1 to 1), each of its own triple of a clip."""
        # A place of the grid is its middle: the outermost ones are half a place away from the border.
        middles = ((spots * (1 - 1 / GRID) + 1) * CLOSE / 2).round().long()
        around = torch.arange(GLIMPSE, device=spots.device) - GLIMPSE // 2
        rows, columns = (middles[..., None] + around).clamp(0, CLOSE - 1).unbind(2)
        triple = clip[:, None] * STEPS + torch.arange(STEPS, device=spots.device)
        pixels = (triple[..., None, None] * CLOSE + rows[..., None]) * CLOSE + columns[..., None, :]
        seen = triples.flatten(0, 3)[pixels.flatten(0, 1)]
        return rearrange(self.closely(folded(seen)), "(n s) d -> n s d", s=STEPS)

    @torch.inference_mode()
    def read(self, frames: Float[Tensor, "b t h w c"]) -> list[Reading]:
        """What each clip of a prepared batch shows."""
        self.eval()
        logits = self(frames)
        return [Reading.of(logits, i) for i in range(len(frames))]

    def read_all(self, videos: Sequence[UInt8[Tensor, "t h w c"]], batch: int = 16) -> list[Reading]:
        """What each of the clips shows; they may differ in size."""
        groups = [videos[first : first + batch] for first in range(0, len(videos), batch)]
        return [reading for group in groups for reading in self.read(prepare_all(group))]

    def save(self, path: Path) -> None:
        save_file({n: t.to(torch.bfloat16) if t.is_floating_point() else t for n, t in self.state_dict().items()}, path)

    @classmethod
    def load(cls, path: Path, to_learn: bool = False) -> Probe:
        """One that tells what it has learnt, or, where it is `to_learn`, has new heads for all else that can be asked.

        Raises ValueError where there is no probe at `path`.
        """
        if not path.exists():
            raise ValueError(
                f"There is no probe at {path}; train one with `python -m lumora.evaluate.instruments.probe train`."
            )
        weights = {n: t.float() if t.is_floating_point() else t for n, t in load_file(path).items()}
        told: list[Category] = [c for c in SUBJECT if to_learn or f"subject.{c}.weight" in weights]
        probe = cls(weights["place"].shape[1], told)
        probe.load_state_dict((probe.state_dict() if to_learn else {}) | weights)
        return probe.eval()


@dataclass(frozen=True)
class Reading:
    """What a probe has read from one clip."""

    clip: dict[Category, str]
    present: frozenset[str]
    """Colours of which something is there."""
    subject: dict[str, dict[Category, str]]
    """For every colour what the thing of that colour would be; it counts where the colour is present."""

    @classmethod
    def of(cls, logits: Logits, index: int) -> Reading:
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
        """Whether the clip shows `fact`, one of those `stated` together; None where a probe can't tell.

        What is said of a red thing has to be true of the red thing, if there is one. Where no colour is stated,
        any subject will do.
        """
        if fact.value not in options(fact.category):
            return None
        if fact.category in CLIP:
            return self.clip[fact.category] == fact.value
        if fact.category == "color":
            return fact.value in self.present
        if not all(fact.category in told for told in self.subject.values()):
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
    """A clip as the probe takes it: FRAMES frames at even times, SIDE × SIDE, in [−1, 1]."""
    times = torch.linspace(0, clip.shape[0] - 1, FRAMES).round().long()
    return scaled(clip[times.to(clip.device)])


def scaled(frames: UInt8[Tensor, "t h w c"]) -> Float[Tensor, "t H W c"]:
    """SIDE × SIDE, in [−1, 1]."""
    if frames.shape[1:3] != (SIDE, SIDE):
        flat = rearrange(frames, "t h w c -> t c h w").float()
        flat = F.interpolate(flat, size=(SIDE, SIDE), mode="bilinear", antialias=True)
        frames = rearrange(flat, "t c h w -> t h w c")
    return (frames.to(fast_dtype(frames.device)) / 127.5).sub_(1)


def triples_of(frames: Float[Tensor, "b t h w c"], step: int = 2) -> Float[Tensor, "b s h w _"]:
    """The middle frame of each of the overlapping triples, so many frames apart, and what changes before and after."""
    before, middle, after = frames[:, :-2:step], frames[:, 1:-1:step], frames[:, 2::step]
    return torch.cat([middle, 2 * (middle - before), 2 * (after - middle)], dim=-1)


def _places(device: torch.device) -> Float[Tensor, "places 2"]:
    """Row and column of each place of the grid, from −1 to 1."""
    along = torch.linspace(-1, 1, GRID, device=device)
    return torch.cartesian_prod(along, along)


def folded(images: Float[Tensor, "n h w c"]) -> Float[Tensor, "n _ _ _"]:
    """2 × 2 pixels as one of four times the channels, which come first; they are last already in memory, and two pixels
    of a row stay side by side, so this is the only copy, and a quick one."""
    return rearrange(images, "n (h p) (w q) c -> n h w (p q c)", p=2, q=2).movedim(-1, 1)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, outputs), nn.ReLU())


if __name__ == "__main__":
    from lumora.evaluate.instruments.probe_training import main

    main()
