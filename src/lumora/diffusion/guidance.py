"""From a transformer to a denoiser: the velocity of a state, guided towards its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from lumora.diffusion.condition import EditSource, LatentState, frame_times
from lumora.diffusion.flow import velocity
from lumora.model.packing import Batch, Span, drop_text
from lumora.model.transformer import Transformer

Denoiser: TypeAlias = Callable[[Tensor, float], Tensor]
"""(latent, time) -> velocity, both latents of one shape; what a sampler integrates."""

_Said: TypeAlias = tuple[list[Tensor], list[tuple[Span, ...]]]
"""Words of each clip, and which belong to which of its shots."""

X0Correction: TypeAlias = Callable[[Tensor], Tensor]
"""From a predicted clean latent to a better one."""


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance (arXiv:2207.12598), of x, and so of the velocity, which is linear in it."""

    scale: float = 1.0
    """1 follows the text as training saw it, 0 ignores it, more exaggerates it."""
    interval: tuple[float, float] = (0.0, 1.0)
    """Times at which a scale above 1 acts: near pure noise it costs variety, near data it brings nothing
    (arXiv:2404.07724). A smaller scale acts at all times."""
    rescale: float = 0.0
    """Share by which the guided prediction gets the unguided one's contrast back (arXiv:2305.08891, eq. 15-16)."""

    def is_active(self, t: float) -> bool:
        low, high = self.interval
        return self.scale < 1 or (self.scale > 1 and low <= t <= high)


def make_denoiser(
    transformer: Transformer,
    state: LatentState,
    text: list[Float[Tensor, "_ text_width"]],
    guidance: Guidance,
    t_min: float = 1e-3,
    spans: list[tuple[Span, ...]] | None = None,
    x0_correction: X0Correction | None = None,
    edit_source: EditSource | None = None,
) -> Denoiser:
    """The velocity of all clips of `state`, which has one leading dimension, by their captions: one for each clip, or
    for each of its shots, where `spans` say which they are.

    Kept frames do not move. Where guidance acts, clips with and without captions go through the network as one batch.
    `amend` is what is known of the clean latent besides, and changes each that is predicted.

    A `source` is edited: what the network misses of it, by its own words and under the same noise, is added to what is
    predicted, so that only what the words change changes. With one noise for all times this is FlowEdit
    (arXiv:2412.08629, eq. 8 to 10): its path between the two clips plus the source's noise is the path here.
    Raises ValueError if captions and clips differ in number.
    """
    clips = len(state.latent)
    if state.latent.dim() != 5 or len(text) != clips:
        raise ValueError(f"Each clip needs a caption: {len(text)} captions, latents of shape {(*state.latent.shape,)}.")
    without, seconds = [words[:0] for words in text], [*state.positions]
    shots: list[tuple[Span, ...]] = spans or [(Span(len(words), state.latent.shape[2]),) for words in text]
    silent = [drop_text(spans) for spans in shots]
    before: _Said = without, silent
    if edit_source:
        before = edit_source.text, [(Span(len(words), state.latent.shape[2]),) for words in edit_source.text]

    @torch.inference_mode()
    def predict(t: float, latents: list[Tensor], said: list[_Said]) -> tuple[Tensor, ...]:
        """The clean latents that are expected of noisy ones, by their words; all go through the network as one."""
        texts, spans = (list(chain.from_iterable(part)) for part in zip(*said, strict=True))
        times, when = [*frame_times(state.denoise_mask, t)] * len(said), seconds * len(said)
        batch = Batch(list(chain.from_iterable(latents)), times, texts, when, spans)
        return torch.stack(transformer(batch)).chunk(len(said))

    def denoise(latent: Tensor, t: float) -> Tensor:
        share = state.denoise_mask[:, None, :, None, None]
        latents, said = [latent], [(text, shots)]
        if guidance.is_active(t):
            latents.append(latent)
            said.append(before)
        if edit_source:
            latents.append(edit_source.noised(state, t, latent))
            said.append(before)
        x, *others = predict(t, latents, said)
        if guidance.is_active(t):
            x = apply_guidance(x, others[0], guidance)
        if edit_source:
            x = x + edit_source.edited_frames[:, None, :, None, None] * (edit_source.clean_latent - others[-1])
        x = x0_correction(x) if x0_correction else x
        # A draft's time is mask × t: it has less of the way to go, at its own velocity.
        return velocity(latent, x, share * t, t_min) * share

    return denoise


def apply_guidance(
    conditional: Float[Tensor, "b c t h w"], unconditional: Float[Tensor, "b c t h w"], guidance: Guidance
) -> Float[Tensor, "b c t h w"]:
    guided = unconditional + guidance.scale * (conditional - unconditional)
    if guidance.rescale == 0:
        return guided
    contrast = conditional.std(dim=(1, 2, 3, 4), keepdim=True) / guided.std(dim=(1, 2, 3, 4), keepdim=True)
    return guided * (1 + guidance.rescale * (contrast - 1))
