"""`lumora train`, and `lumora world render`, which makes its clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, arg

from lumora.cli.flags import Device, Directory, File, Number, Preset, TrainPreset, require_extra
from lumora.terminal import say

if TYPE_CHECKING:
    from lumora.backends.base import Backend
    from lumora.train.checkpoint import TrainProgress

MaxMinutes = Annotated[Number, arg(help_behavior_hint="(default: until the last step)")]


@dataclass(frozen=True)
class TrainingStage:
    """Flags of all stages of training."""

    run_dir: Directory
    """Folder for the clips, checkpoints, logs and weights of this model."""
    preset: TrainPreset = "cpu"
    """Configuration of the model, its data and its schedule (see presets.py)."""
    device: Device = None
    """cpu or cuda."""


@dataclass(frozen=True)
class WorldRender(TrainingStage):
    """Render the clips of a training preset, with captions. The same command continues an interrupted one."""

    workers: int = 2
    """Processes that render."""

    def run(self) -> None:
        from lumora.presets import PRESETS
        from lumora.train.run import render_clips_stage

        render_clips_stage(PRESETS[self.preset](), self.run_dir, self.workers, self.device or "cpu")


@dataclass(frozen=True)
class TrainingRun(TrainingStage):
    """Flags of one training run."""

    max_minutes: MaxMinutes = None
    """Stop after this time; the same command continues later."""
    ray_workers: int = 0
    """Processes that Ray Train starts on a cluster. 0: this process, or those that torchrun started."""


@dataclass(frozen=True)
class TrainCodec(TrainingRun):
    """Train the video codec on the clips in a run directory. The same command continues an interrupted run."""

    def run(self) -> None:
        from lumora.presets import PRESETS
        from lumora.train.run import train_codec

        preset, folder = PRESETS[self.preset](), self.run_dir.resolve()
        progress = _run_in_workers(
            self.ray_workers,
            self.device,
            folder / "codec",
            lambda: train_codec(preset, folder, self.max_minutes, self.device),
        )
        _print_progress("Codec", progress)


@dataclass(frozen=True)
class TrainTransformer(TrainingRun):
    """Encode the clips in a run directory by its codec, and train the transformer on them.

    The same command continues an interrupted run.
    """

    init_from: File = None
    """Initial weights (a .safetensors file)."""
    extra_data: Annotated[tuple[Path, ...], arg(metavar="FOLDER …", help_behavior_hint="(default: none)")] = ()
    """Run directories with the same codec, whose clips are used too. One that is given twice is used twice."""

    def run(self) -> None:
        from lumora.presets import PRESETS
        from lumora.train.run import encode_latents_stage, train_transformer

        preset, folder = PRESETS[self.preset](), self.run_dir.resolve()
        init_from = self.init_from and self.init_from.resolve()
        extra_data = [other.resolve() for other in self.extra_data]
        encode_latents_stage(preset, folder, device=self.device)
        progress = _run_in_workers(
            self.ray_workers,
            self.device,
            folder / "transformer",
            lambda: train_transformer(preset, folder, self.max_minutes, self.device, init_from, extra_data),
        )
        _print_progress("Transformer", progress)
        say(f"Use it: lumora generate … --model {self.run_dir / 'weights'}")


@dataclass(frozen=True)
class TrainAll(TrainingStage):
    """Make clips, train the codec, encode the clips and train the transformer.

    The same command continues where it was interrupted.
    """

    dataset: Annotated[
        Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: clips of the simulated world)")
    ] = None
    """Your own videos: a folder with a metadata.jsonl that has a line {"file_name": …, "text": …} for each."""
    workers: int = 2
    """Processes that render."""

    def run(self) -> None:
        if self.dataset is None:
            WorldRender(self.run_dir, self.preset, self.device, self.workers).run()
        else:
            from lumora.data.video_folder import import_videos
            from lumora.presets import PRESETS

            import_videos(self.dataset, PRESETS[self.preset]().model.shape, self.run_dir / "frames")
        TrainCodec(self.run_dir, self.preset, self.device).run()
        TrainTransformer(self.run_dir, self.preset, self.device).run()


@dataclass(frozen=True)
class TrainFinetune:
    """Fine-tune a model on your own videos and pictures. The same command continues an interrupted run.

    The dataset comes from `lumora data ingest`, and its clips need captions.
    """

    dataset: Annotated[Path, arg(metavar="FOLDER")]
    """A dataset that `lumora data ingest` made."""
    run_dir: Annotated[Path, arg(metavar="FOLDER")]
    """Folder for the latents, checkpoints, log and weights of this run."""
    init_from: Annotated[str | None, arg(metavar="MODEL", help_behavior_hint="(default: lumora's own)")] = None
    """The model to start from: a folder, or an open-weight model of `lumora models list`, for which adapters (LoRA) can
    be trained."""
    lora: FlagCreatePairsOff[bool] = False
    """Train small adapters (LoRA) and keep the weights of the model as they are."""
    rank: int = 16
    """Rank of the adapters."""
    max_steps: int = 1500
    """Training steps."""
    batch_size: Annotated[int | None, arg(help_behavior_hint="(default: 8; open-weight models 1)")] = None
    """Clips a step."""
    prior_clips: int = 800
    """Clips of the simulated world that are mixed in, so that lumora's model keeps what it knew; 0 for none."""
    prior_world: str = "stage"
    """World of these clips."""
    max_minutes: MaxMinutes = None
    """Stop after this time; the same command continues later."""
    device: Device = None
    """cpu or cuda."""
    ray_workers: int = 0
    """Processes that Ray Train starts on a cluster. 0: this process, or those that torchrun started."""

    def run(self) -> None:
        from lumora.backends.lumora.backend import LumoraBackend
        from lumora.backends.model_selection import open_backend

        backend = open_backend(self.init_from, device=self.device)
        if not isinstance(backend, LumoraBackend):
            self._finetune_open_weights(backend)
            return
        from lumora.backends.lumora.weights import model_folder
        from lumora.train.finetune import FinetuneConfig, finetune

        config = FinetuneConfig(
            self.dataset.resolve(),
            model_folder(Path(self.init_from) if self.init_from else None).resolve(),
            self.rank if self.lora else None,
            self.max_steps,
            self.batch_size or 8,
            self.prior_world,
            self.prior_clips,
        )
        folder = self.run_dir.resolve()
        progress = _run_in_workers(
            self.ray_workers,
            self.device,
            folder / "transformer",
            lambda: finetune(config, folder, self.max_minutes, self.device),
        )
        _print_progress("Fine-tuning", progress)
        say(f"Use it: lumora generate … --model {self.run_dir / 'weights'}")

    def _finetune_open_weights(self, backend: Backend) -> None:
        require_extra("peft", "open")
        from lumora.backends.diffusers.diffusers_backend import DiffusersBackend
        from lumora.train.finetune_open_weights import OpenWeightsFinetuneConfig, finetune_open_weights

        if not isinstance(backend, DiffusersBackend):
            raise ValueError("A model on another server cannot be fine-tuned here; name a model on this machine.")
        if not self.lora or self.ray_workers:
            raise ValueError("Of an open-weight model, adapters are trained, in one process: use --lora alone.")
        dataset, batch_size = self.dataset.resolve(), self.batch_size or 1
        config = OpenWeightsFinetuneConfig(dataset, self.rank, self.max_steps, batch_size)
        progress = finetune_open_weights(backend, config, self.run_dir, self.max_minutes, self.device)
        _print_progress("Fine-tuning", progress)
        files = " ".join(f"--lora {file}" for file in sorted((self.run_dir / "weights").glob("lora*.safetensors")))
        say(f"Use it: lumora generate … --model {self.init_from} {files}")


