"""Flow matching, conditioning, guidance and samplers, checked against known solutions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_transformer
from torch import Tensor

from lumora.config import FlowConfig, TransformerConfig
from lumora.diffusion.condition import (
    EditSource,
    draw_condition,
    draw_mask,
    frame_times,
    init_state,
    keep_ends,
    keep_first,
    keep_frames,
    keep_nothing,
    keep_prefix,
    keep_suffix,
    make_denoise_mask,
    short_gaps,
)
from lumora.diffusion.flow import flow_matching_loss, foreground_weights, interpolate, log_shift, sample_times, velocity
from lumora.diffusion.guidance import Guidance, apply_guidance, make_denoiser
from lumora.diffusion.sampler import Method, sample, time_schedule
from lumora.model.noise_experts import NoiseExperts, Transformers
from lumora.model.transformer import Transformer

CONFIG = TransformerConfig(latent_channels=3, hidden_size=32, num_layers=1, head_dim=16, context_dim=12)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network() -> Transformer:
    return random_transformer(CONFIG)


def test_interpolation_is_data_at_time_0_and_noise_at_time_1():
    x, noise = torch.randn(2, 4, 3, generator=seeded())
    assert torch.equal(interpolate(x, noise, 0.0), x)
    assert torch.equal(interpolate(x, noise, 1.0), noise)


@given(st.floats(0.05, 0.95))
def test_velocity_is_the_slope_of_the_path(t: float):
    x, noise = torch.randn(2, 4, 3, generator=seeded(), dtype=torch.float64)
    slope = (interpolate(x, noise, t + 1e-4) - interpolate(x, noise, t - 1e-4)) / 2e-4
    torch.testing.assert_close(slope, noise - x)
    torch.testing.assert_close(velocity(interpolate(x, noise, t), x, t, t_min=0.01), slope)


def test_velocity_is_finite_at_time_0():
    x, wrong = torch.randn(2, 4, generator=seeded())
    torch.testing.assert_close(velocity(x, wrong, 0.0, t_min=0.05), (x - wrong) / 0.05)
    torch.testing.assert_close(velocity(x, wrong, torch.zeros(4), t_min=0.05), (x - wrong) / 0.05)


def test_training_times_are_logit_normal_and_shift_towards_noise_with_token_count():
    config = FlowConfig(logit_mean=0.8, logit_std=0.5, base_seq_len=80)
    small, large = (sample_times(20_000, tokens, config, seeded()).logit() for tokens in (80, 320))
    assert small.mean().item() == pytest.approx(0.8, abs=0.02)
    assert small.std().item() == pytest.approx(0.5, abs=0.02)
    assert (large - small).mean().item() == pytest.approx(math.log(2), abs=0.01)


@pytest.mark.parametrize(
    ("mask", "kept"),
    [
        (keep_nothing(5), []),
        (keep_first(5), [0]),
        (keep_prefix(5, 2), [0, 1]),
        (keep_suffix(5, 2), [3, 4]),
        (keep_ends(5, 2, 1), [0, 1, 4]),
        (keep_frames(5, [3, 1]), [1, 3]),
    ],
)
def test_masks_are_0_at_kept_frames_and_1_elsewhere(mask: Tensor, kept: list[int]):
    assert (mask == 0).nonzero().flatten().tolist() == kept
    times = frame_times(mask, 0.7)
    assert all(times[i] == (0 if i in kept else pytest.approx(0.7)) for i in range(5))


def test_invalid_masks_and_schedules_are_rejected():
    with pytest.raises(ValueError, match="5 latent frames"):
        keep_prefix(5, 6)
    with pytest.raises(ValueError, match="too short to keep"):
        draw_mask(1, seeded())
    with pytest.raises(ValueError, match="at least 1 step"):
        time_schedule(0)


@given(st.integers(2, 9), st.integers(0, 10_000))
def test_drawn_masks_keep_and_generate_at_least_one_frame(frames: int, seed: int):
    mask = draw_mask(frames, seeded(seed))
    assert 0 < mask.sum() < frames and set(mask.tolist()) == {0.0, 1.0}


def test_training_conditions_have_the_configured_shares():
    generator = seeded()
    drawn = [draw_condition(5, generator) for _ in range(3000)]
    nothing, independent = (
        sum(bool(mask.all()) and shared is one for mask, shared in drawn) / 3000 for one in (True, False)
    )
    assert nothing == pytest.approx(0.5, abs=0.03) and independent == pytest.approx(0.1, abs=0.03)
    patterns = {tuple(mask.tolist()) for mask, _ in drawn}
    assert {tuple(keep_first(5).tolist()), tuple(keep_ends(5).tolist()), tuple(keep_suffix(5, 2).tolist())} <= patterns
    assert all(shared and mask.all() for mask, shared in (draw_condition(1, generator) for _ in range(20)))


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from(["euler", "heun", "ab2"]), st.floats(0, 4))
def test_sampling_keeps_conditioned_frames_and_is_deterministic(seed: int, method: Method, scale: float):
    generator = seeded(seed)
    clean = torch.randn(2, 3, 4, 2, 4, generator=generator)
    mask = torch.stack([draw_mask(4, generator), keep_nothing(4)])
    text = [torch.randn(3, 12, generator=generator), torch.randn(1, 12, generator=generator)]
    transformer = network()

    def generate(noise_seed: int) -> Tensor:
        state = init_state(clean, mask, torch.arange(4).expand(2, 4) * 0.5, seeded(noise_seed))
        return sample(make_denoiser(transformer, state, text, Guidance(scale)), state, time_schedule(3, 0.8), method)

    generated = generate(seed)
    assert torch.equal(generated[0][:, mask[0] == 0], clean[0][:, mask[0] == 0])
    assert (generated[0] - clean[0])[:, mask[0] == 1].abs().min() > 0
    assert torch.equal(generated, generate(seed))
    assert not torch.equal(generated, generate(seed + 1))


@given(st.floats(0.05, 0.95), st.floats(0.1, 1.0))
@settings(max_examples=10)
def test_a_partially_noised_condition_is_a_clip_at_an_earlier_time(share: float, t: float):
    transformer, clean = network(), torch.randn(1, 3, 2, 4, 4, generator=seeded())
    partial, free = (init_state(clean, torch.full((1, 2), mask), torch.zeros(1, 2), seeded(1)) for mask in (share, 1.0))
    torch.testing.assert_close(partial.latent, interpolate(clean, free.latent, share))
    text = [torch.randn(3, 12, generator=seeded())]
    slower = make_denoiser(transformer, partial, text, Guidance())(partial.latent, t)
    alone = make_denoiser(transformer, free, text, Guidance())(partial.latent, share * t)
    torch.testing.assert_close(slower, share * alone, atol=1e-4, rtol=1e-3)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=12, max_size=12))
def test_the_denoise_mask_is_the_mean_times_the_share_of_frames_not_kept(strengths: list[float]):
    mask = make_denoise_mask(torch.tensor([*strengths, 0.0]), 4)
    first, *others = (mask_value(strength) for strength in (*strengths, 0.0))
    assert len(mask) == 4 and float(mask[0]) == pytest.approx(first)
    for share, group in zip(mask[1:].tolist(), (others[:4], others[4:8], others[8:]), strict=True):
        assert share == pytest.approx(sum(group) / 4 * (4 - group.count(0.0)) / 4)


def mask_value(strength: float) -> float:
    """Mask value of a strength: its odds times 160."""
    return 160 * strength / (1 + 159 * strength)


@given(st.floats(0, 1), st.floats(0, 1))
def test_mask_values_grow_with_strength(weak: float, strong: float):
    weak, strong = sorted((weak, strong))
    low, high = make_denoise_mask(torch.tensor([weak]), 4), make_denoise_mask(torch.tensor([strong]), 4)
    assert 0 <= low <= high <= 1
    assert float(high) == pytest.approx(mask_value(strong), abs=1e-6)


@given(st.integers(0, 1000), st.floats(0.05, 0.99))
@settings(max_examples=10)
def test_an_edit_changes_only_what_the_caption_changes(seed: int, share: float):
    """With the source's caption the result is the source, for any network. With another caption it differs, and frames
    that are not edited are generated freely."""
    transformer, clean = network(), torch.randn(1, 3, 3, 4, 4, generator=seeded(seed))
    state = init_state(clean, torch.full((1, 3), share), torch.arange(3)[None] * 0.5, seeded(seed + 1))
    caption, other_caption = ([torch.randn(4, 12, generator=seeded(n))] for n in (1, 2))

    def edit(text: list[Tensor], edited_frames: list[bool]) -> Tensor:
        source = EditSource(clean, torch.tensor([edited_frames]), caption)
        return sample(
            make_denoiser(transformer, state, text, Guidance(), edit_source=source), state, time_schedule(4, 0.8)
        )

    torch.testing.assert_close(edit(caption, [True] * 3), clean, atol=1e-3, rtol=1e-3)
    assert (edit(other_caption, [True] * 3) - clean).abs().max() > 1e-2
    assert (edit(caption, [True, True, False]) - clean)[:, :, 2].abs().max() > 1e-2


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=12), st.integers(0, 12))
def test_short_gaps_lie_between_given_frames(mask: list[float], longest: int):
    found = short_gaps(torch.tensor(mask), longest).tolist()
    for number, open_ in enumerate(mask):
        before = [n for n in range(number) if mask[n] < 1]
        behind = [n for n in range(number, len(mask)) if mask[n] < 1]
        gap = open_ == 1 and before and behind and behind[0] - before[-1] - 1 <= longest
        assert found[number] == bool(gap)


def test_guidance_extrapolates_from_the_unconditional_prediction():
    transformer = network()
    state = init_state(torch.zeros(2, 3, 2, 4, 4), torch.ones(2, 2), torch.zeros(2, 2), seeded())
    text = [torch.randn(n, 12, generator=seeded(n)) for n in (4, 2)]

    def guided(guidance: Guidance, text: list[Tensor] = text, t: float = 0.6) -> Tensor:
        return make_denoiser(transformer, state, text, guidance)(state.latent, t)

    conditional, unconditional = guided(Guidance()), guided(Guidance(), [tokens[:0] for tokens in text])
    assert (conditional - unconditional).abs().max() > 1e-3
    torch.testing.assert_close(guided(Guidance(0.0)), unconditional)
    torch.testing.assert_close(guided(Guidance(1 + 1e-9)), conditional, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        guided(Guidance(3.0)), unconditional + 3 * (conditional - unconditional), rtol=1e-3, atol=1e-4
    )
    assert torch.equal(guided(Guidance(3.0, interval=(0.2, 0.5))), conditional)
    with pytest.raises(ValueError, match="1 captions"):
        make_denoiser(transformer, state, text[:1], Guidance())


def test_rescaling_restores_the_standard_deviation_of_the_conditional_prediction():
    conditional, unconditional = torch.randn(2, 3, 2, 2, 4, 4, generator=seeded())
    full = apply_guidance(conditional, unconditional, Guidance(5.0, rescale=1.0))
    torch.testing.assert_close(full.std(dim=(1, 2, 3, 4)), conditional.std(dim=(1, 2, 3, 4)))


def test_the_loss_is_the_squared_error_of_the_velocity():
    """A network that predicts 0 has the loss |x/t|²."""
    latent = torch.full((3, 1, 4, 4), 2.0)
    loss, metrics = flow_matching_loss(
        Transformer(CONFIG), [latent], [torch.zeros(2, 12)], [torch.zeros(1)], FlowConfig(t_min=0.05), seeded(3)
    )
    bins = [value for name, value in metrics.items() if name.startswith("loss_t")]
    assert metrics["loss"] == pytest.approx(loss.item()) == pytest.approx(bins[0]) and len(bins) == 1
    t = 2 / math.sqrt(loss.item())
    assert 0.05 < t < 1 and f"loss_t{int(4 * t)}" in metrics


class Oracle(Transformer):
    """Returns the clean latents, with errors in conditioned frames (those at time 0 or `condition_noise`)."""

    def __init__(self, latents: list[Tensor]) -> None:
        super().__init__(CONFIG)
        self.latents = latents

    def forward(self, batch):  # type: ignore[override]
        kept = FlowConfig().condition_noise
        return [x + 9 * (t <= kept)[:, None, None] for x, t in zip(self.latents, batch.times, strict=True)]


def test_conditioned_frames_have_no_loss():
    latents = [torch.randn(3, 5, 2, 2, generator=seeded(i)) for i in range(32)]
    text, seconds = [torch.zeros(1, 12)] * 32, [torch.zeros(5)] * 32
    loss, _ = flow_matching_loss(Oracle(latents), latents, text, seconds, FlowConfig(), seeded())
    assert loss == 0


def test_foreground_weights_grow_as_noise_decreases():
    assert foreground_weights(torch.ones(1), torch.tensor([1.0]), 4.0) == 1
    assert foreground_weights(torch.ones(1), torch.tensor([0.0]), 4.0) == 5
    assert foreground_weights(torch.ones(1), torch.tensor([0.5]), 4.0) == 2
    latents = [torch.randn(3, 3, 2, 2, generator=seeded(i)) for i in range(4)]
    text, seconds, transformer = [torch.zeros(1, 12)] * 4, [torch.zeros(3)] * 4, network()

    def loss(cover: list[torch.Tensor] | None) -> float:
        return flow_matching_loss(transformer, latents, text, seconds, FlowConfig(), seeded(), cover)[0].item()

    nowhere = [torch.zeros(3, 2, 2)] * 4
    left = [torch.tensor([1.0, 0.0]).expand(3, 2, 2)] * 4
    right = [1 - cover for cover in left]
    assert loss(nowhere) == loss(None) < min(loss(left), loss(right))
    assert loss(left) + loss(right) == pytest.approx(loss(None) + loss([torch.ones(3, 2, 2)] * 4))


def test_training_is_deterministic_and_reduces_the_loss():
    latents = [torch.randn(3, frames, 2, 4, generator=seeded(frames)) for frames in (1, 3, 5, 3)]
    text = [torch.randn(i, 12, generator=seeded(i)) for i in range(4)]
    seconds = [torch.arange(latent.shape[1]) * 0.5 for latent in latents]

    def losses(steps: int) -> list[float]:
        transformer, generator = network(), seeded()
        optimizer = torch.optim.Adam(transformer.parameters(), 3e-3)
        result = []
        for _ in range(steps):
            loss, _ = flow_matching_loss(transformer, latents, text, seconds, FlowConfig(), generator)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            result.append(loss.item())
        return result

    run = losses(60)
    assert run[:3] == losses(3)
    assert sum(run[-15:]) < 0.5 * sum(run[:15])


def test_log_shift_is_logit_mean_at_the_base_sequence_length():
    assert log_shift(80, FlowConfig()) == FlowConfig().logit_mean


def test_training_times_lie_in_their_range_and_are_distributed_as_without_it():
    config, part = FlowConfig(), FlowConfig(time_range=(0.7, 1.0))
    free, within = sample_times(40_000, 80, config, seeded()), sample_times(40_000, 80, part, seeded())
    assert float(within.min()) >= 0.7 and float(within.max()) <= 1.0
    expected = free[free >= 0.7]
    for share in (0.1, 0.5, 0.9):
        torch.testing.assert_close(within.quantile(share), expected.quantile(share), atol=0.005, rtol=0)


def test_each_expert_predicts_at_its_times():
    low, high = random_transformer(CONFIG), random_transformer(CONFIG, seed=1)
    experts = NoiseExperts(low, high, 0.6)
    latent = torch.randn(1, 3, 2, 4, 4, generator=seeded())
    state = init_state(torch.zeros_like(latent), torch.ones(1, 2), torch.tensor([[0.0, 0.5]]), seeded())
    text = [torch.randn(4, 12, generator=seeded())]

    def velocity_of(transformers: Transformers, t: float) -> Tensor:
        return make_denoiser(transformers, state, text, Guidance(2.0))(latent, t)

    for t, expected in ((0.9, high), (0.61, high), (0.6, low), (0.2, low)):
        torch.testing.assert_close(velocity_of(experts, t), velocity_of(expected, t))
    assert not torch.allclose(velocity_of(low, 0.9), velocity_of(high, 0.9))
