"""Clips as the transformer wants them: latents of a clip and of its mirror image, and encoded captions, in shards.

`latents-00000.safetensors` holds, for N clips: `latents`, bfloat16 (2, N, C, t, h, w), where 1 is the mirror image;
`subject`, uint8 (N, t, h, w), the share of each place that subjects cover, in 255ths (0 where nobody knows); `fps`
(N,); `text`, bfloat16 (tokens of all captions, 384), in parts, one for each shot that a caption speaks of: `captions`,
int64, where in `text` each part begins, and the end; `spans`, int64, of how many latent frames it speaks; `parts`,
int64, which part is the first of each caption, and the end; `first`, int64, which caption is the first of each of the
2·N views, and the end, so that a view may have any number of them, or none. Shards from before there were films lack
`spans` and `parts`: each of their captions is one part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor

from lumora.atomic_io import atomic_write
from lumora.codec import Codec
from lumora.config import CodecConfig
from lumora.data.captions import CaptionLine, ClipCaptions
from lumora.data.shards import ClipRecord, open_frames, open_subjects, read_lines, shard_numbers
from lumora.model.packing import Span
from lumora.parallel import run_jobs
from lumora.precision import autocast
from lumora.text_encoder.encoder import TextEncoder
from lumora.weights_io import load_weights

KEPT: dict[str, int] = {"short": 1, "sentence": 3, "paragraph": 1}
"""Captions of each length that are encoded for each view: with more, text would take far more room than pictures."""


class Encoders:
    """The codec and the text encoder, on one device and in evaluation mode."""

    def __init__(self, codec: Codec, text: TextEncoder) -> None:
        self.codec, self.text = codec.eval(), text

    @classmethod
    @lru_cache(1)
    def load(cls, config: CodecConfig, weights: Path, device: str) -> Encoders:
        """Once a process: the codec of the file `weights`, and the text encoder."""
        codec = load_weights(Codec(config), weights).to(device)
        return cls(codec, TextEncoder.load(device=device))

    @torch.no_grad()
    def latents(
        self, frames: UInt8[np.ndarray, "n t h w 3"], batch: int = 16
    ) -> Float[Tensor, "2 n channels steps rows columns"]:
        """Of the clips and of their mirror images, bfloat16 on the CPU."""
        parts = []
        for first in range(0, len(frames), batch):
            pixels = torch.from_numpy(np.array(frames[first : first + batch])).to(self.text.device)
            pixels = rearrange(pixels, "n t h w c -> n c t h w") / 127.5 - 1
            with autocast(self.text.device):
                views = [self.codec.encode(view) for view in (pixels, pixels.flip(-1))]
            parts.append(torch.stack(views).bfloat16().cpu())
        return torch.cat(parts, dim=1)

    def texts(self, texts: Sequence[str]) -> list[Float[Tensor, "_ width"]]:
        """Token embeddings in bfloat16 on the CPU; a text that comes twice is read once."""
        unique = sorted(set(texts))
        with autocast(self.text.device):  # as precise as what is kept
            encoded = dict(zip(unique, self.text.encode(unique), strict=True))
        brief = {text: tokens.bfloat16().cpu() for text, tokens in encoded.items()}
        return [brief[text] for text in texts]


@dataclass(frozen=True)
class _Job:
    folder: Path
    number: int
    clips: int
    out: Path
    codec: CodecConfig
    weights: Path
    device: str


def encode_latents(
    folder: Path, out: Path, codec: CodecConfig, weights: Path, workers: int = 0, device: str = "cpu"
) -> None:
    """Encodes every shard of clips with captions in `folder` that `out` doesn't hold yet, by the codec in `weights`."""
    out.mkdir(parents=True, exist_ok=True)
    jobs = []
    for number in shard_numbers(folder, "captions"):
        path, clips = latent_path(out, number), len(open_frames(folder, number))
        if not path.exists() or LatentShard(path).count != clips:
            jobs.append(_Job(folder, number, clips, out, codec, weights, device))
    run_jobs(_encode_shard, jobs, workers, lambda job: job.clips)


def _encode_shard(job: _Job) -> None:
    records, wordings = (
        read_lines(kind, job.folder, name, job.number)
        for kind, name in ((ClipRecord, "clips"), (ClipCaptions, "captions"))
    )
    frames, subjects = open_frames(job.folder, job.number), open_subjects(job.folder, job.number)
    encoders = Encoders.load(job.codec, job.weights, job.device)
    write_latents(latent_path(job.out, job.number), frames, records, wordings, encoders, subjects)


