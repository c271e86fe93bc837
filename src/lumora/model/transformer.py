"""The spacetime transformer: one stream of video and text tokens, packed over samples of any mixture of sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, groupby

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from lumora.config import TransformerConfig
from lumora.model.layers import TIME_WAVES, Block, Positions, TimeEmbedding, hidden_width, modulated, spread
from lumora.model.packing import Batch, Layout
from lumora.model.patchify import grid, patchify, unpatchify

TEXT_TOKENS = 128
"""The longest caption it can read."""


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
    return TransformerConfig(latent_channels=latent_channels, depth=dial, width=64 * max(2, round(0.6 * dial)))


@dataclass(frozen=True)
class Places:
    """Where the tokens of a batch lie in the packed sequence, and what each of them is."""

    layout: Layout
    words: Layout
    """Of the words alone."""
    order: Int[Tensor, " n"]
    """Source of each token of the sequence: video tokens of all samples first, then all words."""
    frame: Int[Tensor, " n"]
    """Row of modulation of each token: a row per latent frame and, last in each sample, one for its words."""
    word_frame: Int[Tensor, " words"]
    """The same for each word, in the order of `words`."""
    video: Int[Tensor, " video"]
    """Video tokens in the sequence, in the order of the samples."""
    positions: Float[Tensor, "n 3"]
    """(seconds, y, x); 0 for words."""


class Transformer(nn.Module):
    """Predicts the clean latent from a noisy one, a time for each latent frame, and a caption (JiT, arXiv:2511.13720).

    A new one predicts 0, the mean of the data. Activations have autocast's precision, or else the weights'.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        frames, self.patch, across = config.patch
        if frames != 1 or self.patch != across:
            raise ValueError(
                f"A token is a square of one latent frame, because a frame has its own time: not {config.patch}."
            )
        if config.width % config.head_width or config.head_width % 2:
            raise ValueError(f"The width {config.width} must be a multiple of the even head width {config.head_width}.")
        self.config = config
        width, token = config.width, config.latent_channels * self.patch**2
        self.positions = Positions(config.head_width)
        self.embed = nn.Linear(token, width)
        self.place = nn.Linear(4 * self.positions.place, width, bias=False)
        self.words = nn.Linear(config.text_width, width)
        self.no_words = nn.Parameter(torch.zeros(1, config.text_width))
        self.word_position = nn.Parameter(torch.zeros(TEXT_TOKENS, width))
        self.time = TimeEmbedding(width)
        self.gist = nn.Linear(config.text_width, width)
        self.word_kind = nn.Parameter(torch.zeros(width))
        self.modulation = nn.Linear(width, 8 * width)
        hidden = hidden_width(config.width)
        self.refiner = Block(width, config.head_width, hidden)
        self.blocks = nn.ModuleList([Block(width, config.head_width, hidden) for _ in range(config.depth)])
        self.head = nn.Linear(width, token)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in (self.modulation, self.head):
            nn.init.zeros_(module.weight)
        for parameter in (self.no_words, self.word_position, self.word_kind):
            nn.init.normal_(parameter, std=0.02)

    def forward(self, batch: Batch) -> list[Float[Tensor, "c _ _ _"]]:
        """The predicted clean latents in fp32, in the order and sizes of `batch.latents`.

        Raises ValueError for a caption longer than TEXT_TOKENS.
        """
        captions = [text if len(text) else self.no_words for text in batch.text]
        places = locate([latent.shape[1:] for latent in batch.latents], captions, batch.seconds, self.patch)
        modulation = self.modulations(batch.times, captions)
        video = self.embed(self.cast(torch.cat([patchify(x, self.patch) for x in stacks_of_equals(batch.latents)])))
        words = self.read(captions, modulation, places)
        turns = self.positions(places.positions)
        space = turns[:, :, -2 * self.positions.place :]
        x = spread(torch.cat([video, words]), places.order) + self.place(self.cast(torch.cat([*space], dim=-1)))
        rotation = self.cast(turns)[:, :, None]
        for block in self.blocks:
            x = block(x, modulation[:, :6], places.frame, rotation, places.layout)
        return self.predict(x, modulation[:, 6:], places, batch)

    def modulations(self, times: list[Tensor], captions: list[Tensor]) -> Float[Tensor, "rows 8 d"]:
        """Shifts, scales and gates of each latent frame, from its time and the caption's mean, which is what the text
        encoder was trained to make meaningful. Six are of the blocks, two of the head.

        After the frames of each sample comes a row for its words: their time is the sample's largest.
        """
        counts = torch.tensor([len(time) + 1 for time in times], device=self.no_words.device)
        rows = self.time(torch.cat([x for time in times for x in (time, time.amax(0, keepdim=True))]))
        gist = self.gist(self.cast(torch.stack([caption.mean(dim=0) for caption in captions])))
        rows = rows + gist.repeat_interleave(counts, dim=0)
        rows = rows.index_add(0, counts.cumsum(0) - 1, self.word_kind.to(rows.dtype).expand(len(times), -1))
        return rearrange(self.modulation(F.silu(rows)), "rows (kind d) -> rows kind d", kind=8)

    def read(self, captions: list[Tensor], modulation: Tensor, places: Places) -> Float[Tensor, "words d"]:
        """Words of all captions, in the order of `places.words`, after one block in which they see their sentence."""
        layout = places.words
        tokens = self.words(self.cast(torch.cat([captions[i] for i in layout.order])))
        index = torch.cat([torch.arange(length, device=tokens.device) for length in layout.lengths])
        tokens = tokens + spread(self.cast(self.word_position), index)
        # Words have no place in the video: the rotation of position 0 is none.
        rotation = self.cast(self.positions(tokens.new_zeros(len(tokens), 3)))[:, :, None]
        return self.refiner(tokens, modulation[:, :6], places.word_frame, rotation, layout)

    def predict(
        self, x: Float[Tensor, "n d"], modulation: Float[Tensor, "rows 2 d"], places: Places, batch: Batch
    ) -> list[Float[Tensor, "c _ _ _"]]:
        shift, scale = modulation.to(x.dtype).unbind(1)
        tokens = self.head(modulated(spread(x, places.video), shift, scale, places.frame[places.video])).float()
        sizes = [latent.shape[1:] for latent in batch.latents]
        parts = tokens.split([tokens_of(size, self.patch) for size in sizes])
        return [unpatchify(part, t, h, w, self.patch) for part, (t, h, w) in zip(parts, sizes, strict=True)]

    def cast(self, x: Tensor) -> Tensor:
        """x in the precision of the activations."""
        kind = x.device.type
        return x.to(torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.embed.weight.dtype)


