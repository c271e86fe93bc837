"""Flow matching (arXiv:2210.02747) with x-prediction (JiT, arXiv:2511.13720).

The convention of time, said here once: t = 0 is data, t = 1 is noise, x_t = (1 − t)·x + t·ε, and the velocity is
dx_t/dt = ε − x. The network predicts x; loss and sampling see the velocity that follows from it.
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
from lumora.model.patchify import stacks_of_equals
from lumora.model.token_layout import num_video_tokens
from lumora.model.transformer import Transformer, batch_flops

NUM_TIME_BINS = 4
"""Equal ranges of time in which training reports its loss."""


def interpolate(
    x: Float[Tensor, "*shape"], noise: Float[Tensor, "*shape"], t: Float[Tensor, "*#shape"] | float
) -> Float[Tensor, "*shape"]:
    """x_t on the straight path from data to noise."""
    return (1 - t) * x + t * noise


def velocity(
    x_t: Float[Tensor, "*shape"], x: Float[Tensor, "*shape"], t: Float[Tensor, "*#shape"] | float, floor: float
) -> Float[Tensor, "*shape"]:
    """ε − x, from the noisy and the predicted clean latent: (x_t − x) / t, where t is taken to be `floor` at least."""
    return (x_t - x) / (t.clamp(min=floor) if isinstance(t, Tensor) else max(t, floor))


def log_shift(tokens: int, config: FlowConfig) -> float:
    """How far the logit of time is shifted to noise for a clip of so many video tokens.

    A longer clip needs more noise to hide as much: ½ ln(tokens / reference), as in SD3 (arXiv:2403.03206, eq. 23).
    """
    return config.logit_mean + 0.5 * math.log(tokens / config.base_seq_len)


def sample_times(count: int, tokens: int, config: FlowConfig, generator: torch.Generator) -> Float[Tensor, " count"]:
    """Logit-normal training times in (0, 1), on the generator's device."""
    normal = torch.randn(count, generator=generator, device=generator.device)
    return torch.sigmoid(log_shift(tokens, config) + config.logit_std * normal)


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
    """The training loss on clean latents (C, t, h, w) with their captions and time stamps, ready for `backward`.

    `spans` are the shots of each clip, if it has several captions. It draws times, masks, noise and which captions are
    dropped, all from `generator`. The loss is the squared error of the velocity, averaged over all numbers of frames
    that are made, with more weight where `subjects` (the share of each place (t, h, w) that they cover, if known) are;
    see `emphasis`. Metrics are `loss`, `loss_t0` … `loss_t3` (the same in four ranges of time, those that occur) and
    `flops` of the forward pass.
    """
    # Clips of equal size side by side are handled as one tensor.
    order = sorted(range(len(latents)), key=lambda i: latents[i].shape)
    groups = [group.float() for group in stacks_of_equals([latents[i] for i in order])]
    drawn = [_draw_conditions(group, transformer.patch, config, generator) for group in groups]
    noise = _noise_like(groups, generator)
    noisy = [interpolate(x, e, t[:, None, :, None, None]) for x, e, (_, t) in zip(groups, noise, drawn, strict=True)]
    kept = (torch.rand(len(text), generator=generator, device=generator.device) >= config.caption_dropout).tolist()
    text = [text[i] if kept[i] else text[i][:0] for i in order]
    times = [clip for _, t in drawn for clip in t]
    shots = [spans[i] if kept[i] else drop_text(spans[i]) for i in order] if spans else None
    batch = Batch([clip for group in noisy for clip in group], times, text, [seconds[i] for i in order], shots)
    predicted = transformer(batch)

    errors, weights = [], []
    covered = stacks_of_equals([subjects[i] for i in order]) if subjects else [x.new_zeros(()) for x in groups]
    for x, cover, (made, t) in zip(groups, covered, drawn, strict=True):
        x_hat = torch.stack([predicted.pop(0) for _ in x])
        error = (x_hat - x).square().mean(dim=1) * foreground_weights(
            cover, t[..., None, None], config.foreground_weight
        )
        errors.append(error.mean(dim=(2, 3)).flatten())
        weights.append(made.flatten() * x[0, :, 0].numel())
    t = torch.cat(times)
    error, weight = torch.cat(errors) / t.clamp(min=config.t_min).square(), torch.cat(weights)
    loss = (error * weight).sum() / weight.sum()
    return loss, _metrics(error.detach(), weight, t) | {"flops": float(batch_flops(transformer.config, batch))}


def foreground_weights(
    cover: Float[Tensor, "*#shape"], t: Float[Tensor, "*#shape"], strength: float
) -> Float[Tensor, "*shape"]:
    """Weight of the error where subjects cover a share of the picture: 1 + strength · (1 − t)² · cover.

    Near noise, where it is still open where a subject will be, a weight that depends on the answer would draw the
    expected clip towards more subjects; so it comes in with the light, and late.
    """
    return 1 + strength * (1 - t).square() * cover


def _draw_conditions(
    latents: Float[Tensor, "b c t h w"], patch: int, config: FlowConfig, generator: torch.Generator
) -> tuple[Float[Tensor, "b t"], Float[Tensor, "b t"]]:
    """A mask (1 = make it) and a time for each frame of each clip."""
    _, _, frames, height, width = latents.shape
    tokens = num_video_tokens((frames, height, width), patch)
    masks, times = [], []
    for _ in latents:
        mask, shared = draw_condition(frames, generator)
        t = sample_times(1 if shared else frames, tokens, config, generator).expand(frames)
        # Half of the time what is kept carries slight noise: the cure for drift (SkyReels-V2, arXiv:2504.13074).
        noisy = torch.rand((), generator=generator, device=generator.device) < 0.5
        mask = mask.to(t.device)
        masks.append(mask)
        times.append(frame_times(mask, t, config.condition_noise * noisy.to(t.dtype)))
    return torch.stack(masks).to(latents.device), torch.stack(times).to(latents.device)


def _noise_like(latents: list[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Drawn where the latents are: a generator of another device only seeds one there."""
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
