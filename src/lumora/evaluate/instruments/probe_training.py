"""Trains the probe on rendered clips and checks it on held-out ones.

python -m lumora.evaluate.instruments.probe_training train --shards data/simple/frames --out probe.safetensors
python -m lumora.evaluate.instruments.probe_training check --probe probe.safetensors --preset simple --clips 500

AdamW, one cycle of the learning rate, batch size 32. Clips are mirrored and degraded (blur, noise, color shift) at
random, so that the probe reads generated and compressed videos as well as renders.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from lumora.config import VideoShape
from lumora.evaluate.instruments.labeled_clips import LabeledClip, ShardedClips, rendered_clips
from lumora.evaluate.instruments.probe import FRAMES, GRID, STEPS, Probe, ProbeLogits, prepare_all
from lumora.evaluate.instruments.probe_targets import (
    CLIP_CATEGORIES,
    SUBJECT_CATEGORIES,
    UNKNOWN,
    ProbeTargets,
    probe_targets,
)
from lumora.terminal import say, warn
from lumora.world.facts import subjects_of, value_of
from lumora.world.scene import COLORS

OCCUPIED = 0.06
"""Share of a cell that an object must cover to be located there."""


@dataclass(frozen=True)
class ProbeTrainingStep:
    number: int
    loss: float
    clips_per_second: float


def train_probe(
    probe: Probe,
    clips: Iterable[LabeledClip],
    max_steps: int,
    generator: torch.Generator,
    batch_size: int = 32,
    learning_rate: float = 2e-3,
    report: Callable[[ProbeTrainingStep], None] | None = None,
) -> None:
    """Trains `probe` in place on at most `max_steps` batches of `clips`."""
    optimizer = torch.optim.AdamW(probe.parameters(), lr=learning_rate, weight_decay=0.02, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min((n + 1) / 50, max(1 - n / max_steps, 0.0)))
    start = time.monotonic()
    for number, batch in zip(range(max_steps), _batches(clips, batch_size), strict=False):
        frames, targets, locations = _training_batch(batch, generator)
        probe.train()
        logits = probe(frames, requested=(targets.subject != UNKNOWN).any(dim=-1))
        loss = classification_loss(logits, targets) + 4 * localization_loss(logits, locations)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(probe.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if report is not None:
            speed = (number + 1) * batch_size / (time.monotonic() - start)
            report(ProbeTrainingStep(number, loss.item(), speed))


def classification_loss(logits: ProbeLogits, targets: ProbeTargets) -> Float[Tensor, ""]:
    """The sum of the cross entropies of all categories, each averaged over the clips or colors with a label; presence
    is averaged over all colors."""
    losses = [F.binary_cross_entropy_with_logits(logits.present, targets.present) * 4]
    for column, category in enumerate(CLIP_CATEGORIES):
        losses.append(_cross_entropy(logits.clip[category], targets.clip[:, column]))
    for column, category in enumerate(SUBJECT_CATEGORIES):
        if category not in logits.subject:
            continue
        rows = rearrange(logits.subject[category], "b c v -> (b c) v")
        losses.append(_cross_entropy(rows, targets.subject[..., column].flatten()))
    return torch.stack(losses).sum()


def localization_loss(logits: ProbeLogits, locations: Float[Tensor, "b steps cells colors"]) -> Float[Tensor, ""]:
    """Binary cross entropy of where the colors are; NaN in `locations` is unknown and has no loss."""
    assert logits.where is not None
    known = ~locations.isnan()
    weight = torch.tensor(5.0, device=locations.device)  # most cells are empty
    loss = F.binary_cross_entropy_with_logits(logits.where[known], locations[known], pos_weight=weight, reduction="sum")
    return loss / known.sum().clamp(min=1) * len(COLORS)


def color_locations(clip: LabeledClip) -> Float[Tensor, "steps cells colors"]:
    """1 in cells with an object of a color, 0 in others; NaN throughout if the clip has no segmentation."""
    if clip.subject is None:
        return torch.full((STEPS, GRID * GRID, len(COLORS)), float("nan"))
    times = torch.linspace(0, clip.subject.shape[0] - 1, FRAMES).round().long()[1::2]
    locations = torch.zeros(STEPS, GRID * GRID, len(COLORS))
    for number in subjects_of(clip.facts):
        color = value_of(clip.facts, "color", number)
        if color is not None:
            cover = F.adaptive_avg_pool2d((clip.subject[times] == number).float(), GRID).flatten(1)
            locations[:, :, COLORS.index(color)].masked_fill_(cover > OCCUPIED, 1.0)
    return locations


def probe_accuracy(probe: Probe, clips: Iterable[LabeledClip], batch_size: int = 32) -> dict[str, tuple[int, int]]:
    """(correct, total) of every true fact by category; `absent` counts the colors that are not present."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for batch in _batches(clips, batch_size):
        for reading, clip in zip(probe.read_clips([clip.pixels for clip in batch]), batch, strict=True):
            for fact in clip.facts:
                shown = reading.shows(fact, clip.facts)
                if shown is not None:
                    counts[fact.category][0] += shown
                    counts[fact.category][1] += 1
            present = {f.value for f in clip.facts if f.category == "color"}
            counts["absent"][0] += len(COLORS) - len(present | reading.present)
            counts["absent"][1] += len(COLORS) - len(present)
    return {category: (correct, total) for category, (correct, total) in counts.items()}


