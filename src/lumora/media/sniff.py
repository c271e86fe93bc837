"""File formats, recognized by content and never by name. The reader, the signer and the verifier use this module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import TypeAlias

BinaryFile: TypeAlias = BufferedReader | BytesIO

HEAD_BYTES = 4096
"""Bytes at the beginning of a file that are searched for signatures."""
MAX_LEADING_BOXES = 8
"""ISO boxes before `ftyp` that are skipped, such as `free` or `wide`."""


@dataclass(frozen=True)
class FileFormat:
    """A file format that can be read."""

    name: str
    """Short name, such as "mp4"."""
    mime: str
    """Media type, as C2PA and HTTP use it."""
    pillow: str | None = None
    """Name of Pillow's plugin, for images."""
    demuxer: str | None = None
    """Name of FFmpeg's demuxer, for videos. The demuxer is always named: if FFmpeg guesses, it also accepts playlists
    and image sequences, which open other files and URLs."""


FORMATS = {
    file_format.name: file_format
    for file_format in (
        FileFormat("png", "image/png", pillow="PNG"),
        FileFormat("jpeg", "image/jpeg", pillow="JPEG"),
        FileFormat("gif", "image/gif", pillow="GIF"),
        FileFormat("webp", "image/webp", pillow="WEBP"),
        FileFormat("bmp", "image/bmp", pillow="BMP"),
        FileFormat("tiff", "image/tiff", pillow="TIFF", demuxer="tiff_pipe"),
        FileFormat("avif", "image/avif", pillow="AVIF"),
        FileFormat("heic", "image/heic", pillow="HEIF"),
        FileFormat("mp4", "video/mp4", demuxer="mp4"),
        FileFormat("mov", "video/quicktime", demuxer="mp4"),
        FileFormat("3gp", "video/3gpp", demuxer="mp4"),
        FileFormat("matroska", "video/x-matroska", demuxer="matroska"),
        FileFormat("webm", "video/webm", demuxer="matroska"),
        FileFormat("avi", "video/x-msvideo", demuxer="avi"),
        FileFormat("mpegts", "video/mp2t", demuxer="mpegts"),
        FileFormat("mpeg", "video/mpeg", demuxer="mpeg"),
        FileFormat("mpegvideo", "video/mpeg", demuxer="mpegvideo"),
        FileFormat("asf", "video/x-ms-wmv", demuxer="asf"),
        FileFormat("flv", "video/x-flv", demuxer="flv"),
        FileFormat("ogg", "video/ogg", demuxer="ogg"),
        FileFormat("dv", "video/x-dv", demuxer="dv"),
    )
}

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"FLV\x01", "flv"),
    (b"OggS", "ogg"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x00\x00\x01\xb3", "mpegvideo"),
    (b"\x1f\x07\x00", "dv"),
)
_RIFF_FORMS = {b"WEBP": "webp", b"AVI ": "avi", b"CDXA": "mpeg"}
_TS_PACKET_BYTES = (188, 192, 204)
"""MPEG transport streams as broadcast, as camcorders write them (with a time code), and with error correction."""

_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_IMAGE_BRANDS = (*_AVIF_BRANDS, *_HEIC_BRANDS, b"mif1", b"mif2", b"msf1", b"miaf")
_MOVIE_BOXES = (b"moov", b"mdat", b"moof", b"sidx", b"styp", b"pnot")
_SKIPPED_BOXES = (b"free", b"skip", b"wide", b"uuid", b"junk")


def sniff(path: Path) -> FileFormat | None:
    """The format of a file by its content; None for anything that can't be read. Raises OSError as `open` does."""
    with path.open("rb") as file:
        return sniff_file(file)


def sniff_file(file: BinaryFile) -> FileFormat | None:
    """As `sniff`, for an open file, whose position moves."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    name = _by_signature(head) or _iso_format(file, head) or _transport_stream(head)
    return FORMATS[name] if name else None


def iso_boxes(file: BinaryFile, begin: int, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Type, first byte of the content and end of each ISO box from the position `begin` on (ISO/IEC 14496-12, 4.2)."""
    while end is None or begin + 8 <= end:
        file.seek(begin)
        header = file.read(16)
        if len(header) < 8:
            return
        size, content = int.from_bytes(header[:4], "big"), begin + 8
        if size == 1:
            size, content = int.from_bytes(header[8:16], "big"), begin + 16
        elif size == 0:  # up to the end of the file
            size = file.seek(0, 2) - begin
        if size < content - begin:
            return
        yield header[4:8], content, begin + size
        begin += size


def _by_signature(head: bytes) -> str | None:
    if head[:4] == b"RIFF":
        return _RIFF_FORMS.get(head[8:12])
    if head[:4] == b"\x1a\x45\xdf\xa3":  # EBML, whose header names the document type
        return "webm" if b"webm" in head[:64] else "matroska"
    return next((name for signature, name in _SIGNATURES if head.startswith(signature)), None)


def _iso_format(file: BinaryFile, head: bytes) -> str | None:
    if head[4:8] not in (b"ftyp", *_MOVIE_BOXES, *_SKIPPED_BOXES):
        return None
    for number, (kind, content, _) in enumerate(iso_boxes(file, 0)):
        if kind == b"ftyp":
            file.seek(content)
            return _iso_brand(file.read(64))
        if kind in _MOVIE_BOXES or number == MAX_LEADING_BOXES:
            break
    return "mov"  # QuickTime files of before 2001 have no ftyp


def _iso_brand(brands: bytes) -> str:
    major, others = brands[:4], [brands[n : n + 4] for n in range(8, len(brands), 4)]
    if major in _IMAGE_BRANDS:
        named = next((brand for brand in (major, *others) if brand in (*_AVIF_BRANDS, *_HEIC_BRANDS)), b"heic")
        return "avif" if named in _AVIF_BRANDS else "heic"
    if major == b"qt  ":
        return "mov"
    return "3gp" if major[:2] == b"3g" else "mp4"


def _transport_stream(head: bytes) -> str | None:
    """A recording may begin within a packet, so the first synchronization byte may be anywhere in the first packet."""
    for size in _TS_PACKET_BYTES:
        for first in range(min(size, len(head) - 4 * size)):
            if all(head[first + n * size] == 0x47 for n in range(5)):
                return "mpegts"
    return None
