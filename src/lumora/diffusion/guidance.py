"""From a transformer, which predicts clean latents, to a denoiser, which returns the velocity of a state.

Notation: z_t is the noisy latent at time t, x(z_t, c) the clean latent that the network predicts from it with caption
c, ∅ the empty caption. Each guider changes the prediction x; the velocity (z_t − x) / t is linear in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from lumora.diffusion.condition import EditSource, LatentState, frame_times
from lumora.diffusion.defaults import EDIT_GUIDANCE_INTERVAL, GUIDANCE_INTERVAL
from lumora.diffusion.flow import velocity
from lumora.model.noise_experts import NoiseExperts, Transformers, transformer_at
from lumora.model.packing import Batch, Span, drop_text

Denoiser: TypeAlias = Callable[[Tensor, float], Tensor]
"""(latent, time) -> velocity, both of one shape. Samplers integrate it."""

X0Correction: TypeAlias = Callable[[Tensor], Tensor]
"""A change of the predicted clean latent, such as replacing the pixels that are known."""


@dataclass(frozen=True)
class Guidance:
    """Settings of classifier-free guidance (arXiv:2207.12598)."""

    scale: float = 1.0
    """1 uses the conditional prediction alone, 0 the unconditional one, more than 1 extrapolates."""
    interval: tuple[float, float] = (0.0, 1.0)
    """Times at which a scale above 1 is applied: near pure noise it reduces variety, near the data it has no effect
    (arXiv:2404.07724). A scale below 1 is applied at all times."""
    rescale: float = 0.0
    """Share by which the guided prediction is scaled back to the conditional prediction's standard deviation
    (arXiv:2305.08891, eq. 15-16)."""

    def is_active(self, t: float) -> bool:
        low, high = self.interval
        return self.scale < 1 or (self.scale > 1 and low <= t <= high)

    @classmethod
    def at_default_times(cls, scale: float, transformers: Transformers, is_edit: bool = False) -> Guidance:
        """Guidance where it helps; with two transformers at all times of the first alone, because later guidance
        breaks the bodies that it made."""
        if isinstance(transformers, NoiseExperts):
            return cls(scale, (transformers.boundary, 1.0))
        return cls(scale, EDIT_GUIDANCE_INTERVAL if is_edit else GUIDANCE_INTERVAL)


@dataclass(frozen=True)
class Captions:
    """Token embeddings of each clip's text, and which tokens describe which shot."""

    text: list[Float[Tensor, "_ text_width"]]
    spans: list[tuple[Span, ...]]

    @classmethod
    def of_single_shots(cls, text: list[Tensor], num_frames: int) -> Captions:
        """Captions that each describe all `num_frames` latent frames of their clip."""
        return cls(text, [(Span(len(tokens), num_frames),) for tokens in text])

    def dropped(self) -> Captions:
        """The empty caption for every shot."""
        return Captions([tokens[:0] for tokens in self.text], [drop_text(shots) for shots in self.spans])


@dataclass(frozen=True)
class ForwardPass:
    """Input of the network at one time: a latent (b, c, t, h, w) and a caption for each clip."""

    latent: Tensor
    captions: Captions


class Guider(Protocol):
    """A change of the prediction that needs one more forward pass."""

    def forward_pass(self, latent: Tensor, t: float) -> ForwardPass | None:
        """The additional forward pass; None where the guider is not active at time t."""
        ...

    def apply(self, x: Tensor, other: Tensor) -> Tensor:
        """The changed prediction, from the current one and that of the additional forward pass."""
        ...


@dataclass(frozen=True)
class ClassifierFreeGuider:
    """x ← x(z_t, ∅) + s · (x(z_t, c) − x(z_t, ∅)), arXiv:2207.12598, eq. 6. Edits take the source's caption for ∅."""

    guidance: Guidance
    negative: Captions

    def forward_pass(self, latent: Tensor, t: float) -> ForwardPass | None:
        return ForwardPass(latent, self.negative) if self.guidance.is_active(t) else None

    def apply(self, x: Tensor, other: Tensor) -> Tensor:
        return apply_guidance(x, other, self.guidance)


