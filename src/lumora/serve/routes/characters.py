"""`/v1/videos/characters`: characters that prompts mention as `@name`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, field_validator

from lumora.serve.bodies import openapi_body
from lumora.serve.characters import Character, add_character, delete_character, get_character, list_characters
from lumora.serve.context import Context
from lumora.serve.errors import ApiError
from lumora.serve.keys import Creator, Reader
from lumora.serve.schemas import Media, Seed, Strict
from lumora.serve.signed_urls import signed_url
from lumora.serve.submission import parsed_body

router = APIRouter(prefix="/v1/videos/characters", tags=["characters"])


class CharacterCreate(Strict):
    name: Annotated[str, Field(min_length=1, max_length=60)]
    description: Annotated[str, Field(max_length=500)] = ""
    """Stands for `@name` in a prompt."""
    picture: Media | None = None
    video: Media | None = None
    """Its first frame is the picture."""
    seed: Seed | None = None

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.strip() or not name.isprintable() or "@" in name:
            raise ValueError("a name has printable characters and no @")
        return name.strip()


class CharacterObject(BaseModel):
    id: str
    object: Literal["character"] = "character"
    created_at: int
    name: str
    description: str
    seed: int | None
    file_id: str | None
    url: str | None
    """Of the picture or video."""


class CharacterList(BaseModel):
    object: Literal["list"] = "list"
    data: list[CharacterObject]


class CharacterDeleted(BaseModel):
    id: str
    object: Literal["character.deleted"] = "character.deleted"
    deleted: Literal[True] = True


@router.post("", openapi_extra=openapi_body("CharacterCreate"))
async def create_character(request: Request, context: Context, key: Creator) -> CharacterObject:
    """A new character: a name, and a description, a picture or a video."""
    body = await parsed_body(request, context, key, CharacterCreate)
    picture = body.picture or body.video
    if picture is not None and picture.file_id is None:
        raise ApiError(400, "Upload the picture or video, or give its file_id.", param="picture")
    if picture is None and not body.description.strip():
        raise ApiError(400, "Give a description, a picture or a video.", param="description")
    file_id = None if picture is None else picture.file_id
    added = await run_in_threadpool(add_character, context, key, body.name, body.description, file_id, body.seed)
    return _object(added)


@router.get("")
def get_characters(context: Context, key: Reader) -> CharacterList:
    """The own characters, the newest first."""
    return CharacterList(data=[_object(character) for character in list_characters(context, key)])


@router.get("/{character_id}")
def retrieve_character(character_id: str, context: Context, key: Reader) -> CharacterObject:
    """One character."""
    return _object(get_character(context, key, character_id))


@router.delete("/{character_id}")
def remove_character(character_id: str, context: Context, key: Creator) -> CharacterDeleted:
    """Removes a character; videos that were made with it stay."""
    delete_character(context, key, character_id)
    return CharacterDeleted(id=character_id)


def _object(character: Character) -> CharacterObject:
    return CharacterObject(
        id=character.id,
        created_at=int(character.created_at),
        name=character.name,
        description=character.description,
        seed=character.seed,
        file_id=character.file_id,
        url=signed_url(f"/v1/files/{character.file_id}/content") if character.file_id else None,
    )
