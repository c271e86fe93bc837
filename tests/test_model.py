"""The transformer: shapes, packing, positions, gradients and operation counts, on tiny networks."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import COARSE_HOURGLASS, CONFIG, HOURGLASS, random_transformer, select
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lumora.config import TransformerConfig
from lumora.model import layers
from lumora.model.layers import RotaryEmbedding, rms_norm, rotate, swiglu
from lumora.model.packing import AttentionLayout, Batch
from lumora.model.patchify import grid, patchify, unpatchify
from lumora.model.transformer import Transformer, batch_flops, scaled_config

sizes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))
samples = st.lists(st.tuples(sizes, st.integers(0, 6)), min_size=1, max_size=5)


def batch_of(shapes: list[tuple[tuple[int, int, int], int]], seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(
        latents=[torch.randn(3, *size, generator=generator) for size, _ in shapes],
        times=[torch.rand(size[0], generator=generator) for size, _ in shapes],
        text=[torch.randn(length, 12, generator=generator) for _, length in shapes],
        seconds=[torch.arange(size[0]) * 0.5 for size, _ in shapes],
    )


@given(sizes, st.integers(1, 3))
def test_unpatchify_inverts_patchify(size: tuple[int, int, int], patch: int):
    latent = torch.randn(3, *size)
    tokens = patchify(latent[None], patch)
    assert tokens.shape == (size[0] * math.prod(grid(*size[1:], patch)), 3 * patch**2)
    assert torch.equal(unpatchify(tokens, *size, patch), latent)


def test_a_token_is_a_square_patch_of_one_frame():
    latent = torch.zeros(3, 2, 4, 6)
    latent[:, 1, 2:4, 2:4] = 1
    nonzero = patchify(latent[None], 2).bool()
    # Frame 1 of 2 × 3 tokens, row 1, column 1.
    assert nonzero.any(dim=1).nonzero().flatten().tolist() == [6 + 3 + 1]
    assert nonzero[10].all()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=9))
def test_a_layout_contains_every_token_once(lengths: list[int]):
    layout = AttentionLayout(lengths)
    indices = sorted(index for i in range(len(lengths)) for index in layout.indices(i).tolist())
    assert indices == list(range(layout.total)) == list(range(sum(lengths)))
    assert [length for count, length in layout.groups for _ in range(count)] == sorted(lengths)
    assert len({length for _, length in layout.groups}) == len(layout.groups)
    assert layout.cumulative(torch.device("cpu")).diff().tolist() == sorted(lengths)


configs = st.sampled_from([CONFIG, HOURGLASS, COARSE_HOURGLASS])


@settings(max_examples=25)
@given(configs, samples, st.randoms(use_true_random=False))
def test_packed_samples_give_the_same_result_as_single_samples(config, shapes, random):
    transformer, batch = random_transformer(config), batch_of(shapes)
    order = list(range(len(batch)))
    random.shuffle(order)
    with torch.no_grad():
        packed = transformer(select(batch, order))
        for row, i in enumerate(order):
            (alone,) = transformer(select(batch, [i]))
            assert alone.shape == batch.latents[i].shape
            torch.testing.assert_close(packed[row], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [CONFIG, HOURGLASS, COARSE_HOURGLASS])
def test_outputs_depend_on_the_own_sample_alone(config: TransformerConfig):
    transformer, batch = random_transformer(config), batch_of([((2, 4, 4), 3), ((2, 4, 4), 3)])
    other = batch_of([((2, 4, 4), 3), ((2, 4, 4), 3)], seed=1)
    with torch.no_grad():
        before = transformer(batch)
        for changed in (
            Batch([batch.latents[0], other.latents[1]], batch.times, batch.text, batch.seconds),
            Batch(batch.latents, [batch.times[0], other.times[1]], batch.text, batch.seconds),
            Batch(batch.latents, batch.times, [batch.text[0], other.text[1]], batch.seconds),
            Batch(batch.latents, batch.times, batch.text, [batch.seconds[0], 2 * batch.seconds[1]]),
        ):
            after = transformer(changed)
            torch.testing.assert_close(after[0], before[0])
            assert (after[1] - before[1]).abs().max() > 1e-3


@pytest.mark.parametrize("config", [CONFIG, HOURGLASS, COARSE_HOURGLASS])
def test_every_parameter_has_a_gradient_and_new_weights_predict_zero(config: TransformerConfig):
    shapes = [((3, 4, 4), 5), ((1, 3, 2), 0)]
    assert all((x == 0).all() for x in Transformer(config)(batch_of(shapes)))
    transformer = random_transformer(config)
    torch.stack([x.square().sum() for x in transformer(batch_of(shapes))]).sum().backward()
    assert [name for name, p in transformer.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_new_hourglass_adds_nothing():
    coarse, batch = random_transformer(), batch_of([((3, 4, 5), 4), ((1, 3, 2), 0)])
    with torch.random.fork_rng():
        torch.manual_seed(1)
        with_hourglass = Transformer(HOURGLASS)
    with_hourglass.load_state_dict(coarse.state_dict(), strict=False)
    for one, other in zip(coarse(batch), with_hourglass(batch), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("config", [HOURGLASS, COARSE_HOURGLASS])
def test_the_hourglass_sees_other_frames_unless_its_attention_is_spatial(config: TransformerConfig):
    transformer, batch = random_transformer(config), batch_of([((3, 4, 8), 2), ((2, 4, 4), 0)])
    other = [latent.clone() for latent in batch.latents]
    other[0][:, 1:] += 1
    assert transformer.hourglass is not None
    with torch.no_grad():
        conditions = transformer.modulation_input(batch.times, *transformer.split_captions(batch))
        before = transformer.hourglass.encode(batch, conditions).to_coarse()
        changed = Batch(other, batch.times, batch.text, batch.seconds)
        change = (transformer.hourglass.encode(changed, conditions).to_coarse() - before).abs().amax(1)
    per_frame = len(change) // (3 * 2 + 2)
    assert (change[: 2 * per_frame].max() < 1e-6) == config.hourglass_spatial_attention
    assert change[2 * per_frame : 6 * per_frame].min() > 1e-3 and change[6 * per_frame :].max() < 1e-6


@pytest.mark.parametrize("config", [CONFIG, HOURGLASS, COARSE_HOURGLASS])
def test_lower_precisions_agree_with_float32(config: TransformerConfig):
    transformer, batch = random_transformer(config), batch_of([((3, 4, 4), 5), ((2, 4, 4), 2)])
    with torch.no_grad():
        exact = transformer(batch)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = transformer(batch)
        half = random_transformer(config).bfloat16()(batch)
    for e, m, h in zip(exact, mixed, half, strict=True):
        assert m.dtype == h.dtype == torch.float32
        scale = e.std()
        assert (m - e).std() < 0.03 * scale and (h - e).std() < 0.03 * scale


def test_unfused_and_fused_attention_agree(monkeypatch: pytest.MonkeyPatch):
    transformer, batch = random_transformer(), batch_of([((3, 4, 4), 5), ((2, 4, 4), 2)])
    with torch.no_grad():
        unfused = transformer(batch)
        monkeypatch.setattr(layers, "MAX_UNFUSED_TOKENS", 0)
        fused = transformer(batch)
    for one, other in zip(unfused, fused, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@given(st.floats(-30, 30), st.floats(-2, 2))
def test_rotary_scores_depend_only_on_differences_of_positions(seconds: float, across: float):
    positions = torch.tensor([[0.0, 0.1, -0.4], [1.5, 0.3, 0.2]], dtype=torch.float64)
    q, k = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))

    def score(positions: Tensor) -> Tensor:
        rotation = RotaryEmbedding(64)(positions)[:, :, None]
        rotated = rotate(torch.stack([q, k])[:, None, None].expand(2, 2, 1, 64).contiguous(), rotation)
        return rotated[0, 0, 0] @ rotated[1, 1, 0]

    moved = positions + torch.tensor([seconds, across, -across])
    torch.testing.assert_close(score(moved), score(positions), rtol=1e-3, atol=2e-3)
    assert (score(positions * 2) - score(positions)).abs() > 0.1


@pytest.mark.parametrize("operation", ["rms_norm", "rotate", "swiglu"])
def test_hand_written_gradients_pass_gradcheck(operation: str):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)

    if operation == "rms_norm":
        assert torch.autograd.gradcheck(rms_norm, (draw(3, 2, 2, 4), draw(2, 1, 4)))
    elif operation == "rotate":
        angles = draw(3, 1, 2).detach()
        rotation = torch.stack([angles.cos(), angles.sin()])
        assert torch.autograd.gradcheck(lambda x: rotate(x, rotation), (draw(3, 2, 2, 4),))
    else:
        assert torch.autograd.gradcheck(swiglu, (draw(3, 8),))


@settings(max_examples=20)
@given(configs, samples)
def test_flops_equal_the_count_of_pytorch(config, shapes):
    transformer, batch = Transformer(config), batch_of(shapes)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        transformer(batch)
    assert counter.get_total_flops() == batch_flops(config, batch)


def test_scaled_configs_grow_with_the_number_of_blocks():
    def parameters(num_layers: int) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in Transformer(scaled_config(num_layers)).parameters())

    counts = [parameters(num_layers) for num_layers in (2, 6, 10, 16)]
    assert counts == sorted(counts)
    assert (scaled_config(6).hidden_size, scaled_config(10).hidden_size) == (256, 384)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": [torch.zeros(3)]}, "2 frames"),
        ({"text": []}, "as many"),
        ({"latents": [], "times": [], "text": [], "seconds": []}, "at least one"),
    ],
)
def test_batches_of_lists_that_do_not_fit_are_rejected(change: dict, message: str):
    valid: dict[str, Any] = {
        "latents": [torch.zeros(3, 2, 4, 4)],
        "times": [torch.zeros(2)],
        "text": [torch.zeros(1, 12)],
        "seconds": [torch.zeros(2)],
    }
    with pytest.raises(ValueError, match=message):
        Batch(**(valid | change))


def test_invalid_captions_and_configurations_are_rejected():
    with pytest.raises(ValueError, match="128"):
        Transformer(CONFIG)(batch_of([((1, 2, 2), 129)]))
    with pytest.raises(ValueError, match="one latent frame"):
        Transformer(TransformerConfig(patch_size=(2, 2, 2)))
    with pytest.raises(ValueError, match="head size"):
        Transformer(TransformerConfig(hidden_size=100))
    with pytest.raises(ValueError, match="at least 1"):
        scaled_config(0)
