"""`lumora models`: open-weight models that `--model` finds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from lumora.backends.diffusers.memory_planning import MemoryLevel
from lumora.cli.progress import progress_bar
from lumora.terminal import say

if TYPE_CHECKING:
    from lumora.backends.diffusers.catalog import CatalogEntry
    from lumora.backends.diffusers.hub import Snapshot

Name = Annotated[Positional[str], arg(metavar="MODEL")]
CARDS_GIB = (8, 12, 16, 24, 32, 48, 80)
"""Memory of GPUs for which `models info` states the plan."""


@dataclass(frozen=True)
class ModelsList:
    """List the models of the catalogue, and whether they are on this machine."""

    def run(self) -> None:
        from lumora.backends.diffusers.catalog import catalog

        say("lumora: the model that comes with lumora.")
        for entry in catalog().values():
            here = "on this machine" if _snapshot_of(entry) else f"about {entry.download_gb:.0f} GB to download"
            say(f"{entry.name}: {entry.title}; {here}. {entry.license}")


@dataclass(frozen=True)
class ModelsInfo:
    """Say what a model makes, needs and allows."""

    model: Name
    """A name of the catalogue."""

    def run(self) -> None:
        from lumora.backends.diffusers.diffusers_planning import capabilities
        from lumora.backends.diffusers.memory_planning import plan_memory

        entry = _entry(self.model)
        limits, family = capabilities(entry), entry.calls
        snapshot = _snapshot_of(entry)
        say(
            f"{entry.title} ({entry.hub_id}, revision {entry.revision or 'main'})",
            f"Licence: {entry.license}",
            f"On this machine: {snapshot.folder if snapshot else f'no; `lumora models pull {entry.name}` gets it'}.",
            f"Makes: {entry.size}, {limits.seconds:.1f} seconds at {entry.fps:g} frames a second, "
            f"{entry.num_inference_steps} steps, guidance {entry.guidance_scale:g}; sizes in steps of "
            f"{family.size_step}, frames in steps of {family.frame_step}.",
            f"Tasks: {', '.join(sorted(limits.tasks))}.",
        )
        for file in entry.extra_files:
            say(f"With: {file.name} of {file.hub_id}, revision {file.revision}")
        for free in CARDS_GIB:
            plan = plan_memory(
                free - 1.0, entry.parameters, limits.size, entry.num_frames, family.size_step, family.frame_step
            )
            fits = "" if plan.estimated_gib <= plan.free_gib else " It may not fit."
            say(f"{free} GB card (estimate): {plan.sentence()}{fits}")
        say(*SAFETY_ADVICE)


@dataclass(frozen=True)
class ModelsPull:
    """Download a model into the cache of the hub; what is there already is not downloaded again."""

    model: Name
    """A name of the catalogue, or a repository such as owner/name."""
    revision: Annotated[str | None, arg(help_behavior_hint="(default: the catalogue's, else main)")] = None
    """A commit, branch or tag."""
    offline: FlagCreatePairsOff[bool] = False
    """Only look whether it is on this machine."""

    def run(self) -> None:
        from lumora.backends.diffusers.catalog import UNKNOWN_LICENSE, find_entry
        from lumora.backends.diffusers.hub import find_file, find_snapshot, gigabytes, list_files, pull, pull_file

        entry = find_entry(self.model)
        hub_id = entry.hub_id if entry else self.model
        if entry is None and hub_id.count("/") != 1:
            _entry(self.model)  # raises a sentence with the nearest name
        here = find_snapshot(hub_id)
        # A revision that the catalogue does not pin is that of the first download, until --revision names another.
        revision = self.revision or (entry.revision if entry else None) or (here.commit if here else None)
        say(f"Licence: {entry.license if entry else UNKNOWN_LICENSE}")
        extra = entry.extra_files if entry else ()
        if self.offline:
            snapshot = find_snapshot(hub_id, revision)
            if snapshot is None or any(find_file(file) is None for file in extra):
                raise ValueError(f"{hub_id} is not on this machine; run the command without --offline.")
        else:
            listing = list_files(hub_id, revision)
            say(f"{hub_id}: {len(listing.files)} files, {gigabytes(listing.num_bytes)}, commit {listing.commit}.")
            with progress_bar("Downloading") as report:
                snapshot = pull(listing, revision, report)
                for file in extra:
                    pull_file(file, report)
        say(f"{hub_id} is in {snapshot.folder}; commit {snapshot.commit}.")


@dataclass(frozen=True)
class ModelsRemove:
    """Remove a model from the cache of the hub."""

    model: Name
    """A name of the catalogue, or a repository such as owner/name."""

    def run(self) -> None:
        from lumora.backends.diffusers.catalog import find_entry
        from lumora.backends.diffusers.hub import gigabytes, remove

        entry = find_entry(self.model)
        hub_ids = {entry.hub_id, *(file.hub_id for file in entry.extra_files)} if entry else {self.model}
        freed = sum(map(remove, hub_ids))
        if not freed:
            raise ValueError(f"{self.model} is not on this machine, so there is nothing to remove.")
        say(f"{self.model} is removed; {gigabytes(freed)} are free again.")


@dataclass(frozen=True)
class ModelsCheck:
    """Load a model, make two steps, and report time and memory."""

    model: Name
    """A name of the catalogue, a folder, or a repository that was pulled."""
    memory_plan: Annotated[MemoryLevel | None, arg(help_behavior_hint="(default: by the GPU's free memory)")] = None
    """What lies on the GPU."""
    small: FlagCreatePairsOff[bool] = False
    """Make nine frames of a quarter of the size; the memory is then not that of a video."""

    def run(self) -> None:
        from dataclasses import replace

        from lumora.backends.diffusers.diffusers_backend import DiffusersBackend
        from lumora.backends.diffusers.model_check import check_model
        from lumora.backends.model_selection import open_backend

        backend = open_backend(self.model, memory=self.memory_plan, say=say)
        if not isinstance(backend, DiffusersBackend):
            raise ValueError("lumora's own model needs no check; name an open-weight model.")
        if self.small:
            backend.entry = replace(backend.entry, num_frames=1 + backend.entry.calls.frame_step)
        began = time.monotonic()
        with progress_bar("Loading the model") as report:
            result = check_model(backend, self.small, lambda done, total: report("Two steps", done, total))
        say(f"{result.sentence()} {time.monotonic() - began:.1f} s in all.")


SAFETY_ADVICE = (
    "It can show people: every frame passes the nudity classifier, prompts pass the policy, and `lumora serve` "
    "refuses public addresses without a policy of your own.",
    "Add guards to the policy for prompts and frames (docs/safety.md), such as a Llama Guard service as [moderations].",
)


def _entry(name: str) -> CatalogEntry:
    from difflib import get_close_matches

    from lumora.backends.diffusers.catalog import catalog, find_entry

    entry = find_entry(name)
    if entry is None:
        close = get_close_matches(name, catalog(), 1)
        meant = f"; did you mean {close[0]}?" if close else "."
        raise ValueError(f"There is no model {name!r} in the catalogue{meant} `lumora models list` shows it.")
    return entry


def _snapshot_of(entry: CatalogEntry) -> Snapshot | None:
    from lumora.backends.diffusers.hub import find_file, find_model

    return find_model(entry) if all(map(find_file, entry.extra_files)) else None
