"""A video: 8-bit RGB pictures, a rate, perhaps a sound; files in and out, and many videos on one sheet. No torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont, ImageOps

from lumora.atomic_io import atomic_write, error_reason, temporary_file
from lumora.media.audio import AudioSamples, add_track, cut, encode, num_samples, read_audio
from lumora.media.latents import VideoLatents

SUFFIXES = (".mp4", ".gif", ".webp", ".png")
"""What `Video.save` writes; `.png` is a still, the first frame."""
WITH_AUDIO = ".mp4"
"""The one of them that has a sound."""

ResizeMode: TypeAlias = Literal["crop", "letterbox"]
"""How pictures get another shape: what sticks out is cut off, or what is missing is black."""

Shape: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""What is done to each picture as it is read."""

PICTURE_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
PICTURE_RATE = 1.0
"""Frames a second of a file that is a single picture and so has no rate."""

_EXACTLY = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.FULL_CHR_H_INT
)
"""Between RGB and YUV: FFmpeg's quick ways, its default, darken every pixel by one and blur colours."""

MOST_QUICKER = 4.0
"""How much quicker than on average frames of an uneven rate are shown at most, against files that unpack to more than
the memory holds."""

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded, against files that unpack to more than the memory holds."""


@dataclass(frozen=True, eq=False)
class Video:
    """Frames of one clip and how many of them are shown a second; a picture is a video of one frame."""

    frames: UInt8[np.ndarray, "t h w 3"]
    fps: float
    audio: AudioSamples | None = None
    """From the first frame on, of lumora.media.audio.RATE samples a second; None where nothing is to be heard."""
    latents: VideoLatents | None = None
    """What these frames were decoded from, where that is known; they may have been marked and encoded since."""

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise ValueError(
                f"A video's frames must be uint8 (T, H, W, 3), not {self.frames.dtype} {self.frames.shape}."
            )
        if 0 in self.frames.shape:
            raise ValueError("A video must have at least one frame of at least one pixel.")
        if self.audio is not None and (self.audio.dtype != np.int16 or self.audio.shape[1:] != (2,)):
            raise ValueError(f"A sound must be int16 (N, 2), not {self.audio.dtype} {self.audio.shape}.")
        if self.latents is not None and self.latents.num_frames != len(self.frames):
            raise ValueError(f"Latents of {self.latents.num_frames} frames are not those of {len(self.frames)}.")
        if not 0 < self.fps < 1000:
            raise ValueError(f"A video's rate must lie between 0 and 1,000 frames a second, not {self.fps:g}.")

    @property
    def seconds(self) -> float:
        return len(self.frames) / self.fps

    def without_latents(self) -> Video:
        return self if self.latents is None else replace(self, latents=None)

    def drop_frames(self, frames: Collection[int]) -> Video:
        """Without the frames of these numbers, and what is heard with them."""
        if not frames:
            return self
        left, sound = np.delete(self.frames, list(frames), axis=0), self.audio
        if sound is not None:
            heard = np.ones(len(sound), bool)
            for frame in frames:
                heard[num_samples(frame / self.fps) : num_samples((frame + 1) / self.fps)] = False
            sound = sound[heard]
        return Video(left, self.fps, sound, self.latents and self.latents.drop_frames(frames))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes .mp4 (H.264), .gif, .webp or .png (the first frame): the whole file or none, always the same bytes.

        An .mp4 has even sides, so the last row or column of an odd size is written twice, and it alone has the sound
        (AAC). Raises ValueError for another suffix and OSError, in a sentence, where the file can't be written.
        """
        path = Path(path)
        kind = checked_suffix(path)
        with atomic_write(path) as part:
            encode_video(kind, self, part)
        return path

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        max_frames: int | None = None,
        size: tuple[int, int] | None = None,
        fit: ResizeMode = "crop",
    ) -> Video:
        """Reads .mp4, .mov, .mkv, .webm, .avi and pictures, moving or not; the content decides, not the name.

        Frames are fitted to a `size` (height, width) one by one, so a large film needs no more memory than a small one.
        A film of more than one frame has its sound; where that can't be decoded it is silent. Only local files are
        opened, whatever the path looks like, and only by the reader of their own format. Raises ValueError, in a
        sentence, for a file that is missing, broken or of another kind.
        """
        if max_frames is not None and max_frames < 1:
            raise ValueError(f"At least one frame must be read, not {max_frames}.")
        path = Path(path)

        def shape(frame: np.ndarray) -> np.ndarray:
            return frame if size is None else _fitted(frame, size, fit)

        try:
            with path.open("rb") as file:
                demuxer = _demuxer_of(file.read(16))
                if demuxer is None:
                    return _read_picture(file, max_frames, shape)
                return _read_film(file, demuxer, max_frames, shape)
        except FileNotFoundError:
            raise ValueError(f"There is no file {path}.") from None
        except (
            Exception
        ) as error:  # fed with broken bytes, Pillow's readers raise anything, IndexError and SyntaxError too
            raise ValueError(f"{path} can't be read as a video or picture: {_reason(error)}.") from error

    def resize(self, height: int, width: int, fit: ResizeMode = "crop") -> Video:
        """Scaled to cover height × width pixels and cropped around its centre; or to lie within them, on black."""
        if self.frames.shape[1:3] == (height, width):
            return self
        frames = np.stack([_fitted(frame, (height, width), fit) for frame in self.frames])
        return replace(self, frames=frames, latents=None)

    def resample_fps(self, fps: float) -> Video:
        """As many seconds at another rate: frames are left out or shown again, never mixed; a picture stays one."""
        count = max(1, round(len(self.frames) * fps / self.fps)) if len(self.frames) > 1 else 1
        nearest = np.minimum(np.arange(count) * self.fps / fps + 1e-6, len(self.frames) - 1).round().astype(int)
        return self if fps == self.fps else replace(self, frames=self.frames[nearest], fps=fps, latents=None)


