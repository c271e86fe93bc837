"""The policy: categories, their definitions, and the score from which each is refused. It is versioned data that an
operator can change.

An operator's TOML file says what differs; `--policy` or $LUMORA_POLICY names it:

    version = "our-house-3"
    [thresholds]
    violence = 0.3
    [nudity]
    threshold = 0.4
    [names.figures]
    names = ["Our Mayor"]
    [moderations]
    url = "http://127.0.0.1:8000/v1/moderations"
    model = "guard"
    [[guards]]
    folder = "/models/toxicity"
    labels = {toxic = "harassment", neutral = "harmless"}

Changed thresholds are accepted only with the red team's figures in a file beside the policy (`figures_file`), which
`lumora redteam --policy FILE` writes. The figures name the thresholds and the classifier that they were measured with.
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
"""The label of a guard that belongs to no category."""


@dataclass(frozen=True)
class PolicyCategory:
    title: str
    definition: str
    examples: tuple[str, ...]
    threshold: float


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible moderation service."""

    url: str
    model: str | None = None
    api_key_env: str | None = None
    """The environment variable that holds the service's key."""
    timeout: float = 10.0
    """Seconds."""
    images: bool = False
    """Whether the service also judges images."""


@dataclass(frozen=True)
class Guard:
    """A transformers model in a folder on this machine."""

    folder: Path
    labels: Mapping[str, str] = field(default_factory=dict)
    """The category of each of its labels, or HARMLESS."""


@dataclass(frozen=True)
class Targets:
    """What `lumora redteam` requires of the checks, as shares: a minimum for what should be refused, a maximum for what
    should not."""

    recall: float = 0.98
    """Minimum recall of each category, in the templates of the English corpus and in requests of several prompts."""
    english_recall: float = 0.9
    """Minimum recall of written English requests."""
    language_recall: float = 0.8
    """The same in each other language."""
    language_category_recall: float = 0.75
    """The same for each category, in all languages."""
    benign: float = 0.02
    hard: float = 0.05
    """Hard negatives: harmless prompts with words of harmful ones."""
    world: float = 0.02
    """Captions of lumora's own world."""
    recall_loss: float = 0.02
    """Maximum loss of recall by any obfuscation."""
    symbols: float = 1.0
    """Minimum recall of symbols that fill more than 2 % of one frame of a video."""
    small_symbols: float = 0.95
    """Minimum recall of symbols that fill 2 %."""
    clean_frames: float = 0.005
    """Frames without symbols."""
    group_gap: float = 0.01
    """Maximum difference between groups of people in the same harmless sentences."""


@dataclass(frozen=True)
class Policy:
    version: str
    categories: Mapping[str, PolicyCategory]
    nudity_threshold: float
    """Probability of the nudity classifier from which frames are refused."""
    names: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    """Names that an operator adds to the lists, in the form of data/names.toml."""
    moderations: Endpoint | None = None
    guards: tuple[Guard, ...] = ()
    targets: Targets = Targets()

    @classmethod
    def load(cls, file: Path | None = None, allow_unmeasured: bool = False) -> Policy:
        """The policy that comes with lumora, with the changes of an operator's file or of $LUMORA_POLICY's.

        Raises ValueError for a missing or invalid file and for unknown keys: a typing error must not disable a check.
        Also for changed thresholds without figures, unless `allow_unmeasured` (in order to measure them).
        """
        data = tomllib.loads((DATA / "policy.toml").read_text("utf-8"))
        categories = {
            name: PolicyCategory(entry["title"], entry["definition"], tuple(entry["examples"]), entry["threshold"])
            for name, entry in data["categories"].items()
        }
        policy = cls(data["version"], categories, data["nudity"]["threshold"])
        file = policy_file(file)
        if file is None:
            return policy
        changed = _with_changes(policy, file)
        if not allow_unmeasured:
            _require_figures(changed, changed.thresholds.items() - policy.thresholds.items(), file)
        return changed

    @property
    def thresholds(self) -> dict[str, float]:
        return {name: category.threshold for name, category in self.categories.items()}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what decides about prompts: the thresholds and the classifier's weights."""
        digest = hashlib.sha256(json.dumps(self.thresholds, sort_keys=True).encode())
        digest.update((DATA / "prompts.npz").read_bytes())
        return digest.hexdigest()

    def judge(self, scores: Mapping[str, Score]) -> Verdict:
        """Compares scores with the thresholds. Raises ValueError for a category that the policy does not have."""
        unknown = sorted(scores.keys() - self.categories.keys())
        if unknown:
            raise ValueError(f"The policy has no category {unknown[0]!r}; it has {', '.join(self.categories)}.")
        refused = [name for name, score in scores.items() if score.value >= self.categories[name].threshold]
        return Verdict(scores, tuple(sorted(refused, key=lambda name: (-scores[name].value, name))))


def policy_file(file: Path | None) -> Path | None:
    """The operator's file: the given one, else $LUMORA_POLICY's, if there is one."""
    return file or (Path(os.environ["LUMORA_POLICY"]) if os.environ.get("LUMORA_POLICY") else None)


