"""The spacetime transformer: one stream of video and text tokens, packed over samples of any mixture of sizes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lumora.config import TransformerConfig
from lumora.model.hourglass import Hourglass
from lumora.model.layers import TIME_WAVES, Block, Positions, TimeEmbedding, gather_rows, hidden_width, modulated
from lumora.model.packing import Batch, Span
from lumora.model.patchify import patchify, stacks_of_equals
from lumora.model.token_layout import TEXT_TOKENS, TokenLayout, latents_from_tokens, layout_tokens, num_video_tokens


def sized(dial: int, latent_channels: int = 32) -> TransformerConfig:
    """The family of sizes: `dial` blocks, of a width that grows with the depth.

    | dial | width | parameters in blocks | forward FLOPs a token, attention aside |
    |---|---|---|---|
    | 4 | 128 | 0.9 M | 1.8 M |
    | 6 | 256 | 4.8 M | 9.6 M |
    | 10 | 384 | 17.7 M | 35 M |
    | 16 | 640 | 79 M | 158 M |
    | 28 | 1088 | 402 M | 803 M |
    """
    if dial < 1:
        raise ValueError(f"The size of the transformer counts its blocks, so it must be at least 1, not {dial}.")
    return TransformerConfig(
        latent_channels=latent_channels, num_layers=dial, hidden_size=64 * max(2, round(0.6 * dial))
    )


class Transformer(nn.Module):
    """Predicts the clean latent from a noisy one, a time for each latent frame, and a caption (JiT, arXiv:2511.13720).

    A new one predicts 0, the mean of the data. Activations have autocast's precision, or else the weights'.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        frames, self.patch, across = config.patch_size
        if frames != 1 or self.patch != across:
            raise ValueError(
                f"A token is a square of one latent frame, because a frame has its own time: not {config.patch_size}."
            )
        if config.hidden_size % config.head_dim or config.head_dim % 2:
            raise ValueError(
                f"The width {config.hidden_size} must be a multiple of the even head width {config.head_dim}."
            )
        self.config = config
        width, token = config.hidden_size, config.latent_channels * self.patch**2
        self.positions = Positions(config.head_dim)
        self.embed = nn.Linear(token, width)
        self.place = nn.Linear(4 * self.positions.place, width, bias=False)
        self.words = nn.Linear(config.context_dim, width)
        self.no_words = nn.Parameter(torch.zeros(1, config.context_dim))
        self.word_position = nn.Parameter(torch.zeros(TEXT_TOKENS, width))
        self.time = TimeEmbedding(width)
        self.gist = nn.Linear(config.context_dim, width)
        self.word_kind = nn.Parameter(torch.zeros(width))
        self.modulation = nn.Linear(width, 8 * width)
        hidden = hidden_width(config.hidden_size)
        self.refiner = Block(width, config.head_dim, hidden)
        self.blocks = nn.ModuleList([Block(width, config.head_dim, hidden) for _ in range(config.num_layers)])
        self.head = nn.Linear(width, token)
        self.fine = Hourglass(config) if config.hourglass_hidden_size else None
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in (self.modulation, self.head, *(self.fine.zero if self.fine else ())):
            nn.init.zeros_(module.weight)
        for parameter in (self.no_words, self.word_position, self.word_kind):
            nn.init.normal_(parameter, std=0.02)

    def forward(self, batch: Batch) -> list[Float[Tensor, "c _ _ _"]]:
        """The predicted clean latents in fp32, in the order and sizes of `batch.latents`.

        Raises ValueError for a caption longer than TEXT_TOKENS.
        """
        captions, shots = self.captions(batch)
        sizes = [latent.shape[1:] for latent in batch.latents]
        places = layout_tokens(sizes, shots, batch.seconds, self.patch)
        conditions = self.conditions(batch.times, captions, shots)
        modulation = rearrange(self.modulation(conditions), "rows (kind d) -> rows kind d", kind=8)
        video = self.embed(self.cast(torch.cat([patchify(x, self.patch) for x in stacks_of_equals(batch.latents)])))
        fine = self.fine.begin(batch, conditions) if self.fine else None
        video = video + fine.to_coarse() if fine else video
        words = self.read(captions, modulation, places)
        turns = self.positions(places.positions)
        space = turns[:, :, -2 * self.positions.place :]
        x = gather_rows(torch.cat([video, words]), places.order) + self.place(self.cast(torch.cat([*space], dim=-1)))
        rotation = self.cast(turns)[:, :, None]
        for block in self.blocks:
            x = block(x, modulation[:, :6], places.frame, rotation, places.layout)
        video = gather_rows(x, places.video)
        predicted = self.predict(video, modulation[:, 6:], places, sizes)
        return (
            [coarse + detail for coarse, detail in zip(predicted, fine.to_fine(video), strict=True)]
            if fine
            else predicted
        )

    def captions(self, batch: Batch) -> tuple[list[Tensor], list[tuple[Span, ...]]]:
        """The words of every shot of every sample, where there are none the token that says so; and the shots, of so
        many tokens."""
        captions, shots = [], []
        for text, spans in zip(batch.text, batch.shots, strict=True):
            parts = text.split([span.num_tokens for span in spans])
            parts = [part if len(part) else self.no_words for part in parts]
            captions += parts
            shots.append(tuple(Span(len(part), span.num_frames) for part, span in zip(parts, spans, strict=True)))
        return captions, shots

    def conditions(
        self, times: list[Tensor], captions: list[Tensor], shots: list[tuple[Span, ...]]
    ) -> Float[Tensor, "rows d"]:
        """What shifts, scales and gates of each latent frame follow from: its time and the mean of its shot's caption,
        which is what the text encoder was trained to make meaningful.

        After the frames of each sample comes a row for the words of each of its shots: their time is the largest of
        the shot's.
        """
        rows, spoken, words = [], [], []
        for time, spans in zip(times, shots, strict=True):
            parts = time.split([span.num_frames for span in spans])
            rows += [time, *(part.amax(0, keepdim=True) for part in parts)]
            own = range(len(words), len(words) + len(spans))
            spoken += [n for n, span in zip(own, spans, strict=True) for _ in range(span.num_frames)]
            words += range(len(spoken), len(spoken) + len(spans))
            spoken += own
        conditions = self.time(torch.cat(rows))
        index, own_rows = (torch.tensor(numbers, device=conditions.device) for numbers in (spoken, words))
        gist = self.gist(self.cast(torch.stack([caption.mean(dim=0) for caption in captions])))
        conditions = conditions + gather_rows(gist, index)
        kind = self.word_kind.to(conditions.dtype).expand(len(captions), -1)
        return F.silu(conditions.index_add(0, own_rows, kind))

    def read(self, captions: list[Tensor], modulation: Tensor, places: TokenLayout) -> Float[Tensor, "words d"]:
        """Words of all captions, in the order of `places.words`, after one block in which they see their sentence."""
        layout = places.words
        tokens = self.words(self.cast(torch.cat([captions[i] for i in layout.order])))
        index = torch.cat([torch.arange(length, device=tokens.device) for length in layout.lengths])
        tokens = tokens + gather_rows(self.cast(self.word_position), index)
        # Words have no place in the video: the rotation of position 0 is none.
        rotation = self.cast(self.positions(tokens.new_zeros(len(tokens), 3)))[:, :, None]
        return self.refiner(tokens, modulation[:, :6], places.word_frame, rotation, layout)

    def predict(
        self,
        video: Float[Tensor, "video d"],
        modulation: Float[Tensor, "rows 2 d"],
        places: TokenLayout,
        sizes: list[torch.Size],
    ) -> list[Float[Tensor, "c _ _ _"]]:
        """Clean latents of these sizes from their tokens, in the order of the samples."""
        shift, scale = modulation.to(video.dtype).unbind(1)
        tokens = self.head(modulated(video, shift, scale, places.frame[places.video])).float()
        return latents_from_tokens(tokens, sizes, self.patch)

    def cast(self, x: Tensor) -> Tensor:
        """x in the precision of the activations."""
        kind = x.device.type
        return x.to(torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.embed.weight.dtype)


