"""Measures the speed of the transformer, against a matrix product and against a Wan block of diffusers of equal size.

    python benchmarks/step.py [--threads 2] [--device cuda]

On one CPU thread the processor time is measured, which other load on the machine changes little; otherwise wall-clock
time. The best of several runs is printed. All tensors are bfloat16; a clip has 80 video tokens and 24 text tokens. The
comparison with Wan needs `pip install lumora[open]` and is skipped without it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from lumora.config import FlowConfig, TransformerConfig
from lumora.diffusion.condition import init_state
from lumora.diffusion.flow import flow_matching_loss
from lumora.diffusion.guidance import Guidance, make_denoiser
from lumora.model.layers import Block, RotaryEmbedding, mlp_width
from lumora.model.packing import AttentionLayout
from lumora.model.transformer import Transformer, scaled_config

SIZE, WORDS, TOKENS = (5, 8, 8), 24, 104
TRAINING_BATCH = 64


class Clock:
    """Measures a function: seconds of the best of several runs."""

    def __init__(self, device: torch.device, threads: int) -> None:
        self.device = device
        self.now = time.process_time if device.type == "cpu" and threads == 1 else time.perf_counter

    def __call__(self, work: Callable[[], object], repeats: int = 7) -> float:
        work()
        best = float("inf")
        for _ in range(repeats):
            self._wait()
            start = self.now()
            work()
            self._wait()
            best = min(best, self.now() - start)
        return best

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dials", type=int, nargs="+", default=[6, 10])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)
    clock = Clock(device, options.threads)
    for dial in options.dials:
        config = scaled_config(dial)
        print(f"width {config.hidden_size}, {config.num_layers} blocks, {options.threads} threads of {device.type}")
        compare_blocks(config, device, clock)
        measure_guided_step(config, device, clock)
        measure_training(config, device, clock)


def compare_blocks(config: TransformerConfig, device: torch.device, clock: Clock) -> None:
    """Forward passes of one block, on the two clips of a guided step and on a training batch."""
    for clips in (2, TRAINING_BATCH):
        ours, theirs = clock(our_block(config, clips, device)), None
        try:
            theirs = clock(wan_block(config, clips, device))
        except ImportError as error:
            print(f"  no comparison with diffusers, because it is not fully installed: {error}")
        versus = f", Wan's {1e3 * theirs:.2f} ms: {theirs / ours:.2f}× as fast" if theirs else ""
        print(f"  a block, {clips} clips: {1e3 * ours:.2f} ms{versus}")


def our_block(config: TransformerConfig, clips: int, device: torch.device) -> Callable[[], Tensor]:
    block = Block(config.hidden_size, config.head_dim, mlp_width(config.hidden_size)).to(device, torch.bfloat16)
    frames = SIZE[0] + 1
    x = torch.randn(clips * TOKENS, config.hidden_size, device=device, dtype=torch.bfloat16)
    modulation = torch.randn(clips * frames, 6, config.hidden_size, device=device, dtype=torch.bfloat16)
    frame = torch.arange(clips * frames, device=device).repeat_interleave(
        torch.tensor([16] * SIZE[0] + [WORDS], device=device).repeat(clips)
    )
    rotation = RotaryEmbedding(config.head_dim)(torch.rand(clips * TOKENS, 3, device=device)).bfloat16()[:, :, None]
    layout = AttentionLayout([TOKENS] * clips)
    return without_gradient(lambda: block(x, modulation, frame, rotation, layout))


def wan_block(config: TransformerConfig, clips: int, device: torch.device) -> Callable[[], Tensor]:
    """Video tokens attend to each other, then to the text; the feed-forward layer is as large as ours."""
    from diffusers.models.transformers.transformer_wan import WanTransformerBlock

    heads = config.hidden_size // config.head_dim
    block = WanTransformerBlock(config.hidden_size, mlp_width(config.hidden_size) * 3 // 2, heads, cross_attn_norm=True)
    block = block.to(device, torch.bfloat16)
    video = TOKENS - WORDS
    x = torch.randn(clips, video, config.hidden_size, device=device, dtype=torch.bfloat16)
    words = torch.randn(clips, WORDS, config.hidden_size, device=device, dtype=torch.bfloat16)
    # Wan 2.2 expresses a time per frame as a modulation per token.
    modulation = torch.randn(clips, video, 6, config.hidden_size, device=device)
    angles = torch.rand(1, video, 1, config.head_dim, device=device)
    rotation = angles.cos().bfloat16(), angles.sin().bfloat16()
    return without_gradient(lambda: block(x, words, modulation, rotation))


def without_gradient(work: Callable[[], Tensor]) -> Callable[[], Tensor]:
    return torch.inference_mode()(work)


def measure_guided_step(config: TransformerConfig, device: torch.device, clock: Clock) -> None:
    transformer = Transformer(config).to(device, torch.bfloat16)
    clean = torch.zeros(1, config.latent_channels, *SIZE, device=device)
    mask, seconds = torch.ones(1, SIZE[0], device=device), torch.arange(SIZE[0], device=device)[None] * 0.5
    state = init_state(clean, mask, seconds, torch.Generator().manual_seed(0))
    text = [torch.randn(WORDS, config.context_dim, device=device, dtype=torch.bfloat16)]
    denoise = make_denoiser(transformer, state, text, Guidance(4.0))
    print(f"  a guided step of one clip: {1e3 * clock(lambda: denoise(state.latent, 0.5), 20):.1f} ms")


def measure_training(config: TransformerConfig, device: torch.device, clock: Clock) -> None:
    """Forward and backward pass under autocast, with captions of 14 to 34 tokens; without the optimizer."""
    transformer = Transformer(config).to(device)
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(14, 35, (TRAINING_BATCH,), generator=generator).tolist()
    text = [torch.randn(count, config.context_dim, device=device) for count in counts]
    latents = [torch.randn(config.latent_channels, *SIZE, device=device) for _ in counts]
    seconds = [torch.arange(SIZE[0], device=device) * 0.5 for _ in counts]
    operations = 0.0

    def step() -> None:
        nonlocal operations
        with torch.autocast(device.type, torch.bfloat16):
            loss, metrics = flow_matching_loss(
                transformer, latents, text, seconds, FlowConfig(caption_dropout=0.0), generator
            )
        operations = 3 * metrics["flops"]
        transformer.zero_grad()
        loss.backward()

    before = peak(device, clock)
    duration = clock(step)
    best = max(before, peak(device, clock))
    print(
        f"  training, batch {TRAINING_BATCH}: {TRAINING_BATCH / duration:.1f} clips/s, "
        f"{operations / duration / 1e9:.0f} GFLOP/s, {operations / duration / best:.0%} of the measured "
        f"{best / 1e9:.0f} (bf16, 2048³)"
    )


def peak(device: torch.device, clock: Clock) -> float:
    """FLOP/s of a product of two square matrices."""
    a, b = torch.randn(2, 2048, 2048, device=device, dtype=torch.bfloat16)
    return 2 * 2048**3 / clock(lambda: a @ b, 10)


if __name__ == "__main__":
    main()
