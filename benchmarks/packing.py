"""Measures what packing saves: a block on ten sequences of mixed lengths, forward and backward, packed and padded.

    python benchmarks/packing.py [--width 256] [--threads 2]

Padding fills every sequence up to the longest and masks the filling in attention. Both variants run the same block with
the same weights, in bfloat16 under autocast, and their outputs are compared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lumora.model import layers
from lumora.model.layers import Block, RotaryEmbedding, mlp_width
from lumora.model.packing import AttentionLayout

MIXES = {
    "evenly mixed": [40, 40, 104, 104, 184, 184, 344, 344, 608, 608],
    "one long clip": [40, 40, 104, 104, 104, 104, 160, 232, 344, 1328],
}
"""Lengths of ten sequences (images and clips with their text), 2,560 tokens in all."""


class Padded(AttentionLayout):
    """A layout in which every sequence has the length of the longest."""

    def __init__(self, lengths: list[int]) -> None:
        super().__init__([max(lengths)] * len(lengths))
        real = torch.tensor(sorted(lengths))
        self.mask = (torch.arange(max(lengths)) < real[:, None])[:, None, None]
        """(sequences, 1, 1, longest): true at tokens, false at padding."""
        self.real = self.mask.flatten()


def padded_attention(q: Tensor, k: Tensor, v: Tensor, layout: Padded) -> Tensor:
    q, k, v = (rearrange(x, "(b l) head e -> b head l e", l=layout.longest).float() for x in (q, k, v))
    return rearrange(F.scaled_dot_product_attention(q, k, v, layout.mask), "b head l e -> (b l) head e").bfloat16()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    block = Block(options.width, 64, mlp_width(options.width))
    nn.init.normal_(block.scale_shift_table)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    for name, lengths in MIXES.items():
        compare(name, lengths, block, clock)


def compare(name: str, lengths: list[int], block: Block, clock: Callable[[], float]) -> None:
    packed, padded = AttentionLayout(lengths), Padded(lengths)
    tokens = torch.randn(packed.total, block.scale_shift_table.shape[1])
    filled = torch.zeros(padded.total, block.scale_shift_table.shape[1]).masked_scatter(padded.real[:, None], tokens)
    ours = work(block, tokens, packed)
    theirs = work(block, filled, padded)
    fast, ours_out = best_of(ours, clock)
    layers.packed_attention, kept = padded_attention, layers.packed_attention
    slow, theirs_out = best_of(theirs, clock)
    layers.packed_attention = kept
    torch.testing.assert_close(theirs_out[padded.real], ours_out, rtol=0.05, atol=0.1)
    tokens_in_words = f"{packed.total:,} tokens, {padded.total:,} padded"
    print(f"{name} ({tokens_in_words}): {1e3 * fast:.0f} against {1e3 * slow:.0f} ms, {slow / fast:.1f}× as fast")


def work(block: Block, tokens: Tensor, layout: AttentionLayout) -> Callable[[], Tensor]:
    """A function that runs a forward and a backward pass and returns the output."""
    x = tokens.bfloat16().requires_grad_()
    rotation = RotaryEmbedding(64)(torch.zeros(len(tokens), 3)).bfloat16()[:, :, None]
    modulation, frame = torch.zeros(1, 6, tokens.shape[1]), torch.zeros(len(tokens), dtype=torch.long)

    def run() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            out = block(x, modulation, frame, rotation, layout)
        out.sum().backward()
        return out.detach()

    return run


def best_of(run: Callable[[], Tensor], clock: Callable[[], float], repeats: int = 5) -> tuple[float, Tensor]:
    """The seconds of the fastest run, and the output."""
    out = run()
    best = float("inf")
    for _ in range(repeats):
        start = clock()
        run()
        best = min(best, clock() - start)
    return best, out


if __name__ == "__main__":
    main()