def encode_video(kind: str, video: Video, path: Path) -> None:
    """Writes a file of the kind of one of SUFFIXES, whatever `path` is called, and perhaps only a part of it."""
    _WRITERS[kind](video, path)


def checked_suffix(path: Path) -> str:
    """The lower-case suffix of a file that `Video.save` can write; raises ValueError for any other."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"A video is written as {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, not as {path.name!r}.")
    return suffix


def check_destination(path: Path, room: int = 1 << 18) -> None:
    """Finds out before long work whether `path` could be saved, by writing `room` bytes next to it and removing them.

    Raises ValueError for a suffix that can't be written and OSError, in a sentence, for a place that can't.
    """
    checked_suffix(path)
    with temporary_file(path) as part:
        part.write_bytes(bytes(room))


def contact_sheet(
    videos: Sequence[Video], columns: int, pictures: int = 4, labels: Sequence[str] | None = None, height: int = 128
) -> UInt8[np.ndarray, "h w 3"]:
    """One picture of many videos: a grid of strips, each of `pictures` frames from the first to the last of a video.

    Strips are `height` pixels high; a label stands under each, in as many lines as it needs.
    """
    if not videos:
        raise ValueError("A contact sheet needs at least one video.")
    if labels is not None and len(labels) != len(videos):
        raise ValueError(f"{len(videos)} videos need as many labels, not {len(labels)}.")
    strips = [_strip(video, pictures, height) for video in videos]
    cell = max(strip.width for strip in strips)
    font, gap, line = ImageFont.load_default(size=11), 4, 14
    texts = [_wrapped(label, font, cell) for label in labels or []]
    below = max((len(text) for text in texts), default=0) * line
    rows = -(-len(videos) // columns)
    sheet = Image.new("RGB", (columns * (cell + gap) + gap, rows * (height + below + gap) + gap), "white")
    draw = ImageDraw.Draw(sheet)
    for index, strip in enumerate(strips):
        x, y = gap + index % columns * (cell + gap), gap + index // columns * (height + below + gap)
        sheet.paste(strip, (x, y))
        for number, words in enumerate(texts[index] if texts else []):
            draw.text((x, y + height + number * line), words, "black", font)
    return np.asarray(sheet)


def _strip(video: Video, pictures: int, height: int) -> Image.Image:
    chosen = video.frames[np.linspace(0, len(video.frames) - 1, pictures).round().astype(int)]
    width = max(1, round(height * chosen.shape[2] / chosen.shape[1]))
    strip = Image.new("RGB", (width * pictures, height))
    for column, frame in enumerate(chosen):
        strip.paste(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS), (column * width, 0))
    return strip


def _wrapped(text: str, font: Any, width: int) -> list[str]:
    """`text` in lines of at most `width` pixels, unless a word is longer."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _write_mp4(video: Video, part: Path) -> None:
    frames = _even(video.frames)
    movie = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(f"file:{part.absolute()}", "w", format="mp4", options=movie) as container:
        # For the same bytes every time: x264's result depends on its number of threads (4 keep large pictures quick),
        # and its macroblock tree gives now this, now that with AVX-512.
        x264 = {"crf": "16", "preset": "medium", "threads": "4", "x264-params": "mbtree=0", "flags": "+bitexact"}
        stream = container.add_stream("libx264", rate=Fraction(video.fps).limit_denominator(10_000), options=x264)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        context = stream.codec_context
        # Written down, or players guess the matrix from the size of the picture. 1 is BT.709, and limited range.
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        track = None if video.audio is None else add_track(container)
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(_exactly(picture, "yuv420p")))
            if track is not None and video.audio is not None:
                begins, ends = (num_samples(n / video.fps) for n in (number, number + 1))
                container.mux(encode(track, cut(video.audio, begins, ends), begins))
        container.mux(stream.encode(None))
        if track is not None:
            container.mux(track.encode(None))


