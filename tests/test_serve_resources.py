"""Characters, reports and appeals, models, settings and metrics."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from serving import REFUSED, api, context_of, finished_video, new_key, png, upload
from signing import signed

from lumora.media.video import Video
from lumora.serve.mentions import CastMember, mentions, with_descriptions
from lumora.service.feedback import Feedback


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with api(tmp_path_factory.mktemp("serve")) as client:
        yield client


# Characters


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("@Ruby rolls", "a small red ball rolls"),
        ("@ruby and @RUBY", "a small red ball and a small red ball"),
        ("@Rubys rolls", "@Rubys rolls"),
        ("Ruby rolls, r@ruby.org", "Ruby rolls, r@ruby.org"),
        ("@Ruby Tuesday meets @Ruby", "a blue cube meets a small red ball"),
        ("", ""),
    ],
)
def test_a_mention_becomes_the_description(prompt: str, text: str):
    cast = (CastMember("Ruby", "a small red ball."), CastMember("Ruby Tuesday", "a blue cube"))
    assert with_descriptions(prompt, cast) == text


def test_a_character_that_no_prompt_mentions_begins_the_prompt():
    assert with_descriptions("it rains", (CastMember("Ruby", "a red ball", everywhere=True),)) == "a red ball. it rains"
    assert with_descriptions("@Ann runs", (CastMember("Ann"),)) == "Ann runs"


@given(st.text(min_size=1, max_size=20), st.text(max_size=40))
def test_any_name_can_be_mentioned(name: str, rest: str):
    if name.strip() and "@" not in name + rest:
        assert mentions(f"@{name} {rest}", name)
        assert with_descriptions(f"@{name} {rest}", (CastMember(name, "a ball"),)).startswith("a ball")


def test_prompts_and_storyboards_refer_to_characters(client: TestClient):
    file_id = upload(client)["id"]
    body = {"name": "Ruby", "description": "a small red ball", "picture": {"file_id": file_id}, "seed": 7}
    ruby = client.post("/v1/videos/characters", json=body).json()
    assert ruby["url"] and client.get(ruby["url"]).content == png()
    video = client.post("/v1/videos", json={"prompt": "@Ruby rolls to the right"}).json()
    assert (video["task"], video["seed"], video["prompt"]) == ("image", 7, "@Ruby rolls to the right")
    spec = context_of(client).store.get(video["id"])["spec"]
    assert spec["cast"] == [{"name": "Ruby", "description": "a small red ball", "everywhere": False}]
    shots = [{"prompt": "it rains", "seconds": 1}, {"prompt": "@Ruby bounces", "seconds": 1}]
    board = client.post("/v1/videos", json={"shots": shots, "characters": [{"id": ruby["id"]}], "seed": 1}).json()
    spec = context_of(client).store.get(board["id"])["spec"]
    assert board["seed"] == 1 and [r["shot_index"] for r in spec["references"] if r["id"] == file_id] == [1]
    assert client.delete(f"/v1/files/{file_id}").status_code == 409
    assert client.delete(f"/v1/videos/characters/{ruby['id']}").json()["deleted"]
    plain = client.post("/v1/videos", json={"prompt": "@Ruby rolls"}).json()
    assert plain["task"] == "text"


def test_a_character_is_made_as_the_sdk_sends_it_and_reviewed(client: TestClient, tmp_path: Path):
    clip = Video(np.zeros((4, 16, 16, 3), np.uint8), 8.0).save(tmp_path / "a.mp4").read_bytes()
    made = client.post("/v1/videos/characters", data={"name": "Blue"}, files={"video": ("upload", clip)}).json()
    assert client.get(f"/v1/videos/characters/{made['id']}").json()["file_id"] == made["file_id"] is not None
    refused = client.post("/v1/videos/characters", json={"name": "x", "description": REFUSED})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "moderation_blocked")
    for body in ({"name": "x"}, {"name": "a@b", "description": "y"}, {"name": "x", "description": "y", "z": 1}):
        assert client.post("/v1/videos/characters", json=body).status_code in (400, 422)


# Reports, appeals, review


def test_a_report_and_an_appeal_are_decided_once(client: TestClient, tmp_path: Path):
    video = finished_video(client, content=signed(tmp_path).read_bytes())
    report = client.post(f"/v1/videos/{video}/report", json={"reason": "It shows a brand."}).json()
    appeal = client.post("/v1/appeals", json={"prompt": f"a {REFUSED} ball", "reason": "It is harmless."}).json()
    assert client.post("/v1/appeals", json={"prompt": "a ball", "reason": "x"}).status_code == 400
    cases = {case["id"]: case for case in client.get("/v1/review").json()["data"]}
    assert cases[report["id"]]["prompt"] == "a red ball" and cases[appeal["id"]]["refused"] == ["hate"]
    ruling = {"ruling": "overturn", "note": "A ball."}
    assert client.post(f"/v1/review/{appeal['id']}", json=ruling).json()["decision"]["category"] is None
    assert client.post(f"/v1/review/{appeal['id']}", json=ruling).status_code == 409
    assert client.post(f"/v1/review/{report['id']}", json=ruling).status_code == 400  # a category is needed
    decided = client.post(f"/v1/review/{report['id']}", json={**ruling, "category": "ip"}).json()
    assert decided["decision"]["category"] == "ip"
    assert client.post("/v1/review/00000000", json=ruling).status_code == 404
    assert {c["id"] for c in client.get("/v1/review", params={"state": "decided"}).json()["data"]} >= {report["id"]}
    assert {case.complaint.id for case in Feedback().cases()} >= {report["id"], appeal["id"]}


# Models, settings, metrics


def test_models_and_settings_say_what_can_be_made(client: TestClient):
    model = client.get("/v1/models").json()["data"][0]
    assert client.get("/v1/models/sora-2").json() == client.get(f"/v1/models/{model['id']}").json() == model
    assert {"text", "image", "extend"} <= set(model["capabilities"]["tasks"]) and model["license"]
    assert client.get("/v1/models/gpt-4").status_code == 404
    found = client.get("/v1/settings").json()
    assert found["access"] == "open" and found["limits"]["max_upload_bytes"] > 0


def test_metrics_count_jobs_and_requests(client: TestClient):
    client.get("/v1/videos/video_x")
    families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
    jobs = {sample.labels["status"]: sample.value for sample in families["lumora_videos"].samples}
    assert set(jobs) == {"queued", "in_progress", "completed", "failed"}
    assert families["lumora_queue_length"].samples[0].value == jobs["queued"]
    latency = families["lumora_http_request_duration_seconds"].samples
    routes = {sample.labels["route"] for sample in latency}
    assert "/v1/videos/{video_id}" in routes and not any("video_x" in route for route in routes)
    assert {"lumora_workers", "lumora_denoising_steps", "lumora_denoising_step_seconds"} <= set(families)


def test_a_key_has_its_own_limit_of_jobs(tmp_path: Path):
    with api(tmp_path) as client:
        headers = new_key(client, max_jobs=1)
        assert client.post("/v1/videos", json={"prompt": "a ball"}, headers=headers).status_code == 200
        answer = client.post("/v1/videos", json={"prompt": "a ball"}, headers=headers)
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) <= 120
        assert client.post("/v1/videos", json={"prompt": "a ball"}, headers=new_key(client)).status_code == 200
