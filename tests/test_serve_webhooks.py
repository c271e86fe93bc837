"""Webhooks: signed as the SDK expects, delivered again until they are taken, and never to a private network."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import openai
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from serving import api, context_of

from lumora.serve import webhook_delivery, webhooks
from lumora.serve.database import webhook_deliveries, webhook_endpoints
from lumora.serve.webhook_delivery import (
    DeliveryError,
    checked_url,
    is_public,
    new_signing_secret,
    post,
    signed_headers,
)
from lumora.serve.webhooks import Deliverer, enqueue_event


class Receiver:
    """An endpoint on loopback, which answers the given statuses, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.received = list(statuses), list[tuple[dict[str, str], bytes]]()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.received.append((dict(self.headers), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?a=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webhooks, "POLL_SECONDS", 1e6)  # the tests deliver themselves
        with api(tmp_path_factory.mktemp("serve"), allow_private_webhooks=True) as client:
            yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def endpoint(client: TestClient, url: str, event_types: tuple[str, ...] = ("video.completed",)) -> dict[str, Any]:
    body = {"name": "test", "url": url, "event_types": list(event_types)}
    answer = client.post("/v1/webhook_endpoints", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def announce(client: TestClient, event_type: str = "video.completed") -> None:
    with context_of(client).engine.begin() as connection:
        enqueue_event(connection, "", event_type, "video_1")


def deliver(client: TestClient) -> int:
    """Tries what is pending, however long it is to wait."""
    with context_of(client).engine.begin() as connection:
        connection.execute(sa.update(webhook_deliveries).values(next_attempt_at=0.0))
    return Deliverer(context_of(client).engine, allow_private=True).deliver_due()


def deliveries(client: TestClient, endpoint_id: str) -> list[Any]:
    query = sa.select(webhook_deliveries).where(webhook_deliveries.c.endpoint_id == endpoint_id)
    with context_of(client).engine.connect() as connection:
        return list(connection.execute(query.order_by(webhook_deliveries.c.number)).mappings())


def unwrapped(receiver: Receiver, secret: str, number: int = -1) -> Any:
    headers, body = receiver.received[number]
    return openai.OpenAI(api_key="x").webhooks.unwrap(body, headers, secret=secret)


def test_the_sdk_unwraps_what_is_delivered(client: TestClient, receiver: Receiver):
    made = endpoint(client, receiver.url)
    announce(client)
    announce(client, "video.failed")  # not asked for
    assert deliver(client) == 1
    event = unwrapped(receiver, made["signing_secret"])
    assert (event.type, event.data.id, event.object) == ("video.completed", "video_1", "event")
    with pytest.raises(openai.InvalidWebhookSignatureError):
        unwrapped(receiver, new_signing_secret())
    assert [d["state"] for d in deliveries(client, made["id"])] == ["delivered"]
    assert deliver(client) == 0


def test_a_finished_video_is_announced(client: TestClient, receiver: Receiver):
    made = endpoint(client, receiver.url, ("video.completed", "video.failed"))
    video = client.post("/v1/videos", json={"prompt": "a red ball"}).json()["id"]
    client.post(f"/v1/videos/{video}/cancel")
    assert deliver(client) >= 1
    found = [json.loads(body) for _, body in receiver.received]
    assert [(event["type"], event["data"]) for event in found] == [("video.failed", {"id": video})]
    client.delete(f"/v1/webhook_endpoints/{made['id']}")


def test_a_delivery_is_repeated_until_it_is_taken_or_given_up(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks, "RETRY_SECONDS", (5.0, 5.0))
    flaky, never = Receiver(500, 302), Receiver(500, 500, 500)
    made, lost = endpoint(client, flaky.url), endpoint(client, never.url)
    announce(client)
    for _ in range(5):
        deliver(client)
    assert len(flaky.received) == len(never.received) == 3
    assert len({headers["webhook-id"] for headers, _ in flaky.received}) == 1
    assert [(d["state"], d["attempts"]) for d in deliveries(client, made["id"])] == [("delivered", 3)]
    assert [(d["state"], d["last_status"]) for d in deliveries(client, lost["id"])] == [("failed", 500)]
    for each in (made, lost):
        client.delete(f"/v1/webhook_endpoints/{each['id']}")
    flaky.close()
    never.close()


def test_two_processes_deliver_once(client: TestClient, receiver: Receiver):
    made = endpoint(client, receiver.url)
    announce(client)
    first, second = (Deliverer(context_of(client).engine, allow_private=True) for _ in range(2))
    due = [d for d in first._due() if d["endpoint_id"] == made["id"]]
    assert [first._deliver(due[0]), second._deliver(due[0])] == [True, False]
    assert len(receiver.received) == 1
    client.delete(f"/v1/webhook_endpoints/{made['id']}")


def test_a_replaced_secret_may_stay_valid_for_a_day(client: TestClient, receiver: Receiver):
    made = endpoint(client, receiver.url)
    address = f"/v1/webhook_endpoints/{made['id']}"
    new = client.post(f"{address}/rotate_secret", json={"keep_old_secret_active_for_24_hours": True}).json()
    assert client.post(f"{address}/test", json={"event_type": "video.failed"}).json()["status_code"] == 200
    for secret in (made["signing_secret"], new["signing_secret"]):
        assert unwrapped(receiver, secret).data.id == "video_sample"
    newest = client.post(f"{address}/rotate_secret").json()
    client.post(f"{address}/test", json={"event_type": "video.failed"})
    assert unwrapped(receiver, newest["signing_secret"]).type == "video.failed"
    with pytest.raises(openai.InvalidWebhookSignatureError):
        unwrapped(receiver, new["signing_secret"])
    assert newest["signing_secret"] not in client.get(address).text
    client.delete(address)


def test_endpoints_are_checked_changed_listed_and_deleted(client: TestClient):
    made = [endpoint(client, f"https://example.org/{n}")["id"] for n in range(3)]
    listed = client.get("/v1/webhook_endpoints", params={"limit": 2}).json()
    assert [e["id"] for e in listed["data"]] == made[:0:-1] and listed["has_more"]
    rest = client.get("/v1/webhook_endpoints", params={"after": listed["last_id"]}).json()
    assert made[0] in [e["id"] for e in rest["data"]]
    changed = client.post(f"/v1/webhook_endpoints/{made[0]}", json={"name": "other"}).json()
    assert (changed["name"], changed["url"]) == ("other", "https://example.org/0")
    for body in (
        {"url": "ftp://x.org"},
        {"url": "https://user:word@x.org"},
        {"event_types": ["batch.completed"]},
        {"x": 1},
    ):
        assert client.post(f"/v1/webhook_endpoints/{made[0]}", json=body).status_code in (400, 422)
    for endpoint_id in made:
        assert client.delete(f"/v1/webhook_endpoints/{endpoint_id}").json()["deleted"]
        assert client.get(f"/v1/webhook_endpoints/{endpoint_id}").status_code == 404


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "ff02::1",
    ],
)
def test_addresses_of_private_networks_are_recognized(address: str):
    assert not is_public(address)


