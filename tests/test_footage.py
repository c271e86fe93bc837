"""Ingest of footage: what is found in files, what is left out and why, interruptions, shards, and the report."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from lumora.cli import main
from lumora.data.footage.ingest import Engine, IngestConfig, IngestSummary, ingest, processes, read_summary
from lumora.data.footage.process_pool import run_isolated
from lumora.data.footage.records import FootageClip, Reason
from lumora.data.footage.screening import Screening
from lumora.data.footage.tar_shards import extracted_clip, read_shard, rewrite_shard, shard_paths
from lumora.media.video import Video

CASES = Path(__file__).parent / "cases"
IN_THIS_PROCESS = processes(0)


def scenery(seed: int, num_frames: int = 16, height: int = 96, width: int = 128) -> np.ndarray:
    """Soft colors of a seed, and a bright square that moves to the right."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(60, 200, (4, 5, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    frames = np.repeat(np.asarray(coarse)[None], num_frames, axis=0).copy()
    for number, frame in enumerate(frames):
        left = round((width - 24) * number / num_frames)
        frame[36:60, left : left + 24] = (255, 240, 90)
    return frames


def save(folder: Path, name: str, frames: np.ndarray, fps: float = 16.0) -> None:
    folder.mkdir(exist_ok=True)
    Video(np.ascontiguousarray(frames), fps).save(folder / name)


def run(folder: Path, out: Path, engine: Engine = IN_THIS_PROCESS, **settings: object) -> IngestSummary:
    review = settings.pop("review", None)
    limits = settings.pop("limits", Screening())
    config = IngestConfig(str(folder), limits, reviewed=review is not None, **settings)  # type: ignore[arg-type]
    return ingest(folder, out, config, engine, review)  # type: ignore[arg-type]


def outcomes(summary: IngestSummary) -> dict[str, list[Reason | None]]:
    """By file: why each of its clips, or the whole file, is left out."""
    return {f.source.name: [c.reason for c in f.clips] if f.reason is None else [f.reason] for f in summary.files}


def frames_of(clip: FootageClip, dataset: Path) -> np.ndarray:
    sample = next(s for path in shard_paths(dataset) for s in read_shard(path) if s.clip.file == clip.file)
    with extracted_clip(sample) as path:
        return Video.load(path).frames