def locate(sizes: list[torch.Size], captions: list[Tensor], seconds: list[Tensor], patch: int) -> Places:
    """Lays out samples of these latent sizes (t, h, w), captions and time stamps: each its video, then its words."""
    device = seconds[0].device
    stamps = torch.cat(seconds).cpu().split([len(stamp) for stamp in seconds])
    counts = [tokens_of(size, patch) for size in sizes]
    lengths = [len(caption) for caption in captions]
    if max(lengths) > TEXT_TOKENS:
        raise ValueError(f"A caption has {max(lengths)} tokens; {TEXT_TOKENS} is the most, so shorten it.")
    layout = Layout([count + length for count, length in zip(counts, lengths, strict=True)])
    words = Layout(lengths)
    first_token = [0, *accumulate(counts)]
    first_frame = [0, *accumulate(frames + 1 for frames, _, _ in sizes)]
    order, frame, positions = [], [], []
    for i in layout.order:
        frames, per_frame = sizes[i][0], counts[i] // sizes[i][0]
        start = first_token[-1] + words.starts[i]
        order += [torch.arange(first_token[i], first_token[i + 1]), torch.arange(start, start + lengths[i])]
        repeats = torch.tensor([per_frame] * frames + [lengths[i]])
        frame.append(torch.arange(first_frame[i], first_frame[i + 1]).repeat_interleave(repeats))
        positions += [video_positions(sizes[i], stamps[i], patch), torch.zeros(lengths[i], 3)]
    word_frame = torch.cat([torch.full((lengths[i],), first_frame[i + 1] - 1) for i in words.order])
    video = torch.cat([torch.arange(count) + layout.starts[i] for i, count in enumerate(counts)])
    index = (torch.cat(order), torch.cat(frame), word_frame, video, torch.cat(positions))
    return Places(layout, words, *(x.to(device, non_blocking=True) for x in index))


def video_positions(size: torch.Size, seconds: Float[Tensor, " t"], patch: int) -> Float[Tensor, "n 3"]:
    """(seconds, y, x) of each token's middle; y and x from the picture's, in half sides of a square of its area."""
    _, height, width = size
    rows, columns = grid(height, width, patch)
    half = math.sqrt(height * width) / 2
    y = ((torch.arange(rows) + 0.5) * patch - height / 2) / half
    x = ((torch.arange(columns) + 0.5) * patch - width / 2) / half
    return torch.cartesian_prod(seconds.float(), y, x)


def stacks_of_equals(latents: list[Tensor]) -> list[Float[Tensor, "_ ..."]]:
    """Neighbours of equal size as one tensor."""
    return [torch.stack(list(alike)) for _, alike in groupby(latents, key=lambda latent: latent.shape)]


def tokens_of(size: torch.Size | tuple[int, int, int], patch: int) -> int:
    frames, height, width = size
    return frames * math.prod(grid(height, width, patch))


def flops(config: TransformerConfig, sizes: list[tuple[int, int, int]], words: list[int]) -> int:
    """Floating-point operations of a forward pass over samples of these latent sizes (t, h, w) and caption lengths.

    Exact for matrix products (a multiply and an add are two); the rest is left out, as is usual. Training takes three
    times as many.
    """
    width, patch = config.width, config.patch[1]
    token = config.latent_channels * patch**2
    # No words are one token.
    words = [max(1, count) for count in words]
    videos = [tokens_of(size, patch) for size in sizes]
    lengths = [video + count for video, count in zip(videos, words, strict=True)]
    rows = sum(size[0] + 1 for size in sizes)
    block = 4 * width**2 + 3 * width * hidden_width(config.width)
    linear = 2 * sum(videos) * token * width
    linear += sum(words) * (config.text_width * width + block)
    linear += sum(lengths) * (config.depth * block + 4 * Positions(config.head_width).place * width)
    linear += rows * (2 * TIME_WAVES + 9 * width) * width + len(sizes) * config.text_width * width
    attention = sum(count**2 for count in words) + config.depth * sum(length**2 for length in lengths)
    return 2 * linear + 4 * width * attention


def batch_flops(config: TransformerConfig, batch: Batch) -> int:
    """`flops` of a batch."""
    sizes = [(latent.shape[1], latent.shape[2], latent.shape[3]) for latent in batch.latents]
    return flops(config, sizes, [len(text) for text in batch.text])