def test_nothing_is_delivered_to_a_private_network(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    assert is_public("93.184.216.34") and is_public("2606:2800:220:1::1")
    with pytest.raises(ValueError, match="https"):
        checked_url(receiver.url, allow_private=False)
    with pytest.raises(DeliveryError, match="private"):
        post(receiver.url.replace("http:", "https:"), "{}", {})

    def mixed(host: str, port: int, **_: Any) -> list[Any]:
        """A name with a public and a private address."""
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("93.184.216.34", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", mixed)
    with pytest.raises(DeliveryError, match="private"):
        post("https://example.org", "{}", {})
    assert not receiver.received


def test_an_endpoint_that_answers_too_slowly_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhook_delivery, "TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(DeliveryError, match="cannot be reached"):
        post(f"http://127.0.0.1:{server.getsockname()[1]}/", "{}", {}, allow_private=True)


def test_the_signature_is_that_of_standard_webhooks():
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    headers = signed_headers([secret], "evt_1", 1_700_000_000, '{"a":1}')
    assert headers["webhook-signature"] == "v1,xsrKrSc6Z9cAn/br4kO7TvhjtnkMIFoZTCPnw3cDwF4="  # by OpenSSL
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("evt_1", "1700000000")


def test_deliveries_of_an_endpoint_that_is_gone_are_dropped(client: TestClient, receiver: Receiver):
    made = endpoint(client, receiver.url)
    announce(client)
    with context_of(client).engine.begin() as connection:
        connection.execute(sa.delete(webhook_endpoints).where(webhook_endpoints.c.id == made["id"]))
    deliver(client)
    assert not receiver.received and not deliveries(client, made["id"])
