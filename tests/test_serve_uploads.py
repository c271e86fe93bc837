"""Uploads: bytes only, checked by content, decoded in a process from which a hostile file cannot harm the server."""

import io
import os
import random
import resource
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from PIL import Image
from serving import api, context_of, png, upload
from signing import signed, tampered

from lumora.media.video import Video
from lumora.serve.database import files
from lumora.serve.file_expiry import ORPHAN_SECONDS, remove_expired_files
from lumora.serve.sandbox import Sandbox, SandboxBusyError, SandboxError, SandboxLimits
from lumora.serve.settings import ServeLimits

LIMITS = ServeLimits(
    max_upload_bytes=200_000,
    max_upload_pixels=10_000,
    max_upload_seconds=3.0,
    max_upload_tracks=2,
    max_files_per_key=2_000,
)
MUTATIONS = int(os.environ.get("LUMORA_UPLOADS", "200"))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with api(tmp_path_factory.mktemp("serve"), limits=LIMITS) as client:
        yield client


def clip(path: Path, count: int = 6, size: int = 32, fps: float = 8.0) -> bytes:
    frames = np.random.default_rng(0).integers(0, 255, (count, size, size, 3), np.uint8)
    return Video(frames, fps).save(path).read_bytes()


def refusal(client: TestClient, content: bytes, name: str = "x.png") -> tuple[int, str]:
    answer = client.post("/v1/files", files={"file": (name, content)})
    assert answer.status_code != 200, answer.text
    return answer.status_code, answer.json()["error"]["code"]


def test_an_upload_is_what_its_content_is(client: TestClient, tmp_path: Path):
    video = client.post("/v1/files", files={"file": ("../../a b.png", clip(tmp_path / "a.mp4"))}).json()
    assert (video["kind"], video["filename"], video["seconds"]) == ("video", "a b.png", 0.75)
    assert client.get(video["url"]).headers["content-type"] == "video/mp4"
    image = upload(client)
    assert (image["kind"], image["width"], image["height"], image["seconds"]) == ("image", 32, 24, None)
    assert image["provenance"]["state"] == "absent"
    content = client.get(image["url"])
    assert content.content == png() and content.headers["x-content-type-options"] == "nosniff"


def test_what_is_no_image_or_video_or_too_large_is_refused(client: TestClient, tmp_path: Path):
    assert refusal(client, b"")[0] == 400
    assert refusal(client, b"<svg xmlns='http://www.w3.org/2000/svg'/>") == (415, "unsupported_media")
    assert refusal(client, b"#EXTM3U\nhttp://127.0.0.1/a.ts\n") == (415, "unsupported_media")
    assert refusal(client, bytes(200_001)) == (413, "file_too_large")
    assert refusal(client, png(101, 100)) == (413, "file_too_large")
    assert refusal(client, clip(tmp_path / "long.mp4", 25)) == (413, "file_too_large")
    assert refusal(client, clip(tmp_path / "large.mp4", 2, 128)) == (413, "file_too_large")
    assert refusal(client, png()[:60]) == (400, "invalid_file")
    assert not list(context_of(client).path("files").glob(".*"))  # no part of them stays


def test_only_bytes_are_taken(client: TestClient):
    for body in ({"file": "http://127.0.0.1/a.png"}, {"file": {"image_url": "http://127.0.0.1/a.png"}}, {}):
        assert client.post("/v1/files", json=body).status_code == 400
    answer = client.post("/v1/videos", json={"prompt": "x", "input_reference": {"image_url": "http://127.0.0.1/a.png"}})
    assert answer.status_code == 400 and "data URI" in answer.json()["error"]["message"]


def pixel_bomb(side: int) -> bytes:
    """A PNG of a few bytes that claims side x side pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(min(side * 3 + 1, 1 << 16)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_small_file_cannot_ask_for_much_memory(client: TestClient):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for side in (5_000, 60_000, 2**31 - 1):
        assert refusal(client, pixel_bomb(side))[0] in (400, 413)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A damaged copy: bits flipped, a part removed, repeated or replaced by noise, or large numbers written into it."""
    data, at = bytearray(content), draw.randrange(len(content))
    match draw.randrange(5):
        case 0:
            for _ in range(draw.choice((1, 8, 64))):
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        case 1:
            del data[at : at + draw.randrange(1, len(data))]
        case 2:
            data[at:at] = data[at : at + draw.randrange(1, 200)]
        case 3:
            data[at : at + 32] = draw.randbytes(32)
        case _:
            data[at : at + 4] = draw.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x00"))
    return bytes(data)


def seeds(folder: Path) -> list[bytes]:
    frames = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), np.uint8)
    files = [
        Video(frames, 8.0).save(folder / f"seed{suffix}").read_bytes() for suffix in (".mp4", ".gif", ".webp", ".png")
    ]
    for kind in ("JPEG", "AVIF", "TIFF", "BMP"):
        content = io.BytesIO()
        Image.fromarray(frames[0]).save(content, kind)
        files.append(content.getvalue())
    return files


