"""The diffusion transformer: one stream of video and text tokens, packed over samples of any mixture of sizes."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lumora.config import TransformerConfig
from lumora.model.hourglass import Hourglass
from lumora.model.layers import (
    TIME_FREQUENCIES,
    Block,
    RotaryEmbedding,
    TimeEmbedding,
    gather_rows,
    mlp_width,
    modulate,
)
from lumora.model.packing import Batch, Span
from lumora.model.patchify import patchify, stack_equal_shapes
from lumora.model.token_layout import TEXT_TOKENS, TokenLayout, latents_from_tokens, layout_tokens, num_video_tokens


def scaled_config(num_layers: int, latent_channels: int = 32) -> TransformerConfig:
    """The configuration with this number of blocks, of a width that grows with it.

    | blocks | width | parameters in blocks | forward FLOPs per token without attention |
    |---|---|---|---|
    | 4 | 128 | 0.9 M | 1.8 M |
    | 6 | 256 | 4.8 M | 9.6 M |
    | 10 | 384 | 17.7 M | 35 M |
    | 16 | 640 | 79 M | 158 M |
    | 28 | 1088 | 402 M | 803 M |

    Raises ValueError for fewer than one block.
    """
    if num_layers < 1:
        raise ValueError(f"A transformer needs at least 1 block, not {num_layers}.")
    return TransformerConfig(
        latent_channels=latent_channels, num_layers=num_layers, hidden_size=64 * max(2, round(0.6 * num_layers))
    )


class Transformer(nn.Module):
    """Predicts the clean latent from a noisy one, a time for each latent frame, and a caption (JiT, arXiv:2511.13720).

    With new weights it predicts 0, the mean of the data. Activations have autocast's precision, otherwise that of the
    weights.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        frames, self.patch, across = config.patch_size
        if frames != 1 or self.patch != across:
            raise ValueError(
                f"A token is a square of one latent frame, as each frame has its own time, not {config.patch_size}."
            )
        if config.hidden_size % config.head_dim or config.head_dim % 2:
            raise ValueError(
                f"The hidden size {config.hidden_size} must be a multiple of the even head size {config.head_dim}."
            )
        self.config = config
        width, token = config.hidden_size, config.latent_channels * self.patch**2
        self.rotary_embedding = RotaryEmbedding(config.head_dim)
        self.patch_embed = nn.Linear(token, width)
        self.space_proj = nn.Linear(4 * self.rotary_embedding.space_angles, width, bias=False)
        self.text_proj = nn.Linear(config.context_dim, width)
        self.null_text = nn.Parameter(torch.zeros(1, config.context_dim))
        self.text_position_embedding = nn.Parameter(torch.zeros(TEXT_TOKENS, width))
        self.time_embedding = TimeEmbedding(width)
        self.pooled_text_proj = nn.Linear(config.context_dim, width)
        self.text_row_embedding = nn.Parameter(torch.zeros(width))
        self.modulation = nn.Linear(width, 8 * width)
        hidden = mlp_width(config.hidden_size)
        self.text_refiner = Block(width, config.head_dim, hidden)
        self.blocks = nn.ModuleList([Block(width, config.head_dim, hidden) for _ in range(config.num_layers)])
        self.proj_out = nn.Linear(width, token)
        self.hourglass = Hourglass(config) if config.hourglass_hidden_size else None
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        hourglass = self.hourglass.zero_initialized if self.hourglass else ()
        for module in (self.modulation, self.proj_out, *hourglass):
            nn.init.zeros_(module.weight)
        for parameter in (self.null_text, self.text_position_embedding, self.text_row_embedding):
            nn.init.normal_(parameter, std=0.02)

    def forward(self, batch: Batch) -> list[Float[Tensor, "c _ _ _"]]:
        """The predicted clean latents in float32, in the order and sizes of `batch.latents`.

        Raises ValueError for a caption longer than TEXT_TOKENS.
        """
        batch = self.shift_times(batch)
        captions, shots = self.split_captions(batch)
        sizes = [latent.shape[1:] for latent in batch.latents]
        layout = layout_tokens(sizes, shots, batch.seconds, self.patch)
        conditions = self.modulation_input(batch.times, captions, shots)
        modulation = rearrange(self.modulation(conditions), "rows (kind d) -> rows kind d", kind=8)

        patches = torch.cat([patchify(stack, self.patch) for stack in stack_equal_shapes(batch.latents)])
        video = self.patch_embed(self.cast(patches))
        fine = self.hourglass.encode(batch, conditions) if self.hourglass else None
        video = video + fine.to_coarse() if fine else video
        text = self.encode_text(captions, modulation, layout)
        rotation = self.rotary_embedding(layout.positions)
        space = rotation[:, :, -2 * self.rotary_embedding.space_angles :]
        x = gather_rows(torch.cat([video, text]), layout.order)
        x = x + self.space_proj(self.cast(torch.cat([*space], dim=-1)))

        rotation = self.cast(rotation)[:, :, None]
        for block in self.blocks:
            x = block(x, modulation[:, :6], layout.modulation_row, rotation, layout.attention)

        video = gather_rows(x, layout.video)
        predicted = self.predict(video, modulation[:, 6:], layout, sizes)
        if fine is None:
            return predicted
        return [coarse + detail for coarse, detail in zip(predicted, fine.to_fine(video), strict=True)]

    def shift_times(self, batch: Batch) -> Batch:
        """The batch at the times that `time_shift` maps its times to.

        Averages of positions are then samples at these times: (1 − t)·x + (t / a)·ε, divided by the sum of the factors.
        """
        shift = self.config.time_shift
        if shift == 1.0:
            return batch
        scales = [1 - (1 - 1 / shift) * t for t in batch.times]
        latents = [x / scale[:, None, None] for x, scale in zip(batch.latents, scales, strict=True)]
        times = [t / (shift * scale) for t, scale in zip(batch.times, scales, strict=True)]
        return replace(batch, latents=latents, times=times)

    def split_captions(self, batch: Batch) -> tuple[list[Tensor], list[tuple[Span, ...]]]:
        """The caption of every shot of every sample, `null_text` where there is none; and the shots with its
        lengths."""
        captions, shots = [], []
        for text, spans in zip(batch.text, batch.shots, strict=True):
            parts = text.split([span.num_tokens for span in spans])
            parts = [part if len(part) else self.null_text for part in parts]
            captions += parts
            shots.append(tuple(Span(len(part), span.num_frames) for part, span in zip(parts, spans, strict=True)))
        return captions, shots

    def modulation_input(
        self, times: list[Tensor], captions: list[Tensor], shots: list[tuple[Span, ...]]
    ) -> Float[Tensor, "rows d"]:
        """The vectors that modulation is computed from: embeddings of the time and of the shot's pooled caption.

        For each sample a row per latent frame, then a row for the text of each shot, whose time is the largest of the
        shot's frames. The caption is pooled by its mean, as the text encoder was trained.
        """
        row_times, row_captions, text_rows = [], [], []
        for time, spans in zip(times, shots, strict=True):
            frames = time.split([span.num_frames for span in spans])
            row_times += [time, *(shot.amax(0, keepdim=True) for shot in frames)]
            own = range(len(text_rows), len(text_rows) + len(spans))
            row_captions += [caption for caption, span in zip(own, spans, strict=True) for _ in range(span.num_frames)]
            text_rows += range(len(row_captions), len(row_captions) + len(spans))
            row_captions += own
        conditions = self.time_embedding(torch.cat(row_times))
        index, text_index = (torch.tensor(rows, device=conditions.device) for rows in (row_captions, text_rows))
        pooled = self.pooled_text_proj(self.cast(torch.stack([caption.mean(dim=0) for caption in captions])))
        conditions = conditions + gather_rows(pooled, index)
        text_row = self.text_row_embedding.to(conditions.dtype).expand(len(captions), -1)
        return F.silu(conditions.index_add(0, text_index, text_row))

    def encode_text(self, captions: list[Tensor], modulation: Tensor, layout: TokenLayout) -> Float[Tensor, "text d"]:
        """Text tokens in the order of `layout.text_attention`, after one block with attention within each caption."""
        attention = layout.text_attention
        # No rows of `null_text`, so that it has a gradient in every process and step, as FSDP2 requires.
        ordered = torch.cat([*(captions[i] for i in attention.order), self.null_text[:0]])
        tokens = self.text_proj(self.cast(ordered))
        index = torch.cat([torch.arange(length, device=tokens.device) for length in attention.lengths])
        tokens = tokens + gather_rows(self.cast(self.text_position_embedding), index)
        # Position 0, which is no rotation: captions have no position in the video here.
        rotation = self.cast(self.rotary_embedding(tokens.new_zeros(len(tokens), 3)))[:, :, None]
        return self.text_refiner(tokens, modulation[:, :6], layout.text_modulation_row, rotation, attention)

    def predict(
        self,
        video: Float[Tensor, "video d"],
        modulation: Float[Tensor, "rows 2 d"],
        layout: TokenLayout,
        sizes: list[torch.Size],
    ) -> list[Float[Tensor, "c _ _ _"]]:
        """Clean latents of these sizes from video tokens in the order of the samples."""
        shift, scale = modulation.to(video.dtype).unbind(1)
        tokens = self.proj_out(modulate(video, shift, scale, layout.modulation_row[layout.video])).float()
        return latents_from_tokens(tokens, sizes, self.patch)

    def cast(self, x: Tensor) -> Tensor:
        """`x` in the precision of the activations."""
        kind = x.device.type
        return x.to(
            torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.patch_embed.weight.dtype
        )