def write_latents(
    path: Path,
    frames: UInt8[np.ndarray, "n t h w 3"],
    records: Sequence[ClipRecord],
    wordings: Sequence[ClipCaptions],
    encoders: Encoders,
    subjects: UInt8[np.ndarray, "n t h w"] | None = None,
) -> None:
    views = [w.captions for w in wordings] + [w.mirrored for w in wordings]
    chosen = [_kept(view) for view in views]
    latents = encoders.latents(frames)
    whole, time = latents.shape[3], encoders.codec.config.temporal_compression
    lines = [(line, record) for view, record in zip(chosen, [*records, *records], strict=True) for line in view]
    parts = [line.shots or (line.text,) for line, _ in lines]
    spans = [span for line, record in lines for span in (latent_spans(record, time) if line.shots else [whole])]
    texts = encoders.texts([text for part in parts for text in part])
    nowhere = torch.zeros_like(latents[0, :, 0], dtype=torch.uint8)
    content = {
        "latents": latents,
        "subject": nowhere if subjects is None else covered(subjects, encoders.codec),
        "fps": torch.tensor([record.fps for record in records]),
        "text": torch.cat(texts),
        "captions": _starts([len(text) for text in texts]),
        "spans": torch.tensor(spans, dtype=torch.int64),
        "parts": _starts([len(part) for part in parts]),
        "first": _starts([len(view) for view in chosen]),
    }
    with atomic_write(path) as part:
        save_file(content, part)


def latent_spans(record: ClipRecord, time: int) -> list[int]:
    """Latent frames of each shot of a film, whose latent frames hold `time` frames each, but the first one.

    Raises ValueError where a latent frame would show two shots.
    """
    ends = list(accumulate(shot.frames for shot in record.shots))
    if any((end - 1) % time for end in ends):
        raise ValueError(f"Shots must end with latent frames, after 1 + {time}n frames; these end after {ends}.")
    latents = [1 + (end - 1) // time for end in ends]
    return [end - begin for begin, end in pairwise([0, *latents])]


def covered(subjects: UInt8[np.ndarray, "n t h w"], codec: Codec) -> UInt8[Tensor, "n steps rows columns"]:
    """The share of each place of the latent that subjects cover, in 255ths."""
    space, time = codec.config.spatial_compression, codec.config.temporal_compression
    shown = torch.from_numpy(subjects > 0).float()
    # The first latent frame is of one picture, the others of `time` each.
    shown = torch.cat([shown[:, :1].expand(-1, time, -1, -1), shown[:, 1:]], dim=1)
    return F.avg_pool3d(255 * shown[:, None], (time, space, space))[:, 0].round().byte()


class LatentShard:
    """One shard, mapped into memory: what is read of it comes from the disk when it is looked at."""

    def __init__(self, path: Path) -> None:
        content = load_file(path)
        self.latents, self.text, self.fps = content["latents"], content["text"], content["fps"].tolist()
        self.subject = content["subject"]
        self.captions, self.first = content["captions"].tolist(), content["first"].tolist()
        self.count, count = len(self.fps), len(self.captions) - 1
        self.spans = content["spans"].tolist() if "spans" in content else [self.latents.shape[3]] * count
        self.parts = content["parts"].tolist() if "parts" in content else list(range(count + 1))

    def example(self, clip: int, mirrored: bool, choice: float) -> LatentExample:
        """A view of a clip and a caption of it, by `choice` in [0, 1); the clip itself where its mirror has none."""
        view = clip + self.count * mirrored
        if self.first[view] == self.first[view + 1]:
            view, mirrored = clip, False
        first, end = self.first[view], self.first[view + 1]
        caption = first + int(choice * (end - first))
        parts = range(self.parts[caption], self.parts[caption + 1])
        text = self.text[self.captions[parts.start] : self.captions[parts.stop]]
        spans = tuple(Span(self.captions[p + 1] - self.captions[p], self.spans[p]) for p in parts)
        subject = self.subject[clip].flip(-1) if mirrored else self.subject[clip]
        return LatentExample(self.latents[int(mirrored), clip], subject.float() / 255, text, self.fps[clip], spans)


@dataclass(frozen=True)
class LatentExample:
    latent: Float[Tensor, "c t h w"]
    subject: Float[Tensor, "t h w"]
    """The share of each place that subjects cover."""
    text: Float[Tensor, "l width"]
    fps: float
    """Frames a second of the clip, not of its latent."""
    spans: tuple[Span, ...]
    """The shots that `text` speaks of, one at least."""

    def beginning(self, frames: int) -> LatentExample:
        """Its first latent frames, and what is said of shots that are in them."""
        begins = accumulate((span.num_frames for span in self.spans), initial=0)
        shown = [
            (span, min(span.num_frames, frames - b)) for span, b in zip(self.spans, begins, strict=False) if b < frames
        ]
        spans = tuple(Span(span.num_tokens, count) for span, count in shown)
        text = self.text[: sum(span.num_tokens for span in spans)]
        return LatentExample(self.latent[:, :frames], self.subject[:frames], text, self.fps, spans)


def latent_path(folder: Path, number: int) -> Path:
    return folder / f"latents-{number:05}.safetensors"


def _kept(lines: Sequence[CaptionLine]) -> list[CaptionLine]:
    """The first few captions of each length; all where there are no more lengths than one."""
    left = dict(KEPT)
    kept = []
    for line in lines:
        if left.get(line.length, 0):
            left[line.length] -= 1
            kept.append(line)
    return kept


def _starts(lengths: Sequence[int]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)
