"""Flow matching (arXiv:2210.02747) with x-prediction (JiT, arXiv:2511.13720).

The convention of time for the whole package: t = 0 is data, t = 1 is noise, x_t = (1 − t)·x + t·ε, and the velocity is
dx_t/dt = ε − x. The network predicts x; the loss and the sampler use the velocity computed from it.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from lumora.config import FlowConfig
from lumora.diffusion.condition import draw_condition, frame_times
from lumora.model.packing import Batch, Span, drop_text
from lumora.model.patchify import stack_equal_shapes
from lumora.model.token_layout import num_video_tokens
from lumora.model.transformer import Transformer, batch_flops

NUM_TIME_BINS = 4
"""Number of equal ranges of time for which training reports the loss."""


def interpolate(
    x: Float[Tensor, "*shape"], noise: Float[Tensor, "*shape"], t: Float[Tensor, "*#shape"] | float
) -> Float[Tensor, "*shape"]:
    """x_t = (1 − t)·x + t·ε, on the straight path from data to noise."""
    return (1 - t) * x + t * noise


def velocity(
    x_t: Float[Tensor, "*shape"], x: Float[Tensor, "*shape"], t: Float[Tensor, "*#shape"] | float, t_min: float
) -> Float[Tensor, "*shape"]:
    """ε − x = (x_t − x) / max(t, t_min), from the noisy latent x_t and the predicted clean latent x."""
    return (x_t - x) / (t.clamp(min=t_min) if isinstance(t, Tensor) else max(t, t_min))


def log_shift(tokens: int, config: FlowConfig) -> float:
    """The shift of the logit of time towards noise for a clip of `tokens` video tokens.

    More tokens need more noise to destroy the same information: ½ ln(tokens / base_seq_len), SD3 (arXiv:2403.03206,
    eq. 23).
    """
    return config.logit_mean + 0.5 * math.log(tokens / config.base_seq_len)


def sample_times(count: int, tokens: int, config: FlowConfig, generator: torch.Generator) -> Float[Tensor, " count"]:
    """Logit-normal training times within `config.time_range`, on the generator's device."""
    low, high = config.time_range
    mean = log_shift(tokens, config)
    if (low, high) == (0.0, 1.0):
        normal = torch.randn(count, generator=generator, device=generator.device)
        return torch.sigmoid(mean + config.logit_std * normal)
    # The inverse of the distribution function, between its values at both ends.
    ends = torch.tensor([low, high], device=generator.device, dtype=torch.float64)
    below = torch.special.ndtr((ends.logit() - mean) / config.logit_std)
    share = torch.rand(count, generator=generator, device=generator.device, dtype=torch.float64)
    quantile = torch.special.ndtri(below[0] + share * (below[1] - below[0]))
    return torch.sigmoid(mean + config.logit_std * quantile).clamp(low, high).float()