def test_mutated_uploads_are_taken_or_refused_and_never_break_the_server(client: TestClient, tmp_path: Path):
    draw, originals = random.Random(0), seeds(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    statuses = {
        client.post("/v1/files", files={"file": ("x", mutated(draw.choice(originals), draw))}).status_code
        for _ in range(MUTATIONS)
    }
    assert statuses <= {200, 400, 413, 415} and len(statuses) > 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes
    assert client.get("/healthz").status_code == 200


# The sandbox

HERE = "test_serve_uploads"


def takes_memory(megabytes: int) -> int:
    return len(bytearray(megabytes << 20))


def takes_time(seconds: float) -> None:
    end = time.time() + seconds
    while time.time() < end:
        pass


def sleeps(seconds: float) -> None:
    time.sleep(seconds)


def crashes() -> None:
    import ctypes

    ctypes.string_at(0)


def writes(path: str) -> None:
    Path(path).write_text("x")


def refuses() -> None:
    raise ValueError("No.")


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
        box = Sandbox([HERE], SandboxLimits(256 << 20, 2, 4.0), parallel=2, waiting=0)
        yield box
        box.close()


def test_a_call_is_limited_in_memory_time_and_files(box: Sandbox, tmp_path: Path):
    assert box.call(HERE, "takes_memory", megabytes=64) == 64 << 20
    for function, arguments in (
        ("takes_memory", {"megabytes": 512}),
        ("takes_time", {"seconds": 60.0}),
        ("sleeps", {"seconds": 60.0}),
        ("crashes", {}),
    ):
        with pytest.raises(SandboxError):
            box.call(HERE, function, **arguments)
    with pytest.raises((SandboxError, ValueError)):
        box.call(HERE, "writes", path=str(tmp_path / "x"))
    assert not (tmp_path / "x").exists() or not (tmp_path / "x").read_bytes()
    with pytest.raises(ValueError, match="No"):
        box.call(HERE, "refuses")
    with pytest.raises(ValueError, match="none of"):
        box.call("os", "system", command="true")


def test_only_so_many_calls_run_and_a_dead_template_is_replaced(box: Sandbox):
    threads = [threading.Thread(target=lambda: box.call(HERE, "sleeps", seconds=1.5)) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    with pytest.raises(SandboxBusyError):
        box.call(HERE, "refuses")
    for thread in threads:
        thread.join()
    assert box._template is not None
    box._template.kill()
    box._template.wait()
    assert box.call(HERE, "takes_memory", megabytes=1) == 1 << 20


def test_the_template_ends_with_the_process_that_started_it(box: Sandbox):
    box.call(HERE, "takes_memory", megabytes=1)
    assert box._template is not None and box._template.stdin is not None
    box._template.stdin.close()
    assert box._template.wait(20) == 0


# Removing


def test_a_file_stays_while_it_is_needed_and_goes_with_its_record(client: TestClient):
    context = context_of(client)
    file_id, lone = upload(client)["id"], upload(client)["id"]
    job = client.post("/v1/videos", json={"prompt": "x", "input_reference": {"file_id": file_id}}).json()
    assert client.delete(f"/v1/files/{file_id}").status_code == 409
    with context.engine.begin() as connection:
        connection.execute(sa.update(files).where(files.c.id.in_([file_id, lone])).values(expires_at=time.time() - 1))
    orphan = context.path("files/file_orphan")
    orphan.write_bytes(b"x")
    remove_expired_files(context.engine, context.settings)
    assert client.get(f"/v1/files/{file_id}").status_code == 200 and orphan.exists()
    assert client.get(f"/v1/files/{lone}").status_code == 404 and not context.path(f"files/{lone}").exists()
    client.delete(f"/v1/videos/{job['id']}")
    os.utime(orphan, (0, time.time() - ORPHAN_SECONDS - 1))
    remove_expired_files(context.engine, context.settings)
    assert client.get(f"/v1/files/{file_id}").status_code == 404 and not orphan.exists()


def test_a_key_has_so_many_files(tmp_path: Path):
    with api(tmp_path, limits=replace(LIMITS, max_files_per_key=1)) as client:
        upload(client)
        assert refusal(client, png()) == (409, "too_many_files")


def test_a_signed_file_is_recognized_and_a_changed_one_too(client: TestClient, tmp_path: Path):
    path = signed(tmp_path)
    found = client.post("/v1/files", files={"file": ("a.mp4", path.read_bytes())}).json()
    assert (found["provenance"]["state"], found["provenance"]["prompt"]) == ("trusted", "a red ball")
    changed = tampered(path, tmp_path / "tampered.mp4").read_bytes()
    found = client.post("/v1/files", files={"file": ("a.mp4", changed)}).json()
    assert found["provenance"]["state"] == "tampered" and "changed" in found["provenance"]["explanation"]
