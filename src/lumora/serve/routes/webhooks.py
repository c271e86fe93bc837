"""`/v1/webhook_endpoints`: where finished and failed videos are announced."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any, Literal, TypeAlias

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, Field

from lumora.serve.api_key import ApiKey
from lumora.serve.bodies import body_of, openapi_body
from lumora.serve.context import Context, ServerContext
from lumora.serve.database import Row, webhook_deliveries, webhook_endpoints
from lumora.serve.errors import ApiError, not_found
from lumora.serve.keys import Creator, Reader
from lumora.serve.schemas import Strict
from lumora.serve.webhook_delivery import DeliveryError, checked_url, new_signing_secret
from lumora.serve.webhooks import EVENT_TYPES, OLD_SECRET_SECONDS, EventType, event_body, new_event_id, send

router = APIRouter(prefix="/v1", tags=["webhooks"])

MAX_ENDPOINTS = 20
"""Of one key."""


def _unique(values: list[EventType]) -> list[EventType]:
    return list(dict.fromkeys(values))


EventTypes: TypeAlias = Annotated[list[EventType], Field(min_length=1, max_length=20), AfterValidator(_unique)]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
Url: TypeAlias = Annotated[str, Field(min_length=1, max_length=2_000)]


class EndpointCreate(Strict):
    name: Name
    url: Url
    event_types: EventTypes


class EndpointUpdate(Strict):
    name: Name | None = None
    url: Url | None = None
    event_types: EventTypes | None = None


class EndpointTest(Strict):
    event_type: EventType


class RotateSecret(Strict):
    keep_old_secret_active_for_24_hours: bool = False


class Endpoint(BaseModel):
    id: str
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    created_at: int
    updated_at: int
    name: str
    url: str
    event_types: list[EventType]
    signing_secret_hint: str


class EndpointWithSecret(Endpoint):
    signing_secret: str
    """Shown only here."""


class EndpointList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Endpoint]
    has_more: bool
    first_id: str | None
    last_id: str | None


class EndpointDeleted(BaseModel):
    id: str
    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"
    deleted: Literal[True] = True


class EndpointTestResult(BaseModel):
    object: Literal["webhook_endpoint.test"] = "webhook_endpoint.test"
    webhook_endpoint_id: str
    event_type: EventType
    status_code: int
    success: Literal[True] = True
    """The endpoint answered, with `status_code`."""


class EventTypeList(BaseModel):
    object: Literal["list"] = "list"
    data: list[EventType]


@router.get("/webhook_event_types")
def list_event_types(key: Reader) -> EventTypeList:
    """The types of events that can be delivered."""
    return EventTypeList(data=list(EVENT_TYPES))


@router.post("/webhook_endpoints", openapi_extra=openapi_body("EndpointCreate"))
def create_endpoint(
    context: Context, key: Creator, body: Annotated[EndpointCreate, body_of(EndpointCreate)]
) -> EndpointWithSecret:
    """A new endpoint. The answer holds its signing secret, which is shown only once."""
    _check_url(context, body.url)
    now, secret = time.time(), new_signing_secret()
    values = {
        "id": f"we_{secrets.token_hex(12)}",
        "owner": key.id,
        "created_at": now,
        "updated_at": now,
        "name": body.name,
        "url": body.url,
        "event_types": body.event_types,
        "secret": secret,
    }
    count = sa.select(sa.func.count()).select_from(webhook_endpoints).where(webhook_endpoints.c.owner == key.id)
    with context.engine.begin() as connection:
        if connection.execute(count).scalar_one() >= MAX_ENDPOINTS:
            raise ApiError(409, f"A key has at most {MAX_ENDPOINTS} webhook endpoints; delete one.")
        connection.execute(sa.insert(webhook_endpoints).values(**values))
    return EndpointWithSecret(**_fields(values), signing_secret=secret)


@router.get("/webhook_endpoints")
def list_endpoints(
    context: Context, key: Reader, after: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> EndpointList:
    """The own endpoints, the newest first."""
    table = webhook_endpoints.c
    query = sa.select(webhook_endpoints).order_by(table.number.desc()).limit(limit + 1)
    if not key.may("admin"):
        query = query.where(table.owner == key.id)
    if after is not None:
        query = query.where(table.number < _row(context, key, after)["number"])
    with context.engine.connect() as connection:
        data = [Endpoint(**_fields(row)) for row in connection.execute(query).mappings()]
    page = data[:limit]
    return EndpointList(
        data=page,
        has_more=len(data) > limit,
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
    )


@router.get("/webhook_endpoints/{endpoint_id}")
def get_endpoint(endpoint_id: str, context: Context, key: Reader) -> Endpoint:
    """One endpoint."""
    return Endpoint(**_fields(_row(context, key, endpoint_id)))


@router.post("/webhook_endpoints/{endpoint_id}", openapi_extra=openapi_body("EndpointUpdate"))
def update_endpoint(
    endpoint_id: str, context: Context, key: Creator, body: Annotated[EndpointUpdate, body_of(EndpointUpdate)]
) -> Endpoint:
    """Changes the name, the address or the types of events."""
    row, changes = _row(context, key, endpoint_id), body.model_dump(exclude_none=True)
    if body.url is not None:
        _check_url(context, body.url)
    return Endpoint(**_fields(_change(context, key, endpoint_id, changes) if changes else row))


@router.delete("/webhook_endpoints/{endpoint_id}")
def delete_endpoint(endpoint_id: str, context: Context, key: Creator) -> EndpointDeleted:
    """Removes an endpoint; what is not delivered yet is not delivered."""
    _row(context, key, endpoint_id)
    with context.engine.begin() as connection:
        connection.execute(sa.delete(webhook_deliveries).where(webhook_deliveries.c.endpoint_id == endpoint_id))
        connection.execute(sa.delete(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id))
    return EndpointDeleted(id=endpoint_id)


@router.post("/webhook_endpoints/{endpoint_id}/test", openapi_extra=openapi_body("EndpointTest"))
def test_endpoint(
    endpoint_id: str, context: Context, key: Creator, body: Annotated[EndpointTest, body_of(EndpointTest)]
) -> EndpointTestResult:
    """Delivers a sample event now, once. Raises 400 where the endpoint cannot be reached."""
    endpoint, event_id = _row(context, key, endpoint_id), new_event_id()
    sample = event_body(event_id, body.event_type, "video_sample")
    try:
        status = send(endpoint, event_id, sample, context.settings.allow_private_webhooks)
    except DeliveryError as error:
        raise ApiError(400, str(error), "endpoint_unreachable") from None
    return EndpointTestResult(webhook_endpoint_id=endpoint_id, event_type=body.event_type, status_code=status)


@router.post("/webhook_endpoints/{endpoint_id}/rotate_secret", openapi_extra=openapi_body("RotateSecret"))
def rotate_secret(
    endpoint_id: str, context: Context, key: Creator, body: Annotated[RotateSecret, body_of(RotateSecret)]
) -> EndpointWithSecret:
    """A new signing secret. The old one stays valid for 24 hours if the body says so."""
    old = _row(context, key, endpoint_id)["secret"]
    changes: dict[str, Any] = {"secret": new_signing_secret(), "old_secret": None, "old_secret_until": None}
    if body is not None and body.keep_old_secret_active_for_24_hours:
        changes |= {"old_secret": old, "old_secret_until": time.time() + OLD_SECRET_SECONDS}
    row = _change(context, key, endpoint_id, changes)
    return EndpointWithSecret(**_fields(row), signing_secret=row["secret"])


def _change(context: ServerContext, key: ApiKey, endpoint_id: str, changes: dict[str, Any]) -> Row:
    here = webhook_endpoints.c.id == endpoint_id
    with context.engine.begin() as connection:
        connection.execute(sa.update(webhook_endpoints).where(here).values(**changes, updated_at=time.time()))
    return _row(context, key, endpoint_id)


def _row(context: ServerContext, key: ApiKey, endpoint_id: str) -> Row:
    with context.engine.connect() as connection:
        query = sa.select(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id)
        row = connection.execute(query).mappings().first()
    if row is None or not key.sees(row["owner"]):
        raise not_found("webhook endpoint", endpoint_id)
    return row


def _check_url(context: ServerContext, url: str) -> None:
    try:
        checked_url(url, context.settings.allow_private_webhooks)
    except ValueError as error:
        raise ApiError(400, str(error), param="url") from None


def _fields(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"],
        "created_at": int(row["created_at"]),
        "updated_at": int(row["updated_at"]),
        "name": row["name"],
        "url": row["url"],
        "event_types": row["event_types"],
        "signing_secret_hint": f"{row['secret'][:8]}…{row['secret'][-4:]}",
    }
