"""Samples of several shots: each caption affects the frames of its shot, and everything else is as with one caption."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import COARSE_HOURGLASS, CONFIG, HOURGLASS, random_transformer, select

from lumora.config import TransformerConfig
from lumora.model import layers
from lumora.model.packing import AttentionLayout, Batch, Span
from lumora.model.transformer import Transformer, batch_flops

configs = st.sampled_from([CONFIG, HOURGLASS, COARSE_HOURGLASS])
spans = st.lists(st.builds(Span, st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=3).map(tuple)
sides = st.tuples(st.integers(1, 4), st.integers(1, 4))
samples = st.lists(st.tuples(spans, sides), min_size=1, max_size=4)


def batch_of(samples: list[tuple[tuple[Span, ...], tuple[int, int]]]) -> Batch:
    generator = torch.Generator().manual_seed(0)
    frames = [sum(span.num_frames for span in spans) for spans, _ in samples]
    lengths = [sum(span.num_tokens for span in spans) for spans, _ in samples]
    return Batch(
        latents=[torch.randn(3, t, *sides, generator=generator) for t, (_, sides) in zip(frames, samples, strict=True)],
        times=[torch.rand(t, generator=generator) for t in frames],
        text=[torch.randn(length, 12, generator=generator) for length in lengths],
        seconds=[torch.arange(t) * 0.5 for t in frames],
        spans=[spans for spans, _ in samples],
    )


@settings(max_examples=12)
@given(configs, samples)
def test_one_span_equals_no_spans(config, samples):
    single = batch_of([((Span(s[0].num_tokens, sum(x.num_frames for x in s)),), sides) for s, sides in samples])
    transformer = random_transformer(config)
    with torch.no_grad():
        for one, other in zip(transformer(single), transformer(replace(single, spans=None)), strict=True):
            assert torch.equal(one, other)


@settings(max_examples=15)
@given(configs, samples, st.randoms(use_true_random=False))
def test_packed_samples_of_shots_give_the_same_result_as_single_samples(config, samples, random):
    transformer, batch = random_transformer(config), batch_of(samples)
    order = list(range(len(batch)))
    random.shuffle(order)
    with torch.no_grad():
        packed = transformer(select(batch, order))
        for row, i in enumerate(order):
            (alone,) = transformer(select(batch, [i]))
            torch.testing.assert_close(packed[row], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [CONFIG, HOURGLASS, COARSE_HOURGLASS])
def test_captions_affect_their_own_shot_and_video_attends_to_all_shots(config: TransformerConfig):
    shots = (Span(3, 2), Span(4, 1), Span(2, 2))
    batch = batch_of([(shots, (4, 4)), ((Span(5, 3),), (4, 4))])
    text = batch.text[0].clone()
    text[3] += 1  # The mean stays, because it modulates the shot's video tokens, to which all shots attend.
    text[4] -= 1
    other_text = replace(batch, text=[text, batch.text[1]])
    latent = batch.latents[0].clone()
    latent[:, 2] += 1
    other_video = replace(batch, latents=[latent, batch.latents[1]])
    shallow = random_transformer(replace(config, num_layers=1, hourglass_hidden_size=0))
    with torch.no_grad():
        changed = (shallow(other_text)[0] - shallow(batch)[0]).abs().amax((0, 2, 3))
        assert changed[2] > 1e-3 and changed[[0, 1, 3, 4]].max() < 1e-5
        assert ((shallow(other_video)[0] - shallow(batch)[0]).abs().amax((0, 2, 3)) > 1e-5).all()
        deep = random_transformer(config)
        # In the second block the other shots attend to the changed video tokens; other samples do not.
        assert ((deep(other_text)[0] - deep(batch)[0]).abs().amax((0, 2, 3)) > 1e-5).all()
        torch.testing.assert_close(deep(other_text)[1], deep(batch)[1])


def test_without_blocks_shots_are_independent_clips():
    transformer = random_transformer(replace(CONFIG, num_layers=0))
    batch = batch_of([((Span(3, 2), Span(0, 1)), (4, 4))])
    with torch.no_grad():
        together = transformer(batch)[0]
        first = transformer(Batch([batch.latents[0][:, :2]], [batch.times[0][:2]], batch.text, [batch.seconds[0][:2]]))
        uncaptioned = Batch(
            [batch.latents[0][:, 2:]], [batch.times[0][2:]], [torch.zeros(0, 12)], [batch.seconds[0][2:]]
        )
        torch.testing.assert_close(together[:, :2], first[0])
        torch.testing.assert_close(together[:, 2:], transformer(uncaptioned)[0])


def test_unfused_and_fused_attention_agree(monkeypatch: pytest.MonkeyPatch):
    transformer = random_transformer(CONFIG)
    batch = batch_of([((Span(3, 2), Span(4, 1)), (4, 4)), ((Span(5, 3),), (4, 4))])
    with torch.no_grad():
        unfused = transformer(batch)
        monkeypatch.setattr(layers, "MAX_UNFUSED_TOKENS", 0)
        fused = transformer(batch)
    for one, other in zip(unfused, fused, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@settings(max_examples=8)
@given(configs, samples)
def test_flops_of_shots_equal_the_count_of_pytorch(config, samples):
    from torch.utils.flop_counter import FlopCounterMode

    transformer, batch = Transformer(config), batch_of(samples)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        transformer(batch)
    assert counter.get_total_flops() == batch_flops(config, batch)


def test_every_parameter_has_a_gradient_with_shots():
    transformer = random_transformer(HOURGLASS)
    batch = batch_of([((Span(3, 2), Span(0, 1)), (4, 4))])
    torch.stack([x.square().sum() for x in transformer(batch)]).sum().backward()
    assert [name for name, p in transformer.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_only_sequences_of_equal_shots_are_batched():
    shots = [((4, 2), (2, 2)), (), ((4, 1), (2, 3)), ((4, 2), (2, 2))]
    layout = AttentionLayout([10, 10, 10, 10], shots)
    assert layout.groups == [(1, 10), (1, 10), (2, 10)] and layout.masked
    masks = layout.masks(torch.device("cpu"))
    assert masks[0] is None and masks[1] is not None and masks[2] is not None
    mask = masks[2]
    assert mask[:6, :6].all() and mask[0, 6:].tolist() == [True, True, False, False]
    assert mask[8].tolist() == [False] * 4 + [True] * 2 + [False] * 2 + [True] * 2
    assert torch.equal(mask, mask.T)
    assert AttentionLayout([3, 2]).masks(torch.device("cpu")) == [None, None] and not AttentionLayout([3, 2]).masked


def test_shots_that_do_not_fit_their_sample_are_rejected():
    batch = batch_of([((Span(3, 2), Span(4, 1)), (4, 4))])
    for wrong in ([(Span(3, 2),)], [(Span(7, 3), Span(0, 0))], [(Span(7, 3),)] * 2):
        with pytest.raises(ValueError, match=r"[sS]hots"):
            replace(batch, spans=wrong)
    with pytest.raises(ValueError, match="128"):
        random_transformer(CONFIG)(batch_of([((Span(3, 2), Span(129, 1)), (2, 2))]))
