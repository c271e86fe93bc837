"""Shards of clips in the layout of WebDataset: tar files in which files of one key are one sample.

A clip has `KEY.mp4` (or another suffix: files that are one clip are kept as they are), `KEY.json`, a `FootageClip`,
and, if it has a caption, `KEY.txt`. A caption that was written by a model is `KEY.caption.txt`, so both are kept.
Tar files are made in one pass and have no times or owners in them: equal clips make equal bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from lumora.atomic_io import atomic_write
from lumora.config import from_dict
from lumora.data.footage.records import FootageClip

RECORD, CAPTION, RECAPTION = "json", "txt", "caption.txt"
"""Suffixes of the members of a sample that are not its clip."""


@dataclass(frozen=True)
class FootageSample:
    """A clip in a shard."""

    key: str
    suffix: str
    """Of its file, without the dot."""
    content: bytes
    """Its file."""
    clip: FootageClip
    caption: str = ""
    """The one that came with the source."""
    recaption: str = ""
    """One that was written by a captioner."""


def shard_paths(dataset: Path) -> list[Path]:
    """The shards of an ingested dataset. Raises ValueError if there are none."""
    paths = sorted(dataset.glob("shard-*.tar"))
    if not paths:
        raise ValueError(f"{dataset} has no shards (shard-00000.tar …); make them with `lumora data ingest`.")
    return paths


def write_shard(path: Path, clips: Iterable[FootageClip], open_clip: Callable[[FootageClip], IO[bytes]]) -> None:
    """Writes clips whose `file` is their name in the shard."""
    with atomic_write(path) as part, tarfile.open(part, "w", format=tarfile.GNU_FORMAT) as tar:
        for clip in clips:
            with open_clip(clip) as file:
                content = file.read()
            key, _, suffix = clip.file.partition(".")
            _add_sample(tar, FootageSample(key, suffix, content, clip, clip.caption))


def read_shard(path: Path) -> Iterator[FootageSample]:
    """The clips of a shard, one after another. Raises ValueError, in one sentence, for another kind of file."""
    members: dict[str, bytes] = {}
    current = ""
    try:
        with tarfile.open(path, "r") as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                if key != current and members:
                    yield _sample(current, members)
                    members = {}
                current = key
                file = tar.extractfile(member)
                members[suffix] = file.read() if file is not None else b""
        if members:
            yield _sample(current, members)
    except (tarfile.TarError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a shard of clips that lumora wrote: {error}.") from error


def rewrite_shard(path: Path, change: Callable[[FootageSample], FootageSample]) -> None:
    """Replaces each sample of a shard by `change` of it; the old shard stays until the new one is complete."""
    with atomic_write(path) as part, tarfile.open(part, "w", format=tarfile.GNU_FORMAT) as tar:
        for sample in read_shard(path):
            _add_sample(tar, change(sample))


def _add_sample(tar: tarfile.TarFile, sample: FootageSample) -> None:
    record = json.dumps(asdict(replace(sample.clip, thumbnails="", preview="")), sort_keys=True)
    members = {sample.suffix: sample.content, RECORD: record.encode()}
    texts = {CAPTION: sample.caption, RECAPTION: sample.recaption}
    members |= {name: text.encode() for name, text in texts.items() if text}
    for suffix, content in members.items():
        info = tarfile.TarInfo(f"{sample.key}.{suffix}")
        info.size = len(content)
        with io.BytesIO(content) as file:
            tar.addfile(info, file)


def _sample(key: str, members: dict[str, bytes]) -> FootageSample:
    clip = from_dict(FootageClip, json.loads(members.pop(RECORD)))
    texts = [members.pop(name, b"").decode() for name in (CAPTION, RECAPTION)]
    ((suffix, content),) = members.items()
    return FootageSample(key, suffix, content, clip, *texts)


@contextmanager
def extracted_clip(sample: FootageSample) -> Iterator[Path]:
    """The file of a clip, to be read by the media reader; it is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="lumora-") as folder:
        path = Path(folder) / f"clip.{sample.suffix}"
        path.write_bytes(sample.content)
        yield path