def _write_gif(video: Video, part: Path) -> None:
    # One palette for the whole clip, of a sample of its frames: a palette a frame would flicker.
    sample = video.frames[np.linspace(0, len(video.frames) - 1, 16).round().astype(int)]
    palette = Image.fromarray(np.concatenate(list(sample))).quantize(256, Image.Quantize.MEDIANCUT)
    first, *rest = [Image.fromarray(f).quantize(palette=palette) for f in video.frames]
    durations = [10 * d for d in _durations(video, per_second=100)]
    first.save(part, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0, disposal=1)


def _write_webp(video: Video, part: Path) -> None:
    first, *rest = [Image.fromarray(f) for f in video.frames]
    durations = _durations(video, per_second=1000)
    first.save(part, format="WEBP", save_all=True, append_images=rest, duration=durations, loop=0, quality=90, method=4)


def _write_png(video: Video, part: Path) -> None:
    Image.fromarray(video.frames[0]).save(part, format="PNG")


_WRITERS: dict[str, Callable[[Video, Path], None]] = dict(
    zip(SUFFIXES, (_write_mp4, _write_gif, _write_webp, _write_png), strict=True)
)


def _exactly(frame: av.VideoFrame, pixels: str) -> av.VideoFrame:
    colors = "ITU709" if pixels != "rgb24" else None
    return frame.reformat(format=pixels, dst_colorspace=colors, interpolation=_EXACTLY, threads=1)


def _even(frames: np.ndarray) -> np.ndarray:
    """Chroma of yuv420p is a value for 2×2 pixels, so both sides must be even."""
    return np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")


def _durations(video: Video, per_second: int) -> list[int]:
    """How long each frame is shown in whole units of 1 / per_second, rounded so that errors don't add up."""
    ends = np.round(np.arange(len(video.frames) + 1) * per_second / video.fps).astype(int)
    return [max(1, int(d)) for d in np.diff(ends)]


def _demuxer_of(head: bytes) -> str | None:
    """FFmpeg's name of the container that a file begins as; None for anything else, which may be a picture.

    Never left to FFmpeg to guess: playlists and image sequences are formats too, and they open other files and URLs.
    """
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    return None


