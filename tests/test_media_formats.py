"""Formats are recognized by content; orientations, rates and limits hold for every container; damage has a limit."""

import io
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from lumora.media import decode, image, video
from lumora.media.display import ColorLookup, matrix_orientation, reformatted
from lumora.media.encode import SUFFIXES
from lumora.media.reader import FrameReader
from lumora.media.sniff import FORMATS, sniff, sniff_file
from lumora.media.timing import constant_rate, resampled_frames, shown_delay
from lumora.media.video import Video

CASES = Path(__file__).parent / "cases"
DOCS = Path(__file__).parents[1] / "docs"


def write_video(path: Path, codec: str = "mpeg4", frames: int = 25, fps: int = 25, **how: Any) -> Path:
    """A gray level that rises by 8 with each frame."""
    with av.open(str(path), "w", format=how.get("muxer")) as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.width, stream.height = how.get("width", 64), how.get("height", 48)
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(frames):
            pixels = np.full((stream.height, stream.width, 3), 16 + 8 * number % 224, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("quad.png", "png"), ("jpeg_inside.png", "jpeg"), ("phone_mpo.jpg", "jpeg"), ("anim.gif", "gif"),
        ("anim.webp", "webp"), ("alpha.avif", "avif"), ("quad_grid.avif", "avif"), ("alpha.webm", "webm"),
        ("half.mkv", "matroska"), ("half.mp4", "mp4"), ("hlg.mov", "mov"), ("cam.3gp", "3gp"), ("cam.mts", "mpegts"),
        ("cam.wmv", "asf"), ("cam.flv", "flv"), ("cam.ogv", "ogg"), ("text.mp4", None), ("empty.mp4", None),
    ],
)  # fmt: skip
def test_formats_are_recognized(name: str, found: str | None):
    file_format = sniff(CASES / name)
    assert (file_format.name if file_format else None) == found


