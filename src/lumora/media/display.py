"""From decoded video frames to RGB as players show it: deinterlaced, tone-mapped, with square pixels, upright, opaque.

FFmpeg's filters do the work. Frames that need none of them only change from YUV to RGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np
from av.error import BlockingIOError, EOFError
from av.filter import Graph
from av.video.reformatter import Interpolation
from jaxtyping import Int32, UInt8
from PIL import Image

ACCURATE = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.FULL_CHR_H_INT
)
"""Conversion between RGB and YUV. FFmpeg's fast default darkens every pixel by one and blurs colors."""

REDUCING = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
"""Conversion to a smaller size."""

BT709, UNSPECIFIED, BT2020, PQ, HLG = 1, 2, 9, 16, 18
"""Code points of ITU-T H.273 for color primaries and transfer functions."""
WIDE_GAMUT = (BT2020, 11, 12)
"""Color primaries that are converted to BT.709: BT.2020, DCI-P3 and Display P3. The others are close to BT.709."""
HDR_NAMES = {PQ: "PQ", HLG: "HLG"}
REFERENCE_WHITE_NITS, PEAK_NITS = 203.0, 1000.0
"""HDR reference white (ITU-R BT.2408), and the luminance that becomes white in SDR."""
KNEE = 0.5
"""Up to this share of the reference white, tone mapping keeps luminance; above, it compresses highlights."""
TABLE_LEVEL = 8
"""The color table has the square of this many levels of red, of green and of blue."""
MAX_SAMPLE_ASPECT_RATIO = 8
"""A larger ratio of a pixel's sides, or of its inverse, is an error of the file and is ignored."""


class FrameConverter:
    """Converts the frames of one video stream. `warnings` says what was done to them."""

    def __init__(self, time_base: Fraction, sample_aspect_ratio: Fraction | None) -> None:
        self.warnings: list[str] = []
        self._time_base = time_base
        self._sample_aspect_ratio = _plausible(sample_aspect_ratio)
        self._graph: Graph | None = None
        self._properties: tuple[object, ...] = ()
        self._color_lookup: ColorLookup | None = None
        self._interlaced = False
        self._orientation: tuple[int, bool] | None = None

    def convert(self, frame: av.VideoFrame) -> Iterator[ShownFrame]:
        """The frames that are ready. Deinterlacing delays them by one frame."""
        if self._orientation is None:
            self._orientation = orientation(frame)
        yield from map(self._shown, self._filtered(frame))

    def flush(self) -> Iterator[ShownFrame]:
        """The frames that are still in the filters."""
        yield from map(self._shown, self._drained())
        self._graph = None

    def _filtered(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        self._interlaced = self._interlaced or frame.interlaced_frame
        properties = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range,
                      frame.color_primaries, frame.color_trc, self._interlaced)  # fmt: skip
        if properties != self._properties:
            yield from self._drained()
            self._properties, filters = properties, self._filters(frame)
            self._graph = _build_graph(frame, self._time_base, filters) if filters else None
            self._color_lookup = self._color_lookup_of(frame)
        if self._graph is None:
            yield self._mapped(frame)
        else:
            self._graph.push(frame)
            yield from map(self._mapped, _pull_all(self._graph))

    def _drained(self) -> Iterator[av.VideoFrame]:
        """The frames that are still in the filters, which take no more."""
        if self._graph is not None:
            self._graph.push(None)
            yield from map(self._mapped, _pull_all(self._graph))

    def _mapped(self, frame: av.VideoFrame) -> av.VideoFrame:
        return frame if self._color_lookup is None else self._color_lookup.apply(frame)

    def _filters(self, frame: av.VideoFrame) -> list[tuple[str, str]]:
        filters: list[tuple[str, str]] = []
        if self._interlaced:
            filters.append(("bwdif", "mode=send_frame:deint=interlaced"))
            self._warn("Interlaced video was deinterlaced.")
        if self._sample_aspect_ratio != 1:
            width = max(1, round(frame.width * self._sample_aspect_ratio))
            filters.append(("scale", f"w={width}:h={frame.height}:{_ACCURATE_SCALE}"))
        return filters

    def _color_lookup_of(self, frame: av.VideoFrame) -> ColorLookup | None:
        if frame.color_trc in HDR_NAMES:
            self._warn(f"HDR video ({HDR_NAMES[frame.color_trc]}) was tone-mapped to SDR (BT.709).")
        elif frame.color_primaries not in WIDE_GAMUT:
            return None
        return ColorLookup(frame.color_primaries, frame.color_trc)

    def _shown(self, frame: av.VideoFrame) -> ShownFrame:
        has_alpha = any(component.is_alpha for component in frame.format.components)
        if has_alpha:
            self._warn("Transparent video was put on white.")
        quarter_turns, mirrored = self._orientation or (0, False)
        return ShownFrame(frame, has_alpha, quarter_turns, mirrored)

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)


