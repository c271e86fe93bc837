"""`lumora serve` from end to end: real processes and a tiny real model."""

import http.client
import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serve_process import ServeProcess
from tiny_models import save_tiny_model

from lumora.backends.base import Cancelled
from lumora.backends.remote.remote_backend import RemoteBackend
from lumora.config import Resolution
from lumora.media.video import Video
from lumora.provenance.manifest import read
from lumora.request.spec import Request
from lumora.serve.settings import ServeSettings
from lumora.serve.supervisor import Supervisor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[ServeProcess]:
    tiny = tmp_path_factory.mktemp("models") / "tiny-wan"
    save_tiny_model("wan", tiny)
    server = ServeProcess(tmp_path_factory.mktemp("serve") / "data", weights, "--model", str(tiny))
    server.start()
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def video(server: ServeProcess) -> dict[str, Any]:
    return server.finished(server.create("a red ball", seconds="1", size="1280x720", seed=7)["id"])


def test_a_prompt_becomes_a_reviewed_and_signed_video(server: ServeProcess, video: dict[str, Any], tmp_path: Path):
    assert video["status"] == "completed" and video["progress"] == 100 and video["error"] is None
    assert (video["seconds"], video["size"], video["seed"], video["task"]) == ("1", "1280x720", 7, "text")
    assert video["made"]["num_frames"] == 9 and video["made"]["size"] != "1280x720"
    files = {name: tmp_path / name for name in ("video.mp4", "thumbnail.webp", "spritesheet.jpg")}
    for file in files.values():
        file.write_bytes(server.content(f"/v1/videos/{video['id']}/content?variant={file.stem}"))
    assert read(files["video.mp4"]).state == "trusted"
    assert read(files["video.mp4"]).recipe["request"]["prompt"] == "a red ball"
    assert len(Video.load(files["video.mp4"]).frames) == 9
    for name, kind in (("thumbnail.webp", "WEBP"), ("spritesheet.jpg", "JPEG")):
        assert Image.open(io.BytesIO(files[name].read_bytes())).format == kind
    gif = tmp_path / "video.gif"
    gif.write_bytes(server.content(f"/v1/videos/{video['id']}/content?format=gif"))
    assert read(gif).state == "trusted" and read(gif).ingredients[0]["relation"] == "parentOf"


def test_videos_are_made_from_videos(server: ServeProcess, video: dict[str, Any], tmp_path: Path):
    clip = {"video": {"id": video["id"]}}
    made = {
        "extend": server.create("", "/v1/videos/extensions", seconds=1, **clip),
        "edit": server.create("at night", "/v1/videos/edits", **clip),
        "remix": server.create("in snow", f"/v1/videos/{video['id']}/remix"),
        "infill": server.create("", "/v1/videos/infills", start=0.25, end=0.5, **clip),
    }
    _, made["cut"] = server.call("POST", "/v1/videos/cuts", {"segments": [{**clip, "end": 0.5}, clip]})
    finished = {task: server.finished(job["id"]) for task, job in made.items()}
    assert {task: v["status"] for task, v in finished.items()} == dict.fromkeys(made, "completed"), finished
    assert [v["task"] for v in finished.values()] == list(made)
    assert all(v["parent_video_ids"] == [video["id"]] for v in finished.values())
    assert finished["remix"]["remixed_from_video_id"] == video["id"] and finished["extend"]["seconds"] == "2"
    frames = {}
    for task in ("extend", "cut"):
        file = tmp_path / f"{task}.mp4"
        file.write_bytes(server.content(finished[task]["urls"]["video"]))
        manifest = read(file)
        assert manifest.state == "trusted" and manifest.ingredients[0]["relation"] == "parentOf"
        frames[task] = Video.load(file).frames
    assert len(frames["extend"]) == 17 and len(frames["cut"]) == 4 + 9
    assert np.abs(frames["cut"][:4].astype(int) - frames["cut"][4:8]).mean() < 8