def test_the_table_of_formats_names_what_is_read_and_written():
    def rows(heading: str) -> list[list[str]]:
        section = (DOCS / "formats.md").read_text("utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
        return [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if "| ." in line]

    suffixes = {"jpeg": ".jpg", "tiff": ".tif", "matroska": ".mkv", "mpegts": ".mts", "mpeg": ".mpg",
                "mpegvideo": ".mpg", "asf": ".wmv", "ogg": ".ogv"}  # fmt: skip
    readers = {suffix: row[2] for row in rows("Read") for suffix in row[1].split()}
    for name, file_format in FORMATS.items():
        reader = "FFmpeg" if file_format.pillow is None else "Pillow"
        assert reader.lower() in readers[suffixes.get(name, f".{name}")].lower()
    readable = {case.suffix for case in CASES.iterdir() if sniff(case)} - {".m4a"}  # which has no video
    assert readable <= readers.keys() and {row[1] for row in rows("Written")} == set(SUFFIXES)


def test_boxes_before_ftyp_and_packets_cut_at_the_beginning_are_skipped():
    content = (CASES / "alpha.avif").read_bytes()
    for box in (b"free", b"wide", b"skip"):
        found = sniff_file(io.BytesIO((16).to_bytes(4, "big") + box + bytes(8) + content))
        assert found and found.name == "avif"
    packets = (CASES / "cam.mts").read_bytes()
    found = sniff_file(io.BytesIO(packets[77:]))
    assert found and found.name == "mpegts"


@pytest.mark.parametrize(
    ("suffix", "codec", "muxer"),
    [(".mpg", "mpeg1video", "mpeg"), (".mpg", "mpeg2video", "mpeg2video"), (".vob", "mpeg2video", "vob"),
     (".ts", "mpeg2video", "mpegts"), (".avi", "mjpeg", None), (".mov", "mjpeg", None), (".mkv", "ffv1", None)],
)  # fmt: skip
def test_further_containers_are_read(tmp_path: Path, suffix: str, codec: str, muxer: str | None):
    if not muxer or muxer in av.formats_available:
        file = write_video(tmp_path / f"clip{suffix}", codec, muxer=muxer)
        frames = Video.load(file).frames
        assert frames.shape == (25, 48, 64, 3)
        assert np.abs(frames[:, 24, 32, 0] - (16.0 + 8 * np.arange(25) % 224)).max() < 4


def test_raw_dv_is_read(tmp_path: Path):
    with av.open(str(tmp_path / "clip.dv"), "w", format="dv") as container:
        stream: Any = container.add_stream("dvvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        for _ in range(3):
            pixels = np.full((576, 720, 3), (200, 40, 30), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    read = Video.load(tmp_path / "clip.dv")
    assert len(read.frames) == 3 and read.frames.shape[1] == 576 and read.frames.shape[2] in (720, 768, 788)
    assert np.abs(read.frames[1, 300, 300].astype(int) - (200, 40, 30)).max() < 8


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16", "RGBA", "LA", "P", "1", "CMYK"])
def test_tiff_of_every_depth_is_read(tmp_path: Path, mode: str):
    pixels = np.full((6, 8), 0x8040, np.uint16) if mode == "I;16" else None
    picture = Image.new(mode, (8, 6), 1 if mode == "1" else None) if pixels is None else Image.fromarray(pixels)
    picture.save(tmp_path / "a.tif")
    assert Video.load(tmp_path / "a.tif").frames.shape == (1, 6, 8, 3)
    if mode == "I;16":
        assert (Video.load(tmp_path / "a.tif").frames == 128).all()


def test_tiff_of_16_bit_color_is_read(tmp_path: Path):
    with av.open(str(tmp_path / "a.tif"), "w", format="image2", options={"update": "1"}) as container:
        stream: Any = container.add_stream("tiff", rate=1)
        stream.width, stream.height, stream.pix_fmt = 8, 6, "rgb48le"
        pixels = np.full((6, 8, 3), (0xC800, 0x1E00, 0x1E00), np.uint16)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb48le")))
        container.mux(stream.encode(None))
    assert np.abs(Video.load(tmp_path / "a.tif").frames.astype(int) - (200, 30, 30)).max() <= 1


def test_heic_of_a_phone_is_read(tmp_path: Path):
    """Rotated and mirrored by EXIF, with a second image that is not the primary one."""
    import pillow_heif

    quarters = Image.open(CASES / "quad.png").resize((128, 96))
    exif = Image.Exif()
    exif[0x0112] = 5
    heif = pillow_heif.from_pillow(Image.new("RGB", (64, 64), "gray"))
    heif.add_from_pillow(quarters)
    heif.save(tmp_path / "a.heic", primary_index=1, quality=90, exif=exif.tobytes())
    read = Video.load(tmp_path / "a.heic")
    assert sniff(tmp_path / "a.heic").name == "heic"  # type: ignore[union-attr]
    expected = Image.open(CASES / "quad.png").resize((128, 96))
    if read.frames.shape[1:3] == (128, 96):
        expected = expected.transpose(Image.Transpose.TRANSPOSE)
    assert read.frames.shape == (1, *np.asarray(expected).shape)
    assert np.abs(read.frames[0].astype(int) - np.asarray(expected)).mean() < 6


def test_ten_bit_heic_is_read(tmp_path: Path):
    import pillow_heif

    pixels = np.full((64, 64, 3), (0xC800, 0x1E00, 0x1E00), np.uint16)
    pillow_heif.encode("RGB;16", (64, 64), pixels.tobytes(), str(tmp_path / "a.heic"), quality=95)
    assert np.abs(Video.load(tmp_path / "a.heic").frames.astype(int) - (200, 30, 30)).max() < 8


def test_a_profile_of_srgb_or_a_broken_one_changes_no_color(tmp_path: Path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (4, 4), (200, 30, 30)).save(tmp_path / "a.png", icc_profile=profile)
    assert (Video.load(tmp_path / "a.png").frames == (200, 30, 30)).all()
    Image.new("RGB", (4, 4), (200, 30, 30)).save(tmp_path / "b.png", icc_profile=b"broken")
    assert (Video.load(tmp_path / "b.png").frames == (200, 30, 30)).all()


def test_an_animated_png_leaves_out_its_still_for_old_programs(tmp_path: Path):
    frames = [Image.new("RGB", (4, 4), (level, 0, 0)) for level in (10, 20, 30)]
    frames[0].save(
        tmp_path / "a.png", save_all=True, append_images=frames[1:], default_image=True, duration=200, loop=0
    )
    read = Video.load(tmp_path / "a.png")
    assert read.frames[:, 0, 0, 0].tolist() == [20, 30] and read.fps == 5


def test_an_animated_avif_is_read(tmp_path: Path):
    frames = [Image.new("RGB", (64, 64), (40 * n, 90, 90)) for n in range(5)]
    frames[0].save(tmp_path / "a.avif", save_all=True, append_images=frames[1:], duration=250, quality=90)
    read = Video.load(tmp_path / "a.avif")
    assert read.fps == pytest.approx(4) and np.abs(read.frames[:, 32, 32, 0] - 40.0 * np.arange(5)).max() < 6


def test_hdr_stills_are_tone_mapped(tmp_path: Path):
    """The transfer function of an AVIF is overwritten by PQ; 203 nits have the code value 148 of 255."""
    Image.new("RGB", (64, 64), (148, 148, 148)).save(tmp_path / "a.avif", quality=95)
    content = (tmp_path / "a.avif").read_bytes()
    position = content.index(b"colrnclx") + 10
    (tmp_path / "a.avif").write_bytes(content[:position] + (16).to_bytes(2, "big") + content[position + 2 :])
    read = Video.load(tmp_path / "a.avif")
    assert np.abs(read.frames.astype(int) - 226).max() < 6 and "HDR image (PQ)" in read.warnings[0]


@pytest.mark.parametrize(
    ("x_axis", "y_axis"),
    [(x, y) for x in ((1, 0), (-1, 0)) for y in ((0, 1), (0, -1))]
    + [(x, y) for x in ((0, 1), (0, -1)) for y in ((1, 0), (-1, 0))],
)
def test_all_eight_orientations_are_applied(x_axis: tuple[int, int], y_axis: tuple[int, int]):
    """The matrix says where the x axis (to the right) and the y axis (down) of the stored frame point when shown."""
    matrix = np.array([*x_axis, 0, *y_axis, 0, 0, 0, 1 << 14], np.int64) * 65536
    turns, mirrored = matrix_orientation(matrix.astype(np.int32))
    stored = np.arange(12).reshape(3, 4)
    shown = np.rot90(stored[:, ::-1] if mirrored else stored, turns)
    positions = {}
    for y in range(3):
        for x in range(4):
            positions[x * x_axis[0] + y * y_axis[0], x * x_axis[1] + y * y_axis[1]] = stored[y, x]
    left, top = min(x for x, _ in positions), min(y for _, y in positions)
    expected = np.zeros_like(shown)
    for (x, y), value in positions.items():
        expected[y - top, x - left] = value
    assert np.array_equal(shown, expected)


def test_tone_mapping_keeps_midtones_and_highlights():
    """Gray patches of PQ: 100 nits stay at their SDR level, 203 to 1,000 nits rise steadily to white."""
    codes = [
        64 + round(876 * code) for code in (0.4193, 0.5081, 0.5807, 0.6652, 0.7518)
    ]  # 40, 100, 203, 450, 1000 nits
    frame = av.VideoFrame(80, 16, "yuv420p10le")
    for index, plane in enumerate(frame.planes):
        samples = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)  # type: ignore[call-overload]
        samples[:] = 512 if index else np.repeat(codes, 16).tolist() + [64] * (samples.shape[1] - 80)
    frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = 16, 9, 9, 1
    frame.pts, frame.time_base = 0, Fraction(1, 10)
    mapped = ColorLookup(9, 16).apply(frame)
    assert (mapped.pts, frame.pts, mapped.time_base) == (0, 0, Fraction(1, 10))
    levels = reformatted(mapped, "rgb24").to_ndarray()[8, 8::16, 1].astype(int).tolist()
    assert np.abs(np.array(levels) - (130, 190, 226, 244, 255)).max() <= 3, levels


@settings(max_examples=100)
@given(st.lists(st.floats(0.004, 1.0), min_size=2, max_size=40))
def test_a_constant_rate_shows_frames_when_they_are_due(durations: list[float]):
    times = np.concatenate([[0.0], np.cumsum(durations)])
    indices, fps = constant_rate(times.tolist(), len(durations) / times[-1])
    assert (np.diff(indices) >= 0).all() and len(indices) / fps == pytest.approx(times[-1], abs=1.01 / fps)
    middles = (np.arange(len(indices)) + 0.5) / fps
    error = np.maximum(times[indices] - middles, middles - times[indices + 1])
    assert error.max() <= 0.76 * max(1 / fps, times[-1] / len(durations))


def test_delays_are_those_of_browsers():
    assert [shown_delay(delay, True) for delay in (0.0, 0.01, 0.02, 0.07)] == [0.1, 0.1, 0.02, 0.07]
    assert [shown_delay(delay, False) for delay in (0.0, 0.01)] == [0.1, 0.01]
    assert len(resampled_frames(100, 100.0, 50.0)) == 50 and len(resampled_frames(1, 100.0, 50.0)) == 1


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_a_truncated_animation_gives_its_playable_part_with_a_warning(tmp_path: Path, suffix: str):
    noise = np.random.default_rng(0).integers(0, 256, (10, 48, 48, 3), dtype=np.uint8)
    frames = [Image.fromarray(frame) for frame in noise]
    file = tmp_path / f"a{suffix}"
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=100, loop=0)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * 0.55)])
    read = Video.load(file)
    assert 4 <= len(read.frames) <= 6 and len(read.warnings) == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov", ".flv", ".ts"])