def flow_matching_loss(
    transformer: Transformer,
    latents: list[Float[Tensor, "c _ _ _"]],
    text: list[Float[Tensor, "_ text_width"]],
    seconds: list[Float[Tensor, " _"]],
    config: FlowConfig,
    generator: torch.Generator,
    subjects: list[Float[Tensor, "_ _ _"]] | None = None,
    spans: list[tuple[Span, ...]] | None = None,
) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """The training loss on clean latents (C, t, h, w) with their captions and times in seconds, and metrics.

    `spans` are the shots of each clip, where it has several captions. Times, masks, noise and dropped captions are
    drawn from `generator`. The loss is the squared error of the velocity, averaged over all elements of generated
    frames, weighted by `foreground_weights` where `subjects` (the share of each latent position (t, h, w) that subjects
    cover) are known. Metrics are `loss`, `loss_t0` … `loss_t3` (the loss in four ranges of time, those that occur) and
    `flops` of the forward pass.
    """
    # Sorted by size, so that clips of equal size are stacked into one tensor.
    order = sorted(range(len(latents)), key=lambda i: latents[i].shape)
    groups = [group.float() for group in stack_equal_shapes([latents[i] for i in order])]
    drawn = [_draw_conditions(group, transformer.patch, config, generator) for group in groups]
    noise = _noise_like(groups, generator)
    noisy = [interpolate(x, e, t[:, None, :, None, None]) for x, e, (_, t) in zip(groups, noise, drawn, strict=True)]
    captioned = (torch.rand(len(text), generator=generator, device=generator.device) >= config.caption_dropout).tolist()
    text = [text[i] if captioned[i] else text[i][:0] for i in order]
    times = [clip for _, t in drawn for clip in t]
    shots = [spans[i] if captioned[i] else drop_text(spans[i]) for i in order] if spans else None
    batch = Batch([clip for group in noisy for clip in group], times, text, [seconds[i] for i in order], shots)
    predicted = transformer(batch)

    errors, weights = [], []
    coverage = stack_equal_shapes([subjects[i] for i in order]) if subjects else [x.new_zeros(()) for x in groups]
    for x, cover, (mask, t) in zip(groups, coverage, drawn, strict=True):
        x_hat = torch.stack([predicted.pop(0) for _ in x])
        foreground = foreground_weights(cover, t[..., None, None], config.foreground_weight)
        error = (x_hat - x).square().mean(dim=1) * foreground
        errors.append(error.mean(dim=(2, 3)).flatten())
        weights.append(mask.flatten() * x[0, :, 0].numel())
    t = torch.cat(times)
    error, weight = torch.cat(errors) / t.clamp(min=config.t_min).square(), torch.cat(weights)
    loss = (error * weight).sum() / weight.sum()
    return loss, _metrics(error.detach(), weight, t) | {"flops": float(batch_flops(transformer.config, batch))}


def foreground_weights(
    cover: Float[Tensor, "*#shape"], t: Float[Tensor, "*#shape"], strength: float
) -> Float[Tensor, "*shape"]:
    """Weight of the error where subjects cover the share `cover`: 1 + strength · (1 − t)² · cover.

    Near noise the position of a subject is undetermined, and a weight that depends on it would bias the expected clip
    towards more subjects. So the weight grows as noise decreases.
    """
    return 1 + strength * (1 - t).square() * cover


def _draw_conditions(
    latents: Float[Tensor, "b c t h w"], patch: int, config: FlowConfig, generator: torch.Generator
) -> tuple[Float[Tensor, "b t"], Float[Tensor, "b t"]]:
    """A denoise mask and a time for each frame of each clip."""
    _, _, frames, height, width = latents.shape
    tokens = num_video_tokens((frames, height, width), patch)
    masks, times = [], []
    for _ in latents:
        mask, shared = draw_condition(frames, generator)
        t = sample_times(1 if shared else frames, tokens, config, generator).expand(frames)
        # Half of the clips get slightly noisy conditions, which reduces drift (SkyReels-V2, arXiv:2504.13074).
        noisy = torch.rand((), generator=generator, device=generator.device) < 0.5
        mask = mask.to(t.device)
        masks.append(mask)
        times.append(frame_times(mask, t, config.condition_noise * noisy.to(t.dtype)))
    return torch.stack(masks).to(latents.device), torch.stack(times).to(latents.device)


def _noise_like(latents: list[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Noise on the latents' device; a generator of another device seeds a new one there."""
    device = latents[0].device
    if generator.device != device:
        seed = torch.randint(2**62, (), generator=generator, device=generator.device)
        generator = torch.Generator(device).manual_seed(int(seed))
    return [torch.randn(x.shape, generator=generator, device=device) for x in latents]


def _metrics(error: Tensor, weight: Tensor, t: Tensor) -> dict[str, float]:
    bins = (
        one_hot((t * NUM_TIME_BINS).long().clamp(max=NUM_TIME_BINS - 1), NUM_TIME_BINS).to(error.dtype)
        * weight[:, None]
    )
    sums, weights = (error[:, None] * bins).sum(dim=0).tolist(), bins.sum(dim=0).tolist()
    losses = {f"loss_t{i}": s / w for i, (s, w) in enumerate(zip(sums, weights, strict=True)) if w > 0}
    return {"loss": sum(sums) / sum(weights)} | losses
