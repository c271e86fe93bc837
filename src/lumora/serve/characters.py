"""Characters: a name, a description, perhaps a picture and a seed, which prompts and storyboards refer to."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from lumora.serve.api_key import ApiKey
from lumora.serve.context import ServerContext
from lumora.serve.database import Row, characters
from lumora.serve.errors import ApiError, not_found
from lumora.serve.jobs import JobSpec, ReferenceSpec
from lumora.serve.mentions import CastMember, mentions
from lumora.serve.uploads import get_file

PICTURE_TASKS = ("text", "shots")
"""Tasks in which a character's picture becomes the first frame of the shot that mentions it first."""
MAX_CHARACTERS_PER_KEY = 1_000


@dataclass(frozen=True)
class Character:
    id: str
    owner: str
    created_at: float
    name: str
    description: str
    file_id: str | None
    seed: int | None


def checked_text(name: str, description: str) -> str:
    """What the policy judges of a character: one sentence, since a first name alone looks like a celebrity's."""
    return f"{name}, {description.strip() or 'a character'}"


def add_character(
    context: ServerContext, key: ApiKey, name: str, description: str, file_id: str | None, seed: int | None
) -> Character:
    """Stores a character. Raises ApiError: 400 for a text that the policy refuses, 404 for a file that the key may not
    see, 409 where there are too many."""
    if file_id is not None:
        get_file(context, key, file_id)
    checked = context.checker.call("check_prompt", prompt=checked_text(name, description))
    if not checked["allowed"]:
        raise ApiError(400, checked["reason"], "moderation_blocked", categories=checked["refused"])
    query = sa.select(sa.func.count()).select_from(characters).where(characters.c.owner == key.id)
    character = Character(f"char_{secrets.token_hex(12)}", key.id, time.time(), name, description, file_id, seed)
    with context.engine.begin() as connection:
        if connection.execute(query).scalar_one() >= MAX_CHARACTERS_PER_KEY:
            raise ApiError(409, f"This key has {MAX_CHARACTERS_PER_KEY:,} characters; delete some.")
        connection.execute(sa.insert(characters).values(**vars(character)))
    return character


def get_character(context: ServerContext, key: ApiKey, character_id: str) -> Character:
    """A character that the key may see. Raises ApiError 404."""
    with context.engine.connect() as connection:
        query = sa.select(characters).where(characters.c.id == character_id)
        row = connection.execute(query).mappings().first()
    if row is None or not key.sees(row["owner"]):
        raise not_found("character", character_id)
    return _character(row)


def list_characters(context: ServerContext, key: ApiKey) -> list[Character]:
    """The own characters, the newest first."""
    query = sa.select(characters).order_by(characters.c.number.desc())
    if not key.may("admin"):
        query = query.where(characters.c.owner == key.id)
    with context.engine.connect() as connection:
        return [_character(row) for row in connection.execute(query).mappings()]


def delete_character(context: ServerContext, key: ApiKey, character_id: str) -> None:
    """Removes a character; videos that were made with it stay. Raises ApiError 404."""
    get_character(context, key, character_id)
    with context.engine.begin() as connection:
        connection.execute(sa.delete(characters).where(characters.c.id == character_id))


def with_characters(
    context: ServerContext, key: ApiKey, spec: JobSpec, ids: Sequence[str] = (), has_seed: bool = True
) -> tuple[JobSpec, bool]:
    """The job with the characters of `ids` and those that its prompts mention as `@name`; and whether it has a seed.

    A character's picture becomes the first frame of the first shot that mentions it, unless that shot has a first
    frame. Its seed counts where none is given. Raises ApiError 404 for an unknown id.
    """
    prompts = [shot.prompt for shot in spec.shots] or [spec.prompt]
    found = _named(context, key, ids, prompts)
    cast, references = [], list(spec.references)
    for character in found:
        shot = next((n for n, prompt in enumerate(prompts) if mentions(prompt, character.name)), None)
        cast.append(CastMember(character.name, character.description, everywhere=shot is None))
        begins = {reference.shot_index for reference in references if reference.start == 0}
        if character.file_id and spec.task in PICTURE_TASKS and (shot or 0) not in begins:
            references.append(ReferenceSpec(character.file_id, shot_index=shot or 0))
    task = "image" if spec.task == "text" and references else spec.task
    spec = replace(spec, task=task, cast=tuple(cast), references=tuple(references))
    seed = next((character.seed for character in found if character.seed is not None), None)
    if has_seed or seed is None:
        return spec, has_seed
    return replace(spec, seed=seed), True


def _named(context: ServerContext, key: ApiKey, ids: Sequence[str], prompts: Sequence[str]) -> list[Character]:
    """The characters of `ids`, then those that are mentioned; of several with a name, the newest of the key itself."""
    found = [get_character(context, key, character_id) for character_id in dict.fromkeys(ids)]
    if not any("@" in prompt for prompt in prompts):
        return found
    names = {character.name.casefold() for character in found}
    for character in list_characters(context, key):
        if character.owner != key.id or character.name.casefold() in names:
            continue
        if any(mentions(prompt, character.name) for prompt in prompts):
            names.add(character.name.casefold())
            found.append(character)
    return found


def _character(row: Row) -> Character:
    return Character(**{name: row[name] for name in Character.__dataclass_fields__})