def test_a_damaged_video_gives_its_playable_part_with_a_warning(tmp_path: Path, suffix: str):
    codec = "flv" if suffix == ".flv" else "mpeg4"
    file = write_video(tmp_path / f"a{suffix}", codec, frames=100)
    if suffix in (".mp4", ".mov"):  # the index at the end is lost with it: one sentence
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with pytest.raises(ValueError, match="it is truncated, and its index, which comes at the end, is missing"):
            Video.load(file)
        return
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    read = Video.load(file)
    assert 20 <= len(read.frames) <= 80
    assert read.warnings or suffix == ".ts"  # a transport stream does not say how long it is


def test_large_files_are_refused_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = write_video(tmp_path / "a.mp4")
    monkeypatch.setattr(video, "MAX_FRAME_BYTES", 20 * 64 * 48 * 3)
    with pytest.raises(ValueError, match="more frames of 64x48"):
        Video.load(file)
    assert Video.load(file, size=(24, 32)).frames.shape == (25, 24, 32, 3)
    monkeypatch.setattr(decode, "MAX_VIDEO_PIXELS", 1000)
    monkeypatch.setattr(image, "MAX_IMAGE_PIXELS", 1000)
    for path in (file, CASES / "quad.png"):
        with pytest.raises(ValueError, match="megapixels"):
            Video.load(path)


def test_streaming_holds_one_frame_at_a_time(tmp_path: Path):
    file = write_video(tmp_path / "a.mp4", frames=200, width=1280, height=720)
    code = (
        "import resource, sys\nfrom lumora.media.reader import FrameReader\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"with FrameReader({str(file)!r}) as reader:\n    count = sum(1 for _ in reader)\n"
        "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    count, kilobytes = map(int, subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert count == 200 and kilobytes < 150_000  # all frames together are 553 MB


def test_a_reader_that_is_left_early_closes_its_file(tmp_path: Path):
    file = write_video(tmp_path / "a.mp4")
    with FrameReader(file) as reader:
        next(iter(reader))
    assert reader._file.closed
