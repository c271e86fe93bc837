"""Files of cameras, phones and web sites are read as players show them, or refused with one sentence."""

from pathlib import Path

import numpy as np
import pytest

from lumora.media.reader import FrameReader
from lumora.media.video import Video

CASES = Path(__file__).parent / "cases"
RED, GREEN, BLUE, YELLOW = (200, 30, 30), (30, 200, 30), (30, 30, 200), (220, 220, 30)
TEST_PATTERN = (GREEN_BAR, MAGENTA_BAR, GRAY_CENTER) = (0, 255, 0), (255, 0, 255), (128, 128, 128)


def color(video: Video, across: float, down: float) -> tuple[int, ...]:
    """The color at a share of the width and of the height of the middle frame."""
    frame = video.frames[len(video.frames) // 2]
    y, x = int(down * frame.shape[0]), int(across * frame.shape[1])
    return tuple(map(int, frame[y, x]))


def near(found: tuple[int, ...], expected: tuple[int, ...], tolerance: int = 12) -> bool:
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= tolerance


def quarters(video: Video) -> list[tuple[int, ...]]:
    """Colors of the top left, top right, bottom left and bottom right quarter."""
    return [color(video, x, y) for y in (0.25, 0.75) for x in (0.25, 0.75)]


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("quad.png", (512, 768), (RED, GREEN, BLUE, YELLOW)),
        ("quad_grid.avif", (512, 768), (RED, GREEN, BLUE, YELLOW)),
        ("quad_irot.avif", (768, 512), (GREEN, YELLOW, RED, BLUE)),
        ("jpeg_inside.png", (160, 256), (RED, BLUE, RED, BLUE)),
        ("phone_mpo.jpg", (160, 256), (RED, BLUE, RED, BLUE)),
        ("cmyk.jpg", (160, 256), (RED, BLUE, RED, BLUE)),
        ("rgb16.png", (160, 256), (RED, BLUE, RED, BLUE)),
        ("exif5.jpg", (256, 160), (RED, RED, BLUE, BLUE)),
    ],
)
def test_still_images_are_upright_and_whole(name: str, size: tuple[int, int], expected: list[tuple[int, ...]]):
    video = Video.load(CASES / name)
    assert video.frames.shape == (1, *size, 3) and video.audio is None and video.warnings == ()
    assert all(near(found, right, 4) for found, right in zip(quarters(video), expected, strict=True)), quarters(video)


@pytest.mark.parametrize(
    ("name", "seconds"), [("anim.gif", 0.8), ("anim.webp", 1.0), ("anim0.gif", 0.8), ("anim10.gif", 0.8)]
)
def test_animations_last_as_long_as_in_browsers(name: str, seconds: float):
    video = Video.load(CASES / name)
    assert video.frames.shape == (8, 160, 256, 3)
    assert video.seconds == pytest.approx(seconds, rel=1e-3)


def test_transparent_parts_are_white():
    image = Video.load(CASES / "alpha.avif")
    assert color(image, 0.5, 0.5) == (255, 255, 255)
    assert near(color(image, 0.25, 0.5), RED)
    video = Video.load(CASES / "alpha.webm")
    assert video.frames.shape == (24, 128, 128, 3)
    assert near(color(video, 0.25, 0.5), (255, 255, 255), 3) and near(color(video, 0.75, 0.5), (255, 0, 0))
    assert "put on white" in video.warnings[0]


@pytest.mark.parametrize(
    ("name", "frames", "size", "fps", "has_audio"),
    [
        ("cam.mts", 36, (180, 320), 24, True),
        ("cam.3gp", 37, (144, 256), 25, False),
        ("cam.wmv", 36, (180, 320), 24, False),
        ("cam.flv", 36, (180, 320), 24, False),
        ("cam.ogv", 36, (180, 320), 24, False),
        ("subs.mp4", 36, (180, 320), 24, False),
        ("tc.mov", 36, (180, 320), 24, False),
        ("sar_pal169.mp4", 25, (576, 1024), 25, False),
        ("sar_ntsc43.mkv", 25, (480, 640), 25, False),
        ("interlaced.mp4", 25, (240, 320), 25, False),
    ],
)
def test_videos_have_the_shape_and_colors_that_players_show(
    name: str, frames: int, size: tuple[int, int], fps: float, has_audio: bool
):
    video = Video.load(CASES / name)
    assert video.frames.shape == (frames, *size, 3)
    assert video.fps == pytest.approx(fps, rel=0.01)
    assert (video.audio is not None) == has_audio
    shown = [color(video, 0.25, 0.25), color(video, 0.75, 0.25), color(video, 0.25, 0.75)]
    assert all(near(found, right) for found, right in zip(shown, TEST_PATTERN, strict=True)), shown