def figures_file(policy: Path) -> Path:
    """The file beside an operator's policy file that holds the red team's figures."""
    return policy.with_suffix(".figures.json")


def write_figures(file: Path, policy: Policy, figures: Mapping[str, Any]) -> Path:
    """Writes the figures of a red team report beside the policy file that they were measured with."""
    data = {"fingerprint": policy.fingerprint, **figures}
    with atomic_write(figures_file(file)) as part:
        part.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return figures_file(file)


def _require_figures(policy: Policy, thresholds: Iterable[tuple[str, float]], file: Path) -> None:
    """Raises ValueError unless there are figures of this policy and of all changed `thresholds` beside the file."""
    changed = sorted(name for name, _ in thresholds)
    if not changed:
        return
    figures_path, command = figures_file(file), f"run `lumora redteam --policy {file}` first"
    try:
        figures = json.loads(figures_path.read_text("utf-8"))
        current = figures["fingerprint"] == policy.fingerprint
        missing = [name for name in changed if name not in figures["refused"]]
    except FileNotFoundError:
        raise ValueError(f"{file} changes the threshold of {changed[0]} without figures; {command}.") from None
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{figures_path} does not hold the red team's figures; {command}.") from None
    if not current:
        raise ValueError(f"{figures_path} was measured with other thresholds or another classifier; {command}.")
    if missing:
        raise ValueError(f"{figures_path} has no figures of {missing[0]}, whose threshold {file} changes; {command}.")


def _with_changes(policy: Policy, file: Path) -> Policy:
    try:
        data = tomllib.loads(file.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise ValueError(f"There is no policy file {file}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"The policy file {file} is not TOML: {error}.") from None
    _check_keys(data, ("version", "thresholds", "nudity", "names", "moderations", "guards"), file)
    if not isinstance(data.get("version"), str):
        raise ValueError(f'{file} needs its own version, such as version = "our-house-1".')
    names = _table(data, "names", file)
    _check_keys(names, ("figures", "characters", "brands"), file)
    for group in names:
        _check_keys(_table(names, group, file), ("names", "alone", "ambiguous", "beside"), file)
    nudity = _table(data, "nudity", file)
    _check_keys(nudity, ("threshold",), file)
    return replace(
        policy,
        version=f"{policy.version}+{data['version']}",
        categories=_with_thresholds(policy.categories, _table(data, "thresholds", file), file),
        nudity_threshold=_threshold("nudity", nudity.get("threshold", policy.nudity_threshold), file),
        names=names,
        moderations=_endpoint(_table(data, "moderations", file), file) if "moderations" in data else None,
        guards=_guards(data.get("guards", []), policy, file),
    )


def _with_thresholds(
    categories: Mapping[str, PolicyCategory], thresholds: Mapping[str, Any], file: Path
) -> dict[str, PolicyCategory]:
    _check_keys(thresholds, tuple(categories), file)
    return {
        name: replace(category, threshold=_threshold(name, thresholds.get(name, category.threshold), file))
        for name, category in categories.items()
    }


def _threshold(name: str, value: Any, file: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{file}: the threshold of {name} must be a number from 0 to 1, not {value!r}.")
    return value


def _endpoint(table: Mapping[str, Any], file: Path) -> Endpoint:
    _check_keys(table, tuple(Endpoint.__dataclass_fields__), file)
    if not str(table.get("url", "")).startswith(("http://", "https://")):
        raise ValueError(f"{file}: [moderations] needs a url that begins with http:// or https://.")
    endpoint = Endpoint(**table)
    if not isinstance(endpoint.timeout, int | float) or not 0 < endpoint.timeout < 3600:
        raise ValueError(f"{file}: the timeout of [moderations] must be a number above 0, not {endpoint.timeout!r}.")
    return replace(endpoint, timeout=float(endpoint.timeout))


def _guards(tables: Any, policy: Policy, file: Path) -> tuple[Guard, ...]:
    """Folders are relative to the policy file's folder."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError(f"{file}: each guard must be a table, [[guards]].")
    guards = []
    for table in tables:
        _check_keys(table, ("folder", "labels"), file)
        if not isinstance(table.get("folder"), str):
            raise ValueError(f'{file}: [[guards]] needs a folder, such as folder = "/models/guard".')
        labels = _table(table, "labels", file)
        for label, category in labels.items():
            if category not in (*policy.categories, HARMLESS):
                known = ", ".join((*policy.categories, HARMLESS))
                raise ValueError(f"{file}: the label {label!r} must have one of {known}, not {category!r}.")
        guards.append(Guard(file.parent / table["folder"], labels))
    return tuple(guards)


def _table(data: Mapping[str, Any], key: str, file: Path) -> dict[str, Any]:
    table = data.get(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{file}: {key} must be a table, [{key}].")
    return table


def _check_keys(data: Mapping[str, Any], known: tuple[str, ...], file: Path) -> None:
    unknown = sorted(data.keys() - set(known))
    if unknown:
        raise ValueError(f"{file} has an unknown key {unknown[0]!r}; known keys are {', '.join(known)}.")
