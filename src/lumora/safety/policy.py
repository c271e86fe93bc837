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
    [[guards]]
    folder = "/models/toxicity"
    labels = {toxic = "harassment", neutral = "harmless"}

A threshold counts only with the red team's figures beside it, in a file of their own (`measured_file`), which
`lumora redteam --policy FILE` writes. They name the thresholds and the classifier that they were measured with.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from lumora.atomic_io import atomic_write
from lumora.safety.verdict import Score, Verdict

DATA = files("lumora.safety") / "data"
HARMLESS = "harmless"
"""What a guard's label may mean besides a category."""


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
class Guard:
    """A model of transformers in a folder on this machine."""

    folder: Path
    labels: Mapping[str, str] = field(default_factory=dict)
    """The category of each of its labels, or HARMLESS."""


@dataclass(frozen=True)
class Targets:
    """What the checks are held to by `lumora redteam`, in shares: of what belongs to a category at least so much is
    refused, of all else at most so much."""

    recall: float = 0.98
    benign: float = 0.02
    hard: float = 0.05
    """Hard negatives: harmless, in words of what isn't."""
    world: float = 0.02
    """Captions of lumora's own world."""
    lost: float = 0.02
    """Of recall, to any disguise."""
    planted: float = 1.0
    """Of symbols that fill more than 2 % of one frame of a video."""
    small: float = 0.95
    """Of those that fill 2 %."""
    clean: float = 0.005
    """Of frames without any."""
    gap: float = 0.01
    """Between any two groups of people that the same harmless sentences speak of."""


@dataclass(frozen=True)
class Policy:
    version: str
    categories: Mapping[str, Category]
    names: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    """Names that an operator adds to the lists, in the form of data/names.toml."""
    moderations: Endpoint | None = None
    guards: tuple[Guard, ...] = ()
    targets: Targets = Targets()

    @classmethod
    def load(cls, changes: Path | None = None, unmeasured: bool = False) -> Policy:
        """The policy that comes with lumora, with the changes of an operator's file, else of $LUMORA_POLICY's.

        Raises ValueError for a file that is missing, broken, or speaks of what there isn't: a typing error must not
        silently leave a door open. And for thresholds that nobody has measured, unless it is loaded `unmeasured`, to
        measure it.
        """
        said = tomllib.loads((DATA / "policy.toml").read_text("utf-8"))
        categories = {
            name: Category(about["title"], about["definition"], tuple(about["examples"]), about["threshold"])
            for name, about in said["categories"].items()
        }
        policy = cls(said["version"], categories)
        file = policy_file(changes)
        if file is None:
            return policy
        changed = _changed(policy, file)
        if not unmeasured:
            _must_be_measured(changed, changed.thresholds.items() - policy.thresholds.items(), file)
        return changed

    @property
    def thresholds(self) -> dict[str, float]:
        return {name: about.threshold for name, about in self.categories.items()}

    @property
    def fingerprint(self) -> str:
        """Of what decides over prompts: the thresholds and the classifier's weights."""
        whole = hashlib.sha256(json.dumps(self.thresholds, sort_keys=True).encode())
        whole.update((DATA / "prompts.npz").read_bytes())
        return whole.hexdigest()

    def judge(self, scores: Mapping[str, Score]) -> Verdict:
        """Which categories are refused; raises ValueError for a category that the policy doesn't know."""
        unknown = sorted(scores.keys() - self.categories.keys())
        if unknown:
            raise ValueError(f"The policy knows no category {unknown[0]!r}, only {', '.join(self.categories)}.")
        refused = [name for name, score in scores.items() if score.value >= self.categories[name].threshold]
        return Verdict(scores, tuple(sorted(refused, key=lambda name: (-scores[name].value, name))))


def policy_file(named: Path | None) -> Path | None:
    """The operator's file: the one that is named, else $LUMORA_POLICY's, if any."""
    return named or (Path(os.environ["LUMORA_POLICY"]) if os.environ.get("LUMORA_POLICY") else None)


def measured_file(changes: Path) -> Path:
    """Where the red team's figures of an operator's policy file lie."""
    return changes.with_suffix(".figures.json")


def write_measured(changes: Path, policy: Policy, figures: Mapping[str, Any]) -> Path:
    """Puts the figures of the red team's report beside the policy file that they were measured of."""
    said = {"fingerprint": policy.fingerprint, **figures}
    with atomic_write(measured_file(changes)) as part:
        part.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return measured_file(changes)


def _must_be_measured(policy: Policy, thresholds: Iterable[tuple[str, float]], file: Path) -> None:
    """Raises ValueError unless the figures beside the file are of this policy and of all changed `thresholds`."""
    changed = sorted(name for name, _ in thresholds)
    if not changed:
        return
    beside, command = measured_file(file), f"run `lumora redteam --policy {file}` first"
    try:
        figures = json.loads(beside.read_text("utf-8"))
        fits = figures["fingerprint"] == policy.fingerprint
        unseen = [name for name in changed if name not in figures["refused"]]
    except FileNotFoundError:
        raise ValueError(
            f"{file} changes the threshold of {changed[0]}, which nobody has measured; {command}."
        ) from None
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{beside} doesn't hold the red team's figures; {command}.") from None
    if not fits:
        raise ValueError(f"{beside} was measured with other thresholds or another classifier; {command}.")
    if unseen:
        raise ValueError(f"{beside} has no figures of {unseen[0]}, whose threshold {file} changes; {command}.")


def _changed(policy: Policy, file: Path) -> Policy:
    try:
        said = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(f"There is no policy file {file}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"The policy file {file} is not TOML: {error}.") from None
    _check_keys(said, ("version", "thresholds", "names", "moderations", "guards"), file)
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
        guards=_guards(said.get("guards", []), policy, file),
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


def _guards(said: Any, policy: Policy, file: Path) -> tuple[Guard, ...]:
    """A folder is sought from where the policy file lies."""
    if not isinstance(said, list) or not all(isinstance(about, dict) for about in said):
        raise ValueError(f"{file}: guards are tables of their own, [[guards]].")
    guards = []
    for about in said:
        _check_keys(about, ("folder", "labels"), file)
        if not isinstance(about.get("folder"), str):
            raise ValueError(f'{file}: [[guards]] needs a folder, such as folder = "/models/guard".')
        labels = _table(about, "labels", file)
        for label, ours in labels.items():
            if ours not in (*policy.categories, HARMLESS):
                known = ", ".join((*policy.categories, HARMLESS))
                raise ValueError(f"{file}: the label {label!r} belongs to one of {known}, not to {ours!r}.")
        guards.append(Guard(file.parent / about["folder"], labels))
    return tuple(guards)


def _table(said: Mapping[str, Any], key: str, file: Path) -> dict[str, Any]:
    table = said.get(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{file}: {key} must be a table, [{key}].")
    return table


def _check_keys(said: Mapping[str, Any], known: tuple[str, ...], file: Path) -> None:
    unknown = sorted(said.keys() - set(known))
    if unknown:
        raise ValueError(f"{file} says {unknown[0]!r}, which means nothing here; known are {', '.join(known)}.")
