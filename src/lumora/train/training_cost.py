"""Memory and time of training a transformer on many GPUs, computed; nothing here has been compared with many GPUs.

    python -m lumora.train.training_cost

prints the table of docs/large-training.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lumora.config import ModelConfig, OptimizerConfig, TransformerConfig
from lumora.model.layers import Block, mlp_width
from lumora.model.token_layout import num_video_tokens
from lumora.model.transformer import Transformer, flops
from lumora.presets import PRESETS
from lumora.terminal import say
from lumora.train.optimizer import matrix_parameters

BF16, FP32 = 2, 4
"""Bytes per number."""
CAPTION_TOKENS = 64


@dataclass(frozen=True)
class Cluster:
    """Equal GPUs; by default NVIDIA H100 SXM with 80 GB, 8 in a machine, linked by 400 Gbit/s per GPU."""

    num_gpus: int
    flops: float = 989e12
    """FLOP/s of a GPU in bfloat16, dense (data sheet)."""
    mfu: float = 0.35
    """Share of it that training reaches: an assumption."""
    flops_fp32: float = 67e12
    """FLOP/s of a GPU in float32, in which Muon computes (data sheet)."""
    gpus_per_machine: int = 8
    local_bandwidth: float = 450e9
    """Bytes per second that a GPU sends within its machine (NVLink, data sheet)."""
    remote_bandwidth: float = 50e9
    """Bytes per second that a GPU sends to other machines."""

    @property
    def bandwidth(self) -> float:
        return self.local_bandwidth if self.num_gpus <= self.gpus_per_machine else self.remote_bandwidth


@dataclass(frozen=True)
class TrainingCost:
    """Bytes on each GPU, and seconds of a step."""

    parameters: int
    """Number of parameters of the model."""
    weights: float
    """This GPU's share, float32."""
    gradients: float
    optimizer: float
    """A momentum for Muon's parameters; two for Adam's."""
    averages: float
    """One set of weights for each EMA decay."""
    gathered: float
    """Whole parameters in bfloat16, with gradients, while they are used."""
    activations: float
    """What the forward pass keeps for the backward pass."""
    compute_seconds: float
    communication_seconds: float
    """Of gathering weights twice, averaging gradients and Muon's exchange."""
    muon_seconds: float
    """Of this GPU's share of the matrices, at half of the peak: an assumption."""

    @property
    def memory(self) -> float:
        """Bytes on each GPU, without fragmentation, the optimizer's temporary matrices and CUDA itself."""
        return self.weights + self.gradients + self.optimizer + self.averages + self.gathered + self.activations

    @property
    def step_seconds(self) -> float:
        """If nothing of the communication happens during the computation, which is the worst case."""
        return self.compute_seconds + self.communication_seconds + self.muon_seconds


def training_cost(model: ModelConfig, optimizer: OptimizerConfig, clips_per_gpu: int, cluster: Cluster) -> TrainingCost:
    """The cost of a step on `clips_per_gpu` clips of the model's shape on each GPU."""
    config, share = model.transformer, 1 / cluster.num_gpus
    if config.hourglass_hidden_size:
        raise ValueError("The activations of an hourglass are not computed; choose a model without one.")
    with torch.device("meta"):
        transformer = Transformer(config)
    total = sum(parameter.numel() for parameter in transformer.parameters())
    blocks = [module for module in transformer.modules() if isinstance(module, Block)]
    sizes = [sum(parameter.numel() for parameter in block.parameters()) for block in blocks]
    matrices = matrix_parameters(*blocks)
    muon = sum(matrix.numel() for matrix in matrices)
    muon_flops = sum(orthogonalization_flops(*matrix.shape) for matrix in matrices) / optimizer.muon_every
    # The parameters outside of blocks stay gathered for the whole step; of the blocks, one that computes and the next.
    gathered = 2 * BF16 * (total - sum(sizes) + 2 * max(sizes))
    size = latent_size(model)
    tokens = num_video_tokens(size, config.patch_size[1]) + CAPTION_TOKENS
    step_flops = 3 * clips_per_gpu * flops(config, [size], [[CAPTION_TOKENS]])
    sent = total * (2 * BF16 + FP32) + 2 * FP32 * muon / optimizer.muon_every
    return TrainingCost(
        parameters=total,
        weights=FP32 * total * share,
        gradients=FP32 * total * share,
        optimizer=FP32 * (2 * total - muon) * share,
        averages=FP32 * total * len(optimizer.ema_decays) * share,
        gathered=float(gathered),
        activations=float(clips_per_gpu * tokens * config.num_layers * block_activations(config)),
        compute_seconds=step_flops / (cluster.flops * cluster.mfu),
        communication_seconds=sent * (1 - share) / cluster.bandwidth,
        muon_seconds=muon_flops * share / (0.5 * cluster.flops_fp32),
    )


def latent_size(model: ModelConfig) -> tuple[int, int, int]:
    """Frames, height and width of the latent of a clip of the model's shape."""
    shape, codec = model.shape, model.codec
    frames = 1 + (shape.num_frames - 1) // codec.temporal_compression
    return frames, shape.height // codec.spatial_compression, shape.width // codec.spatial_compression


def orthogonalization_flops(rows: int, columns: int) -> int:
    """Of `optimizer.orthogonalize` for one matrix: a Gram matrix, nine products of its size, and the result."""
    small, large = sorted((rows, columns))
    return 2 * small**2 * large + 9 * 2 * small**3 + 2 * small**2 * large


def block_activations(config: TransformerConfig) -> int:
    """Bytes for each token that a block keeps for its backward pass, with a fused attention kernel.

    In bfloat16. Of attention: its input, the normalized input, its scale and their product, the normalized queries and
    keys, the rotated ones, the values, the result, the projected result and its gate. Of SwiGLU: input, normalized
    input, scale, product, both halves of the first layer, the activated half and the product, the result and its gate.
    """
    heads = config.hidden_size // config.head_dim
    wide = (
        (4 + 2 + 2 + 1 + 1 + 2) * config.hidden_size + (4 + 2) * config.hidden_size + 4 * mlp_width(config.hidden_size)
    )
    small = 2 * heads * BF16 + heads * FP32 + 4 * FP32  # of normalizing queries and keys, of softmax, of layer norms
    return BF16 * wide + small


def main() -> None:
    """Prints the table for both large presets."""
    say("| preset | GPUs | state | gathered | activations | sum | compute | exchange | Muon | 100 M clips |")
    say("|---|---|---|---|---|---|---|---|---|---|")
    for name in ("400m", "2b"):
        preset = PRESETS[name]()
        clips = preset.transformer.batch_size
        for num_gpus in (8, 16, 32, 64):
            cost = training_cost(preset.model, preset.transformer.optimizer, clips, Cluster(num_gpus))
            state = cost.weights + cost.gradients + cost.optimizer + cost.averages
            memory = " | ".join(f"{x / 1e9:.1f} GB" for x in (state, cost.gathered, cost.activations, cost.memory))
            parts = (cost.compute_seconds, cost.communication_seconds, cost.muon_seconds)
            seconds = " | ".join(f"{x:.2f} s" for x in parts)
            days = 100e6 / (clips * num_gpus) * cost.step_seconds / 86400
            say(f"| {name} | {num_gpus} | {memory} | {seconds} | {days:.1f} days |")


if __name__ == "__main__":
    main()
