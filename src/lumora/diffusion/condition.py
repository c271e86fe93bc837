"""Conditioning: one state for every task.

The denoise mask has one number per latent frame: 1 = generate it, 0 = keep it as given, between = start from the given
frame with that much noise (SDEdit, arXiv:2108.01073). The time of a frame is mask · t, so a conditioned frame is one at
time 0. Text-to-video conditions on no frame, image-to-video on the first, an extension on a prefix or suffix, infilling
and loops on both ends. For sampling, `make_denoise_mask` computes every mask from what is given of each frame. Training
draws masks of 0 and 1 of the same kinds, and gives some clips an independent time per frame, so that the network also
learns the times between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor

STRENGTH_LOGIT_SHIFT = math.log(160)
"""Added to the logit of a condition's strength to get its mask value. Global properties such as the place survive most
noise: at 128×128, at a mask value of 0.99 they hardly change, at 0.996, which is that of a strength of 0.6, they do."""
UNCONDITIONED_SHARE, INDEPENDENT_TIMES_SHARE = 0.5, 0.1
"""Shares of training samples without conditioned frames, with one time for all frames and with a time for each. The
remaining samples have random conditioned frames."""


@dataclass(frozen=True)
class LatentState:
    """Clips of equal size between noise and video. Leading dimensions are optional and batch."""

    latent: Float[Tensor, "*batch c t h w"]
    """The current latent; pure noise at the start."""
    clean_latent: Float[Tensor, "*batch c t h w"]
    """What is given; read only where `denoise_mask` is below 1."""
    denoise_mask: Float[Tensor, "*batch t"]
    positions: Float[Tensor, "*batch t"]
    """Time of each latent frame in seconds."""

    def restore_clean(self, latent: Float[Tensor, "*batch c t h w"]) -> Float[Tensor, "*batch c t h w"]:
        """`latent` with the conditioned frames replaced by `clean_latent`."""
        return torch.where(self.denoise_mask[..., None, :, None, None] > 0, latent, self.clean_latent)


@dataclass(frozen=True)
class EditSource:
    """The clips that an edit starts from, of the same shape as the result. Leading dimensions are batch."""

    clean_latent: Float[Tensor, "*batch c t h w"]
    edited_frames: Bool[Tensor, "*batch t"]
    """Which latent frames are edited; `clean_latent` is not read in the others."""
    text: list[Float[Tensor, "_ text_width"]]
    """Token embeddings of each source's caption; of length 0 where it is unknown."""

    def noised(
        self, state: LatentState, t: float, latent: Float[Tensor, "*batch c t h w"]
    ) -> Float[Tensor, "*batch c t h w"]:
        """The source at time t with the initial noise of `state` in the edited frames; `latent` in the others."""
        mask = state.denoise_mask[..., None, :, None, None]
        noise = state.latent - (1 - mask) * state.clean_latent  # mask · ε of `init_state`
        noised = (1 - mask * t) * self.clean_latent + t * noise
        return torch.where(self.edited_frames[..., None, :, None, None], noised, latent)


def init_state(
    clean_latent: Float[Tensor, "*batch c t h w"],
    denoise_mask: Float[Tensor, "*batch t"],
    positions: Float[Tensor, "*batch t"],
    generator: torch.Generator,
) -> LatentState:
    """The state at t = 1: (1 − mask) · clean + mask · ε. `clean_latent` is not read where the mask is 1."""
    noise = torch.randn(clean_latent.shape, generator=generator, device=generator.device).to(clean_latent)
    mask = denoise_mask[..., None, :, None, None]
    return LatentState((1 - mask) * clean_latent + mask * noise, clean_latent, denoise_mask, positions)