@pytest.mark.parametrize(
    ("name", "green", "magenta", "gray"),
    [
        ("hflip.mp4", (0.75, 0.25), (0.25, 0.25), (0.75, 0.75)),
        ("rot90.mp4", (0.25, 0.75), (0.25, 0.25), (0.75, 0.75)),
        ("rot180.mp4", (0.75, 0.75), (0.25, 0.75), (0.75, 0.25)),
    ],
)
def test_the_display_matrix_is_applied(name: str, green: tuple, magenta: tuple, gray: tuple):
    video = Video.load(CASES / name)
    assert video.frames.shape == ((36, 320, 180, 3) if name == "rot90.mp4" else (36, 180, 320, 3))
    for place, right in ((green, GREEN_BAR), (magenta, MAGENTA_BAR), (gray, GRAY_CENTER)):
        assert near(color(video, *place), right, 20), (place, color(video, *place))


@pytest.mark.parametrize(("name", "kind"), [("hlg.mov", "HLG"), ("pq.mp4", "PQ")])
def test_hdr_is_tone_mapped_and_said(name: str, kind: str):
    video = Video.load(CASES / name)
    assert video.frames.shape == (24, 180, 320, 3)
    assert near(color(video, 0.08, 0.3), (190, 190, 190), 4)
    assert near(color(video, 0.78, 0.3), (190, 0, 0), 50)
    assert video.warnings == (f"{name}: HDR video ({kind}) was tone-mapped to SDR (BT.709).",)


def test_wide_gamut_is_converted():
    video = Video.load(CASES / "sdr2020_10.mp4", max_frames=1)
    assert near(color(video, 0.08, 0.3), (190, 190, 190), 2)
    assert near(color(video, 0.78, 0.3), (190, 0, 0)) and video.warnings == ()


def test_interlacing_leaves_no_combs():
    """Lines of two fields differ much more than the next lines of the same field where something moves."""
    frames = Video.load(CASES / "interlaced.mp4").frames[3:20].astype(float).mean(-1)
    combs = np.abs(frames[:, 1:-1:2] - (frames[:, :-2:2] + frames[:, 2::2]) / 2).mean()
    smooth = np.abs(frames[:, 2:-2:2] - (frames[:, 1:-3:2] + frames[:, 3:-1:2]) / 2).mean()
    assert combs < 1.2 * smooth


def test_slow_motion_loses_nothing():
    with FrameReader(CASES / "slomo120_40s.mp4") as reader:
        count = sum(1 for _ in reader)
        indices, fps = reader.schedule()
    assert count == len(indices) == 4800 and fps == 120
    cut = Video.load(CASES / "slomo120_40s.mp4", max_seconds=1.5, size=(8, 8))
    assert len(cut.frames) == 180 and cut.warnings == ("slomo120_40s.mp4: Only the first 1.5 seconds are read.",)


def test_frames_of_a_variable_rate_last_as_long_as_in_the_file():
    screen = Video.load(CASES / "vfr_screen.mp4")
    assert screen.seconds == pytest.approx(4.033, abs=0.05)
    with FrameReader(CASES / "vfr_screen.mp4") as reader:
        distinct = list(reader)
    assert len(distinct) == 6
    for begin, frame in zip((0.0, 0.1, 0.2, 2.0, 2.1, 4.0), distinct, strict=True):
        assert np.array_equal(screen.frames[int((begin + 0.015) * screen.fps)], frame)
    assert Video.load(CASES / "vfr_phone.mp4").seconds == pytest.approx(2.004, abs=0.02)


@pytest.mark.parametrize("name", ["half.mp4", "half.mkv"])
def test_a_truncated_video_gives_its_playable_part_with_a_warning(name: str):
    video = Video.load(CASES / name)
    assert video.seconds == pytest.approx(1.54, abs=0.02) and near(color(video, 0.25, 0.25), GREEN_BAR)
    assert f"{name}: The video ends after 1.5 of 3.0 seconds." in video.warnings


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("empty.mp4", "its content is neither"),
        ("text.mp4", "its content is neither"),
        ("README.md", "its content is neither"),
        ("zero.mp4", "it has no video"),
        ("cover.m4a", "it has no video"),
        ("cut.png", "image file is truncated"),
    ],
)
def test_other_files_are_refused_with_one_sentence(name: str, sentence: str):
    with pytest.raises(ValueError) as raised:
        Video.load(CASES / name)
    assert str(raised.value) == f"{CASES / name} can't be read as a video or image: {sentence}."


@pytest.mark.parametrize(("name", "delay"), [("sync.mp4", 0.0), ("vid_late.mp4", 0.5)])
def test_picture_and_sound_keep_their_time_stamps(name: str, delay: float):
    """A flash and a beep at one time; in the second file the video starts half a second later than the audio."""
    video = Video.load(CASES / name)
    assert len(video.frames) == 48 and video.audio is not None and len(video.audio) == 96_000
    flash = np.flatnonzero(video.frames.mean((1, 2, 3)) > 128)[0] / video.fps
    beep = np.flatnonzero(np.abs(video.audio.astype(int)).max(1) > 2000)[0] / 48_000
    assert flash - beep == pytest.approx(delay, abs=0.03)


def test_every_case_is_read_or_refused():
    for file in sorted(CASES.iterdir()):
        try:
            video = Video.load(file, max_frames=2, size=(24, 32))
        except ValueError as error:
            assert str(error).startswith(f"{file} can't be read") and str(error).endswith(".")
        else:
            assert video.frames.shape[1:] == (24, 32, 3)
