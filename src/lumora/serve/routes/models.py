"""`/v1/models`: what can be made; `/v1/settings`: the limits of this server."""

from __future__ import annotations

import dataclasses
from importlib.metadata import version
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from lumora.serve.context import Context, ServerContext
from lumora.serve.errors import not_found
from lumora.serve.jobs import SORA_SIZES
from lumora.serve.keys import Anyone
from lumora.serve.served_models import MODEL_ALIASES

router = APIRouter(prefix="/v1", tags=["models"])

CREATED = 1_764_374_400
"""Unix time of the first release; clients expect a number."""


class ModelObject(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = CREATED
    owned_by: str = "lumora"
    aliases: list[str]
    """Names under which clients of other servers ask for it."""
    license: str
    """Of the weights."""
    capabilities: dict[str, Any]


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelObject]


class SettingsObject(BaseModel):
    object: Literal["settings"] = "settings"
    version: str
    access: Literal["open", "keys"]
    """Whether requests need a key."""
    models: list[str]
    sizes: list[str]
    """Sizes of Sora's API, which are accepted and made at the model's own number of pixels."""
    limits: dict[str, float | int | None]
    max_jobs: int
    """Of this key, waiting and in progress."""


@router.get("/models")
def list_models(context: Context, key: Anyone) -> ModelList:
    """The models of this server."""
    return ModelList(data=[_model(context, name) for name in context.models.names])


@router.get("/models/{model_id}")
def get_model(model_id: str, context: Context, key: Anyone) -> ModelObject:
    """One model, by its name or by one of its aliases."""
    try:
        return _model(context, context.models.resolve(model_id))
    except KeyError:
        raise not_found("model", model_id) from None


@router.get("/settings")
def get_settings(context: Context, key: Anyone) -> SettingsObject:
    """Limits, version, and whether keys are needed."""
    limits = context.settings.limits
    return SettingsObject(
        version=version("lumora"),
        access="open" if context.access.is_open else "keys",
        models=context.models.names,
        sizes=list(SORA_SIZES),
        limits=dataclasses.asdict(limits),
        max_jobs=limits.max_jobs_per_key if key.max_jobs is None else key.max_jobs,
    )


def _model(context: ServerContext, name: str) -> ModelObject:
    limits = context.models.backend(name).capabilities()
    capabilities = dataclasses.asdict(limits)
    licensed = capabilities.pop("license")
    capabilities["tasks"] = sorted(capabilities["tasks"])
    capabilities["size"] = str(limits.size)
    aliases: list[str] = list(MODEL_ALIASES) if name == context.models.names[0] else []
    return ModelObject(id=name, aliases=aliases, license=licensed, capabilities=capabilities)
