"""`lumora data`: your own videos and pictures as training data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from lumora.cli.flags import File
from lumora.cli.progress import progress_bar
from lumora.terminal import say, warn

if TYPE_CHECKING:
    from lumora.data.footage.ingest import Engine, IngestSummary

MAX_PRINTED = 5


@dataclass(frozen=True, kw_only=True)
class DataIngest:
    """Make a dataset of clips from a folder of videos and pictures. The same command continues an interrupted one."""

    folder: Annotated[Positional[Path], arg(metavar="FOLDER")]
    """Videos and pictures of any format; a metadata.jsonl in it names the files and their captions."""
    output: Annotated[Path, arg(aliases=["-o"], metavar="DATASET")]
    """Folder for the dataset: shards, records and a report."""
    engine: Literal["local", "ray"] = "local"
    """Processes of this machine, or a Ray cluster, which must see the same folders."""
    workers: int = 2
    """Processes of this machine that read files."""
    shard_size: int = 250
    """Clips in a shard."""
    min_seconds: float = 0.5
    """Shorter shots are left out."""
    max_seconds: float = 20.0
    """Longer shots are cut into equal clips."""
    min_side: int = 32
    """Least pixels of the shorter side."""
    max_text: float = 0.1
    """Largest share of the picture that text may cover."""
    max_shake: float = 0.025
    """Most shaking of the camera, in shares of the picture's sides."""
    no_review: FlagCreatePairsOff[bool] = False
    """Do not check the frames against the policy."""
    policy: File = None
    """TOML file that changes lumora's policy. Default: the file that $LUMORA_POLICY names."""

    def run(self) -> None:
        _require("scenedetect", "data")
        from lumora.data.footage.ingest import IngestConfig, ingest
        from lumora.data.footage.screening import Screening
        from lumora.service.footage_review import review_footage

        limits = Screening(
            min_seconds=self.min_seconds,
            max_seconds=self.max_seconds,
            min_side=self.min_side,
            max_text=self.max_text,
            max_shake=self.max_shake,
        )
        config = IngestConfig(str(self.folder.resolve()), limits, self.shard_size, not self.no_review)
        review = None if self.no_review else partial(review_footage, self.policy)
        with progress_bar("Looking for files") as report:
            summary = ingest(self.folder, self.output, config, self._engine(), review, report)
        _print_summary(summary, self.output)

    def _engine(self) -> Engine:
        if self.engine == "ray":
            _require("ray", "cluster")
            from lumora.data.footage.ray_engine import ray_engine

            return ray_engine()
        from lumora.data.footage.ingest import processes

        return processes(self.workers)


def _require(module: str, extra: str) -> None:
    if find_spec(module) is None:
        raise ValueError(f"This needs {module}; install it with `pip install 'lumora[{extra}]'`.")


def _print_summary(summary: IngestSummary, output: Path) -> None:
    for file in [file for file in summary.files if file.reason is not None][:MAX_PRINTED]:
        warn(f"lumora: {file.source.name} is left out. {file.detail}")
    kept, reasons = summary.kept, summary.reasons
    pictures = sum(clip.is_picture for clip in kept)
    minutes = sum(clip.seconds for clip in kept) / 60
    left_out = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "nothing"
    say(
        f"{output}: {len(kept) - pictures} videos ({minutes:.1f} minutes) and {pictures} pictures in "
        f"{summary.shards} shards, from {len(summary.files)} files. Left out: {left_out}. See {output / 'report.html'}."
    )
