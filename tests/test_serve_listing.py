"""Filters of `GET /v1/videos`."""

from pathlib import Path

from serving import api


def test_the_list_has_the_videos_of_a_task(tmp_path: Path) -> None:
    with api(tmp_path) as client:
        client.post("/v1/videos", json={"prompt": "a red ball"})
        shots = [{"prompt": "a red ball", "seconds": 1}, {"prompt": "a blue cube", "seconds": 1}]
        storyboard = client.post("/v1/videos", json={"shots": shots}).json()
        assert [video["id"] for video in client.get("/v1/videos?task=shots").json()["data"]] == [storyboard["id"]]
        assert client.get("/v1/videos?task=loop").json()["data"] == []
        assert client.get("/v1/videos?task=dance").status_code == 422