@dataclass(frozen=True)
class TrainDistill:
    """Distill a model, so that it makes a video in few steps. The same command continues an interrupted run."""

    run_dir: Annotated[Path, arg(metavar="FOLDER")]
    """Folder for the latents, checkpoints, log and weights of this run."""
    init_from: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: lumora's own)")] = None
    """Folder of the model to distill."""
    steps: int = 4
    """Denoising steps that the model shall need."""
    rank: int = 64
    """Rank of the adapters that are trained."""
    max_steps: int = 600
    """Training steps."""
    batch_size: int = 8
    """Clips a step."""
    world: Preset = "stage"
    """The preset of the simulated world whose captions are used."""
    num_clips: int = 600
    """Clips of that world."""
    max_minutes: MaxMinutes = None
    """Stop after this time; the same command continues later."""
    device: Device = None
    """cpu or cuda."""

    def run(self) -> None:
        from lumora.backends.lumora.weights import model_folder
        from lumora.config import DistillationConfig
        from lumora.train.distillation import distill

        config = DistillationConfig(
            self.steps,
            lora_rank=self.rank,
            max_steps=self.max_steps,
            batch_size=self.batch_size,
            world=self.world,
            num_clips=self.num_clips,
        )
        teacher = model_folder(self.init_from)
        _print_progress("Distillation", distill(teacher, config, self.run_dir, self.max_minutes, self.device))
        say(f"Use it: lumora generate … --model {self.run_dir / 'weights'} --steps {self.steps}")


def _run_in_workers(
    ray_workers: int, device: str | None, run: Path, train: Callable[[], TrainProgress]
) -> TrainProgress:
    """Calls `train`, whose checkpoints are in the folder `run`, here or in the workers of Ray Train."""
    if ray_workers == 0:
        return train()
    if ray_workers < 0:
        raise ValueError(f"The number of --ray-workers cannot be {ray_workers}.")
    require_extra("ray", "cluster")
    from lumora.train.checkpoint import read_progress
    from lumora.train.ray_workers import run_in_ray_workers

    run_in_ray_workers(train, ray_workers, device)
    progress = read_progress(run)
    assert progress is not None, "A run that ended has a checkpoint."
    return progress


def _print_progress(name: str, progress: TrainProgress) -> None:
    state = "finished" if progress.step >= progress.max_steps else "run the same command to continue"
    say(f"{name}: step {progress.step} of {progress.max_steps}: {state}.")