@dataclass(frozen=True)
class ShownFrame:
    """A frame with square pixels that becomes RGB, opaque and upright when its pixels are asked for."""

    frame: av.VideoFrame
    has_alpha: bool
    quarter_turns: int
    """Counterclockwise, after `mirrored`."""
    mirrored: bool

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as it is shown, upright."""
        height, width = self.frame.height, self.frame.width
        return (width, height) if self.quarter_turns % 2 else (height, width)

    def pixels(self, max_side: int | None = None) -> UInt8[np.ndarray, "h w 3"]:
        """At full size, or reduced to a longer side of `max_side`, which is several times faster."""
        size = size_within(self.frame.height, self.frame.width, max_side)
        if self.has_alpha:
            pixels = on_white(Image.fromarray(reformatted(self.frame, "rgba", size).to_ndarray()))
        else:
            pixels = reformatted(self.frame, "rgb24", size).to_ndarray()
        return np.rot90(pixels[:, ::-1] if self.mirrored else pixels, self.quarter_turns)


def size_within(height: int, width: int, max_side: int | None) -> tuple[int, int]:
    """Height and width of this shape with a longer side of at most `max_side` pixels; None is no limit."""
    scale = 1.0 if max_side is None else min(1.0, max_side / max(height, width))
    return max(1, round(scale * height)), max(1, round(scale * width))


def reformatted(frame: av.VideoFrame, pixel_format: str, size: tuple[int, int] | None = None) -> av.VideoFrame:
    """The frame in another pixel format; YUV is written as BT.709. A smaller `size` (height, width) averages pixels."""
    colors = "ITU709" if pixel_format.startswith("yuv") else None
    height, width = size or (frame.height, frame.width)
    reduced = (height, width) != (frame.height, frame.width)
    return frame.reformat(
        width, height, pixel_format, dst_colorspace=colors, interpolation=REDUCING if reduced else ACCURATE, threads=1
    )


def on_white(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """An image with transparency, laid over white."""
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB"))


def orientation(frame: av.VideoFrame) -> tuple[int, bool]:
    """How to turn a frame upright: quarter turns counterclockwise, after mirroring left and right if True."""
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # other side data of a type that PyAV does not know
        return round(frame.rotation / 90) % 4, False
    return (0, False) if matrix is None else matrix_orientation(np.frombuffer(matrix, np.int32))


def matrix_orientation(matrix: Int32[np.ndarray, " 9"]) -> tuple[int, bool]:
    """As `orientation`, from a display matrix (ISO/IEC 14496-12, 6.2.2): one of the eight orientations, or the
    nearest."""
    a, b, _, c, d, *_ = matrix.astype(float)
    mirrored = bool(a * d - b * c < 0)
    if mirrored:  # without the mirroring, which comes first, the x axis points the other way
        a, b = -a, -b
    return round(np.degrees(np.arctan2(-b, a)) / 90) % 4, mirrored


def tone_mapped(pixels: UInt8[np.ndarray, "h w 3"], transfer: int) -> UInt8[np.ndarray, "h w 3"]:
    """The BT.709 pixels of an HDR image in BT.2020 with this transfer function (PQ or HLG)."""
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame.pts, frame.time_base = 0, Fraction(1)
    return reformatted(ColorLookup(BT2020, transfer).apply(frame), "rgb24").to_ndarray()


class ColorLookup:
    """Converts frames in HDR or in a wide gamut to BT.709 by a table of `color_table`."""

    def __init__(self, primaries: int, transfer: int) -> None:
        self._table = color_table(primaries, transfer)
        self._properties: tuple[object, ...] = ()
        self._graph: Graph | None = None
        self._number = 0

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame in RGB with 16 bits a channel; its time stays."""
        properties = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if self._graph is None or properties != self._properties:
            self._graph, self._properties, self._number = self._build(frame), properties, 0
        times = frame.pts, frame.time_base, frame.duration
        # The filter pairs frames by time, and a damaged file has frames without one.
        self._number += 1
        frame.pts, frame.time_base = self._number, Fraction(1)
        self._source.push(frame)
        mapped = next(_pull_all(self._graph))
        frame.pts, frame.time_base, frame.duration = times
        mapped.pts, mapped.time_base, mapped.duration = times
        return mapped

    def _build(self, frame: av.VideoFrame) -> Graph:
        graph = Graph()
        graph.threads = 1
        self._source = graph.add("buffer", _source_arguments(frame, Fraction(1)))
        rgb = graph.add("scale", _ACCURATE_SCALE)
        rgb16 = graph.add("format", _TABLE_FORMAT)
        table = graph.add("buffer", _source_arguments(self._table, Fraction(1)))
        lookup, sink = graph.add("haldclut", "interp=tetrahedral"), graph.add("buffersink")
        graph.link_nodes(self._source, rgb, rgb16)
        rgb16.link_to(lookup)
        table.link_to(lookup, 0, 1)
        lookup.link_to(sink)
        graph.configure()
        table.push(self._table)
        table.push(None)
        return graph


