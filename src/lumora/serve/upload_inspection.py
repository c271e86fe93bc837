"""What an uploaded file is, found by decoding all of it. Called in a sandbox, never by the API itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
from PIL import Image

from lumora.media.decode import FileForFFmpeg
from lumora.media.reader import FrameReader
from lumora.media.sniff import FileFormat, sniff
from lumora.provenance.manifest import read
from lumora.serve.provenance_words import manifest_report


def inspect(path: str, max_pixels: int, max_seconds: float, max_tracks: int) -> dict[str, Any]:
    """Kind, media type, size, duration, warnings and provenance of a file; or `refused`, a code, and `message`.

    Tracks, pixels and duration are compared with the limits before anything is decoded, and again with what was
    decoded.
    """
    file = Path(path)
    file_format = sniff(file)
    if file_format is None:
        return {"refused": "unsupported_media", "message": "The file is no image or video in a known format."}
    try:
        return _inspect(file, file_format, max_pixels, max_seconds, max_tracks)
    except _LimitError as error:
        return {"refused": "file_too_large", "message": str(error)}
    except ValueError as error:
        return {"refused": "invalid_file", "message": str(error).replace(str(file), "The file")}


def _inspect(
    file: Path, file_format: FileFormat, max_pixels: int, max_seconds: float, max_tracks: int
) -> dict[str, Any]:
    try:
        if file_format.pillow is None:
            _check_container(file, file_format, max_pixels, max_seconds, max_tracks)
        elif file_format.pillow != "HEIF":  # its reader limits the pixels itself
            with Image.open(file, formats=[file_format.pillow]) as image:
                _check_pixels(*image.size, max_pixels)
    except _LimitError:
        raise
    except Exception:  # damaged headers raise anything; the reader below says what is wrong in one sentence
        pass
    return {**_decode(file, file_format, max_pixels, max_seconds), "provenance": manifest_report(read(file))}


class _LimitError(ValueError):
    """A limit is exceeded."""


def _check_container(file: Path, file_format: FileFormat, max_pixels: int, max_seconds: float, max_tracks: int) -> None:
    with (
        file.open("rb") as content,
        av.open(
            FileForFFmpeg(content), "r", format=file_format.demuxer, options={"protocol_whitelist": "none"}
        ) as container,
    ):
        if len(container.streams) > max_tracks:
            raise _LimitError(f"The file has {len(container.streams)} tracks; at most {max_tracks} are accepted.")
        for stream in container.streams.video:
            _check_pixels(stream.codec_context.width, stream.codec_context.height, max_pixels)
        if container.duration:
            _check_seconds(container.duration / 1e6, max_seconds)


def _decode(file: Path, file_format: FileFormat, max_pixels: int, max_seconds: float) -> dict[str, Any]:
    count, width, height = 0, 0, 0
    with FrameReader(file, max_seconds=max_seconds + 1) as reader:
        for frame in reader:
            count, (height, width) = count + 1, frame.shape[:2]
            _check_pixels(width, height, max_pixels)
            _check_seconds(reader.position, max_seconds)
        order, fps = reader.schedule()
        warnings = [warning.removeprefix(f"{file.name}: ") for warning in reader.warnings]
    is_image = file_format.pillow is not None and count == 1
    seconds = None if is_image else len(order) / fps
    return {
        "kind": "image" if is_image else "video",
        "format": file_format.name,
        "mime": file_format.mime,
        "width": width,
        "height": height,
        "seconds": seconds,
        "fps": None if is_image else float(fps),
        "warnings": warnings,
    }


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise _LimitError(
            f"The file has {width}x{height} pixels; at most {max_pixels / 1e6:.1f} megapixels are accepted."
        )


def _check_seconds(seconds: float, max_seconds: float) -> None:
    if seconds > max_seconds:
        raise _LimitError(f"The file lasts {seconds:.1f} seconds; at most {max_seconds:g} are accepted.")
