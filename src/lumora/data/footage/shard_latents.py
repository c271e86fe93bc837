"""From the shards of an ingested dataset to latents that the transformer trains on: any size, length and caption."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lumora.atomic_io import atomic_write
from lumora.config import ModelConfig, VideoShape
from lumora.data.captions import ClipCaptions, captions_from_text
from lumora.data.footage.tar_shards import FootageSample, extract_clip, read_shard, shard_paths
from lumora.data.latent_cache import Encoders, latent_path, write_latents
from lumora.data.shards import ClipRecord
from lumora.media.video import Video

ORIGINAL_SHARE = 0.05
"""Share of the clips that are trained with the caption that came with them, where they also have one by a captioner;
the others have the captioner's, as DALL·E 3 was trained (Betker et al., 2023)."""
MIN_ASPECT, MAX_ASPECT = 0.5, 2.0
MIN_STEPS = 2
"""Least latent frames of what is left at the end of a video."""
MAX_SHAPES = 1000
"""Numbers of latent shards that a shard of clips may use."""


@dataclass(frozen=True)
class EncodingCount:
    clips: int
    without_caption: int
    """Clips that are left out because they have no caption."""


def clip_shape(model: ModelConfig, width: int, height: int, num_frames: int) -> VideoShape:
    """The shape in which a clip is encoded: about the model's number of pixels, at the aspect ratio of the clip, in
    steps of a token."""
    aspect = min(max(width / height, MIN_ASPECT), MAX_ASPECT)
    shape = model.shape
    area = shape.width * shape.height
    step_height, step_width = (model.codec.spatial_compression * side for side in model.transformer.patch_size[1:])
    new_width = max(1, round((area * aspect) ** 0.5 / step_width)) * step_width
    new_height = max(1, round((area / aspect) ** 0.5 / step_height)) * step_height
    return VideoShape(num_frames, new_height, new_width, shape.fps)


def piece_lengths(model: ModelConfig, num_frames: int) -> list[int]:
    """Frames of the pieces that a video of so many frames, at the model's rate, is cut into: as long as the model's
    clips, and a rest."""
    most, compression = model.shape.num_frames, model.codec.temporal_compression
    if num_frames == 1:
        return [1]
    whole, rest = divmod(num_frames, most)
    steps = 1 + (rest - 1) // compression if rest else 0
    return [most] * whole + ([1 + compression * (steps - 1)] if steps >= MIN_STEPS else [])


def encode_footage(
    dataset: Path,
    out: Path,
    model: ModelConfig,
    codec_weights: Path,
    device: str = "cpu",
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> EncodingCount:
    """Encodes the clips of an ingested dataset to the folder `out`, by the codec in a file; shards that were encoded
    are kept. Clips without a caption are left out. Raises ValueError, in one sentence, for a folder without shards.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths, counts = shard_paths(dataset), []
    for number, path in enumerate(paths):
        marker = out / f"encoded-{number:05}.json"
        if not marker.exists():
            encoders = Encoders.load(model.codec, codec_weights, model.text_encoder, device)
            count = _encode_shard(path, number, out, model, encoders, seed)
            with atomic_write(marker) as part:
                part.write_text(json.dumps(vars(count)))
        counts.append(EncodingCount(**json.loads(marker.read_text())))
        progress("Encoding the shards", number + 1, len(paths))
    return EncodingCount(sum(c.clips for c in counts), sum(c.without_caption for c in counts))


def chosen_caption(sample: FootageSample, seed: int) -> str:
    """The captioner's caption or, for `ORIGINAL_SHARE` of the clips, the one that came with the clip; always the same
    for a clip and a seed."""
    if not (sample.caption and sample.recaption):
        return sample.recaption or sample.caption
    number = int(sample.key.rpartition("-")[2])
    original = np.random.default_rng([seed, number, 4]).random() < ORIGINAL_SHARE
    return sample.caption if original else sample.recaption


def _encode_shard(
    path: Path, number: int, out: Path, model: ModelConfig, encoders: Encoders, seed: int
) -> EncodingCount:
    """Writes a shard of latents for each shape."""
    clips: dict[VideoShape, list[tuple[np.ndarray, ClipCaptions]]] = defaultdict(list)
    without_caption = 0
    with tempfile.TemporaryDirectory(prefix="lumora-") as folder:
        for sample in read_shard(path):
            text = chosen_caption(sample, seed)
            if not text:
                without_caption += 1
                continue
            for frames, shape in _pieces(sample, Path(folder), model):
                clips[shape].append((frames, captions_from_text(text)))
    total = 0
    for index, (shape, some) in enumerate(clips.items()):
        frames, captions = zip(*some, strict=True)
        records = [ClipRecord(n, shape) for n in range(len(some))]
        write_latents(latent_path(out, number * MAX_SHAPES + index), np.stack(frames), records, captions, encoders)
        total += len(some)
    return EncodingCount(total, without_caption)


def _pieces(
    sample: FootageSample, folder: Path, model: ModelConfig
) -> Iterator[tuple[UInt8[np.ndarray, "t h w 3"], VideoShape]]:
    """The pieces of a clip, at the model's rate and the shape of each."""
    path = folder / f"clip.{sample.suffix}"
    extract_clip(sample, path)
    size = clip_shape(model, sample.clip.width, sample.clip.height, 1)
    video = Video.load(path, size=(size.height, size.width))
    frames = video.frames if sample.clip.is_picture else video.resample_fps(model.shape.fps).frames
    first = 0
    for length in piece_lengths(model, len(frames)):
        yield frames[first : first + length], clip_shape(model, sample.clip.width, sample.clip.height, length)
        first += length
