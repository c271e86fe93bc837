"""The API and its description agree: no call that schemathesis makes up gets a 5xx, and answers are as described."""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from serving import api, bearer, context_of, finished_video, upload

CALLS = int(os.environ.get("LUMORA_API_CALLS", "1000"))
"""Of all operations together; those without parameters take fewer."""
LEFT_OUT = {
    "/readyz": "without workers it answers 503",
    "/v1/events": "the stream does not end",
    "/v1/content_provenance_checks": "each takes seconds; test_serve_sdk.py has one",
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with api(tmp_path_factory.mktemp("serve")) as client:
        yield client


def objects(client: TestClient, headers: dict[str, str]) -> dict[str, str]:
    """Ids that exist, by the name of their path parameter."""
    endpoint = {"name": "x", "url": "https://localhost", "event_types": ["video.failed"]}
    character = {"name": "Ruby", "description": "a small red ball"}
    return {
        "video_id": finished_video(client, headers),
        "file_id": upload(client, headers=headers)["id"],
        "endpoint_id": client.post("/v1/webhook_endpoints", json=endpoint, headers=headers).json()["id"],
        "character_id": client.post("/v1/videos/characters", json=character, headers=headers).json()["id"],
        "model_id": "lumora",
    }


def test_no_call_breaks_the_api(client: TestClient):
    import schemathesis  # here, because every process of the tests collects this file, and one runs it
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    described = [checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance]
    headers = bearer(context_of(client).access.keys.create("schema", ["admin"])[1])
    ids = objects(client, headers)
    schema = schemathesis.openapi.from_asgi("/openapi.json", client.app, headers=headers)
    operations: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    operations = [operation for operation in operations if operation.path not in LEFT_OUT]
    statuses: Counter[int] = Counter()

    def try_out(operation: Any) -> None:
        @settings(
            max_examples=max(1, CALLS // len(operations)),
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=[*HealthCheck],  # type: ignore[list-item]
        )
        @given(operation.as_strategy(), st.booleans())
        def calls(case: Any, existing: bool) -> None:
            if existing and case.method != "DELETE" and case.path_parameters:
                case.path_parameters = {name: ids.get(name, value) for name, value in case.path_parameters.items()}
            response = case.call(headers=headers, timeout=300)
            statuses[response.status_code] += 1
            case.validate_response(response, checks=[not_a_server_error, *described])

        calls()

    failures: list[str] = []
    for operation in operations:
        try:
            try_out(operation)
        except (Exception, BaseExceptionGroup) as error:  # of hypothesis, schemathesis, or the API itself
            failures.append(f"{operation.label}: {type(error).__name__} {error}")
    assert not failures, "\n\n".join(failures)
    assert statuses[200] and statuses[404] and statuses[400] + statuses[422], statuses
    print(sum(statuses.values()), "calls:", dict(statuses))
