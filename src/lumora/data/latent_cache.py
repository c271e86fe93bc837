"""Encoded clips for training the transformer: latents of each clip and of its mirror image, and encoded captions.

`latents-00000.safetensors` holds N clips of one shape, which its metadata states (`shape`, a `VideoShape` as JSON):

- `latents`: bfloat16 (2, N, C, t, h, w); index 0 is the clip and 1 its mirror image.
- `subject`: uint8 (N, t, h, w), the share of each latent position that subjects cover, in 255ths; 0 where unknown.
- `text`: bfloat16 (tokens, dim), the tokens of all captions, one after another.
- `captions`: int64 (parts + 1), the offset in `text` at which each part begins, and the end. A caption has one part,
  or one for each shot that it describes.
- `spans`: int64 (parts), the number of latent frames that each part describes.
- `parts`: int64 (captions + 1), the index of the first part of each caption, and the end.
- `first`: int64 (2·N + 1), the index of the first caption of each view (N clips, then N mirror images), and the end. A
  view may have any number of captions, or none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from lumora.atomic_io import atomic_write
from lumora.codec import Codec
from lumora.config import CodecConfig, VideoShape, from_json
from lumora.data.captions import CaptionLine, ClipCaptions
from lumora.data.shards import ClipRecord, open_frames, open_subjects, read_records, shard_numbers
from lumora.model.packing import Span
from lumora.parallel import run_jobs
from lumora.precision import autocast
from lumora.text_encoder import TextEncoder
from lumora.weights_io import load_weights

ENCODED_CAPTIONS: dict[str, int] = {"short": 1, "sentence": 1, "paragraph": 1}
"""Captions of each length that are encoded per view. More would take far more disk space than the latents."""

EncodedCaption: TypeAlias = Sequence[tuple[Tensor, int]]
"""Parts of a caption: tokens (l, dim) and the number of latent frames that they describe."""


class Encoders:
    """The codec and the text encoder, on one device and in evaluation mode."""

    def __init__(self, codec: Codec, text: TextEncoder) -> None:
        self.codec, self.text = codec.eval(), text

    @classmethod
    @lru_cache(1)
    def load(cls, config: CodecConfig, weights: Path, device: str) -> Encoders:
        """The codec in the file `weights` and the text encoder, loaded once per process."""
        codec = load_weights(Codec(config), weights).to(device)
        return cls(codec, TextEncoder.load(device=device))

    @torch.no_grad()
    def latents(
        self, frames: UInt8[np.ndarray, "n t h w 3"], batch_size: int = 16
    ) -> Float[Tensor, "2 n channels steps rows columns"]:
        """Latents of the clips and of their mirror images, bfloat16 on the CPU."""
        batches = []
        for start in range(0, len(frames), batch_size):
            pixels = torch.from_numpy(np.array(frames[start : start + batch_size])).to(self.text.device)
            pixels = rearrange(pixels, "n t h w c -> n c t h w") / 127.5 - 1
            with autocast(self.text.device):
                views = [self.codec.encode(view) for view in (pixels, pixels.flip(-1))]
            batches.append(torch.stack(views).bfloat16().cpu())
        return torch.cat(batches, dim=1)

    def texts(self, texts: Sequence[str]) -> list[Float[Tensor, "_ dim"]]:
        """Token embeddings in bfloat16 on the CPU; equal texts are encoded once."""
        unique = sorted(set(texts))
        with autocast(self.text.device):  # precise enough for storage in bfloat16
            encoded = dict(zip(unique, self.text.encode(unique), strict=True))
        stored = {text: tokens.bfloat16().cpu() for text, tokens in encoded.items()}
        return [stored[text] for text in texts]


@dataclass(frozen=True)
class _Job:
    folder: Path
    number: int
    num_clips: int
    out: Path
    codec: CodecConfig
    weights: Path
    device: str


def encode_latents(
    folder: Path,
    out: Path,
    codec: CodecConfig,
    weights: Path,
    workers: int = 0,
    device: str = "cpu",
) -> None:
    """Encodes the shards of `folder` that have captions and that `out` lacks, by the codec in the file `weights`."""
    out.mkdir(parents=True, exist_ok=True)
    jobs = []
    for number in shard_numbers(folder, "captions"):
        path, num_clips = latent_path(out, number), len(open_frames(folder, number))
        if not path.exists() or LatentShard(path).count != num_clips:
            jobs.append(_Job(folder, number, num_clips, out, codec, weights, device))
    run_jobs(_encode_shard, jobs, workers, lambda job: job.num_clips)


def _encode_shard(job: _Job) -> None:
    records = read_records(ClipRecord, job.folder, "clips", job.number)
    captions = read_records(ClipCaptions, job.folder, "captions", job.number)
    frames, subjects = open_frames(job.folder, job.number), open_subjects(job.folder, job.number)
    encoders = Encoders.load(job.codec, job.weights, job.device)
    write_latents(latent_path(job.out, job.number), frames, records, captions, encoders, subjects)


def write_latents(
    path: Path,
    frames: UInt8[np.ndarray, "n t h w 3"],
    records: Sequence[ClipRecord],
    captions: Sequence[ClipCaptions],
    encoders: Encoders,
    subjects: UInt8[np.ndarray, "n t h w"] | None = None,
) -> None:
    """Encodes clips of one shape, with their captions, and writes them as a shard."""
    latents, codec = encoders.latents(frames), encoders.codec
    views = [_encoded_lines(c.captions) for c in captions] + [_encoded_lines(c.mirrored) for c in captions]
    tokens = iter(encoders.texts([text for view in views for line in view for text in line.shots or (line.text,)]))

    def encoded(line: CaptionLine, record: ClipRecord) -> EncodedCaption:
        spans = latent_spans(record, codec.config.temporal_compression) if line.shots else [latents.shape[3]]
        return [(next(tokens), span) for span in spans]

    encoded_views = [
        [encoded(line, record) for line in view] for view, record in zip(views, [*records, *records], strict=True)
    ]
    cover = torch.zeros_like(latents[0, :, 0], dtype=torch.uint8) if subjects is None else covered(subjects, codec)
    save_latent_shard(path, records[0].shape, latents, cover, encoded_views)


def save_latent_shard(
    path: Path,
    shape: VideoShape,
    latents: Float[Tensor, "2 n c t h w"],
    subject: UInt8[Tensor, "n t h w"],
    views: Sequence[Sequence[EncodedCaption]],
) -> None:
    """Writes the encoded clips of one shape; `views` are the captions of the n clips, then of the n mirror images."""
    captions = [caption for view in views for caption in view]
    parts = [part for caption in captions for part in caption]
    content = {
        "latents": latents.contiguous(),
        "subject": subject.contiguous(),
        "text": torch.cat([tokens for tokens, _ in parts]),
        "captions": _offsets([len(tokens) for tokens, _ in parts]),
        "spans": torch.tensor([span for _, span in parts], dtype=torch.int64),
        "parts": _offsets([len(caption) for caption in captions]),
        "first": _offsets([len(view) for view in views]),
    }
    with atomic_write(path) as part:
        save_file(content, part, {"shape": json.dumps(asdict(shape))})


def latent_spans(record: ClipRecord, temporal_compression: int) -> list[int]:
    """Latent frames of each shot. The first latent frame holds one frame, the others `temporal_compression` each.

    Raises ValueError where a latent frame would hold frames of two shots.
    """
    ends = list(accumulate(shot.num_frames for shot in record.shots))
    if any((end - 1) % temporal_compression for end in ends):
        raise ValueError(
            f"Shots must end with latent frames, after 1 + {temporal_compression}n frames; these end after {ends}."
        )
    latent_ends = [1 + (end - 1) // temporal_compression for end in ends]
    return [end - start for start, end in pairwise([0, *latent_ends])]


def covered(subjects: UInt8[np.ndarray, "n t h w"], codec: Codec) -> UInt8[Tensor, "n steps rows columns"]:
    """The share of each latent position that subjects cover, in 255ths."""
    space, time = codec.config.spatial_compression, codec.config.temporal_compression
    mask = torch.from_numpy(subjects > 0).float()
    # The first latent frame holds one frame, the others `time` each.
    mask = torch.cat([mask[:, :1].expand(-1, time, -1, -1), mask[:, 1:]], dim=1)
    return F.avg_pool3d(255 * mask[:, None], (time, space, space))[:, 0].round().byte()


class LatentShard:
    """One shard, memory-mapped: tensors are read from the disk when they are used.

    Raises ValueError for a file of another format. A shard from before shapes were stored (it has the tensor `fps`
    instead) is read.
    """

    def __init__(self, path: Path) -> None:
        content = load_file(path)
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        try:
            self.latents, self.text, self.subject = content["latents"], content["text"], content["subject"]
            self.captions, self.first = content["captions"].tolist(), content["first"].tolist()
            self.spans, self.parts = content["spans"].tolist(), content["parts"].tolist()
            if "shape" in metadata:
                self.fps = from_json(VideoShape, metadata["shape"]).fps
            else:
                self.fps = float(content["fps"][0])
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{path} was written by another version of lumora ({error}); remove it and encode the clips again."
            ) from error
        self.count = self.latents.shape[1]

    def example(self, clip: int, mirrored: bool, choice: float) -> LatentExample:
        """A clip, or its mirror image if that has captions, with the caption at `choice` in [0, 1) of its list."""
        view = clip + self.count * mirrored
        if self.first[view] == self.first[view + 1]:
            view, mirrored = clip, False
        first, end = self.first[view], self.first[view + 1]
        caption = first + int(choice * (end - first))
        parts = range(self.parts[caption], self.parts[caption + 1])
        text = self.text[self.captions[parts.start] : self.captions[parts.stop]]
        spans = tuple(Span(self.captions[p + 1] - self.captions[p], self.spans[p]) for p in parts)
        subject = self.subject[clip].flip(-1) if mirrored else self.subject[clip]
        return LatentExample(self.latents[int(mirrored), clip], subject.float() / 255, text, self.fps, spans)


@dataclass(frozen=True)
class LatentExample:
    """A training example of the transformer."""

    latent: Float[Tensor, "c t h w"]
    subject: Float[Tensor, "t h w"]
    """The share of each latent position that subjects cover."""
    text: Float[Tensor, "l dim"]
    fps: float
    """Frames per second of the clip (not of its latent)."""
    spans: tuple[Span, ...]
    """The shots that `text` describes, at least one."""

    def first_frames(self, num_frames: int) -> LatentExample:
        """The first latent frames, and the text of the shots that are in them."""
        starts = accumulate((span.num_frames for span in self.spans), initial=0)
        spans = tuple(
            Span(span.num_tokens, min(span.num_frames, num_frames - start))
            for span, start in zip(self.spans, starts, strict=False)
            if start < num_frames
        )
        text = self.text[: sum(span.num_tokens for span in spans)]
        return LatentExample(self.latent[:, :num_frames], self.subject[:num_frames], text, self.fps, spans)


def latent_path(folder: Path, number: int) -> Path:
    return folder / f"latents-{number:05}.safetensors"


def _encoded_lines(lines: Sequence[CaptionLine]) -> list[CaptionLine]:
    """The first `ENCODED_CAPTIONS` captions of each length in English, and all in other languages."""
    remaining = dict(ENCODED_CAPTIONS)
    chosen = []
    for line in lines:
        if line.language != "en":
            chosen.append(line)
        elif remaining.get(line.length, 0):
            remaining[line.length] -= 1
            chosen.append(line)
    return chosen


def _offsets(lengths: Sequence[int]) -> Tensor:
    """Where each of some consecutive pieces begins, and the end."""
    return torch.tensor([0, *lengths]).cumsum(0)
