"""Request bodies: JSON and multipart forms on the same routes become one dict."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from lumora.serve.errors import ApiError

MAX_FIELDS, MAX_FILES, MAX_FIELD_BYTES = 1_000, 40, 4 << 20
_KEY = re.compile(r"[^\[\]]+|\[\]")


FILE_FORM: dict[str, Any] = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {"file": {"type": "string", "format": "binary"}},
            "required": ["file"],
        }
    }
}
"""The description of a form with one file, by its media type."""


def openapi_body(schema: str) -> dict[str, Any]:
    """`openapi_extra` of a route whose body is a schema of `schemas.py` in both media types."""
    reference = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": reference, "multipart/form-data": reference},
        }
    }


def body_of(schema: type[BaseModel]) -> Any:
    """A dependency: the body, JSON or a form, as an object of `schema`. Raises pydantic's ValidationError."""

    async def read(request: Request) -> BaseModel:
        return schema.model_validate(await read_body(request))

    return Depends(read)


async def read_body(request: Request) -> dict[str, Any]:
    """The body as a dict; files of a form are `UploadFile`. An empty body is an empty dict.

    Raises ApiError 400 for a body that is neither, 415 for another media type.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data" or media_type == "application/x-www-form-urlencoded":
        return await _read_form(request)
    content = await request.body()
    if not content:
        return {}
    if media_type not in ("application/json", ""):
        raise ApiError(415, f"Send the body as application/json or multipart/form-data, not as {media_type}.")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"The body is not JSON: {str(error) or type(error).__name__}.", "invalid_json") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body is a JSON object with named fields.", "invalid_json")
    return body


async def _read_form(request: Request) -> dict[str, Any]:
    try:
        form = await request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    except HTTPException as error:
        raise ApiError(400, f"The form cannot be read: {error.detail}", "invalid_form") from None
    return nested(
        [(name, value) for name, value in form.multi_items() if not (isinstance(value, UploadFile) and not value.size)]
    )


def nested(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """A form's fields as nested dicts and lists: `a[b]`, `a[]` and `a[][b]`.

    A new item of a list of objects begins where a field comes again. A field that a form cannot assign to an item,
    because the items have different fields, raises ApiError 400.
    """
    body: dict[str, Any] = {}
    columns: dict[str, dict[str, list[Any]]] = {}
    for name, value in items:
        parts = _KEY.findall(name)
        written = "".join(part if part == "[]" or n == 0 else f"[{part}]" for n, part in enumerate(parts))
        if not parts or parts[0] == "[]" or written != name:
            raise ApiError(400, f"{name!r} is not the name of a field.", "invalid_form")
        if len(parts) == 1:
            body[name] = value
        elif len(parts) == 3 and parts[1] == "[]":
            columns.setdefault(parts[0], {}).setdefault(parts[2], []).append(value)
        else:
            _put(body, parts, value, name)
    for name, fields in columns.items():
        if len({len(values) for values in fields.values()}) > 1:
            raise ApiError(
                400, f"The items of {name} have different fields, which a form cannot carry; send JSON.", param=name
            )
        count = len(next(iter(fields.values())))
        body[name] = [{field: values[n] for field, values in fields.items()} for n in range(count)]
    return body


def _put(body: dict[str, Any], parts: list[str], value: Any, name: str) -> None:
    if len(parts) > 5:
        raise ApiError(400, f"{name!r} is nested too deep.", "invalid_form")
    target: Any = body
    for part, following in itertools.pairwise(parts):
        new: Any = [] if following == "[]" else {}
        if not isinstance(target, dict) or part == "[]":
            raise ApiError(400, f"{name!r} is not the name of a field.", "invalid_form")
        current = target.get(part)
        if not isinstance(current, type(new)):
            target[part] = new
        target = target[part]
    if isinstance(target, list):
        target.append(value)
    else:
        target[parts[-1]] = value
