"""Who may do what: keys, sessions, signed URLs, origins, and two keys over every route."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from serving import api, context_of, finished_video, new_key, png, upload

from lumora.cli import main
from lumora.serve import sessions, signed_urls
from lumora.serve.database import create_tables, make_engine
from lumora.serve.key_store import KeyStore, check_address
from lumora.serve.sessions import SessionSigner, is_foreign
from lumora.serve.settings import ServeSettings


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """With a key, so that every request needs one."""
    with api(tmp_path_factory.mktemp("serve")) as client:
        context_of(client).access.keys.create("first", ["admin"])
        yield client


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    settings = ServeSettings(str(tmp_path_factory.mktemp("keys")))
    create_tables(settings)
    return KeyStore(make_engine(settings))


# The matrix

PUBLIC, ANYONE = "public", "anyone"
VIDEO, FILE, CHARACTER, ENDPOINT = "video_id", "file_id", "character_id", "endpoint_id"
PROMPT: dict[str, Any] = {"prompt": "a red ball"}
ROUTES: dict[tuple[str, str], tuple[str, Any]] = {
    ("GET", "/healthz"): (PUBLIC, None),
    ("GET", "/readyz"): (PUBLIC, None),
    ("GET", "/metrics"): ("admin", None),
    ("POST", "/v1/session"): (PUBLIC, {"key": "x"}),
    ("GET", "/v1/session"): (ANYONE, None),
    ("DELETE", "/v1/session"): (PUBLIC, None),
    ("GET", "/v1/models"): (ANYONE, None),
    ("GET", "/v1/models/{model_id}"): (ANYONE, None),
    ("GET", "/v1/settings"): (ANYONE, None),
    ("GET", "/v1/keys"): ("admin", None),
    ("POST", "/v1/keys"): ("admin", {"name": "x"}),
    ("DELETE", "/v1/keys/{key_id}"): ("admin", None),
    ("POST", "/v1/videos"): ("create", PROMPT),
    ("GET", "/v1/videos"): ("read", None),
    ("GET", "/v1/videos/{video_id}"): ("read", None),
    ("PATCH", "/v1/videos/{video_id}"): ("create", {"title": "x"}),
    ("DELETE", "/v1/videos/{video_id}"): ("create", None),
    ("GET", "/v1/videos/{video_id}/content"): ("read", None),
    ("HEAD", "/v1/videos/{video_id}/content"): ("read", None),
    ("POST", "/v1/videos/{video_id}/cancel"): ("create", None),
    ("POST", "/v1/videos/{video_id}/remix"): ("create", PROMPT),
    ("POST", "/v1/videos/{video_id}/report"): ("read", {"reason": "x"}),
    ("POST", "/v1/videos/edits"): ("create", {**PROMPT, "video": {"id": VIDEO}}),
    ("POST", "/v1/videos/extensions"): ("create", {**PROMPT, "seconds": 2, "video": {"id": VIDEO}}),
    ("POST", "/v1/videos/connections"): ("create", {"videos": [{"id": VIDEO}, {"id": VIDEO}]}),
    ("POST", "/v1/videos/infills"): ("create", {"video": {"id": VIDEO}, "start": 0.5, "end": 1.0}),
    ("POST", "/v1/videos/loops"): ("create", {"video": {"id": VIDEO}}),
    ("POST", "/v1/videos/cuts"): ("create", {"segments": [{"video": {"id": VIDEO}}]}),
    ("POST", "/v1/videos/characters"): ("create", {"name": "Ruby", "picture": {"file_id": FILE}}),
    ("GET", "/v1/videos/characters"): ("read", None),
    ("GET", "/v1/videos/characters/{character_id}"): ("read", None),
    ("DELETE", "/v1/videos/characters/{character_id}"): ("create", None),
    ("POST", "/v1/prompt_expansions"): ("create", PROMPT),
    ("GET", "/v1/queue"): ("read", None),
    ("POST", "/v1/queue/reorder"): ("create", {"ids": [VIDEO]}),
    ("POST", "/v1/files"): ("create", None),
    ("GET", "/v1/files/{file_id}"): ("read", None),
    ("DELETE", "/v1/files/{file_id}"): ("create", None),
    ("GET", "/v1/files/{file_id}/content"): ("read", None),
    ("POST", "/v1/content_provenance_checks"): ("read", {"file_id": FILE}),
    ("GET", "/v1/events"): ("read", None),
    ("GET", "/v1/webhook_event_types"): ("read", None),
    ("POST", "/v1/webhook_endpoints"): (
        "create",
        {"name": "x", "url": "https://x.org", "event_types": ["video.failed"]},
    ),
    ("GET", "/v1/webhook_endpoints"): ("read", None),
    ("GET", "/v1/webhook_endpoints/{endpoint_id}"): ("read", None),
    ("POST", "/v1/webhook_endpoints/{endpoint_id}"): ("create", {"name": "y"}),
    ("DELETE", "/v1/webhook_endpoints/{endpoint_id}"): ("create", None),
    ("POST", "/v1/webhook_endpoints/{endpoint_id}/test"): ("create", {"event_type": "video.failed"}),
    ("POST", "/v1/webhook_endpoints/{endpoint_id}/rotate_secret"): ("create", None),
    ("POST", "/v1/appeals"): ("create", {"prompt": "x", "reason": "y"}),
    ("GET", "/v1/review"): ("review", None),
    ("GET", "/v1/review/refused"): ("review", None),
    ("POST", "/v1/review/{case_id}"): ("review", {"ruling": "uphold"}),
}
"""For each route who may use it, and a body; a name of an id stands for an object of the first key."""
STREAMS = [("GET", "/v1/events")]
"""Answers that do not end; only their refusals are tried."""


def routes(app: FastAPI) -> set[tuple[str, str]]:
    """All routes of the API, as /docs shows them."""
    return {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}


def filled(value: Any, ids: dict[str, str]) -> Any:
    """A body or a path with ids in place of their names."""
    if isinstance(value, dict):
        return {name: filled(item, ids) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return ids.get(value, value) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def first_key(client: TestClient) -> dict[str, str]:
    return new_key(client)


@pytest.fixture(scope="module")
def ids(client: TestClient, first_key: dict[str, str]) -> dict[str, str]:
    """Objects of the first key."""
    character = {"name": "Ruby", "description": "a small red ball"}
    endpoint = {"name": "x", "url": "https://x.org", "event_types": ["video.failed"]}
    return {
        VIDEO: finished_video(client, first_key),
        FILE: upload(client, headers=first_key)["id"],
        CHARACTER: client.post("/v1/videos/characters", json=character, headers=first_key).json()["id"],
        ENDPOINT: client.post("/v1/webhook_endpoints", json=endpoint, headers=first_key).json()["id"],
    }


def test_every_route_is_in_the_matrix(client: TestClient):
    assert isinstance(client.app, FastAPI)
    assert routes(client.app) == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda part: part)
def test_two_keys_over_every_route(
    client: TestClient, ids: dict[str, str], first_key: dict[str, str], method: str, path: str
):
    scope, body = ROUTES[method, path]
    names_object = any(name in path for name in ids) or any(name in str(body) for name in ids)
    target = path.format(**ids, **dict.fromkeys(("model_id", "key_id", "case_id"), "x"))

    def status(headers: dict[str, str] | None) -> int:
        return client.request(method, target, json=filled(body, ids), headers=headers).status_code

    if scope == PUBLIC:
        assert status(None) in (200, 401, 503)
        return
    assert status(None) == status({"Authorization": "Bearer lumora_0_0"}) == 401
    others = [s for s in ("create", "read", "review") if s != scope]
    if scope != ANYONE:
        assert status(new_key(client, *others)) == 403
    if (method, path) in STREAMS:
        return
    if names_object:
        assert status(new_key(client)) == (
            409 if path.endswith("/reorder") else 404
        )  # as for any id that does not wait
    if not (method == "DELETE" or path.endswith(("/cancel", "/test", "checks"))):  # the objects are needed by others
        rights = [scope] if scope != ANYONE else ["read"]
        allowed = status(first_key if names_object else new_key(client, *rights))
        assert allowed < 500 and (allowed not in (401, 403, 404) or "x" in target.split("/"))


def test_lists_show_only_the_own_objects_and_admins_see_all(
    client: TestClient, ids: dict[str, str], first_key: dict[str, str]
):
    addresses = {"/v1/videos": VIDEO, "/v1/videos/characters": CHARACTER, "/v1/webhook_endpoints": ENDPOINT}
    for address, name in addresses.items():
        seen = {
            who: {item["id"] for item in client.get(address, headers=headers).json()["data"]}
            for who, headers in {"own": first_key, "other": new_key(client), "admin": new_key(client, "admin")}.items()
        }
        assert ids[name] in seen["own"] & seen["admin"] and not seen["other"]


# Keys


def test_a_key_is_stored_as_a_hash_and_works_until_it_is_revoked(store: KeyStore):
    record, key = store.create("ci", ["read"], max_jobs=3)
    found = store.authenticate(key)
    assert found is not None and (found.id, found.scopes, found.max_jobs) == (record.id, {"read"}, 3)
    assert len(key.split("_", 2)[2]) == 43  # 256 bits
    assert key.split("_", 2)[2] not in Path(str(store._engine.url.database)).read_bytes().decode("latin-1")
    assert store.revoke(record.id).revoked_at is not None
    assert store.authenticate(key) is None and store.active(record.id) is None
    with pytest.raises(ValueError, match="no active key"):
        store.revoke(record.id)


@given(st.text(max_size=80))
def test_no_other_text_is_a_key(store: KeyStore, text: str):
    assert store.authenticate(text) is None


def test_an_altered_key_is_refused(store: KeyStore):
    _, key = store.create("ci")
    for position in range(0, len(key), 7):
        altered = key[:position] + ("A" if key[position] != "A" else "B") + key[position + 1 :]
        assert store.authenticate(altered) is None


@pytest.mark.parametrize(
    ("name", "scopes", "max_jobs"),
    [("", ["read"], None), ("a\nb", ["read"], None), ("x", [], None), ("x", ["read"], 0)],
)
def test_bad_keys_are_refused(store: KeyStore, name: str, scopes: list[Any], max_jobs: int | None):
    with pytest.raises(ValueError):
        store.create(name, scopes, max_jobs)


def test_only_loopback_is_served_without_keys(tmp_path: Path):
    settings = ServeSettings(str(tmp_path))
    create_tables(settings)
    keys = KeyStore(make_engine(settings))
    for host in ("127.0.0.1", "::1", "localhost"):
        check_address(replace(settings, host=host), keys)
    everywhere = replace(settings, host="0.0.0.0")
    with pytest.raises(ValueError, match="no keys"):
        check_address(everywhere, keys)
    record, _ = keys.create("x")
    keys.revoke(record.id)
    check_address(everywhere, keys)  # nobody gets in, which is safe


def test_the_command_line_makes_lists_and_revokes_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    where = ["--data-dir", str(tmp_path)]
    assert main(["keys", "create", "laptop", "--scopes", "read", "review", *where]) == 0
    key = capsys.readouterr().out.splitlines()[-1]
    assert main(["keys", "list", *where]) == 0
    listed = capsys.readouterr().out
    assert "laptop" in listed and "read, review" in listed and key not in listed
    assert main(["keys", "revoke", listed.split()[0], *where]) == 0
    assert main(["keys", "revoke", "key_0", *where]) == 2


# Sessions, signed URLs, origins


def test_the_studio_signs_in_with_a_cookie_that_scripts_cannot_read(client: TestClient):
    key = context_of(client).access.keys.create("studio", ["create", "read"])
    answer = client.post("/v1/session", json={"key": key[1]})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "secure" not in cookie
    assert client.get("/v1/session").json()["key_id"] == key[0].id
    assert client.post("/v1/videos", json=PROMPT).status_code == 403
    for headers in ({"X-Lumora": "1"}, {"Sec-Fetch-Site": "same-origin"}):
        assert client.post("/v1/videos", json=PROMPT, headers=headers).status_code == 200
    context_of(client).access.keys.revoke(key[0].id)
    assert client.get("/v1/session").status_code == 401
    client.cookies.clear()
    secure = client.post("https://127.0.0.1/v1/session", json={"key": new_key(client)["Authorization"][7:]})
    assert "secure" in secure.headers["set-cookie"].lower()
    client.cookies.clear()


def test_a_session_cookie_cannot_be_altered_and_expires():
    signer, now = SessionSigner(b"secret"), time.time()
    cookie = signer.issue("key_1", now)
    assert signer.key_id(cookie, now) == "key_1"
    assert signer.key_id(cookie, now + sessions.LIFETIME_SECONDS + 1) is None
    for altered in (cookie.replace("key_1", "key_2"), cookie[:-1], cookie + "0", "", "a.b", "a.b.c", "ü.1.x"):
        assert signer.key_id(altered, now) is None
    assert SessionSigner(b"other").key_id(cookie, now) is None


def test_a_signed_url_opens_one_file_for_a_while(
    client: TestClient, ids: dict[str, str], first_key: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    url = client.get(f"/v1/files/{ids[FILE]}", headers=first_key).json()["url"]
    assert client.get(url).content == png()
    other = upload(client, png(color=10), headers=first_key)["id"]
    assert client.get(url.replace(ids[FILE], other)).status_code == 403
    assert client.get(url.replace("expires=1", "expires=2")).status_code == 403
    assert client.get(f"{url}&variant=thumbnail").status_code == 403
    assert client.delete(url.replace("/content", "")).status_code == 401
    later = time.time() + signed_urls.LIFETIME_SECONDS + signed_urls.ROUNDING_SECONDS + 1
    monkeypatch.setattr(signed_urls.time, "time", lambda: later)
    assert client.get(url).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.org"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
    ],
)
def test_pages_of_other_origins_are_refused_even_while_the_server_is_open(tmp_path: Path, headers: dict[str, str]):
    assert is_foreign({"host": "127.0.0.1", **{name.lower(): value for name, value in headers.items()}})


def test_an_open_server_answers_only_for_this_machine(tmp_path: Path):
    with api(tmp_path) as client:
        assert client.get("/v1/videos").status_code == 200
        assert client.get("/v1/videos", headers={"Host": "evil.org"}).status_code == 403
        assert client.post("/v1/videos", json=PROMPT, headers={"Origin": "https://evil.org"}).status_code == 403
        assert client.post("/v1/videos", json=PROMPT, headers={"Origin": "http://127.0.0.1"}).status_code == 200
        assert client.get("/v1/videos", headers={"Authorization": "Bearer anything"}).status_code == 200
        context_of(client).access.keys.create("x")
        assert client.get("/v1/videos").status_code == 401
        assert client.get("/v1/videos", headers={**new_key(client), "Host": "video.example.org"}).status_code == 200
