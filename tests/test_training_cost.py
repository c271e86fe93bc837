"""The computed cost of training on many GPUs, against what PyTorch keeps and computes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lumora.config import OptimizerConfig, TransformerConfig
from lumora.model import layers
from lumora.model.layers import Block, mlp_width
from lumora.model.packing import AttentionLayout
from lumora.model.transformer import scaled_config
from lumora.presets import PRESETS
from lumora.train.optimizer import orthogonalize
from lumora.train.training_cost import Cluster, block_activations, orthogonalization_flops, training_cost


@pytest.mark.parametrize(("name", "num_layers", "millions"), [("400m", 28, 402), ("2b", 48, 2000)])
def test_the_large_presets_have_the_sizes_of_the_scaling_rule(name: str, num_layers: int, millions: int):
    preset = PRESETS[name]()
    assert preset.model.transformer == scaled_config(num_layers, preset.model.codec.latent_channels)
    cost = training_cost(preset.model, preset.transformer.optimizer, 1, Cluster(8))
    assert millions < cost.parameters / 1e6 < 1.1 * millions


def test_more_gpus_divide_the_state_and_not_the_activations():
    preset = PRESETS["2b"]()
    one, many = (training_cost(preset.model, OptimizerConfig(), 4, Cluster(n)) for n in (1, 64))
    for field in ("weights", "gradients", "optimizer", "averages"):
        assert getattr(one, field) == 64 * getattr(many, field)
    assert one.weights == 4 * one.parameters and one.communication_seconds == 0 < many.communication_seconds
    assert one.activations == many.activations and one.compute_seconds == many.compute_seconds


def test_a_block_keeps_as_many_bytes_as_computed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(layers, "MAX_UNFUSED_TOKENS", 0)  # the fused kernel, as on a GPU
    width, tokens = 128, 256
    config = TransformerConfig(hidden_size=width, head_dim=32)
    block = Block(width, config.head_dim, mlp_width(width))
    rotation = torch.randn(2, tokens, 1, config.head_dim // 2).bfloat16()
    inputs = torch.randn(tokens, width).bfloat16().requires_grad_(), torch.randn(1, 6, width)
    kept: dict[tuple[int, torch.Size], int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        # Neither weights nor modulation; and rotation and row numbers are the same for all blocks.
        if tokens in tensor.shape and tensor.shape not in (rotation.shape, torch.Size([tokens])):
            kept[tensor.data_ptr(), tensor.shape] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x), torch.autocast("cpu", torch.bfloat16):
        block(*inputs, torch.zeros(tokens, dtype=torch.long), rotation, AttentionLayout([tokens])).sum()
    copied = 2 * width  # a CPU keeps the results of attention twice
    assert sum(kept.values()) / tokens == pytest.approx(block_activations(config) + copied, rel=0.02)


@pytest.mark.parametrize(("rows", "columns"), [(16, 48), (48, 16), (32, 32)])
def test_muon_computes_as_much_as_computed(rows: int, columns: int):
    with FlopCounterMode(display=False) as counter:
        orthogonalize(torch.randn(1, rows, columns))
    assert counter.get_total_flops() == orthogonalization_flops(rows, columns)
