"""Any video or image file as a stream of frames, so that no reader needs to hold all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, UnidentifiedImageError

from lumora.atomic_io import error_reason
from lumora.media.audio import AudioSamples
from lumora.media.decode import VideoDecoder
from lumora.media.display import ShownFrame, size_within
from lumora.media.image import ImageDecoder, ImageFrame
from lumora.media.sniff import sniff_file
from lumora.media.timing import constant_rate


class FrameReader:
    """Iterates once over the distinct frames of a file, in order, as RGB (H, W, 3) at full size, or reduced.

    Videos of a variable rate have fewer distinct frames than `Video.load` gives; `schedule` says which to repeat.
    Use it as a context manager::

        with FrameReader(path) as reader:
            scores = [score(frame) for frame in reader]
            indices, fps = reader.schedule()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        max_frames: int | None = None,
        max_seconds: float | None = None,
        max_side: int | None = None,
    ) -> None:
        """Raises ValueError with one sentence if the file is missing, broken or of an unknown format, here or later.

        Reading stops at `max_frames` distinct frames, or at the first that begins at `max_seconds` or later. With
        `max_side`, frames are reduced to this longer side, which is several times faster; `full_frame` gives one as it
        is. Only a local file is opened, whatever the path looks like, and only by the decoder of its own format.
        """
        self.path = Path(path)
        self._max_frames, self._max_seconds, self._max_side = max_frames, max_seconds, max_side
        self._cut_at: float | None = None
        self._shown: ShownFrame | ImageFrame | None = None
        self._size: tuple[int, int] | None = None
        try:
            self._file = self.path.open("rb")
        except FileNotFoundError:
            raise ValueError(f"There is no file {self.path}.") from None
        except OSError as error:
            raise self._error(error) from error
        try:
            self._decoder = self._open()
        except Exception as error:
            self._file.close()
            raise self._error(error) from error

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self._decoder.close()
        self._file.close()

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        count = 0
        try:
            for shown in self._decoder:
                self._shown = shown
                begin = self._decoder.times[-2] if len(self._decoder.times) > 1 else None
                if self._max_seconds is not None and begin is not None and count:
                    begin -= self._decoder.times[0] or 0.0
                    if begin >= self._max_seconds:
                        self._decoder.times.pop()
                        self._cut_at = self._max_seconds
                        return
                self._size = self._size or shown.size
                yield self._pixels(shown, self._size, self._max_side)
                count += 1
                if count == self._max_frames:
                    return
        except Exception as error:
            # Pillow's decoders raise anything for damaged data, such as IndexError and SyntaxError.
            raise self._error(error) from error
        if not count:
            raise self._error(ValueError("it has no frames"))

    def full_frame(self) -> UInt8[np.ndarray, "h w 3"]:
        """The frame that the iteration is at, at full size."""
        assert self._shown is not None, "No frame has been read."
        try:
            return self._pixels(self._shown, self.size, None)
        except Exception as error:
            raise self._error(error) from error

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the first frame, as it is shown. Known as soon as it has been read."""
        assert self._size is not None, "No frame has been read."
        return self._size

    @property
    def duration(self) -> float | None:
        """Seconds, as the file says; None if it does not. For progress bars."""
        return self._decoder.duration

    @property
    def rate(self) -> float:
        """Frames a second, as the file says; `schedule` gives the exact rate."""
        return self._decoder.rate

    @property
    def position(self) -> float:
        """Seconds from the beginning that were read so far."""
        times = self._decoder.times
        return (times[-1] or times[-2] or 0.0) - (times[0] or 0.0) if len(times) > 1 else 0.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was changed or lost so far, in sentences that begin with the file's name."""
        warnings = list(self._decoder.warnings)
        if self._cut_at is not None:
            warnings.append(f"Only the first {self._cut_at:g} seconds are read.")
        return tuple(f"{self.path.name}: {warning}" for warning in dict.fromkeys(warnings))

    def schedule(self) -> tuple[Int[np.ndarray, " n"], float]:
        """After the last frame: which distinct frame to show at each step of a constant rate, and that rate."""
        times = self._decoder.times
        return constant_rate(times if len(times) > 1 else [*times, None], self._decoder.rate)

    def read_audio(self, seconds: float) -> AudioSamples | None:
        """After the last frame: the audio of the first `seconds`; None for an image or a file without audio."""
        try:
            return self._decoder.read_audio(seconds)
        except Exception as error:
            raise self._error(error) from error

    def _open(self) -> VideoDecoder | ImageDecoder:
        file_format = sniff_file(self._file)
        if file_format is None:
            raise ValueError("its content is neither")
        if file_format.pillow is not None:
            try:
                return ImageDecoder(self._file, file_format)
            except UnidentifiedImageError:  # TIFF of 16 bits a channel, for example
                if file_format.demuxer is None:
                    raise
        return VideoDecoder(self._file, file_format)

    def _pixels(
        self, shown: ShownFrame | ImageFrame, size: tuple[int, int], max_side: int | None
    ) -> UInt8[np.ndarray, "h w 3"]:
        if shown.size == size:
            return shown.pixels(max_side)
        warning = "The frame size changes; later frames are scaled to the first size."
        self._decoder.warnings += [] if warning in self._decoder.warnings else [warning]
        height, width = size_within(*size, max_side)
        return np.asarray(Image.fromarray(shown.pixels()).resize((width, height), Image.Resampling.LANCZOS))

    def _error(self, error: BaseException) -> ValueError:
        if isinstance(error, MemoryError):
            return ValueError(f"{self.path} needs more memory than there is; make it smaller or shorter.")
        reason = "its content is neither" if isinstance(error, UnidentifiedImageError) else error_reason(error)
        return ValueError(f"{self.path} can't be read as a video or image: {' '.join(reason.split())}.")
