"""`lumora train`, and `lumora world cache`, with which it begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from lumora.cli.flags import Device, Directory, File, Number, TrainPreset

if TYPE_CHECKING:
    from lumora.train.checkpoint import TrainProgress


@dataclass(frozen=True)
class Stage:
    """What all stages of making a model are told."""

    folder: Directory
    """Where all of this training is kept."""
    preset: TrainPreset = "cpu"
    """What is made, of what, and for how long (see presets.py)."""
    device: Device = None
    """cpu or cuda."""


@dataclass(frozen=True)
class WorldCache(Stage):
    """Render the clips of the world that a training preset asks for; goes on where it was left."""

    workers: int = 2
    """Processes that render."""

    def run(self) -> None:
        from lumora.presets import PRESETS
        from lumora.train.run import render_clips_stage

        render_clips_stage(PRESETS[self.preset](), self.folder, self.workers, self.device or "cpu")


@dataclass(frozen=True)
class TrainCodec(Stage):
    """Train the video codec on the clips in a folder; the same command goes on where it was left."""

    minutes: Annotated[Number, arg(help_behavior_hint="(default: to the end)")] = None
    """How long to train now."""

    def run(self) -> None:
        from lumora.presets import PRESETS
        from lumora.train.run import train_codec

        _say("Codec", train_codec(PRESETS[self.preset](), self.folder, self.minutes, self.device))


@dataclass(frozen=True)
class TrainTransformer(Stage):
    """Train the transformer on the clips in a folder, as its codec encodes them; goes on where it was left."""

    minutes: Annotated[Number, arg(help_behavior_hint="(default: to the end)")] = None
    """How long to train now."""
    start: File = None
    """Weights (a .safetensors file) to begin with."""
    also: Annotated[tuple[Path, ...], arg(metavar="DIR …")] = ()
    """Folders of other trainings with the same codec, whose clips it sees too; named twice, twice as often."""

    def run(self) -> None:
        from lumora.presets import PRESETS
        from lumora.train.run import encode_latents_stage, train_transformer

        preset = PRESETS[self.preset]()
        encode_latents_stage(preset, self.folder, device=self.device)
        _say("Transformer", train_transformer(preset, self.folder, self.minutes, self.device, self.start, self.also))
        print(f"Use it: lumora generate … --weights {self.folder / 'weights'}")


@dataclass(frozen=True)
class TrainAll(Stage):
    """Make a model from nothing: clips, codec, latents, transformer; the same command goes on where it was left."""

    videos: File = None
    """Videos of your own in place of the world's: a folder with a metadata.jsonl of file_name and text."""
    workers: int = 2
    """Processes that render."""

    def run(self) -> None:
        if self.videos is None:
            WorldCache(self.folder, self.preset, self.device, self.workers).run()
        else:
            from lumora.data.video_folder import import_videos
            from lumora.presets import PRESETS

            import_videos(self.videos, PRESETS[self.preset]().model.shape, self.folder / "frames")
        TrainCodec(self.folder, self.preset, self.device).run()
        TrainTransformer(self.folder, self.preset, self.device).run()


def _say(what: str, progress: TrainProgress) -> None:
    done = "done" if progress.step >= progress.steps else "the same command goes on"
    print(f"{what}: step {progress.step} of {progress.steps}: {done}.")