def _read_film(file: BinaryIO, demuxer: str, max_frames: int | None, shape: Shape) -> Video:
    with _opened(file, demuxer) as container:
        if not container.streams.video:
            raise ValueError("it has no pictures")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise ValueError("its pictures are of an unknown kind")
        _check_size(stream.codec_context.width, stream.codec_context.height)
        frames, times, end, pixels = [], [], None, 0
        for frame in container.decode(stream):
            pixels = pixels or frame.width * frame.height
            if frame.width * frame.height != pixels:
                raise ValueError("its pictures change size")
            times.append(frame.time)
            end = _end(frame)
            # A phone writes its pictures as the sensor lies and says how to turn them.
            frames.append(shape(np.rot90(_exactly(frame, "rgb24").to_ndarray(), round(frame.rotation / 90))))
            if len(frames) == max_frames:
                break
        if not frames:
            raise ValueError("it has no pictures")
        rate = float(stream.average_rate or stream.guessed_rate or PICTURE_RATE)
        video = _steady(frames, [*times, end], rate)
        if len(frames) == 1 or not container.streams.audio:
            return video
    with _opened(file, demuxer) as container:
        return replace(video, audio=read_audio(container, times[0] or 0.0, video.seconds))


def _end(frame: av.VideoFrame) -> float | None:
    """When it ends, in seconds; None if its file doesn't say."""
    lasts = (frame.duration or 0) * (frame.time_base or 0)
    return float(frame.time + lasts) if frame.time is not None and lasts else None


def _steady(frames: Sequence[np.ndarray], times: Sequence[float | None], rate: float) -> Video:
    """Frames that begin at these seconds, and the second at which the last ends, at one rate: `rate` if they are even;
    else one as quick as the quickest of them, at which the others are shown again for as long as they last."""
    whole, at = np.stack(frames), np.array(times, float)  # None is NaN
    at, lasts = at - at[0], np.diff(at)
    if len(frames) == 1 or not lasts.min() > 0:  # a file that says no times
        return Video(whole, rate)
    for even in (rate, len(frames) / at[-1]):
        if np.abs(at[:-1] * even - np.arange(len(frames))).max() <= 0.5:
            return Video(whole, even)
    quick = min(np.round(lasts / lasts.min()).sum() / at[-1], MOST_QUICKER * even)
    shown = np.arange(round(at[-1] * quick)) + 0.5
    return Video(whole[np.searchsorted(at[:-1] * quick, shown) - 1], quick)


def _opened(file: BinaryIO, demuxer: str) -> InputContainer:
    file.seek(0)
    return av.open(file, "r", format=demuxer, options={"protocol_whitelist": "none"})


def _read_picture(file: BinaryIO, max_frames: int | None, shape: Shape) -> Video:
    file.seek(0)
    with Image.open(file, formats=PICTURE_FORMATS) as image:
        _check_size(*image.size)
        frames, times = [], [0.0]
        for index in range(min(getattr(image, "n_frames", 1), max_frames or np.iinfo(int).max)):
            image.seek(index)
            frames.append(shape(_on_white(ImageOps.exif_transpose(image))))
            times.append(times[-1] + image.info.get("duration", 0) / 1000)
        return _steady(frames, times, len(frames) / times[-1] if times[-1] and len(frames) > 1 else PICTURE_RATE)


def _fitted(frame: np.ndarray, size: tuple[int, int], fit: ResizeMode) -> np.ndarray:
    if frame.shape[:2] == size:
        return frame
    scale = ImageOps.fit if fit == "crop" else ImageOps.pad
    return np.asarray(scale(Image.fromarray(frame), (size[1], size[0]), Image.Resampling.LANCZOS))


def _on_white(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):  # greys of 16 bits, which Pillow would cut off at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB"))


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width}×{height} is more than {MAX_PIXELS / 1e6:.0f} megapixels")


def _reason(error: BaseException) -> str:
    return "its content is neither" if isinstance(error, Image.UnidentifiedImageError) else error_reason(error)
