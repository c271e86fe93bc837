"""Models of the Hugging Face hub in its cache on this machine.

What is downloaded is safetensors, JSON and tokenizers: nothing that runs code when it is read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from lumora.backends.diffusers.catalog import CatalogEntry, HubFile
from lumora.backends.diffusers.model_files import READ_SUFFIXES

INDEX = "model_index.json"
WEIGHTS_THAT_RUN_CODE = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
Downloaded: TypeAlias = Callable[[str, int, int], None]
"""Called with (file, bytes so far, bytes in total)."""


@dataclass(frozen=True)
class Snapshot:
    """A revision of a repository on this machine."""

    hub_id: str
    commit: str
    folder: Path

    @property
    def num_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class HubListing:
    """The files of a revision that lumora uses, with their sizes in bytes."""

    hub_id: str
    commit: str
    files: Mapping[str, int]

    @property
    def num_bytes(self) -> int:
        return sum(self.files.values())


def find_snapshot(hub_id: str, revision: str | None = None) -> Snapshot | None:
    """The files of a revision ("main" by default) in the cache; None if they were not downloaded completely."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub_id, INDEX, revision=revision or "main")
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    parts = _parts(json.loads(Path(found).read_text("utf-8")))
    complete = all(any((folder / part).glob("*.json")) for part in parts) and not _missing_weights(folder)
    return Snapshot(hub_id, folder.name, folder) if complete else None


def list_files(hub_id: str, revision: str | None = None) -> HubListing:
    """What a download of a revision would be. Raises ValueError, in one sentence, if there is no such model, or if its
    weights are only there in a format that can run code."""
    from huggingface_hub import HfApi, hf_hub_download

    def read() -> HubListing:
        info = HfApi().model_info(hub_id, revision=revision or "main", files_metadata=True)
        commit = info.sha or ""
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        if INDEX not in sizes:
            raise ValueError(f"{hub_id} is no model of diffusers: it has no {INDEX}.")
        index = json.loads(Path(hf_hub_download(hub_id, INDEX, revision=commit)).read_text("utf-8"))
        return HubListing(hub_id, commit, {name: sizes[name] for name in files_to_read(sizes, index, hub_id)})

    return _asking(hub_id, read)


def pull(listing: HubListing, revision: str | None = None, on_bytes: Downloaded = lambda *_: None) -> Snapshot:
    """Downloads the files of a listing that are not here yet; parts of files are continued.

    Raises ValueError and OSError, in one sentence, if that fails.
    """
    from huggingface_hub import constants, hf_hub_download

    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    present = find_snapshot(listing.hub_id, listing.commit)
    if present is None and free < listing.num_bytes:
        raise OSError(
            f"{listing.hub_id} takes {gigabytes(listing.num_bytes)}, and {cache} has {gigabytes(free)} left; "
            "free some, or set HF_HOME to another disk."
        )

    def download() -> None:
        done = 0
        for name, size in listing.files.items():
            bar = _bar(lambda part, name=name, done=done: on_bytes(name, done + part, listing.num_bytes))
            # By the name of the revision, so that the cache knows what "main" was.
            hf_hub_download(listing.hub_id, name, revision=revision or "main", tqdm_class=bar)
            done += size
            on_bytes(name, done, listing.num_bytes)

    _asking(listing.hub_id, download)
    snapshot = find_snapshot(listing.hub_id, revision)
    if snapshot is None:
        raise OSError(f"The download of {listing.hub_id} is not complete; run the same command again.")
    return snapshot


def pull_file(file: HubFile, on_bytes: Downloaded = lambda *_: None) -> Path:
    """Downloads one file of another repository, if it is not here yet. Raises as `pull`."""
    from huggingface_hub import HfApi, hf_hub_download

    def download() -> str:
        info = HfApi().model_info(file.hub_id, revision=file.revision, files_metadata=True)
        sizes = {entry.rfilename: entry.size or 0 for entry in info.siblings or ()}
        if file.name not in sizes:
            raise ValueError(f"{file.hub_id} has no file {file.name}.")
        bar = _bar(lambda part: on_bytes(file.name, part, sizes[file.name]))
        return hf_hub_download(file.hub_id, file.name, revision=file.revision, tqdm_class=bar)

    return find_file(file) or Path(_asking(file.hub_id, download))


