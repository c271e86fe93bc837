"""The policy: categories, what they mean, and the score from which each refuses. Data, versioned, an operator's to
change.

An operator's file says what differs, in TOML; it is named by `--policy` or $LUMORA_POLICY:

    version = "our-house-3"
    [thresholds]
    violence = 0.3
    [names.figures]
    names = ["Our Mayor"]
    [moderations]
    url = "http://127.0.0.1:8000/v1/moderations"
    model = "guard"
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from lumora.safety.verdict import Score, Verdict

DATA = files("lumora.safety") / "data"


@dataclass(frozen=True)
class Category:
    title: str
    definition: str
    examples: tuple[str, ...]
    threshold: float


@dataclass(frozen=True)
class Endpoint:
    """Where an OpenAI-compatible moderation service listens, and what it is asked for."""

    url: str
    model: str | None = None
    key_variable: str | None = None
    """The environment variable that holds its key."""
    seconds: float = 10.0
    pictures: bool = False
    """Whether it judges pictures too."""


@dataclass(frozen=True)
class Policy:
    version: str
    categories: Mapping[str, Category]
    names: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    """Names that an operator adds to the lists, in the form of data/names.toml."""
    moderations: Endpoint | None = None

    @classmethod
    def load(cls, changes: Path | None = None) -> Policy:
        """The policy that comes with lumora, with the changes of an operator's file, else of $LUMORA_POLICY's.

        Raises ValueError for a file that is missing, broken, or speaks of what there isn't: a typing error must not
        silently leave a door open.
        """
        said = tomllib.loads((DATA / "policy.toml").read_text("utf-8"))
        categories = {
            name: Category(about["title"], about["definition"], tuple(about["examples"]), about["threshold"])
            for name, about in said["categories"].items()
        }
        policy = cls(said["version"], categories)
        changes = changes or (Path(os.environ["LUMORA_POLICY"]) if os.environ.get("LUMORA_POLICY") else None)
        return policy if changes is None else _changed(policy, changes)

    def judge(self, scores: Mapping[str, Score]) -> Verdict:
        """Which categories are refused; raises ValueError for a category that the policy doesn't know."""
        unknown = sorted(scores.keys() - self.categories.keys())
        if unknown:
            raise ValueError(f"The policy knows no category {unknown[0]!r}, only {', '.join(self.categories)}.")
        refused = [name for name, score in scores.items() if score.value >= self.categories[name].threshold]
        return Verdict(scores, tuple(sorted(refused, key=lambda name: (-scores[name].value, name))))


def _changed(policy: Policy, file: Path) -> Policy:
    try:
        said = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(f"There is no policy file {file}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"The policy file {file} is not TOML: {error}.") from None
    _check_keys(said, ("version", "thresholds", "names", "moderations"), file)
    if not isinstance(said.get("version"), str):
        raise ValueError(f'{file} needs a version of its own, such as version = "our-house-1".')
    names = _table(said, "names", file)
    _check_keys(names, ("figures", "characters", "brands"), file)
    for group in names:
        _check_keys(_table(names, group, file), ("names", "alone", "ambiguous", "beside"), file)
    return replace(
        policy,
        version=f"{policy.version}+{said['version']}",
        categories=_with_thresholds(policy.categories, _table(said, "thresholds", file), file),
        names=names,
        moderations=_endpoint(_table(said, "moderations", file), file) if "moderations" in said else None,
    )


def _with_thresholds(
    categories: Mapping[str, Category], thresholds: Mapping[str, Any], file: Path
) -> dict[str, Category]:
    _check_keys(thresholds, tuple(categories), file)
    for name, value in thresholds.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"{file}: the threshold of {name} must be a number from 0 to 1, not {value!r}.")
    return {name: replace(about, threshold=thresholds.get(name, about.threshold)) for name, about in categories.items()}


def _endpoint(said: Mapping[str, Any], file: Path) -> Endpoint:
    _check_keys(said, tuple(Endpoint.__dataclass_fields__), file)
    if not str(said.get("url", "")).startswith(("http://", "https://")):
        raise ValueError(f"{file}: [moderations] needs a url that begins with http:// or https://.")
    endpoint = Endpoint(**said)
    if not isinstance(endpoint.seconds, int | float) or not 0 < endpoint.seconds < 3600:
        raise ValueError(f"{file}: the seconds of [moderations] must be a number above 0, not {endpoint.seconds!r}.")
    return replace(endpoint, seconds=float(endpoint.seconds))


def _table(said: Mapping[str, Any], key: str, file: Path) -> dict[str, Any]:
    table = said.get(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{file}: {key} must be a table, [{key}].")
    return table


def _check_keys(said: Mapping[str, Any], known: tuple[str, ...], file: Path) -> None:
    unknown = sorted(said.keys() - set(known))
    if unknown:
        raise ValueError(f"{file} says {unknown[0]!r}, which means nothing here; known are {', '.join(known)}.")