def degrade(frames: Float[Tensor, "b t h w c"], generator: torch.Generator) -> Float[Tensor, "b t h w c"]:
    """Random color shifts for all clips, blur and noise for some, as codecs and generators cause them."""

    def uniform(low: float, high: float, *size: int) -> Tensor:
        draw = torch.rand(len(frames), *size, generator=generator) * (high - low) + low
        return draw.to(frames)

    # Rows of w × c values: PyTorch is several times slower with an innermost dimension of 3.
    rows = rearrange(frames, "b t h w c -> b t h (w c)")
    shift = repeat(uniform(-0.06, 0.06, 1, 1, 3), "b t h c -> b t h (w c)", w=frames.shape[3])
    frames = torch.addcmul(shift, rows, uniform(0.92, 1.08, 1, 1, 1)).view_as(frames)
    blur = uniform(-1.5, 1.0).clamp_(min=0)  # most clips stay sharp
    for index in blur.nonzero()[:, 0].tolist():
        flat = rearrange(frames[index], "t h w c -> t c h w")
        coarse = F.interpolate(F.avg_pool2d(flat, 2), scale_factor=2, mode="bilinear")
        frames[index] = torch.lerp(frames[index], rearrange(coarse, "t c h w -> t h w c"), blur[index])
    # Random numbers cost more than the network, so the clips share one noise tensor, each with another offset.
    noise = torch.randn(frames.shape[1:], generator=generator).to(frames)
    for clip, level in zip(frames, uniform(-0.04, 0.06).tolist(), strict=True):
        if level > 0:
            shifts = [int(torch.randint(n, (1,), generator=generator)) for n in noise.shape[:3]]
            clip.add_(noise.roll(shifts, (0, 1, 2)), alpha=level)
    return frames.clamp_(-1, 1)


def _training_batch(batch: Sequence[LabeledClip], generator: torch.Generator) -> tuple[Tensor, ProbeTargets, Tensor]:
    """Degraded frames, labels and color locations of clips that are mirrored at random."""
    flips = (torch.rand(len(batch), generator=generator) < 0.5).tolist()
    clips = [clip.mirrored() if flip else clip for clip, flip in zip(batch, flips, strict=True)]
    frames = degrade(prepare_all([clip.pixels for clip in clips]), generator)
    targets = ProbeTargets.stack([probe_targets(clip.facts) for clip in clips])
    return frames, targets, torch.stack([color_locations(clip) for clip in clips])


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    known = (labels != UNKNOWN).sum().clamp(min=1)
    return F.cross_entropy(logits, labels, ignore_index=UNKNOWN, reduction="sum") / known


def _batches(clips: Iterable[LabeledClip], size: int) -> Iterator[list[LabeledClip]]:
    batch: list[LabeledClip] = []
    for clip in clips:
        batch.append(clip)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _train_command(
    out: Path,
    shards: Path | None = None,
    preset: str = "simple",
    clips: int = 20_000,
    epochs: int = 3,
    seed: int = 7,
    batch_size: int = 32,
    learning_rate: float = 2e-3,
    init_from: Path | None = None,
) -> None:
    """Train a probe on `clips` rendered clips, each used once, or on the folder `shards`, and write it to `out`.

    `init_from` continues from another probe, which may predict fewer categories.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # the initial weights
    probe = Probe() if init_from is None else Probe.load(init_from, add_missing_heads=True)
    if shards is not None:
        folder = ShardedClips(shards)
        source, count = folder.shuffled(epochs, generator), epochs * len(folder)
    else:
        source, count = rendered_clips(preset, seed, range(clips), VideoShape()), clips
    train_probe(probe, source, count // batch_size, generator, batch_size, learning_rate, _print_step)
    probe.save(out)


def _check_command(
    probe: Path, shards: Path | None = None, preset: str = "simple", clips: int = 500, seed: int = 99
) -> None:
    """Print the accuracy of a probe on held-out clips: rendered with a seed that no training uses, or from `shards`."""
    if shards is None:
        held_out = rendered_clips(preset, seed, range(clips), VideoShape())
    else:
        folder = ShardedClips(shards)
        held_out = (folder[i] for i in range(min(clips, len(folder))))
    for category, (correct, total) in sorted(probe_accuracy(Probe.load(probe), held_out).items()):
        say(f"{category:10} {correct / max(total, 1):7.2%}  of {total}")


def _print_step(step: ProbeTrainingStep) -> None:
    if step.number % 20 == 0:
        warn(f"step {step.number}  loss {step.loss:.3f}  {step.clips_per_second:.1f} clips/s")


if __name__ == "__main__":
    import tyro

    try:
        tyro.extras.subcommand_cli_from_dict({"train": _train_command, "check": _check_command})
    except ValueError as error:
        warn(str(error))
        sys.exit(2)
