"""`lumora data`: your own videos and pictures as training data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from lumora.cli.flags import Device, Directory, File, Text, TrainPreset, require_extra
from lumora.cli.progress import progress_bar
from lumora.terminal import say, warn

if TYPE_CHECKING:
    from lumora.data.footage.captioning import VideoCaptioner
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
    max_shake: float = 0.035
    """Most shaking of the camera, in shares of the picture's sides."""
    no_review: FlagCreatePairsOff[bool] = False
    """Do not check the frames against the policy."""
    policy: File = None
    """TOML file that changes lumora's policy. Default: the file that $LUMORA_POLICY names."""

    def run(self) -> None:
        require_extra("scenedetect", "data")
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
            require_extra("ray", "cluster")
            from lumora.data.footage.ray_engine import ray_engine

            return ray_engine()
        from lumora.data.footage.ingest import processes

        return processes(self.workers)


@dataclass(frozen=True, kw_only=True)
class DataCaption:
    """Describe a video or picture, or every clip of a dataset. The same command continues an interrupted one.

    Without --vlm, lumora's own captioner is used, which knows the simulated world only.
    """

    source: Annotated[Positional[Path], arg(metavar="FILE|DATASET")]
    """A file, or a dataset of `lumora data ingest`, whose shards get the captions."""
    url: Text = None
    """Base address of an OpenAI-compatible service with a vision-language model, such as http://localhost:8000/v1."""
    vlm: Text = None
    """Name of its model. Without a URL: a model of transformers on this machine, by folder or hub id."""
    key_variable: str = ""
    """Name of the environment variable that holds the key of the service."""
    num_frames: int = 8
    """Frames of each clip that the model is shown."""
    device: Device = None
    """cpu or cuda, for a model of transformers."""
    replace_existing: FlagCreatePairsOff[bool] = False
    """Also describe clips that have a caption by a captioner."""

    def run(self) -> None:
        if self.url is not None and self.vlm is None:
            raise ValueError("Name the model of the service with --vlm.")
        from lumora.data.footage.captioning import caption_dataset, load_clip

        if not self.source.is_dir():
            video = load_clip(self.source)
            say(self._captioner().caption(video.frames, video.fps))
            return
        from lumora.data.footage.tar_shards import shard_paths

        shard_paths(self.source)
        with progress_bar("Loading the captioner") as report:
            count = caption_dataset(self.source, self._captioner(), self.replace_existing, report)
        say(f"{self.source}: {count} captions were written.")

    def _captioner(self) -> VideoCaptioner:
        if self.url is not None and self.vlm is not None:
            from lumora.chat_completions import ChatEndpoint
            from lumora.data.footage.captioning import ChatCaptioner

            return ChatCaptioner(ChatEndpoint(self.url, self.vlm, self.key_variable), self.num_frames)
        if self.vlm is not None:
            require_extra("transformers", "open")
            from lumora.data.footage.transformers_captioner import TransformersCaptioner

            return TransformersCaptioner(self.vlm, self.num_frames, self.device)
        from lumora.evaluate.instruments.world_captioner import WorldCaptioner

        return WorldCaptioner.load()


@dataclass(frozen=True, kw_only=True)
class DataEncode:
    """Encode the clips of a dataset for training. The same command continues an interrupted one.

    Then train with `lumora train transformer --run-dir RUN`.
    """

    dataset: Annotated[Positional[Path], arg(metavar="DATASET")]
    """A dataset of `lumora data ingest`, with captions."""
    run_dir: Directory
    """Folder for the latents, a copy of the codec, and the training."""
    model: File = None
    """Folder of the model whose codec encodes, instead of the one that comes with lumora."""
    preset: Annotated[TrainPreset | None, arg(help_behavior_hint="(default: the size of the model)")] = None
    """Training preset whose size and frame rate are used."""
    device: Device = None
    """cpu or cuda."""

    def run(self) -> None:
        import torch

        from lumora.backends.lumora.weights import model_folder, read_config
        from lumora.data.footage.footage_latents import encode_footage
        from lumora.data.footage.tar_shards import shard_paths
        from lumora.presets import PRESETS
        from lumora.train.run import copy_codec

        shard_paths(self.dataset)
        folder = model_folder(self.model)
        config = read_config(folder)
        if self.preset is not None:
            codec_config, config = config.codec, PRESETS[self.preset]().model
            if config.codec != codec_config:
                raise ValueError(f"The preset {self.preset} has another codec than the model in {folder}.")
        codec = copy_codec(folder, self.run_dir)
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        count = encode_footage(self.dataset, self.run_dir / "latents", config, codec, device)
        say(f"{self.run_dir / 'latents'}: {count} clips.")


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