@dataclass(frozen=True)
class FlowEditGuider:
    """x ← x(z_t, c) + x_src − x(z_t_src, c_src): adds the network's error on the source, under the same noise and with
    the source's caption, so that an unchanged caption reproduces the source.

    With the same noise at all times this is FlowEdit (arXiv:2412.08629, eq. 8-10): its path from source to result, plus
    the source's noise, is the path here.
    """

    state: LatentState
    source: EditSource
    captions: Captions
    """The source's captions."""

    def forward_pass(self, latent: Tensor, t: float) -> ForwardPass:
        return ForwardPass(self.source.noised(self.state, t, latent), self.captions)

    def apply(self, x: Tensor, other: Tensor) -> Tensor:
        return x + _per_frame(self.source.edited_frames) * (self.source.clean_latent - other)


def make_denoiser(
    transformers: Transformers,
    state: LatentState,
    text: list[Float[Tensor, "_ text_width"]],
    guidance: Guidance,
    t_min: float = 1e-3,
    spans: list[tuple[Span, ...]] | None = None,
    x0_correction: X0Correction | None = None,
    edit_source: EditSource | None = None,
    negative_text: list[Float[Tensor, "_ text_width"]] | None = None,
) -> Denoiser:
    """The denoiser of all clips of `state` (b, c, t, h, w): the prediction, the guiders that apply, `x0_correction`,
    then the velocity.

    `text` is a caption for each clip; `spans` say which of its tokens describe which shot, where a clip has several.
    With `edit_source` the result differs from the source only by what the captions change. `negative_text` is a caption
    for each clip that replaces the empty one of classifier-free guidance; edits do not use it. Conditioned frames have
    velocity 0. All forward passes of one time run as one batch.
    Raises ValueError if captions and clips differ in number.
    """
    clips = len(state.latent)
    if state.latent.dim() != 5 or len(text) != clips:
        raise ValueError(f"Each clip needs a caption: {len(text)} captions, latents of shape {(*state.latent.shape,)}.")
    num_frames = state.latent.shape[2]
    captions = Captions(text, spans) if spans else Captions.of_single_shots(text, num_frames)
    guiders: list[Guider] = []
    if edit_source:
        source_captions = Captions.of_single_shots(edit_source.text, num_frames)
        guiders.append(ClassifierFreeGuider(guidance, source_captions))
        guiders.append(FlowEditGuider(state, edit_source, source_captions))
    else:
        negative = Captions.of_single_shots(negative_text, num_frames) if negative_text else captions.dropped()
        guiders.append(ClassifierFreeGuider(guidance, negative))
    mask = _per_frame(state.denoise_mask)

    def denoise(latent: Tensor, t: float) -> Tensor:
        passes = [(guider, extra) for guider in guiders if (extra := guider.forward_pass(latent, t)) is not None]
        x, *others = predict_clean(transformers, state, t, [ForwardPass(latent, captions), *(e for _, e in passes)])
        for (guider, _), other in zip(passes, others, strict=True):
            x = guider.apply(x, other)
        x = x0_correction(x) if x0_correction else x
        # A partially noised frame is at time mask · t, so dz/dt = mask · velocity.
        return velocity(latent, x, mask * t, t_min) * mask

    return denoise


@torch.inference_mode()
def predict_clean(
    transformers: Transformers, state: LatentState, t: float, passes: list[ForwardPass]
) -> tuple[Float[Tensor, "b c t h w"], ...]:
    """The predicted clean latents of each forward pass at time t, computed as one batch."""
    latents = [clip for each in passes for clip in each.latent]
    text = [tokens for each in passes for tokens in each.captions.text]
    spans = [shots for each in passes for shots in each.captions.spans]
    times, seconds = [*frame_times(state.denoise_mask, t)] * len(passes), [*state.positions] * len(passes)
    return torch.stack(transformer_at(transformers, t)(Batch(latents, times, text, seconds, spans))).chunk(len(passes))


def apply_guidance(
    conditional: Float[Tensor, "b c t h w"], unconditional: Float[Tensor, "b c t h w"], guidance: Guidance
) -> Float[Tensor, "b c t h w"]:
    """x(∅) + s · (x(c) − x(∅)), then rescaled: arXiv:2305.08891, eq. 15-16."""
    guided = unconditional + guidance.scale * (conditional - unconditional)
    if guidance.rescale == 0:
        return guided
    contrast = conditional.std(dim=(1, 2, 3, 4), keepdim=True) / guided.std(dim=(1, 2, 3, 4), keepdim=True)
    return guided * (1 + guidance.rescale * (contrast - 1))


def _per_frame(values: Tensor) -> Tensor:
    """Values (b, t), one for each latent frame, broadcast over latents (b, c, t, h, w)."""
    return values[:, None, :, None, None]
