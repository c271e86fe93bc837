"""Training and checking the probe on real renders, drawn as they are needed or read from shards.

Recipe: AdamW with one cycle of its rate, batch 32, clips mirrored at random and made worse at random as a codec
and a generator would (blur, noise, shifted colours), so that it stays fair on degraded video.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float, Int8, UInt8
from torch import Tensor

from lumora.config import VideoShape
from lumora.evaluate.instruments.probe import FRAMES, GRID, STEPS, Logits, Probe, prepare_all
from lumora.evaluate.instruments.probe_targets import CLIP, SUBJECT, UNKNOWN, Answers, answers_of
from lumora.world.clip import make_scene
from lumora.world.facts import Fact, facts_from_dicts, facts_of, mirror_fact, subjects_of, value_of
from lumora.world.render import render
from lumora.world.scene import COLORS

OCCUPIED = 0.06
"""Share of a place of the grid from which on something counts as being there."""


class Clip(NamedTuple):
    """One clip and what is known of it."""

    pixels: UInt8[Tensor, "t h w c"]
    facts: tuple[Fact, ...]
    subject: Int8[Tensor, "t h w"] | None = None
    """Number of the subject that each pixel shows, −1 for none; None where nobody knows."""


def rendered_clips(preset: str, seed: int, indices: Sequence[int], shape: VideoShape, batch: int = 8) -> Iterator[Clip]:
    """Clips of the world, drawn on the fly."""
    for first in range(0, len(indices), batch):
        made = [make_scene(preset, seed, i, shape) for i in indices[first : first + batch]]
        scenes, trajectories = zip(*made, strict=True)
        drawn = render(scenes, trajectories, shape.height, shape.width)
        for pixels, subject, (scene, trajectory) in zip(drawn.frames, drawn.subject, made, strict=True):
            yield Clip(pixels, facts_of(scene, trajectory), subject)


class ShardedClips:
    """Clips of a folder of shards: `frames-*.npy` uint8 (N, T, H, W, 3) beside `clips-*.jsonl` with their facts."""

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

    def __getitem__(self, index: int) -> Clip:
        shard, row, facts = self._facts[index]
        subjects = self._subjects[shard]
        subject = None if subjects is None else torch.from_numpy(subjects[row].astype(np.int8) - 1)
        return Clip(torch.from_numpy(np.array(self._frames[shard][row])), facts, subject)

    def shuffled(self, epochs: int, generator: torch.Generator) -> Iterator[Clip]:
        for _ in range(epochs):
            for index in torch.randperm(len(self), generator=generator).tolist():
                yield self[index]


@dataclass(frozen=True)
class TrainingStep:
    number: int
    loss: float
    clips_per_second: float


def train(
    probe: Probe,
    clips: Iterable[Clip],
    steps: int,
    generator: torch.Generator,
    batch: int = 32,
    rate: float = 2e-3,
    tell: Callable[[TrainingStep], None] | None = None,
) -> None:
    """Fits `probe` to so many batches of `clips`, in place; ends early where the clips do."""
    optimizer = torch.optim.AdamW(probe.parameters(), lr=rate, weight_decay=0.02, betas=(0.9, 0.98))
    shape = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min((n + 1) / 50, max(1 - n / steps, 0.0)))
    began = time.monotonic()
    for number, group in zip(range(steps), _batches(clips, batch), strict=False):
        frames, answers, where = _prepared(group, generator)
        probe.train()
        logits = probe(frames, asked=(answers.subject != UNKNOWN).any(dim=-1))
        loss = loss_of(logits, answers) + 4 * where_loss(logits, where)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(probe.parameters(), 1.0)
        optimizer.step()
        shape.step()
        if tell is not None:
            tell(TrainingStep(number, loss.item(), (number + 1) * batch / (time.monotonic() - began)))


def loss_of(logits: Logits, answers: Answers) -> Float[Tensor, ""]:
    """Cross entropies of what the probe tells, each averaged over the clips or colours that have an answer; presence
    over all colours."""
    losses = [F.binary_cross_entropy_with_logits(logits.present, answers.present) * 4]
    for column, category in enumerate(CLIP):
        losses.append(_cross_entropy(logits.clip[category], answers.clip[:, column]))
    for column, category in enumerate(SUBJECT):
        if category not in logits.subject:
            continue
        rows = rearrange(logits.subject[category], "b c v -> (b c) v")
        losses.append(_cross_entropy(rows, answers.subject[..., column].flatten()))
    return torch.stack(losses).sum()


def where_loss(logits: Logits, where: Float[Tensor, "b steps places colors"]) -> Float[Tensor, ""]:
    """How badly the grid says where the colours are; NaN in `where` is unknown and costs nothing."""
    assert logits.where is not None
    known = ~where.isnan()
    weight = torch.tensor(5.0, device=where.device)  # most places are empty
    loss = F.binary_cross_entropy_with_logits(logits.where[known], where[known], pos_weight=weight, reduction="sum")
    return loss / known.sum().clamp(min=1) * len(COLORS)


def where_of(clip: Clip) -> Float[Tensor, "steps places colors"]:
    """1 where something of a colour is, 0 where not; NaN all over where it is not known."""
    if clip.subject is None:
        return torch.full((STEPS, GRID * GRID, len(COLORS)), float("nan"))
    times = torch.linspace(0, clip.subject.shape[0] - 1, FRAMES).round().long()[1::2]
    where = torch.zeros(STEPS, GRID * GRID, len(COLORS))
    for number in subjects_of(clip.facts):
        color = value_of(clip.facts, "color", number)
        if color is not None:
            share = F.adaptive_avg_pool2d((clip.subject[times] == number).float(), GRID).flatten(1)
            where[:, :, COLORS.index(color)].masked_fill_(share > OCCUPIED, 1.0)
    return where


def accuracy(probe: Probe, clips: Iterable[Clip], batch: int = 32) -> dict[str, tuple[int, int]]:
    """Per category (right, asked): every true fact is asked; `absent` asks for the colours that are not there."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for group in _batches(clips, batch):
        for reading, (_, facts, _) in zip(probe.read_all([clip.pixels for clip in group]), group, strict=True):
            for fact in facts:
                shown = reading.shows(fact, facts)
                if shown is not None:
                    counts[fact.category][0] += shown
                    counts[fact.category][1] += 1
            true = {f.value for f in facts if f.category == "color"}
            counts["absent"][0] += 10 - len(true | reading.present)
            counts["absent"][1] += 10 - len(true)
    return {category: (right, asked) for category, (right, asked) in counts.items()}