def find_file(file: HubFile) -> Path | None:
    """Where a file is in the cache; None if it was not downloaded."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(file.hub_id, file.name, revision=file.revision)
    return Path(found) if isinstance(found, str) else None


def find_model(entry: CatalogEntry) -> Snapshot | None:
    """A model of the catalogue in the cache: its pinned revision, else what "main" was when it was pulled."""
    pinned = find_snapshot(entry.hub_id, entry.revision) if entry.revision else None
    return pinned or find_snapshot(entry.hub_id)


def remove(hub_id: str) -> int:
    """Removes all revisions of a repository from the cache; the bytes that were freed."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cache = scan_cache_dir()
    except CacheNotFound:
        return 0
    commits = [
        revision.commit_hash
        for repository in cache.repos
        if repository.repo_id == hub_id and repository.repo_type == "model"
        for revision in repository.revisions
    ]
    strategy = cache.delete_revisions(*commits)
    if commits:
        strategy.execute()
    return strategy.expected_freed_size


def files_to_read(names: Iterable[str], index: Mapping[str, Any], hub_id: str) -> list[str]:
    """The files of a repository that its pipeline reads.

    Raises ValueError, in one sentence, for a part whose weights are not there as safetensors.
    """
    parts = {part: sorted(name for name in names if name.startswith(f"{part}/")) for part in _parts(index)}
    chosen = [INDEX]
    for part, files in parts.items():
        suffixes = {PurePosixPath(name).suffix for name in files}
        if suffixes & set(WEIGHTS_THAT_RUN_CODE) and ".safetensors" not in suffixes:
            raise ValueError(f"{hub_id} has no safetensors of its {part}; lumora reads no other weights.")
        own = [name for name in files if PurePosixPath(name).suffix in READ_SUFFIXES and name.count("/") == 1]
        chosen += _without_variants(own)
    return chosen


def gigabytes(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 5e7 else f"{num_bytes / 1e6:.1f} MB"


def _parts(index: Mapping[str, Any]) -> list[str]:
    """The folders of a pipeline's parts."""
    is_part = {
        name: isinstance(value, list) and len(value) == 2 and value[0] is not None for name, value in index.items()
    }
    return [name for name, part in is_part.items() if part and not name.startswith("_")]


def _without_variants(names: Sequence[str]) -> list[str]:
    """Without second copies of weights, such as model.fp16.safetensors beside model.safetensors."""

    def is_variant(name: str) -> bool:
        stem, _, rest = PurePosixPath(name).name.partition(".")
        plain = f"{PurePosixPath(name).parent}/{stem}.{rest.rpartition('.')[2]}"
        return name.endswith(".safetensors") and rest.count(".") == 1 and plain in names

    return [name for name in names if not is_variant(name)]


def _missing_weights(folder: Path) -> bool:
    """Whether an index of shards names a file that is not there."""
    for index in folder.glob("*/*.safetensors.index.json"):
        shards = set(json.loads(index.read_text("utf-8")).get("weight_map", {}).values())
        if not all((index.parent / shard).is_file() for shard in shards):
            return True
    return False


def _bar(on_part: Callable[[int], None]) -> Any:
    """A class of progress bars that prints nothing and reports the bytes of a file."""
    from tqdm.auto import tqdm

    class Silent(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **{**options, "disable": True})
            self.n = options.get("initial") or 0

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            on_part(int(self.n))
            return None

    return Silent


def _asking(hub_id: str, work: Callable[[], Any]) -> Any:
    """Runs `work`; what the hub answers becomes one sentence."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return work()
    except GatedRepoError:
        raise ValueError(
            f"{hub_id} asks you to accept its conditions: do so on huggingface.co/{hub_id} and log in with "
            "`hf auth login`."
        ) from None
    except RevisionNotFoundError:
        raise ValueError(f"{hub_id} has no such revision; `--revision main` takes the newest one.") from None
    except (RepositoryNotFoundError, HFValidationError):
        raise ValueError(f"There is no model {hub_id} on the hub, or you may not read it.") from None
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, HfHubHTTPError, ConnectionError) as error:
        raise OSError(f"The hub cannot be reached for {hub_id}: {_first_line(error)}") from None
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("httpx", "httpx2", "httpcore", "httpcore2", "requests"):
            raise
        raise OSError(f"The hub cannot be reached for {hub_id}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".") + "."