def test_the_cases_of_other_cameras_and_programs(tmp_path: Path):
    slow = {"slomo120_40s.mp4", "hlg.mov", "pq.mp4", "sdr2020_10.mp4"}
    shutil.copytree(CASES, tmp_path / "cases", ignore=lambda _, names: slow)
    summary = run(tmp_path / "cases", tmp_path / "out")
    found = outcomes(summary)
    unreadable = {name for name, reasons in found.items() if reasons == ["unreadable"]}
    assert unreadable == {"cover.m4a", "cut.png", "empty.mp4", "text.mp4", "zero.mp4"}
    kept = {name for name, reasons in found.items() if None in reasons}
    # Equal videos in other containers, other delays and other qualities are duplicates of one of them.
    assert {"hflip.mp4", "rot90.mp4", "rot180.mp4", "exif5.jpg", "quad.png", "vfr_phone.mp4", "vfr_screen.mp4"} <= kept
    assert len(kept & {"cam.flv", "cam.mts", "cam.ogv", "cam.wmv", "subs.mp4", "tc.mov", "half.mkv", "half.mp4"}) == 1
    assert len(kept & {"anim.gif", "anim.webp", "anim0.gif", "anim10.gif"}) == 1
    assert len(kept & {"quad.png", "quad_grid.avif"}) == 1
    # A screen of one color that flashes is dark; nothing moves in these.
    assert set(found["sync.mp4"]) == {"dark"}
    assert found["alpha.webm"] == ["still"]
    clips = {clip.source: clip for clip in summary.kept}
    assert (clips["rot90.mp4"].width, clips["rot90.mp4"].height) == (180, 320)
    assert clips["vfr_screen.mp4"].seconds == pytest.approx(4.03, abs=0.1)
    assert clips["sar_pal169.mp4"].width / clips["sar_pal169.mp4"].height == pytest.approx(16 / 9, abs=0.01)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "cut.png" in page and "data:image/jpeg" in page and "<script" not in page
    assert not (tmp_path / "out" / "work").exists()


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for each reason."""
    folder = tmp_path_factory.mktemp("footage")
    good = scenery(1)
    save(folder, "good.mp4", good)
    copy = np.stack([np.asarray(Image.fromarray(f).resize((96, 72))) for f in good[::2]])
    save(folder, "copy.webp", copy, 8.0)
    save(folder, "dark.mp4", scenery(2) // 12)
    save(folder, "still.mp4", np.repeat(scenery(3)[:1], 16, axis=0))
    save(folder, "short.mp4", scenery(4, 4))
    save(folder, "tiny.mp4", scenery(5)[:, ::4, ::4])
    rng, wide = np.random.default_rng(0), scenery(6, 1, 160, 200)[0]
    offsets = rng.integers(0, 12, (16, 2)) * 2
    save(folder, "shaky.mp4", np.stack([wide[y : y + 96, x : x + 128] for y, x in offsets]))
    card = Image.new("RGB", (320, 240), (30, 60, 160))
    for line in range(6):
        words = "The quick brown fox jumps over"
        ImageDraw.Draw(card).text((10, 10 + 36 * line), words, font=ImageFont.load_default(size=20))
    text = np.repeat(np.asarray(card)[None], 16, axis=0).copy()
    text[:, 220:, :40] = np.arange(16, dtype=np.uint8)[:, None, None, None] * 15
    save(folder, "text.mp4", text)
    (folder / "broken.mp4").write_bytes((folder / "good.mp4").read_bytes()[:400])
    (folder / "notes.txt").write_text("not footage")
    return folder


def test_each_filter_leaves_out_what_it_is_for(footage: Path, tmp_path: Path):
    summary = run(footage, tmp_path / "out")
    names = {"good": None, "copy": "duplicate", "tiny": "small", "text": "text", "broken": "unreadable"}
    names |= {name: name for name in ("dark", "still", "short", "shaky")}
    assert {name.partition(".")[0]: reasons for name, reasons in outcomes(summary).items()} == {
        name: [reason] for name, reason in names.items()
    }
    assert summary.reasons == dict.fromkeys(filter(None, names.values()), 1)
    assert read_summary(tmp_path / "out").reasons == summary.reasons


def test_shots_are_cut_exactly_and_black_bars_are_cut_off(tmp_path: Path):
    shots = [scenery(seed, 20) for seed in (7, 8, 9)]
    bars = np.pad(np.concatenate(shots), ((0, 0), (14, 14), (0, 0), (0, 0)))
    save(tmp_path / "in", "film.mp4", bars, 20.0)
    (tmp_path / "in" / "metadata.jsonl").write_text(json.dumps({"file_name": "film.mp4", "text": "three squares"}))
    summary = run(tmp_path / "in", tmp_path / "out")
    assert [(c.begin, c.num_frames, c.fps, c.width, c.height) for c in summary.kept] == [
        (20 * n, 20, 20.0, 128, 96) for n in range(3)
    ]
    for clip, shot in zip(summary.kept, shots, strict=True):
        error = np.abs(frames_of(clip, tmp_path / "out").astype(int) - shot)
        assert error.mean() < 4 and clip.caption == "three squares"


def test_a_file_that_is_one_clip_keeps_its_bytes_and_long_shots_are_divided(tmp_path: Path):
    save(tmp_path / "in", "whole.mp4", scenery(1))
    save(tmp_path / "in", "long.mp4", scenery(2, 50))
    (tmp_path / "in" / "whole.txt").write_text("a square moves")
    summary = run(tmp_path / "in", tmp_path / "out", limits=Screening(max_seconds=2.0, min_motion=3.0))
    samples = {s.clip.source: s for path in shard_paths(tmp_path / "out") for s in read_shard(path)}
    assert samples["whole.mp4"].content == (tmp_path / "in" / "whole.mp4").read_bytes()
    assert samples["whole.mp4"].caption == "a square moves"
    assert [c.num_frames for c in summary.kept if c.source == "long.mp4"] == [25, 25]


def refuse_yellow(frames: np.ndarray) -> str | None:
    return "Refused: yellow." if (frames == (255, 240, 90)).all(axis=-1).any() else None


def test_frames_are_reviewed_and_refused_clips_are_left_out(tmp_path: Path):
    plain = scenery(1)
    plain[..., 2] |= 128
    save(tmp_path / "in", "allowed.png", plain[:1])
    save(tmp_path / "in", "refused.png", scenery(2)[:1])
    summary = run(tmp_path / "in", tmp_path / "out", review=refuse_yellow)
    assert outcomes(summary) == {"allowed.png": [None], "refused.png": ["refused"]}
    assert next(c for c in summary.clips if c.reason).detail == "Refused: yellow."


def test_an_interrupted_ingest_continues_and_gives_the_same_shards(footage: Path, tmp_path: Path):
    scanned: list[str] = []

    def counting(limit: int) -> Engine:
        def engine(work: Callable, jobs: object) -> Iterator:
            for number, job in enumerate(jobs):  # type: ignore[arg-type]
                if number == limit:
                    raise KeyboardInterrupt
                scanned.append(job.source.name)
                yield number, work(job)

        return engine

    with pytest.raises(KeyboardInterrupt):
        run(footage, tmp_path / "a", counting(4))
    run(footage, tmp_path / "a", counting(100))
    assert len(scanned) == len(set(scanned)) == 9
    run(footage, tmp_path / "b", processes(2))
    assert (tmp_path / "a" / "shard-00000.tar").read_bytes() == (tmp_path / "b" / "shard-00000.tar").read_bytes()
    assert run(footage, tmp_path / "a", counting(0)).reasons == read_summary(tmp_path / "b").reasons
    with pytest.raises(ValueError, match="other settings"):
        run(footage, tmp_path / "a", limits=Screening(min_seconds=2.0))


def test_kill_9_in_the_middle_costs_nothing(tmp_path: Path):
    for seed in range(6):
        save(tmp_path / "in", f"{seed}.mp4", scenery(seed, 40), 20.0)
    command = [sys.executable, "-m", "lumora", "data", "ingest", str(tmp_path / "in"), "-o", str(tmp_path / "killed")]
    command += ["--no-review", "--workers", "1"]
    process = subprocess.Popen(command, start_new_session=True)
    work = tmp_path / "killed" / "work"
    deadline = time.monotonic() + 120
    while not list(work.glob("*.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in work.glob("*.json")}
    again = run(tmp_path / "in", tmp_path / "other")
    if before:  # it may have finished before it was killed
        assert not (tmp_path / "killed" / "records.jsonl").exists()
    config = IngestConfig(str((tmp_path / "in").resolve()), reviewed=False)
    ingest(tmp_path / "in", tmp_path / "killed", config, watching(work, before))
    shards = [(tmp_path / name / "shard-00000.tar").read_bytes() for name in ("killed", "other")]
    assert shards[0] == shards[1] and len(again.kept) == 6


def watching(work: Path, before: dict[str, int]) -> Engine:
    """Runs the jobs that are left, and checks that what was done stays as it is."""

    def engine(run_job: Callable, jobs: object) -> Iterator:
        yield from enumerate(map(run_job, jobs))  # type: ignore[arg-type]
        after = {path.name: path.stat().st_mtime_ns for path in work.glob("*.json")}
        assert after.items() >= before.items()

    return engine


def end_process_at_three(number: int) -> int:
    if number == 3:
        os._exit(1)
    return number * number


def test_a_job_that_ends_its_process_costs_only_itself():
    results = dict(run_isolated(end_process_at_three, range(2, 5), workers=1))
    assert results == {0: 4, 1: None, 2: 16}


def test_webdataset_reads_the_shards(tmp_path: Path):
    webdataset = pytest.importorskip("webdataset")
    for seed in range(3):
        save(tmp_path / "in", f"{seed}.png", scenery(seed)[:1])
        (tmp_path / "in" / f"{seed}.txt").write_text(f"number {seed}")
    summary = run(tmp_path / "in", tmp_path / "out", shard_size=2)
    assert summary.shards == 2
    path = shard_paths(tmp_path / "out")[0]
    rewrite_shard(path, lambda sample: sample)
    samples = list(webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False))
    assert [set(s) - {"__key__", "__url__", "__local_path__"} for s in samples] == [{"png", "json", "txt"}] * 2
    assert samples[0]["txt"] == b"number 0"
    assert json.loads(samples[0]["json"])["width"] == 128


def test_bad_input_is_refused_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def refused(*words: str) -> str:
        assert main(["data", "ingest", *words]) == 2
        return capsys.readouterr().err

    assert "There is no folder" in refused(str(tmp_path / "none"), "-o", str(tmp_path / "out"))
    (tmp_path / "in").mkdir()
    assert "no files" in refused(str(tmp_path / "in"), "-o", str(tmp_path / "out"))
    (tmp_path / "in" / "metadata.jsonl").write_text('{"file_name": "../secret.png"}\n')
    assert "outside" in refused(str(tmp_path / "in"), "-o", str(tmp_path / "out"))
    (tmp_path / "in" / "metadata.jsonl").unlink()
    save(tmp_path / "in", "a.png", scenery(1)[:1])
    shutil.copy(tmp_path / "in" / "a.png", tmp_path / "b.png")
    assert "not empty" in refused(str(tmp_path / "in"), "-o", str(tmp_path))
    assert (
        main(["data", "ingest", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--workers", "0", "--no-review"])
        == 0
    )
    assert "1 pictures" in capsys.readouterr().out
    save(tmp_path / "in", "b.png", scenery(2)[:1])
    assert "changed" in refused(str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--no-review")


def test_ray_gives_the_same_shards_as_one_process(tmp_path: Path):
    pytest.importorskip("ray")
    for seed in range(3):
        save(tmp_path / "in", f"{seed}.mp4", scenery(seed))
    (tmp_path / "in" / "broken.mp4").write_bytes(b"nothing")
    for name, *options in (("one", "--workers", "0"), ("ray", "--engine", "ray")):
        words = ["data", "ingest", str(tmp_path / "in"), "-o", str(tmp_path / name), "--no-review", *options]
        subprocess.run([sys.executable, "-m", "lumora", *words], check=True, capture_output=True)
    shards = [(tmp_path / name / "shard-00000.tar").read_bytes() for name in ("one", "ray")]
    assert shards[0] == shards[1]
    assert read_summary(tmp_path / "ray").reasons == {"unreadable": 1}