def degrade(frames: Float[Tensor, "b t h w c"], generator: torch.Generator) -> Float[Tensor, "b t h w c"]:
    """Clips as a codec or a generator might have left them: some blurred, noisy, all with colours a little off."""

    def uniform(low: float, high: float, *size: int) -> Tensor:
        draw = torch.rand(len(frames), *size, generator=generator) * (high - low) + low
        return draw.to(frames)

    # Long rows: PyTorch adds three numbers at a time several times more slowly.
    rows = rearrange(frames, "b t h w c -> b t h (w c)")
    shift = repeat(uniform(-0.06, 0.06, 1, 1, 3), "b t h c -> b t h (w c)", w=frames.shape[3])
    frames = torch.addcmul(shift, rows, uniform(0.92, 1.08, 1, 1, 1)).view_as(frames)
    amount = uniform(-1.5, 1.0).clamp_(min=0)  # most clips stay sharp
    for index in amount.nonzero()[:, 0].tolist():
        flat = rearrange(frames[index], "t h w c -> t c h w")
        coarse = F.interpolate(F.avg_pool2d(flat, 2), scale_factor=2, mode="bilinear")
        frames[index] = torch.lerp(frames[index], rearrange(coarse, "t c h w -> t h w c"), amount[index])
    # Random numbers cost more than the network: the clips share one field of noise, each from another place.
    noise = torch.randn(frames.shape[1:], generator=generator).to(frames)
    for clip, level in zip(frames, uniform(-0.04, 0.06).tolist(), strict=True):
        if level > 0:
            moves = [int(torch.randint(n, (1,), generator=generator)) for n in noise.shape[:3]]
            clip.add_(noise.roll(moves, (0, 1, 2)), alpha=level)
    return frames.clamp_(-1, 1)