def flops(config: TransformerConfig, sizes: list[tuple[int, int, int]], words: list[list[int]]) -> int:
    """Floating-point operations of a forward pass over samples of these latent sizes (t, h, w), whose shots have so
    many words.

    Exact for matrix products (a multiply and an add are two); the rest is left out, as is usual. Training takes three
    times as many.
    """
    width, patch = config.hidden_size, config.patch_size[1]
    token = config.latent_channels * patch**2
    # No words are one token.
    words = [[max(1, count) for count in counts] for counts in words]
    videos, captions = (
        [num_video_tokens(size, patch) for size in sizes],
        [count for counts in words for count in counts],
    )
    lengths = [video + sum(counts) for video, counts in zip(videos, words, strict=True)]
    rows = sum(size[0] for size in sizes) + len(captions)
    block = 4 * width**2 + 3 * width * hidden_width(config.hidden_size)
    linear = 2 * sum(videos) * token * width
    linear += sum(captions) * (config.context_dim * width + block)
    linear += sum(lengths) * (config.num_layers * block + 4 * Positions(config.head_dim).place * width)
    linear += rows * (2 * TIME_WAVES + 9 * width) * width + len(captions) * config.context_dim * width
    attention = sum(count**2 for count in captions) + config.num_layers * sum(length**2 for length in lengths)
    return 2 * linear + 4 * width * attention + _fine_flops(config, sizes, rows)


def _fine_flops(config: TransformerConfig, sizes: list[tuple[int, int, int]], rows: int) -> int:
    fine, blocks, token = (
        config.hourglass_hidden_size,
        2 * config.hourglass_num_layers,
        config.hourglass_hidden_size * config.patch_size[1] ** 2,
    )
    if not fine:
        return 0
    lengths, coarse = (
        [math.prod(size) for size in sizes],
        sum(num_video_tokens(size, config.patch_size[1]) for size in sizes),
    )
    linear = sum(lengths) * (blocks * (4 * fine**2 + 3 * fine * hidden_width(fine)) + 2 * config.latent_channels * fine)
    linear += coarse * 2 * token * config.hidden_size + rows * config.hidden_size * 8 * fine
    return 2 * linear + 4 * fine * blocks * sum(length**2 for length in lengths)


def batch_flops(config: TransformerConfig, batch: Batch) -> int:
    """`flops` of a batch."""
    sizes = [(latent.shape[1], latent.shape[2], latent.shape[3]) for latent in batch.latents]
    return flops(config, sizes, [[span.num_tokens for span in spans] for spans in batch.shots])
