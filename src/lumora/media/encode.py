"""Writing of frames as .mp4 (H.264 and AAC), .gif, .webp or .png; the same frames always give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from lumora.media.audio import AudioSamples, add_track, cut, encode_samples, num_samples
from lumora.media.display import BT709, reformatted
from lumora.media.timing import frame_durations, resampled_frames

SUFFIXES = (".mp4", ".gif", ".webp", ".png")
"""The formats that are written; `.png` is a still image, the first frame."""
WITH_AUDIO = ".mp4"
"""The only one of them that has audio."""
MAX_GIF_FPS = 50.0
"""Browsers show frames of less than 20 ms for 100 ms."""
PALETTE_FRAMES = 16
"""Frames that a GIF's palette is made from."""

Frames = UInt8[np.ndarray, "t h w 3"]


BYTES_PER_PIXEL = {".mp4": 0.1, ".gif": 0.7, ".webp": 0.1, ".png": 3.0}
"""Rough upper bounds of ordinary videos; noise needs more."""


def checked_suffix(path: Path) -> str:
    """The lower-case suffix of a file that can be written; raises ValueError for any other."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"A video is written as {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, not as {path.name!r}.")
    return suffix


def estimated_bytes(suffix: str, num_pixels: int, num_frames: int) -> int:
    """About how large a file of this format becomes with frames of so many pixels."""
    return round(BYTES_PER_PIXEL[suffix] * num_pixels * (1 if suffix == ".png" else num_frames))


def encode_frames(suffix: str, frames: Frames, fps: float, audio: AudioSamples | None, path: Path) -> None:
    """Writes a file of the format of `suffix`, one of SUFFIXES, whatever the name of `path` is.

    What was written before an error stays there. Raises what Pillow and PyAV raise.
    """
    if suffix == ".mp4":
        encode_h264(frames, fps, path, audio)
    else:
        _IMAGE_ENCODERS[suffix](frames, fps, path)


def output_warnings(suffix: str, fps: float, has_audio: bool) -> tuple[str, ...]:
    """What a file of this format will lack, in sentences."""
    warnings = []
    if has_audio and suffix != WITH_AUDIO:
        warnings.append(f"A {suffix} has no audio; write an {WITH_AUDIO} to keep it.")
    if suffix == ".gif" and fps > MAX_GIF_FPS:
        warnings.append(f"A .gif has at most {MAX_GIF_FPS:g} frames a second; some of the {fps:g} are left out.")
    return tuple(warnings)


def encode_h264(
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    fps: float,
    path: Path,
    audio: AudioSamples | None = None,
    preset: str = "medium",
) -> None:
    """Writes frames of one size, one after another, as H.264 in an MP4. An odd side gets its last row or column twice.

    `preset` is x264's: a slower one makes smaller files. Raises what PyAV raises, and ValueError without frames.
    """
    first, frames = _peek(frames)
    muxer = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(f"file:{path.absolute()}", "w", format="mp4", options=muxer) as container:
        # For the same bytes every time: the result of x264 depends on its number of threads (4 are fast enough for
        # large frames), and its macroblock tree is not deterministic with AVX-512.
        x264 = {"crf": "16", "preset": preset, "threads": "4", "x264-params": "mbtree=0", "flags": "+bitexact"}
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(10_000), options=x264)
        stream.height, stream.width = (side + side % 2 for side in first.shape[:2])
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        # Without these, players guess the color matrix from the frame size. Range 1 is the limited range.
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = 1
        track = None if audio is None else add_track(container)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(_even(pixels), format="rgb24")
            container.mux(stream.encode(reformatted(frame, "yuv420p")))
            if track is not None and audio is not None:
                begin, end = (num_samples(n / fps) for n in (number, number + 1))
                container.mux(encode_samples(track, cut(audio, begin, end), begin))
        container.mux(stream.encode(None))
        if track is not None:
            container.mux(track.encode(None))


def _peek(frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> tuple[np.ndarray, Iterator[np.ndarray]]:
    """The first frame, and all of them. Raises ValueError if there are none."""
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise ValueError("There are no frames to write.")
    return first, chain([first], remaining)


def _encode_gif(frames: Frames, fps: float, path: Path) -> None:
    if fps > MAX_GIF_FPS:
        frames, fps = frames[resampled_frames(len(frames), fps, MAX_GIF_FPS)], MAX_GIF_FPS
    # One palette for the whole clip, because a palette for each frame flickers.
    sample = frames[np.linspace(0, len(frames) - 1, PALETTE_FRAMES).round().astype(int)]
    palette = Image.fromarray(np.concatenate(list(sample))).quantize(256, Image.Quantize.MEDIANCUT)
    first, *rest = [Image.fromarray(frame).quantize(palette=palette) for frame in frames]
    durations = [10 * duration for duration in frame_durations(len(frames), fps, 100)]
    first.save(path, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0, disposal=1)


def _encode_webp(frames: Frames, fps: float, path: Path) -> None:
    first, *rest = [Image.fromarray(frame) for frame in frames]
    durations = frame_durations(len(frames), fps, 1000)
    first.save(path, format="WEBP", save_all=True, append_images=rest, duration=durations, loop=0, quality=90, method=4)


def _encode_png(frames: Frames, fps: float, path: Path) -> None:
    Image.fromarray(frames[0]).save(path, format="PNG")


_IMAGE_ENCODERS: dict[str, Callable[[Frames, float, Path], None]] = {
    ".gif": _encode_gif,
    ".webp": _encode_webp,
    ".png": _encode_png,
}


def _even(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    """yuv420p has one chroma value for 2×2 pixels, so both sides must be even."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 or width % 2 else frame