@cache
def color_table(primaries: int, transfer: int) -> av.VideoFrame:
    """BT.709 colors of a grid of all colors, as the filter `haldclut` takes them.

    FFmpeg's conversion makes such a table itself, in 3 to 7 processor-seconds, for each file anew. So it is asked once
    for each kind of color.
    """
    levels = TABLE_LEVEL**2
    code = np.round(np.linspace(0, 65535, levels)).astype(np.uint16)
    blue, green, red = np.meshgrid(code, code, code, indexing="ij")
    side = TABLE_LEVEL**3
    grid = av.VideoFrame.from_ndarray(np.stack([red, green, blue], -1).reshape(side, side, 3), format="rgb48le")
    grid.color_primaries, grid.color_trc, grid.color_range, grid.colorspace = primaries, transfer, 2, 0
    grid.pts, grid.time_base = 0, Fraction(1)
    wide_gamut = [("scale", f"{_TO_BT709}:out_transfer=bt709:intent=perceptual")]
    filters = tone_mapping(primaries) if transfer in HDR_NAMES else wide_gamut
    graph = _build_graph(grid, Fraction(1), [*filters, ("format", _TABLE_FORMAT)])
    graph.push(grid)
    table = next(_pull_all(graph))
    table.pts, table.time_base = 0, Fraction(1)
    return table


def tone_mapping(primaries: int) -> list[tuple[str, str]]:
    """Filters from HDR to SDR: BT.709 primaries in absolute luminance, then a curve that keeps midtones and compresses
    highlights (Reinhard et al. 2002, eq. 4, above the knee)."""
    source = "in_primaries=bt2020:" if primaries == UNSPECIFIED else ""
    return [
        ("scale", f"{source}{_TO_BT709}:out_transfer=smpte2084:intent=relative_colorimetric"),
        ("format", "gbrp16le"),
        ("curves", f"interp=pchip:all='{_tone_curve()}'"),
        ("setparams", "color_trc=bt709"),
    ]


_ACCURATE_SCALE = "flags=bicubic+accurate_rnd+bitexact+full_chroma_int+full_chroma_inp"
_TABLE_FORMAT = "rgb48le"
"""The filter confuses the channels of planar tables."""
_TO_BT709 = f"{_ACCURATE_SCALE}:out_primaries=bt709:out_color_matrix=bt709"


def _tone_curve() -> str:
    """Points of the curve from PQ to BT.1886 code values, as the `curves` filter takes them."""
    points = ["0/0"]
    for nits in (0.5, 2.0, 5.0, 10.0, 20.0, 40.0, 70.0, 100.0, 150.0, 203.0, 300.0, 450.0, 700.0, PEAK_NITS):
        light = nits / REFERENCE_WHITE_NITS
        if light > KNEE:
            above, most = light / KNEE - 1, PEAK_NITS / REFERENCE_WHITE_NITS / KNEE - 1
            light = KNEE + (1 - KNEE) * above * (1 + above / most**2) / (1 + above)
        points.append(f"{_pq_code(nits):.4f}/{light ** (1 / 2.4):.4f}")
    return " ".join([*points, "1/1"])


def _pq_code(nits: float) -> float:
    """SMPTE ST 2084, eq. 5.2: the code value of a luminance."""
    power = (nits / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def _plausible(ratio: Fraction | None) -> Fraction:
    usable = ratio and 1 / Fraction(MAX_SAMPLE_ASPECT_RATIO) <= ratio <= MAX_SAMPLE_ASPECT_RATIO
    return ratio if ratio and usable else Fraction(1)


def _build_graph(frame: av.VideoFrame, time_base: Fraction, filters: list[tuple[str, str]]) -> Graph:
    graph = Graph()
    graph.threads = 1
    nodes = [graph.add("buffer", _source_arguments(frame, time_base))]
    nodes += [graph.add(name, arguments) for name, arguments in filters]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


def _source_arguments(frame: av.VideoFrame, time_base: Fraction) -> str:
    pixels = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:pixel_aspect=1/1"
    return f"{pixels}:time_base={time_base}:colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"


def _pull_all(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (BlockingIOError, EOFError):
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame
