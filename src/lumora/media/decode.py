"""Video files, read by FFmpeg: one frame at a time, as a player shows it, and the audio."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from lumora.media.audio import AudioSamples, read_audio
from lumora.media.display import FrameConverter, ShownFrame
from lumora.media.image import STILL_FPS
from lumora.media.sniff import BinaryFile, FileFormat, iso_boxes

MAX_VIDEO_PIXELS = 8192 * 4320
"""Largest frame that is decoded. It bounds the memory that a small file can ask for."""
SHORTFALL_SECONDS = 0.5
"""A video that ends earlier than its file says by more than this is called truncated."""
INDEX_BOXES = (b"moov", b"moof")
"""Boxes of an MP4 that say where its frames are."""
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own VP8 and VP9 decoders ignore transparency."""


class VideoDecoder:
    """Iterates over the distinct frames of a video file. `times` and `warnings` are filled meanwhile."""

    def __init__(self, file: BinaryFile, file_format: FileFormat) -> None:
        """Raises FFmpegError for a broken file and ValueError for one without video."""
        self.times: list[float | None] = [None]
        """Seconds at which each frame begins, then the second at which the last one ends; None if unknown."""
        self.warnings: list[str] = []
        self._file, self._format = file, file_format
        self._container = _open(file, file_format)
        try:
            self._stream = _video_stream(self._container)
        except BaseException:
            self._container.close()
            raise
        self.rate = float(self._stream.average_rate or self._stream.guessed_rate or STILL_FPS)
        """Frames a second, as the file says."""
        self.duration = _duration(self._container, self._stream)
        """Seconds, as the file says; None if it does not."""
        self._end: float | None = None
        self._damaged = 0

    def __iter__(self) -> Iterator[ShownFrame]:
        converter = FrameConverter(self._stream.time_base or Fraction(1, 1000), self._stream.sample_aspect_ratio)
        self.warnings = converter.warnings
        for frame in self._decoded():
            for shown in converter.convert(frame):
                yield self._note(shown)
        for shown in converter.flush():
            yield self._note(shown)
        self._note_damage()

    def read_audio(self, seconds: float) -> AudioSamples | None:
        """The audio that is heard with the first `seconds` of the frames; None if there is none."""
        if len(self.times) <= 2 or not self._container.streams.audio:
            return None
        with _open(self._file, self._format) as container:
            return read_audio(container, self.times[0] or 0.0, seconds)

    def close(self) -> None:
        self._container.close()

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """All frames that can be decoded; damaged packets are skipped."""
        context, alpha_context = self._stream.codec_context, None
        if self._stream.metadata.get("alpha_mode") == "1" and context.name in ALPHA_DECODERS:
            alpha_context = cast(VideoCodecContext, VideoCodecContext.create(ALPHA_DECODERS[context.name], "r"))
        (alpha_context or context).options = {**context.options, "max_pixels": str(MAX_VIDEO_PIXELS)}
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError:
                self._damaged += 1
                return
            try:
                frames = alpha_context.decode(packet if packet.size else None) if alpha_context else packet.decode()
            except FFmpegError:
                self._damaged += 1
                continue
            for frame in frames:
                assert isinstance(frame, av.VideoFrame)
                yield frame

    def _note(self, shown: ShownFrame) -> ShownFrame:
        """Notes when the frame is shown."""
        frame = shown.frame
        duration = (frame.duration or 0) * (frame.time_base or 0)
        end = float(frame.time + duration) if frame.time is not None and duration else None
        self.times[-1:] = [frame.time, end]
        self._end = end if end is not None else frame.time
        return shown

    def _note_damage(self) -> None:
        """Says what is missing, after all was read."""
        if self._damaged:
            self.warnings.append("The file is damaged; its readable part is used.")
        if self._end is not None and self.duration is not None:
            begin = float((self._stream.start_time or 0) * (self._stream.time_base or 0))
            length = self._end - begin
            if length < self.duration - SHORTFALL_SECONDS:
                self.warnings.append(f"The video ends after {length:.1f} of {self.duration:.1f} seconds.")


class FileForFFmpeg:
    """A file whose impossible positions, which damaged files ask for, are an error code. PyAV prints exceptions."""

    def __init__(self, file: BinaryFile) -> None:
        self._file = file
        self.read, self.tell = file.read, file.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            return -errno.EINVAL


def _open(file: BinaryFile, file_format: FileFormat) -> InputContainer:
    file.seek(0)
    try:
        return av.open(FileForFFmpeg(file), "r", format=file_format.demuxer, options={"protocol_whitelist": "none"})
    except FFmpegError:
        if file_format.demuxer == "mp4" and not any(kind in INDEX_BOXES for kind, _, _ in iso_boxes(file, 0)):
            raise ValueError("it is truncated, and its index, which comes at the end, is missing") from None
        raise


def _video_stream(container: InputContainer) -> VideoStream:
    """The default video stream, or the first one; cover pictures of audio files are none."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    streams.sort(key=lambda stream: not stream.disposition & Disposition.default)
    if not streams:
        raise ValueError("it has no video")
    stream = streams[0]
    if stream.codec_context is None:
        raise ValueError("its video codec is unknown")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_VIDEO_PIXELS:
        raise ValueError(f"{width}x{height} is more than {MAX_VIDEO_PIXELS / 1e6:.0f} megapixels")
    return stream


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None
