"""`lumora train`, and `lumora world render`, which makes its clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, arg

from lumora.cli.flags import Device, Directory, File, Number, TrainPreset
from lumora.terminal import say

if TYPE_CHECKING:
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
class TrainCodec(TrainingStage):
    """Train the video codec on the clips in a run directory. The same command continues an interrupted run."""

    max_minutes: MaxMinutes = None
    """Stop after this time; the same command continues later."""

    def run(self) -> None:
        from lumora.presets import PRESETS
        from lumora.train.run import train_codec

        _print_progress("Codec", train_codec(PRESETS[self.preset](), self.run_dir, self.max_minutes, self.device))


@dataclass(frozen=True)
class TrainTransformer(TrainingStage):
    """Encode the clips in a run directory by its codec, and train the transformer on them.

    The same command continues an interrupted run.
    """

    max_minutes: MaxMinutes = None
    """Stop after this time; the same command continues later."""
    init_from: File = None
    """Initial weights (a .safetensors file)."""
    extra_data: Annotated[tuple[Path, ...], arg(metavar="FOLDER …", help_behavior_hint="(default: none)")] = ()
    """Run directories with the same codec, whose clips are used too. One that is given twice is used twice."""

    def run(self) -> None:
        from lumora.presets import PRESETS
        from lumora.train.run import encode_latents_stage, train_transformer

        preset = PRESETS[self.preset]()
        encode_latents_stage(preset, self.run_dir, device=self.device)
        progress = train_transformer(
            preset, self.run_dir, self.max_minutes, self.device, self.init_from, self.extra_data
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
    init_from: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: lumora's own)")] = None
    """Folder of the model to start from."""
    lora: FlagCreatePairsOff[bool] = False
    """Train small adapters (LoRA) and keep the weights of the model as they are."""
    rank: int = 16
    """Rank of the adapters."""
    max_steps: int = 600
    """Training steps."""
    batch_size: int = 8
    """Clips a step."""
    prior_clips: int = 200
    """Clips of the simulated world that are mixed in, so that the model keeps what it knew; 0 for none."""
    prior_world: str = "plain"
    """World of these clips."""
    max_minutes: MaxMinutes = None
    """Stop after this time; the same command continues later."""
    device: Device = None
    """cpu or cuda."""

    def run(self) -> None:
        from lumora.backends.lumora.weights import model_folder
        from lumora.train.finetune import FinetuneConfig, finetune

        config = FinetuneConfig(
            self.dataset.resolve(),
            model_folder(self.init_from).resolve(),
            self.rank if self.lora else None,
            self.max_steps,
            self.batch_size,
            self.prior_world,
            self.prior_clips,
        )
        _print_progress("Fine-tuning", finetune(config, self.run_dir, self.max_minutes, self.device))
        say(f"Use it: lumora generate … --model {self.run_dir / 'weights'}")


def _print_progress(name: str, progress: TrainProgress) -> None:
    state = "finished" if progress.step >= progress.max_steps else "run the same command to continue"
    say(f"{name}: step {progress.step} of {progress.max_steps}: {state}.")
