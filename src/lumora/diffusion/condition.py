"""What is given and what is to be made: one state for every task.

A mask has one number per latent frame: 1 = make it, 0 = keep it, between = make it of a draft that is noised so far
(SDEdit, arXiv:2108.01073). The time of a frame is mask × t, so a kept frame is simply a clean one. Text-to-video keeps
nothing, image-to-video the first frame, an extension a prefix or a suffix, infilling and loops both ends: for sampling
all of them come out of `mask_of`, from what is known of each frame. Training draws masks of 0 and 1 of the same kinds,
and for some clips a time of its own for every frame, so that the network knows those between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor

STRENGTH_LOGIT_SHIFT = math.log(32)
"""By which the logit of a draft's strength is shifted to noise. What holds for the whole picture, such as its light, is
seen through most noise: at a time of .9 nothing of that changes, at .98, where a strength of .6 lies, much does."""
UNCONDITIONED_SHARE, INDEPENDENT_TIMES_SHARE = 0.5, 0.1
"""Shares of training samples; the rest keeps random clean frames."""


@dataclass(frozen=True)
class LatentState:
    """Clips of equal size on their way from noise to video; leading dimensions are optional and batch."""

    latent: Float[Tensor, "*batch c t h w"]
    """The current latent; pure noise at the start."""
    clean_latent: Float[Tensor, "*batch c t h w"]
    """What is known: it counts only where the mask is below 1."""
    denoise_mask: Float[Tensor, "*batch t"]
    positions: Float[Tensor, "*batch t"]
    """When each latent frame is."""

    def keep(self, latent: Float[Tensor, "*batch c t h w"]) -> Float[Tensor, "*batch c t h w"]:
        """`latent`, with the kept frames put back exactly."""
        return torch.where(self.denoise_mask[..., None, :, None, None] > 0, latent, self.clean_latent)


@dataclass(frozen=True)
class EditSource:
    """Clips that are edited: what they were, of the same shape as what they become; leading dimensions are batch."""

    clean_latent: Float[Tensor, "*batch c t h w"]
    edited_frames: Bool[Tensor, "*batch t"]
    """Which latent frames are edited; of the others `clean` may hold any numbers."""
    text: list[Float[Tensor, "_ text_width"]]
    """What is said of each clip as it was; of length 0 where nobody knows."""

    def noised(
        self, state: LatentState, t: float, latent: Float[Tensor, "*batch c t h w"]
    ) -> Float[Tensor, "*batch c t h w"]:
        """What the edited clips were at this time, under the noise that `state` began with; elsewhere `latent`."""
        share = state.denoise_mask[..., None, :, None, None]
        noise = state.latent - (1 - share) * state.clean_latent  # that of `begin`, times the share
        was = (1 - share * t) * self.clean_latent + t * noise
        return torch.where(self.edited_frames[..., None, :, None, None], was, latent)


def init_state(
    clean: Float[Tensor, "*batch c t h w"],
    mask: Float[Tensor, "*batch t"],
    seconds: Float[Tensor, "*batch t"],
    generator: torch.Generator,
) -> LatentState:
    """A state of noise wherever frames are to be made, and of as much as the mask says where there is a draft.

    `clean` may hold any numbers where the mask is 1.
    """
    noise = torch.randn(clean.shape, generator=generator, device=generator.device).to(clean)
    share = mask[..., None, :, None, None]
    return LatentState((1 - share) * clean + share * noise, clean, mask, seconds)


def make_denoise_mask(strengths: Float[Tensor, " T"], time: int) -> Float[Tensor, " t"]:
    """The mask of latent frames from the strength of each of their T = 1 + time · (t − 1) frames: the mean, times the
    share of frames that aren't kept.

    A frame's strength is 1 where it is to be made, 0 where it is kept, between for a draft, which is noised as far as
    `DRAFT_SHIFT` says. So a latent frame of which only some frames are given starts from them, and the less noised the
    more of them there are; of two ways to count them this one, by its square, measured nearer to the truth than the
    mean alone (LOG.md).
    """
    shares = torch.sigmoid(torch.logit(strengths) + STRENGTH_LOGIT_SHIFT)  # 0 stays 0, and 1 stays 1
    groups = shares[1:].view(len(shares) // time, time)
    return torch.cat([shares[:1], groups.mean(dim=1) * (groups > 0).to(groups).mean(dim=1)])


def short_gaps(mask: Float[Tensor, " t"], longest: int) -> Bool[Tensor, " t"]:
    """The frames of gaps of at most so many, in which nothing is given, between others of which something is."""
    gaps = torch.zeros_like(mask, dtype=torch.bool)
    given = torch.nonzero(mask < 1).flatten().tolist()
    for before, after in pairwise(given):
        gaps[before + 1 : after] = after - before <= longest + 1
    return gaps


def concat(states: Sequence[LatentState]) -> LatentState:
    """Batches of clips of one size as one batch."""
    parts = zip(*((s.latent, s.clean_latent, s.denoise_mask, s.positions) for s in states), strict=True)
    return LatentState(*(torch.cat(part) for part in parts))


def unbind(state: LatentState) -> list[LatentState]:
    """A batch as batches of one."""
    parts = zip(
        *(x.split(1) for x in (state.latent, state.clean_latent, state.denoise_mask, state.positions)), strict=True
    )
    return [LatentState(*part) for part in parts]


def keep_nothing(frames: int) -> Float[Tensor, " t"]:
    return torch.ones(frames)


def keep_first(frames: int) -> Float[Tensor, " t"]:
    return keep_prefix(frames, 1)


def keep_prefix(frames: int, count: int) -> Float[Tensor, " t"]:
    return keep_frames(frames, range(count))


def keep_suffix(frames: int, count: int) -> Float[Tensor, " t"]:
    return keep_frames(frames, range(frames - count, frames))


def keep_ends(frames: int, first: int = 1, last: int = 1) -> Float[Tensor, " t"]:
    return keep_frames(frames, [*range(first), *range(frames - last, frames)])


def keep_frames(frames: int, kept: range | list[int]) -> Float[Tensor, " t"]:
    """Keeps the frames of these numbers. Raises ValueError for one that is not in the clip."""
    for number in kept:
        if not 0 <= number < frames:
            raise ValueError(f"Frame {number} can't be kept in a clip of {frames} latent frames.")
    mask = torch.ones(frames)
    mask[list(kept)] = 0
    return mask


def frame_times(
    mask: Float[Tensor, "*batch t"], t: Float[Tensor, "*#batch #t"] | float, kept: Float[Tensor, ""] | float = 0.0
) -> Float[Tensor, "*batch t"]:
    """The time of each frame: t where it is made, `kept` (0 = clean) where not."""
    return mask * t + (1 - mask) * kept


def draw_condition(frames: int, generator: torch.Generator) -> tuple[Float[Tensor, " t"], bool]:
    """A mask for training, and whether all made frames share one time; otherwise each has its own (diffusion forcing,
    arXiv:2407.01392), so that the network knows clips that are clearer at one end. A picture alone is always made."""
    kind = torch.rand((), generator=generator, device=generator.device).item()
    if frames == 1 or kind < UNCONDITIONED_SHARE:
        return keep_nothing(frames), True
    if kind < UNCONDITIONED_SHARE + INDEPENDENT_TIMES_SHARE:
        return keep_nothing(frames), False
    return draw_mask(frames, generator), True


def draw_mask(frames: int, generator: torch.Generator) -> Float[Tensor, " t"]:
    """Keeps at least one frame and makes at least one: the first, a prefix, a suffix, both ends, or scattered ones.

    Raises ValueError for a clip of fewer than two frames.
    """
    if frames < 2:
        raise ValueError(f"A clip of {frames} latent frames has none to keep beside one to make.")
    kind, count = _integer(5, generator), 1 + _integer(frames - 1, generator)
    if kind == 0:
        return keep_first(frames)
    if kind == 1:
        return keep_prefix(frames, count)
    if kind == 2:
        return keep_suffix(frames, count)
    if kind == 3 and frames > 2:
        first = 1 + _integer(frames - 2, generator)
        return keep_ends(frames, first, 1 + _integer(frames - 1 - first, generator))
    order = torch.randperm(frames, generator=generator, device=generator.device)
    return keep_frames(frames, order[:count].tolist())


def _integer(count: int, generator: torch.Generator) -> int:
    """From 0 to count − 1."""
    return int(torch.randint(count, (), generator=generator, device=generator.device).item())
