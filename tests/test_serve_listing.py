"""Filters of `GET /v1/videos`, expansions of prompts, and addresses that take no such method."""

from pathlib import Path

from serving import REFUSED, api


def test_the_list_has_the_videos_of_a_task(tmp_path: Path) -> None:
    with api(tmp_path) as client:
        client.post("/v1/videos", json={"prompt": "a red ball"})
        shots = [{"prompt": "a red ball", "seconds": 1}, {"prompt": "a blue cube", "seconds": 1}]
        storyboard = client.post("/v1/videos", json={"shots": shots}).json()
        assert [video["id"] for video in client.get("/v1/videos?task=shots").json()["data"]] == [storyboard["id"]]
        assert client.get("/v1/videos?task=loop").json()["data"] == []
        assert client.get("/v1/videos?task=dance").status_code == 422


def test_a_prompt_is_expanded_without_a_video(tmp_path: Path) -> None:
    with api(tmp_path) as client:
        expanded = client.post("/v1/prompt_expansions", json={"prompt": "a red ball", "seed": 1}).json()
        assert "red ball" in expanded["revised_prompt"] and len(expanded["revised_prompt"]) > len("a red ball")
        refused = client.post("/v1/prompt_expansions", json={"prompt": f"a {REFUSED} ball"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "moderation_blocked")
        assert client.get("/v1/videos").json()["data"] == []


def test_a_known_address_refuses_other_methods_and_an_unknown_one_does_not_exist(tmp_path: Path) -> None:
    with api(tmp_path) as client:
        assert client.put("/v1/videos").status_code == 405
        assert client.put("/v1/nothing").status_code == 404