def _prepared(group: Sequence[Clip], generator: torch.Generator) -> tuple[Tensor, Answers, Tensor]:
    mirrored = torch.rand(len(group), generator=generator) < 0.5
    seen = [mirror(clip) if flip else clip for clip, flip in zip(group, mirrored.tolist(), strict=True)]
    frames = degrade(prepare_all([clip.pixels for clip in seen]), generator)
    return frames, Answers.stack([answers_of(clip.facts) for clip in seen]), torch.stack([where_of(c) for c in seen])


def mirror(clip: Clip) -> Clip:
    """Left and right exchanged, in pixels and facts."""
    subject = None if clip.subject is None else clip.subject.flip(2)
    return Clip(clip.pixels.flip(2), tuple(mirror_fact(fact) for fact in clip.facts), subject)


def _cross_entropy(logits: Tensor, answers: Tensor) -> Tensor:
    known = (answers != UNKNOWN).sum().clamp(min=1)
    return F.cross_entropy(logits, answers, ignore_index=UNKNOWN, reduction="sum") / known


def _batches(clips: Iterable[Clip], size: int) -> Iterator[list[Clip]]:
    group: list[Clip] = []
    for clip in clips:
        group.append(clip)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _train_command(
    out: Path,
    shards: Path | None = None,
    preset: str = "simple",
    clips: int = 20_000,
    epochs: int = 3,
    seed: int = 7,
    batch: int = 32,
    rate: float = 2e-3,
    start: Path | None = None,
) -> None:
    """Train a probe on `clips` renders (or on the clips in the folder `shards`) and write it to `out`.

    `start` continues from another probe, which may know fewer categories. Clips drawn on the fly are each seen once.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # the first weights
    probe = Probe() if start is None else Probe.load(start, to_learn=True)
    if shards is not None:
        folder = ShardedClips(shards)
        source, count = folder.shuffled(epochs, generator), epochs * len(folder)
    else:
        source, count = rendered_clips(preset, seed, range(clips), VideoShape()), clips
    train(probe, source, count // batch, generator, batch, rate, _print_step)
    probe.save(out)


def _check_command(
    probe: Path, shards: Path | None = None, preset: str = "simple", clips: int = 500, seed: int = 99
) -> None:
    """Accuracy of a probe on held-out renders: clips of a seed that no training has used, or a folder of shards."""
    source = ShardedClips(shards) if shards is not None else None
    held_out = (
        (source[i] for i in range(min(clips, len(source))))
        if source is not None
        else rendered_clips(preset, seed, range(clips), VideoShape())
    )
    for category, (right, asked) in sorted(accuracy(Probe.load(probe), held_out).items()):
        print(f"{category:10} {right / max(asked, 1):7.2%}  of {asked}")


def _tables_command(shards: Path, out: Path, clips: int = 1500) -> None:
    """Count the colours of `clips` of the clips in the folder `shards`: the tables of `lumora.evaluate.instruments.color_tracker`."""
    from lumora.evaluate.instruments.color_tracker import ColorTables

    source = ShardedClips(shards)
    ColorTables.count(source[i] for i in range(0, len(source), max(1, len(source) // clips))).save(out)


def _print_step(step: TrainingStep) -> None:
    if step.number % 20 == 0:
        print(f"step {step.number}  loss {step.loss:.3f}  {step.clips_per_second:.1f} clips/s", file=sys.stderr)


def main() -> None:
    import tyro

    try:
        tyro.extras.subcommand_cli_from_dict(
            {"train": _train_command, "check": _check_command, "tables": _tables_command}
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
