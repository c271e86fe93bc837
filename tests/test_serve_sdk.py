"""The `openai` SDK, 3.57 and 2.24, sync and async, against a real server: only base_url and api_key are changed."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from serve_process import ServeProcess
from test_serve_webhooks import Receiver

from lumora.serve.api_key import Scope
from lumora.serve.database import create_tables, make_engine
from lumora.serve.key_store import KeyStore
from lumora.serve.settings import ServeSettings

OLD_SDK = Path(__file__).parents[1] / ".venv" / "openai-2.24"
"""Where `make` installs it; a process finds it first by PYTHONPATH."""
QUICK: dict[str, Any] = {"num_inference_steps": 2}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    settings = ServeSettings(str(tmp_path_factory.mktemp("sdk") / "data"))
    create_tables(settings)
    return KeyStore(make_engine(settings))


@pytest.fixture(scope="module")
def server(keys: KeyStore, weights: Path) -> Iterator[ServeProcess]:
    data_dir = Path(str(keys._engine.url.database)).parent
    server = ServeProcess(data_dir, weights, "--allow-private-webhooks")
    server.start()
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def new_client(server: ServeProcess, keys: KeyStore) -> Callable[..., openai.OpenAI]:
    def client(*scopes: Scope, max_jobs: int | None = None) -> openai.OpenAI:
        key = keys.create("sdk", scopes or ("create", "read"), max_jobs)[1]
        return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, timeout=300.0, max_retries=0)

    return client


@pytest.fixture(scope="module")
def client(new_client: Callable[..., openai.OpenAI]) -> openai.OpenAI:
    return new_client()


@pytest.fixture(scope="module")
def video(client: openai.OpenAI) -> Any:
    return client.videos.create_and_poll(prompt="a red ball", extra_body={**QUICK, "seconds": 1}, poll_interval_ms=200)


@pytest.mark.parametrize("folder", [None, OLD_SDK], ids=["3.57", "2.24"])
def test_both_versions_make_list_download_remix_and_delete(
    server: ServeProcess, new_client: Callable[..., openai.OpenAI], folder: Path | None
):
    if folder is not None and not folder.exists():
        pytest.skip("make installs openai 2.24")
    environment = {**os.environ, **({"PYTHONPATH": str(folder)} if folder else {})}
    words = [sys.executable, str(Path(__file__).with_name("sdk_client.py")), server.url, new_client().api_key]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr[-3_000:]
    found = json.loads(done.stdout)
    assert found["version"].startswith("2.24" if folder else "3.")
    assert found["sync"] == {
        "status": ["completed", "completed"],
        "downloads": ["mp4", "webp", "jpg"],
        "remixed_from": True,
        "listed": True,
        "fields": ["720x1280", 100, "lumora", None],
        "deleted": True,
        "gone": ["NotFoundError", "not_found"],
        "refused": ["BadRequestError", "moderation_blocked"],
    }
    assert found["async"] == {"status": "completed", "download": "mp4", "listed": True, "deleted": True}


def test_edits_and_extensions_take_a_file_or_an_id(client: openai.OpenAI, video: Any):
    content = client.videos.download_content(video.id).content
    edited = client.videos.edit(prompt="at night", video=content, extra_body=QUICK)
    by_id = {**QUICK, "video": {"id": video.id}, "seconds": 1}
    extended = client.videos.extend(prompt="it stops", seconds="4", video=b"", extra_body=by_id)
    assert client.videos.poll(edited.id, poll_interval_ms=200).status == "completed"
    done = client.videos.poll(extended.id, poll_interval_ms=200)
    assert done.status == "completed" and float(done.seconds) == float(video.seconds) + 1  # the total


def test_characters_are_made_and_read(client: openai.OpenAI, video: Any):
    content = client.videos.download_content(video.id).content
    made = client.videos.create_character(name="Ruby", video=content)
    assert made.id is not None and client.videos.get_character(made.id).name == "Ruby"


def test_a_file_is_recognized_as_made_here(client: openai.OpenAI, video: Any):
    content = client.videos.download_content(video.id).content
    check: Any = client.content_provenance_checks.create(file=content)
    results = {result.type: result for result in check.results}
    assert (results["c2pa"].outcome, results["c2pa"].validation_state) == ("detected", "trusted")
    assert results["c2pa"].issuer and results["c2pa"].generated_at
    assert results["detector"].outcome == "detected" and check.video_id == video.id
    assert "watermark" in results and check.manifest["prompt"] == "a red ball"


def test_webhooks_are_delivered_and_unwrapped(client: openai.OpenAI):
    receiver = Receiver()
    endpoint = client.webhooks.create(name="test", url=receiver.url, event_types=["video.completed", "video.failed"])
    assert client.webhooks.test(endpoint.id, event_type="video.failed").status_code == 200
    made = client.videos.create_and_poll(prompt="a ball", extra_body={**QUICK, "seconds": 0.5}, poll_interval_ms=200)
    for _ in range(200):
        if len(receiver.received) == 2:
            break
        asyncio.run(asyncio.sleep(0.1))
    (_, _), (headers, body) = receiver.received
    event: Any = client.webhooks.unwrap(body, headers, secret=endpoint.signing_secret)
    assert (event.type, event.data.id) == ("video.completed", made.id)
    assert [e.id for e in client.webhooks.list()] == [endpoint.id]
    assert client.webhooks.update(endpoint.id, name="other").name == "other"
    assert client.webhooks.rotate_secret(endpoint.id).signing_secret != endpoint.signing_secret
    assert client.webhooks.delete(endpoint.id).deleted
    receiver.close()


def test_each_error_has_its_class(
    server: ServeProcess, client: openai.OpenAI, new_client: Callable[..., openai.OpenAI], video: Any
):
    unknown = openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong", max_retries=0)
    reader, busy = new_client("read"), new_client(max_jobs=1)
    waiting = busy.videos.create(prompt="a ball", extra_body={"num_inference_steps": 500})
    calls: dict[type[openai.APIStatusError], Callable[[], Any]] = {
        openai.BadRequestError: lambda: client.videos.create(prompt="pornography"),
        openai.AuthenticationError: lambda: unknown.videos.list(),
        openai.PermissionDeniedError: lambda: reader.videos.create(prompt="a ball"),
        openai.NotFoundError: lambda: reader.videos.retrieve(video.id),
        openai.ConflictError: lambda: busy.videos.download_content(waiting.id),
        openai.UnprocessableEntityError: lambda: client.videos.list(limit=0),
        openai.RateLimitError: lambda: busy.videos.create(prompt="a ball"),
    }
    for kind, call in calls.items():
        with pytest.raises(kind) as found:
            call()
        assert type(found.value) is kind and found.value.code != "server_error"
    busy.videos.delete(waiting.id)
    failed = client.videos.create(prompt="a ball", extra_body={"num_inference_steps": 500})
    client.post(f"/videos/{failed.id}/cancel", cast_to=object)
    assert client.videos.poll(failed.id).status == "failed"  # an answer, and no error
