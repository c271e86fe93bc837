"""Samples of several shots: each caption is seen by its own latent frames, and all else is as with one caption."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import CONFIG, HOURGLASS, awake, pick

from lumora.config import TransformerConfig
from lumora.model import layers
from lumora.model.packing import AttentionLayout, Batch, Span
from lumora.model.transformer import Transformer, batch_flops

configs = st.sampled_from([CONFIG, HOURGLASS])
spans = st.lists(st.builds(Span, st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=3).map(tuple)
sides = st.tuples(st.integers(1, 4), st.integers(1, 4))
films = st.lists(st.tuples(spans, sides), min_size=1, max_size=4)


def batch_of(films: list[tuple[tuple[Span, ...], tuple[int, int]]]) -> Batch:
    generator = torch.Generator().manual_seed(0)
    frames = [sum(span.num_frames for span in spans) for spans, _ in films]
    words = [sum(span.num_tokens for span in spans) for spans, _ in films]
    return Batch(
        latents=[torch.randn(3, t, *sides, generator=generator) for t, (_, sides) in zip(frames, films, strict=True)],
        times=[torch.rand(t, generator=generator) for t in frames],
        text=[torch.randn(length, 12, generator=generator) for length in words],
        seconds=[torch.arange(t) * 0.5 for t in frames],
        spans=[spans for spans, _ in films],
    )


@settings(max_examples=12)
@given(configs, films)
def test_one_shot_is_exactly_what_a_caption_of_all_is(config, films):
    whole = batch_of([((Span(s[0].num_tokens, sum(x.num_frames for x in s)),), sides) for s, sides in films])
    transformer = awake(config)
    with torch.no_grad():
        for one, other in zip(transformer(whole), transformer(replace(whole, spans=None)), strict=True):
            assert torch.equal(one, other)


@settings(max_examples=15)
@given(configs, films, st.randoms(use_true_random=False))
def test_packed_is_one_by_one_in_any_order(config, films, random):
    transformer, batch = awake(config), batch_of(films)
    order = list(range(len(batch)))
    random.shuffle(order)
    with torch.no_grad():
        packed = transformer(pick(batch, order))
        for place, i in enumerate(order):
            (alone,) = transformer(pick(batch, [i]))
            torch.testing.assert_close(packed[place], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [CONFIG, HOURGLASS])
def test_words_are_seen_by_their_own_shot_and_video_sees_all_shots(config: TransformerConfig):
    shots = (Span(3, 2), Span(4, 1), Span(2, 2))
    batch = batch_of([(shots, (4, 4)), ((Span(5, 3),), (4, 4))])
    said = batch.text[0].clone()
    said[3] += 1  # the mean stays: it changes the shot's own video tokens, which all shots see at once
    said[4] -= 1
    other = replace(batch, text=[said, batch.text[1]])
    seen = batch.latents[0].clone()
    seen[:, 2] += 1
    moved = replace(batch, latents=[seen, batch.latents[1]])
    shallow = awake(replace(config, num_layers=1, hourglass_hidden_size=0))
    with torch.no_grad():
        changed = (shallow(other)[0] - shallow(batch)[0]).abs().amax((0, 2, 3))
        assert changed[2] > 1e-3 and changed[[0, 1, 3, 4]].max() < 1e-5
        assert ((shallow(moved)[0] - shallow(batch)[0]).abs().amax((0, 2, 3)) > 1e-5).all()
        deep = awake(config)
        # What a shot's words make of its video is seen by the others' a block later; other samples see none of it.
        assert ((deep(other)[0] - deep(batch)[0]).abs().amax((0, 2, 3)) > 1e-5).all()
        torch.testing.assert_close(deep(other)[1], deep(batch)[1])


def test_a_shots_words_are_read_as_if_it_were_a_clip_of_its_own():
    """Without video in common nothing is left of the other shots: the words of a shot see no others."""
    transformer = awake(replace(CONFIG, num_layers=0))
    batch = batch_of([((Span(3, 2), Span(0, 1)), (4, 4))])
    with torch.no_grad():
        together = transformer(batch)[0]
        first = transformer(Batch([batch.latents[0][:, :2]], [batch.times[0][:2]], batch.text, [batch.seconds[0][:2]]))
        silent = Batch([batch.latents[0][:, 2:]], [batch.times[0][2:]], [torch.zeros(0, 12)], [batch.seconds[0][2:]])
        torch.testing.assert_close(together[:, :2], first[0])
        torch.testing.assert_close(together[:, 2:], transformer(silent)[0])


def test_both_ways_of_attention_agree(monkeypatch: pytest.MonkeyPatch):
    transformer = awake(CONFIG)
    batch = batch_of([((Span(3, 2), Span(4, 1)), (4, 4)), ((Span(5, 3),), (4, 4))])
    with torch.no_grad():
        products = transformer(batch)
        monkeypatch.setattr(layers, "SHORT", 0)
        fused = transformer(batch)
    for one, other in zip(products, fused, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@settings(max_examples=8)
@given(configs, films)
def test_flops_are_those_that_pytorch_counts(config, films):
    from torch.utils.flop_counter import FlopCounterMode

    transformer, batch = Transformer(config), batch_of(films)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        transformer(batch)
    assert counter.get_total_flops() == batch_flops(config, batch)


def test_every_parameter_learns_from_shots():
    transformer = awake(HOURGLASS)
    batch = batch_of([((Span(3, 2), Span(0, 1)), (4, 4))])
    torch.stack([x.square().sum() for x in transformer(batch)]).sum().backward()
    assert [name for name, p in transformer.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_only_sequences_of_equal_shots_are_handled_together():
    blocks = [((4, 2), (2, 2)), (), ((4, 1), (2, 3)), ((4, 2), (2, 2))]
    layout = AttentionLayout([10, 10, 10, 10], blocks)
    assert layout.groups == [(1, 10), (1, 10), (2, 10)] and layout.masked
    masks = layout.masks(torch.device("cpu"))
    assert masks[0] is None and masks[1] is not None and masks[2] is not None
    mask = masks[2]
    assert mask[:6, :6].all() and mask[0, 6:].tolist() == [True, True, False, False]
    assert mask[8].tolist() == [False] * 4 + [True] * 2 + [False] * 2 + [True] * 2
    assert torch.equal(mask, mask.T)
    assert AttentionLayout([3, 2]).masks(torch.device("cpu")) == [None, None] and not AttentionLayout([3, 2]).masked


def test_shots_must_fit_their_sample():
    batch = batch_of([((Span(3, 2), Span(4, 1)), (4, 4))])
    for wrong in ([(Span(3, 2),)], [(Span(7, 3), Span(0, 0))], [(Span(7, 3),)] * 2):
        with pytest.raises(ValueError, match=r"[sS]hots"):
            replace(batch, spans=wrong)
    with pytest.raises(ValueError, match="128"):
        awake(CONFIG)(batch_of([((Span(3, 2), Span(129, 1)), (2, 2))]))
