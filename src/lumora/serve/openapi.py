"""The description of the API (`/openapi.json`), and a page of it (`/docs`) that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jinja2
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lumora.serve.schemas import Strict

METHODS = ("get", "post", "patch", "put", "delete")
_REF = "#/components/schemas/{model}"
_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ info.title }} {{ info.version }}: API</title>
<h1>{{ info.title }} {{ info.version }}</h1>
<p>{{ info.summary }} The machine-readable description is <a href="/openapi.json">/openapi.json</a>.</p>
{% for route in routes %}
<h2><code>{{ route.method }} {{ route.path }}</code></h2>
<p>{{ route.description }}</p>
{% if route.fields %}
<ul>
{% for field in route.fields %}
<li><code>{{ field.name }}</code> ({{ field.place }}): {{ field.type }}{% if field.required %}, required{% endif %}
{% if field.description %}<br>{{ field.description }}{% endif %}</li>
{% endfor %}
</ul>
{% endif %}
{% endfor %}
</html>
""",
    autoescape=True,
    trim_blocks=True,
)


def install_openapi(app: FastAPI) -> None:
    """Adds the schemas of the bodies that routes read themselves, and the page `/docs`."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            content = described()
            known = content.setdefault("components", {}).setdefault("schemas", {})
            for name, schema in _body_schemas().items():
                known.setdefault(name, schema)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_api_route("/docs", lambda: HTMLResponse(docs_page(app.openapi())), include_in_schema=False)


def docs_page(content: dict[str, Any]) -> str:
    """The description as HTML."""
    routes = [
        {
            "method": method.upper(),
            "path": path,
            "description": operation.get("description") or operation.get("summary", ""),
            "fields": [*_parameters(operation), *_body_fields(operation, content)],
        }
        for path, operations in content["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    ]
    return _PAGE.render(info=content["info"], routes=routes)


def _body_schemas() -> dict[str, Any]:
    """The schemas of all bodies."""
    models = [(kind, "validation") for kind in _with_subclasses(Strict)]
    return models_json_schema(models, ref_template=_REF)[1]["$defs"]  # type: ignore[arg-type]


def _with_subclasses(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield kind
    for subclass in kind.__subclasses__():
        yield from _with_subclasses(subclass)


def _parameters(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**parameter, "place": parameter["in"], "type": _type_of(parameter.get("schema", {}))}
        for parameter in operation.get("parameters", [])
    ]


def _body_fields(operation: dict[str, Any], content: dict[str, Any]) -> list[dict[str, Any]]:
    media = operation.get("requestBody", {}).get("content", {})
    reference = next(iter(media.values()), {}).get("schema", {}).get("$ref", "")
    schema = content["components"]["schemas"].get(reference.rpartition("/")[2], {})
    return [
        {
            "name": name,
            "place": "body",
            "type": _type_of(field),
            "required": name in schema.get("required", []),
            "description": field.get("description", ""),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _type_of(schema: dict[str, Any]) -> str:
    """A type in words."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type_of(part) for part in schema["anyOf"] if part != {"type": "null"}))
    if "enum" in schema or "const" in schema:
        return " or ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    return str(schema.get("type", "any"))