def test_refusals_are_answers_and_not_jobs(server: ServeProcess, video: dict[str, Any]):
    before = len(server.call("GET", "/v1/videos?limit=100")[1]["data"])
    refused = server.call("POST", "/v1/videos", {"prompt": "pornography"})
    assert (
        refused[0] == 400 and refused[1]["error"]["code"] == "moderation_blocked" and refused[1]["error"]["categories"]
    )
    for body in ({"prompt": "a ball", "seconds": 600}, {"prompt": "a ball", "size": "1x1"}, {"prompt": " "}):
        status, answer = server.call("POST", "/v1/videos", body)
        assert status == 400 and answer["error"]["message"].endswith("."), answer
    assert server.call("POST", "/v1/videos/edits", {"prompt": "x", "video": {"id": "video_x"}})[0] == 404
    assert len(server.call("GET", "/v1/videos?limit=100")[1]["data"]) == before


def test_variations_wait_together_are_made_together_and_can_be_cancelled(server: ServeProcess):
    first = server.create("a cube", n=3, seed=1, num_inference_steps=40, seconds=0.5)
    assert len(first["variations"]) == 3 and first["group_id"]
    status, cancelled = server.call("POST", f"/v1/videos/{first['variations'][1]}/cancel")
    assert status == 200 and cancelled["error"]["code"] == "cancelled"
    done = [server.finished(video_id) for video_id in first["variations"]]
    assert [v["status"] for v in done] == ["completed", "failed", "completed"]
    assert [v["seed"] for v in done] == [1, 2, 3]
    contents = [server.content(done[n]["urls"]["video"]) for n in (0, 2)]
    assert contents[0] != contents[1]


def test_a_running_job_stops_within_a_step_and_the_next_begins(server: ServeProcess):
    slow = server.create("a ball", num_inference_steps=1_000, seconds=1)
    while server.call("GET", f"/v1/videos/{slow['id']}")[1]["progress"] < 1:
        time.sleep(0.05)
    waiting = server.create("a ball", seconds=0.5, title="old")
    assert [v["id"] for v in server.call("GET", "/v1/queue")[1]["data"]] == [waiting["id"]]
    changed = server.call("PATCH", f"/v1/videos/{waiting['id']}", {"prompt": "a cube", "title": "new", "tags": ["a"]})
    assert (
        changed[1]["prompt"] == "a cube"
        and changed[1]["title"] == "new"
        and changed[1]["request"]["prompt"] == "a cube"
    )
    server.call("POST", f"/v1/videos/{slow['id']}/cancel")
    assert server.finished(waiting["id"])["status"] == "completed"
    assert server.call("PATCH", f"/v1/videos/{waiting['id']}", {"prompt": "x"})[0] == 409
    assert server.call("GET", "/v1/videos?tag=a&q=CUBE")[1]["data"][0]["id"] == waiting["id"]


def test_events_tell_what_happens(server: ServeProcess):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("GET", "/v1/events")
    stream = connection.getresponse()
    assert stream.headers["content-type"].startswith("text/event-stream")
    time.sleep(0.5)
    video = server.create("a ball", seconds=0.5, num_inference_steps=12)
    seen: list[tuple[str, dict[str, Any]]] = []
    name = ""
    while not any(data.get("id") == video["id"] and data.get("status") == "completed" for _, data in seen):
        line = stream.readline().decode().strip()
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            seen.append((name, json.loads(line.removeprefix("data:"))))
    connection.close()
    kinds = {kind for kind, data in seen if kind == "queue.updated" or data.get("id") == video["id"]}
    assert kinds == {"video.updated", "queue.updated", "video.preview"}
    preview = next(data for kind, data in seen if kind == "video.preview")
    assert preview["image"].startswith("data:image/webp;base64,") and 0 < preview["step"] < preview["total"] == 12


def test_a_killed_worker_loses_nothing(server: ServeProcess):
    jobs = [server.create(f"a ball {n}", seconds=1, num_inference_steps=60 + n)["id"] for n in range(3)]
    while server.call("GET", f"/v1/videos/{jobs[0]}")[1]["progress"] < 20:
        time.sleep(0.05)
    server.kill("worker")
    server.kill("checker")
    done = [server.finished(video_id) for video_id in jobs]
    assert [v["status"] for v in done] == ["completed"] * 3
    assert all(len(list((server.data_dir / "videos" / v["id"]).glob("*.mp4"))) == 1 for v in done)
    while not server.is_ready():
        time.sleep(0.1)


