"""Videos are written atomically and read back; no other file is ever opened."""

import os
import resource
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lumora.atomic_io import check_output
from lumora.media.contact_sheet import contact_sheet
from lumora.media.encode import SUFFIXES, output_warnings
from lumora.media.video import Video


def moving_square(frames: int = 9, height: int = 64, width: int = 96, fps: float = 8.0) -> Video:
    """A smooth background and a red square that moves to the right."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([np.stack([40 + x, 60 + y, 160 - x // 2], -1)] * frames).astype(np.uint8)
    for t in range(frames):
        pixels[t, height // 3 : 2 * height // 3, 2 * t : 2 * t + width // 4] = (200, 40, 30)
    return Video(pixels, fps)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, ((a.astype(float) - b) ** 2).mean())))


@pytest.mark.parametrize(("suffix", "least"), [(".mp4", 31), (".gif", 30), (".webp", 31)])
def test_written_videos_are_read_back(tmp_path: Path, suffix: str, least: float):
    video = moving_square()
    read = Video.load(video.save(tmp_path / f"clip{suffix}"))
    assert read.frames.shape == video.frames.shape
    assert read.fps == pytest.approx(video.fps, rel=0.02)
    assert psnr(read.frames, video.frames) > least
    background = np.s_[:, : video.frames.shape[1] // 3 - 4]
    assert np.abs((read.frames[background].astype(float) - video.frames[background]).mean((0, 1, 2))).max() < 0.75


def test_png_holds_the_first_frame(tmp_path: Path):
    video = moving_square()
    assert np.array_equal(Video.load(video.save(tmp_path / "still.png")).frames, video.frames[:1])


@settings(max_examples=20)
@given(
    frames=st.integers(1, 6),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    fps=st.sampled_from([1.0, 7.5, 8.0, 23.976, 60.0]),
    suffix=st.sampled_from(SUFFIXES[:-1]),
)
def test_any_size_and_rate_is_written(tmp_path_factory, frames: int, height: int, width: int, fps: float, suffix: str):
    video = Video(np.full((frames, height, width, 3), 90, np.uint8), fps)
    read = Video.load(video.save(tmp_path_factory.mktemp("any") / f"clip{suffix}"))
    if suffix == ".mp4":
        assert read.frames.shape == (frames, height + height % 2, width + width % 2, 3)
        assert read.fps == pytest.approx(fps, rel=1e-3)
    else:  # frames that are all the same may be written as one
        assert read.frames.shape[1:] == (height, width, 3)
    assert np.abs(read.frames.astype(int) - 90).max() <= 3


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_encoding_is_deterministic(tmp_path: Path, suffix: str):
    video = moving_square()
    assert len({video.save(tmp_path / f"clip{suffix}").read_bytes() for _ in range(12)}) == 1


def test_mp4_index_comes_before_its_data(tmp_path: Path):
    content = moving_square().save(tmp_path / "clip.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_the_existing_file_unchanged(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # it would be cut off, which breaks all later imports
    noise = Video(np.random.default_rng(0).integers(0, 255, (5, 64, 64, 3), dtype=np.uint8), 8.0)
    file = tmp_path / f"clip{suffix}"
    file.write_bytes(b"the one before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, hard))
    try:
        with pytest.raises(OSError, match="can't be written"):
            noise.save(file)
        with pytest.raises(OSError, match="can't be written"):
            check_output(file, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == [file.name]
    assert file.read_bytes() == b"the one before"


@settings(max_examples=40)
@given(cut=st.floats(0, 0.98), suffix=st.sampled_from(SUFFIXES))
def test_a_truncated_file_is_refused_or_has_fewer_frames(tmp_path_factory, cut: float, suffix: str):
    file = moving_square(5, 32, 32).save(tmp_path_factory.mktemp("cut") / f"clip{suffix}")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * cut)])
    try:
        assert len(Video.load(file).frames) <= 5
    except ValueError as error:
        assert str(file) in str(error) and str(error).endswith(".")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a text",
        b"#EXTM3U\n#EXTINF:1,\nsecret.mp4\n",
        b"ffconcat version 1.0\nfile secret.mp4\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='secret.mp4'/></svg>",
    ],
)
def test_playlists_and_other_kinds_are_refused_by_content(tmp_path: Path, content: bytes):
    moving_square().save(tmp_path / "secret.mp4")
    file = tmp_path / "clip.mp4"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="can't be read"):
        Video.load(file)


@pytest.mark.parametrize("name", ["http://127.0.0.1:9/a.mp4", "file:/etc/hostname", "concat:a.mp4|b.mp4", "gone.mp4"])
def test_only_local_files_are_opened(name: str):
    with pytest.raises(ValueError, match="There is no file"):
        Video.load(name)


def test_content_decides_the_format(tmp_path: Path):
    video = moving_square()
    renamed = video.save(tmp_path / "clip.mp4").rename(tmp_path / "clip.png")
    assert Video.load(renamed).frames.shape == video.frames.shape
    assert len(Video.load(renamed, max_frames=2).frames) == 2


def grays(count: int) -> np.ndarray:
    return (20 + 12 * np.arange(count, dtype=np.uint8))[:, None, None, None].repeat(32, 1).repeat(32, 2).repeat(3, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_frames_of_a_variable_rate_are_shown_when_they_are_due(tmp_path: Path, suffix: str):
    """A screen recording: 12 frames in 0.4 s, then one every 0.3 s."""
    begins = [*range(0, 240, 20), *range(240, 960, 180)]  # in units of 1/600 s
    with av.open(str(tmp_path / f"clip{suffix}"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height = stream.width = 32
        stream.codec_context.time_base = Fraction(1, 600)
        for gray, begin in zip(grays(16), begins, strict=True):
            frame = av.VideoFrame.from_ndarray(gray, format="rgb24")
            frame.pts, frame.time_base = begin, Fraction(1, 600)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    video = Video.load(tmp_path / f"clip{suffix}")
    assert video.fps == pytest.approx(30, rel=0.03) and 1.3 < video.seconds < 1.7
    shown = [video.frames[int((begin / 600 + 0.02) * video.fps)].mean() for begin in begins]
    assert np.abs(np.array(shown) - 20 - 12 * np.arange(16)).max() < 5


def test_equal_frames_that_a_gif_merges_keep_their_duration(tmp_path: Path):
    """Pillow writes equal frames once, with their total duration."""
    levels = np.array([0, 0, 0, 1, 2, 2, 3, 4, 4, 4, 4, 4])
    read = Video.load(Video(grays(5)[levels], 8.0).save(tmp_path / "clip.gif"))
    assert read.fps == pytest.approx(8, rel=0.02)
    assert np.abs(read.frames[:, 0, 0, 0] - 20.0 - 12 * levels).max() < 5


def test_16_bit_gray_is_scaled_to_8_bits(tmp_path: Path):
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(tmp_path / "deep.png")
    assert (Video.load(tmp_path / "deep.png").frames == 128).all()


def test_transparent_images_are_put_on_white_and_rotated_ones_turned(tmp_path: Path):
    Image.new("RGBA", (4, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (Video.load(tmp_path / "clear.png").frames == 255).all()
    turned = Image.new("RGB", (4, 2))
    exif = turned.getexif()
    exif[0x0112] = 6  # the camera was held upright
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert Video.load(tmp_path / "turned.jpg").frames.shape == (1, 4, 2, 3)


@settings(max_examples=25)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.integers(1, 50))
def test_resize_covers_the_size(h: int, w: int, height: int, width: int):
    frames = np.full((1, h, w, 3), (10, 120, 240), np.uint8)
    fitted = Video(frames, 1.0).resize(height, width).frames
    assert fitted.shape == (1, height, width, 3)
    assert (fitted == (10, 120, 240)).all()


def test_contact_sheet_shows_first_and_last_frames():
    videos = [moving_square(), moving_square(5, 48, 48), moving_square(1)]
    sheet = contact_sheet(videos, columns=2, pictures=3, height=64)
    top_left = sheet[4:68, 4 : 4 + 96]
    assert np.array_equal(top_left, videos[0].frames[0])
    assert np.array_equal(sheet[4:68, 4 + 192 : 4 + 288], videos[0].frames[-1])
    assert (contact_sheet(videos, 2, labels=["a red square " * 20] * 3, height=64) < 255).any()


@pytest.mark.parametrize("frames", [np.zeros((0, 4, 4, 3), np.uint8), np.zeros((1, 0, 4, 3), np.uint8)])
def test_empty_videos_are_refused(frames: np.ndarray):
    with pytest.raises(ValueError):
        Video(frames, 8.0)


def test_a_gif_has_at_most_50_frames_a_second(tmp_path: Path):
    video = Video(np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8), 120.0)
    read = Video.load(video.save(tmp_path / "clip.gif"))
    assert read.fps == pytest.approx(50) and read.seconds == pytest.approx(video.seconds, abs=0.02)
    assert output_warnings(".gif", 120.0, False) == (
        "A .gif has at most 50 frames a second; some of the 120 are left out.",
    )
    assert output_warnings(".gif", 50.0, False) == output_warnings(".mp4", 120.0, True) == ()