def make_denoise_mask(strengths: Float[Tensor, " T"], temporal_compression: int) -> Float[Tensor, " t"]:
    """The mask of t latent frames from the strengths of their T = 1 + temporal_compression · (t − 1) frames.

    A frame's strength is 1 if it is generated, 0 if it is given exactly, between for a partially noised condition;
    `STRENGTH_LOGIT_SHIFT` maps it to a mask value. A latent frame gets the mean of its frames' values times the share
    of frames that are not given exactly. So a latent frame with some given frames starts from them, with less noise the
    more of them there are. The product gave lower errors than the mean alone (docs/experiments).
    """
    values = torch.sigmoid(torch.logit(strengths) + STRENGTH_LOGIT_SHIFT)  # maps 0 to 0 and 1 to 1
    groups = values[1:].view(len(values) // temporal_compression, temporal_compression)
    return torch.cat([values[:1], groups.mean(dim=1) * (groups > 0).to(groups).mean(dim=1)])


def short_gaps(denoise_mask: Float[Tensor, " t"], max_length: int) -> Bool[Tensor, " t"]:
    """The frames of gaps of at most `max_length` generated frames between two frames of which something is given."""
    gaps = torch.zeros_like(denoise_mask, dtype=torch.bool)
    given = torch.nonzero(denoise_mask < 1).flatten().tolist()
    for before, after in pairwise(given):
        gaps[before + 1 : after] = after - before <= max_length + 1
    return gaps


def concat(states: Sequence[LatentState]) -> LatentState:
    """Batches of clips of equal size as one batch."""
    parts = zip(*((s.latent, s.clean_latent, s.denoise_mask, s.positions) for s in states), strict=True)
    return LatentState(*(torch.cat(part) for part in parts))


def unbind(state: LatentState) -> list[LatentState]:
    """The clips of a batch, each as a batch of one."""
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


def keep_frames(frames: int, conditioned: range | list[int]) -> Float[Tensor, " t"]:
    """The mask of `frames` latent frames that keeps those with indices `conditioned`.

    Raises ValueError for an index that is not in the clip.
    """
    for index in conditioned:
        if not 0 <= index < frames:
            raise ValueError(f"Frame {index} can't be kept in a clip of {frames} latent frames.")
    mask = torch.ones(frames)
    mask[list(conditioned)] = 0
    return mask


def frame_times(
    denoise_mask: Float[Tensor, "*batch t"],
    t: Float[Tensor, "*#batch #t"] | float,
    condition_time: Float[Tensor, ""] | float = 0.0,
) -> Float[Tensor, "*batch t"]:
    """The time of each frame: t where it is generated, `condition_time` (0 = clean) where it is conditioned on."""
    return denoise_mask * t + (1 - denoise_mask) * condition_time


def draw_condition(frames: int, generator: torch.Generator) -> tuple[Float[Tensor, " t"], bool]:
    """A mask for training, and whether all generated frames share one time.

    If not, each has its own (diffusion forcing, arXiv:2407.01392), so that the network also learns clips with less
    noise at one end. A single frame is always generated.
    """
    kind = torch.rand((), generator=generator, device=generator.device).item()
    if frames == 1 or kind < UNCONDITIONED_SHARE:
        return keep_nothing(frames), True
    if kind < UNCONDITIONED_SHARE + INDEPENDENT_TIMES_SHARE:
        return keep_nothing(frames), False
    return draw_mask(frames, generator), True


def draw_mask(frames: int, generator: torch.Generator) -> Float[Tensor, " t"]:
    """A mask that keeps the first frame, a prefix, a suffix, both ends or scattered frames, with equal probability.

    At least one frame is kept and at least one is generated. Raises ValueError for a clip of fewer than two frames.
    """
    if frames < 2:
        raise ValueError(f"A clip of {frames} latent frames is too short to keep one frame and generate another.")
    kind, count = _draw_below(5, generator), 1 + _draw_below(frames - 1, generator)
    if kind == 0:
        return keep_first(frames)
    if kind == 1:
        return keep_prefix(frames, count)
    if kind == 2:
        return keep_suffix(frames, count)
    if kind == 3 and frames > 2:
        first = 1 + _draw_below(frames - 2, generator)
        return keep_ends(frames, first, 1 + _draw_below(frames - 1 - first, generator))
    order = torch.randperm(frames, generator=generator, device=generator.device)
    return keep_frames(frames, order[:count].tolist())


def _draw_below(count: int, generator: torch.Generator) -> int:
    """An integer from 0 to count − 1."""
    return int(torch.randint(count, (), generator=generator, device=generator.device).item())
