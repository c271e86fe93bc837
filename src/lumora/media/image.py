"""Image files, still and animated, read by Pillow: one upright, opaque sRGB frame at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms, ImageOps

from lumora.media.display import HDR_NAMES, on_white, size_within, tone_mapped
from lumora.media.sniff import BinaryFile, FileFormat, iso_boxes
from lumora.media.timing import shown_delay

STILL_FPS = 1.0
"""Frames a second of a still image, which has no rate."""
MAX_IMAGE_PIXELS = 64_000_000
"""Largest image that is decoded. It bounds the memory that a small file can ask for."""
ANIMATED_FORMATS = ("GIF", "WEBP", "PNG", "AVIF")
"""Formats whose further images are frames. Those of other formats are previews, depth maps, pages or other photos."""
_DNG_VERSION_TAG = 50706


@dataclass(frozen=True)
class ImageFrame:
    """A frame of an image file, with the interface of `ShownFrame`."""

    full: UInt8[np.ndarray, "h w 3"]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.full.shape[:2]
        return height, width

    def pixels(self, max_side: int | None = None) -> UInt8[np.ndarray, "h w 3"]:
        """At full size, or reduced to a longer side of `max_side`."""
        height, width = size_within(*self.size, max_side)
        if (height, width) == self.size:
            return self.full
        return np.asarray(Image.fromarray(self.full).resize((width, height), Image.Resampling.BOX))


class ImageDecoder:
    """Iterates over the frames of an image file. `times` and `warnings` are filled meanwhile."""

    def __init__(self, file: BinaryFile, file_format: FileFormat) -> None:
        """Raises what Pillow raises for a file that it can't read, and ValueError for one that is too large."""
        self.times: list[float | None] = [0.0]
        """Seconds at which each frame begins, then the second at which the last one ends."""
        self.warnings: list[str] = []
        self.duration: float | None = None
        self._transfer = _hdr_transfer(file) if file_format.name in ("avif", "heic") else None
        if file_format.name == "webp" and (shortened := _without_partial_frame(file)):
            file = shortened
            self.warnings.append("The file is truncated; its complete frames are read.")
        self._image = _open(file, file_format)
        width, height = self._image.size
        if width * height > MAX_IMAGE_PIXELS:
            raise ValueError(f"{width}x{height} is more than {MAX_IMAGE_PIXELS / 1e6:.0f} megapixels")

    @property
    def rate(self) -> float:
        """Mean frames a second."""
        count, end = len(self.times) - 1, self.times[-1]
        return count / end if count > 1 and end else STILL_FPS

    def __iter__(self) -> Iterator[ImageFrame]:
        image, count = self._image, getattr(self._image, "n_frames", 1)
        if image.format not in ANIMATED_FORMATS:
            if count > 1 and image.format == "TIFF":
                self.warnings.append(f"Only the first of {count} pages is read.")
            yield ImageFrame(self._pixels())
            return
        # An animated PNG may begin with a still image for programs that show no animations.
        for index in range(1 if count > 1 and getattr(image, "default_image", False) else 0, count):
            try:
                image.seek(index)
                pixels = self._pixels()
            except Exception:  # Pillow raises anything for damaged data, such as IndexError and SyntaxError
                if len(self.times) == 1:
                    raise
                self.warnings.append(f"The file is damaged after {len(self.times) - 1} of {count} frames.")
                return
            self.times.append((self.times[-1] or 0.0) + self._delay())
            yield ImageFrame(pixels)

    def read_audio(self, seconds: float) -> None:
        """Images have no audio."""

    def close(self) -> None:
        self._image.close()

    def _delay(self) -> float:
        delay = float(self._image.info.get("duration", 0) or 0) / 1000
        return shown_delay(delay, self._image.format == "GIF")

    def _pixels(self) -> UInt8[np.ndarray, "h w 3"]:
        pixels = _rgb(ImageOps.exif_transpose(self._image))
        if self._transfer is None:
            return pixels
        warning = f"HDR image ({HDR_NAMES[self._transfer]}) was tone-mapped to SDR (BT.709)."
        self.warnings += [] if warning in self.warnings else [warning]
        return tone_mapped(pixels, self._transfer)


def _open(file: BinaryFile, file_format: FileFormat) -> Image.Image:
    file.seek(0)
    assert file_format.pillow is not None
    if file_format.pillow == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False)
        return Image.open(file, formats=["HEIF"])  # opens at the primary image, with all transformations applied
    image = Image.open(file, formats=[file_format.pillow])
    if _DNG_VERSION_TAG in (getattr(image, "tag_v2", None) or {}):
        raise ValueError("camera raw files are not read; save it as .jpg, .png or .tif")
    return image


def _rgb(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    if image.mode == "F":
        raise ValueError("floating-point pixels are not read; save it with 8 or 16 bits a channel")
    if image.mode.startswith("I"):  # 16-bit gray, which Pillow would clip at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = _to_srgb(image)
    return on_white(image) if image.has_transparency_data else np.asarray(image.convert("RGB"))


def _to_srgb(image: Image.Image) -> Image.Image:
    """Converts the colors of an image with a profile of another color space, such as Display P3 of phones."""
    content = image.info.get("icc_profile")
    if not content or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    try:
        profile = ImageCms.getOpenProfile(BytesIO(content))
        if "sRGB" in ImageCms.getProfileDescription(profile):
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode=mode) or image
    except (ImageCms.PyCMSError, OSError, ValueError):  # a damaged profile, or one for another mode
        return image


def _hdr_transfer(file: BinaryFile) -> int | None:
    """The transfer function of an AVIF or HEIC image if it is PQ or HLG, from its `colr` boxes of type `nclx`."""
    end = next((end for kind, _, end in iso_boxes(file, 0) if kind == b"meta"), 0)
    file.seek(0)
    head = file.read(min(end, 1 << 20))
    position = head.find(b"colrnclx")
    transfer = int.from_bytes(head[position + 10 : position + 12], "big") if position >= 0 else None
    return transfer if transfer in HDR_NAMES else None


def _without_partial_frame(file: BinaryFile) -> BytesIO | None:
    """A truncated WebP without its incomplete last chunk; None for others. Libwebp reads only complete files."""
    file.seek(0)
    head = file.read(12)
    declared, size = int.from_bytes(head[4:8], "little") + 8, file.seek(0, 2)
    if declared <= size:
        return None
    file.seek(0)
    content, end = file.read(), 12
    while end + 8 <= len(content):
        length = int.from_bytes(content[end + 4 : end + 8], "little")
        if end + 8 + length > len(content):
            break
        end += 8 + length + length % 2
    return BytesIO(content[:4] + (end - 8).to_bytes(4, "little") + content[8:end])