def test_a_restart_goes_on_with_what_was_running(server: ServeProcess):
    jobs = [server.create("a ball", seconds=1, num_inference_steps=100)["id"] for _ in range(2)]
    while server.call("GET", f"/v1/videos/{jobs[0]}")[1]["status"] != "in_progress":
        time.sleep(0.05)
    assert server.stop() == 0
    server.start()
    assert [server.finished(video_id)["status"] for video_id in jobs] == ["completed"] * 2


STOPS_SLOWLY = """
import pathlib, signal, sys, time
log, name = pathlib.Path(sys.argv[1]), sys.argv[2]
def stop(*_):
    time.sleep({"worker": 0.6, "app": 0.3, "checker": 0.0}[name])
    with log.open("a") as file: file.write(name + "\\n")
    sys.exit()
signal.signal(signal.SIGTERM, stop)
log.with_name(name).touch()
while True: time.sleep(1)
"""


def test_clients_are_answered_until_the_workers_have_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    order, modules = tmp_path / "order", ("worker", "app", "checker")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(
        "lumora.serve.supervisor.command", lambda module: [sys.executable, "-c", STOPS_SLOWLY, str(order), module]
    )
    supervisor = Supervisor(ServeSettings(str(tmp_path / "data"), port=0))

    def stop_when_all_run() -> None:
        while not all((tmp_path / module).exists() for module in modules):
            time.sleep(0.02)
        supervisor.stopping.set()

    supervisor.run(stop_when_all_run)
    assert tuple(order.read_text().split()) == modules


def test_a_request_names_an_open_weight_model(server: ServeProcess, tmp_path: Path):
    settings = {"seconds": "0.5", "size": "64x48", "num_inference_steps": 2}
    made = server.finished(server.create("a red ball", model="tiny-wan", **settings)["id"])
    assert made["status"] == "completed" and made["model"] == "tiny-wan", made
    assert made["made"] == {"size": "64x48", "seconds": 9 / 16, "fps": 16.0, "num_frames": 9}
    file = tmp_path / "a.mp4"
    file.write_bytes(server.content(f"/v1/videos/{made['id']}/content"))
    manifest = read(file)
    assert manifest.recipe_is_intact and manifest.recipe["model"]["name"] == "tiny-wan"


def test_another_lumora_makes_frames_and_stops(server: ServeProcess):
    backend, cancel = RemoteBackend(server.url), threading.Event()
    plan = backend.prepare(Request("a red ball", 0.5, Resolution(64, 64), num_inference_steps=2))
    assert backend.model.is_lumora and backend.run(plan).frames.shape[1:] == (64, 64, 3)
    long = backend.prepare(Request("a red ball", 20.0, num_inference_steps=500))
    with pytest.raises(Cancelled):
        backend.run(long, lambda *_: cancel.set(), cancel)


def test_deleting_removes_record_and_file(server: ServeProcess, video: dict[str, Any]):
    gone = server.finished(server.create("a ball", seconds=0.5)["id"])
    folder = server.data_dir / "videos" / gone["id"]
    assert list(folder.glob("*.mp4"))
    assert server.call("DELETE", f"/v1/videos/{gone['id']}") == (
        200,
        {"id": gone["id"], "deleted": True, "object": "video.deleted"},
    )
    assert not folder.exists() and server.call("GET", f"/v1/videos/{gone['id']}")[0] == 404


def test_the_api_process_never_imports_torch():
    code = """
import sys
from lumora.serve.app import create_app
from lumora.serve.settings import ServeSettings
app = create_app(ServeSettings("/nowhere"))
app.openapi()
heavy = {"torch", "onnxruntime", "transformers", "tokenizers"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_port_in_use_is_refused_in_a_sentence(server: ServeProcess):
    words = [sys.executable, "-m", "lumora", "serve", "--data-dir", str(server.data_dir)]
    for flags, said in ((["--port", str(server.port)], "Port"), (["--workers-only"], "Another `lumora serve`")):
        ended = subprocess.run([*words, *flags], capture_output=True, text=True, timeout=120)
        assert ended.returncode == 2 and said in ended.stderr and ended.stderr.count("\n") == 1