def flops(config: TransformerConfig, sizes: list[tuple[int, int, int]], text_lengths: list[list[int]]) -> int:
    """Floating-point operations of a forward pass over samples of latent sizes (t, h, w) with a caption per shot.

    Counts matrix products exactly, a multiply-add as two operations, and nothing else. A training step takes three
    times as many.
    """
    width, patch = config.hidden_size, config.patch_size[1]
    token = config.latent_channels * patch**2
    text_lengths = [[max(1, length) for length in lengths] for lengths in text_lengths]  # null_text is one token
    videos = [num_video_tokens(size, patch) for size in sizes]
    captions = [length for lengths in text_lengths for length in lengths]
    sequences = [video + sum(lengths) for video, lengths in zip(videos, text_lengths, strict=True)]
    rows = sum(size[0] for size in sizes) + len(captions)
    block = 4 * width**2 + 3 * width * mlp_width(config.hidden_size)
    linear = 2 * sum(videos) * token * width
    linear += sum(captions) * (config.context_dim * width + block)
    space = 4 * RotaryEmbedding(config.head_dim).space_angles * width
    linear += sum(sequences) * (config.num_layers * block + space)
    linear += rows * (2 * TIME_FREQUENCIES + 9 * width) * width + len(captions) * config.context_dim * width
    attention = sum(n**2 for n in captions) + config.num_layers * sum(n**2 for n in sequences)
    return 2 * linear + 4 * width * attention + _hourglass_flops(config, sizes, rows)


def _hourglass_flops(config: TransformerConfig, sizes: list[tuple[int, int, int]], rows: int) -> int:
    width, patch = config.hourglass_hidden_size, config.patch_size[1]
    if not width:
        return 0
    blocks, token = 2 * config.hourglass_num_layers, config.latent_channels * (patch // 2) ** 2
    fine = [num_video_tokens(size, patch // 2) for size in sizes]
    coarse = sum(num_video_tokens(size, patch) for size in sizes)
    linear = sum(fine) * (blocks * (4 * width**2 + 3 * width * mlp_width(width)) + 2 * token * width)
    linear += coarse * 8 * width * config.hidden_size + rows * config.hidden_size * 8 * width
    frames = [size[0] if config.hourglass_spatial_attention else 1 for size in sizes]
    attention = sum(n**2 // count for n, count in zip(fine, frames, strict=True))
    return 2 * linear + 4 * width * blocks * attention


def batch_flops(config: TransformerConfig, batch: Batch) -> int:
    """`flops` of a batch."""
    sizes = [(latent.shape[1], latent.shape[2], latent.shape[3]) for latent in batch.latents]
    return flops(config, sizes, [[span.num_tokens for span in spans] for spans in batch.shots])
