"""The command line: a class a verb, its fields the flags. Verbs import what they need, so `--help` is quick."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias, runtime_checkable

import tyro
from tyro.conf import Positional, arg
from tyro.constructors import PrimitiveConstructorSpec

if TYPE_CHECKING:
    from lumora.config import ModelConfig, VideoShape
    from lumora.generate.request import Request
    from lumora.train.checkpoint import Progress

ABOUT = "An open, self-hosted Sora: from a sentence to a video."
USER_ERROR, INTERRUPTED = 2, 130


def _number(words: list[str]) -> float:
    try:
        return float(words[0])
    except ValueError:
        raise ValueError(f"{words[0]!r} is not a number") from None


def _size(words: list[str]) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", words[0])
    if not match:
        raise ValueError(f"a size is width x height, such as 128x128, not {words[0]!r}")
    return int(match[1]), int(match[2])


def _flag(metavar: str, read: Callable[[list[str]], Any]) -> PrimitiveConstructorSpec[Any]:
    """One word that `read` understands, or, where the flag isn't given, None: the model's own value."""
    return PrimitiveConstructorSpec(1, metavar, read, lambda value: True, _said)


def _said(value: Any) -> list[str]:
    return ["x".join(map(str, value)) if isinstance(value, tuple) else str(value)]


OF_THE_MODEL = arg(help_behavior_hint="(default: the model's own)")
Preset: TypeAlias = Literal["simple", "medium", "full"]
Number: TypeAlias = Annotated[float | None, _flag("X", _number)]
Size: TypeAlias = Annotated[tuple[int, int] | None, _flag("WxH", _size)]
WorldSize: TypeAlias = Annotated[tuple[int, int], _flag("WxH", _size)]
Output: TypeAlias = Annotated[Path, arg(aliases=["-o"], metavar="FILE")]
Directory: TypeAlias = Annotated[Path, arg(metavar="FOLDER")]
TrainPreset: TypeAlias = Literal["tiny", "cpu", "gpu"]
Device: TypeAlias = Annotated[
    str | None, _flag("DEVICE", lambda words: words[0]), arg(help_behavior_hint="(default: a GPU where there is one)")
]
File: TypeAlias = Annotated[Path | None, _flag("FILE", lambda words: Path(words[0])), arg(help_behavior_hint="")]


@dataclass(frozen=True)
class Generate:
    """Make a video of a prompt."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")]
    """What the video shall show."""
    output: Output
    """Where to write it: .mp4, .gif, .webp, or a still as .png."""
    seconds: Annotated[Number, arg(help_behavior_hint="(default: 2, and 0 for a .png)")] = None
    """Duration; 0 makes a picture."""
    size: Annotated[Size, OF_THE_MODEL] = None
    """Width and height in pixels."""
    fps: Annotated[Number, OF_THE_MODEL] = None
    """Frames a second."""
    seed: int = 0
    """Another number makes another video; the same one makes the same."""
    steps: int = 30
    """Steps of the sampler: more take longer and look better."""
    guidance: float = 4.0
    """How far to lean to the prompt; 1 samples the model as it is."""
    image: File = None
    """A picture to begin with."""
    weights: File = None
    """The folder of another model than the one that comes with lumora."""

    def run(self) -> None:
        from lumora.generate.weights import read_config
        from lumora.video import check_destination

        began = time.monotonic()
        check_destination(self.output)
        config = read_config(self.weights)
        request = self._request(config)
        request.check(config)
        with _progress("Waking the model") as report:
            from lumora.generate.pipeline import Pipeline

            pipeline = Pipeline.load(self.weights)
            video = pipeline.generate(request, lambda done, steps: report("Making the video", done, steps))
        video.save(self.output)
        frames, height, width, _ = video.frames.shape
        print(f"{self.output}: {frames} frames of {width}x{height}, made in {time.monotonic() - began:.1f} s.")

    def _request(self, config: ModelConfig) -> Request:
        from lumora.generate.request import Request
        from lumora.video import Video

        width, height = self.size or (None, None)
        usual_seconds = 0.0 if self.output.suffix.lower() == ".png" else Request.seconds
        return Request(
            prompt=self.prompt,
            seconds=usual_seconds if self.seconds is None else self.seconds,
            width=width,
            height=height,
            fps=config.shape.fps if self.fps is None else self.fps,
            seed=self.seed,
            steps=self.steps,
            guidance=self.guidance,
            beginning=Video.load(self.image, max_frames=1) if self.image else None,
        )


@dataclass(frozen=True)
class WorldSample:
    """Write one clip of the world, with its captions, facts and scene as .json beside it."""

    output: Output
    """Where to write the clip: .mp4, .gif, .webp or .png."""
    preset: Preset = "simple"
    """How rich the world is."""
    seed: int = 0
    index: int = 0
    """Which clip of the seed."""
    seconds: float = 2.0
    size: WorldSize = (128, 128)
    """Width and height in pixels."""
    fps: float = 8.0

    def run(self) -> None:
        from lumora.files import written_whole
        from lumora.video import Video, check_destination

        check_destination(self.output)
        shape = _shape(self.seconds, self.size, self.fps)
        from lumora.world.clip import make_clip
        from lumora.world.facts import facts_to_dicts

        clip = make_clip(self.preset, self.seed, self.index, shape)
        about = {
            "captions": {
                length: {"text": caption.text, "facts": facts_to_dicts(caption.facts)}
                for length, caption in clip.captions.items()
            },
            "facts": facts_to_dicts(clip.facts),
            "scene": dataclasses.asdict(clip.scene),
        }
        description = self.output.with_suffix(".json")
        Video(clip.frames.numpy(), shape.fps).save(self.output)
        with written_whole(description) as part:
            part.write_text(json.dumps(about, indent=2) + "\n")
        print(f"{self.output}, {description}: {clip.captions['sentence'].text}")


@dataclass(frozen=True)
class WorldSheet:
    """Draw one picture of many clips, each with its caption."""

    output: Output
    """Where to write the picture: .png."""
    preset: Preset = "full"
    """How rich the world is."""
    seed: int = 0
    count: int = 16
    """Clips 0 … count − 1 of the seed."""
    columns: int = 2
    size: WorldSize = (128, 128)
    """Width and height of a clip in pixels."""

    def run(self) -> None:
        from lumora.video import Video, check_destination, contact_sheet

        check_destination(self.output)
        shape = _shape(2.0, self.size, 8.0)
        from lumora.world.clip import make_clip

        clips = [make_clip(self.preset, self.seed, index, shape) for index in range(self.count)]
        videos = [Video(clip.frames.numpy(), shape.fps) for clip in clips]
        sheet = contact_sheet(videos, self.columns, labels=[clip.captions["sentence"].text for clip in clips])
        Video(sheet[None], 1.0).save(self.output)
        print(f"{self.output}: {self.count} clips.")


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
        from lumora.train.run import make_clips

        make_clips(PRESETS[self.preset](), self.folder, self.workers, self.device or "cpu")


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

    def run(self) -> None:
        from lumora.presets import PRESETS
        from lumora.train.run import make_latents, train_transformer

        preset = PRESETS[self.preset]()
        make_latents(preset, self.folder, device=self.device)
        _say("Transformer", train_transformer(preset, self.folder, self.minutes, self.device, self.start))
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
            from lumora.presets import PRESETS
            from lumora.train.videos import cache_videos

            cache_videos(self.videos, PRESETS[self.preset]().model.shape, self.folder / "frames")
        TrainCodec(self.folder, self.preset, self.device).run()
        TrainTransformer(self.folder, self.preset, self.device).run()


@dataclass(frozen=True)
class Evaluate:
    """Measure a model: whether its videos show what prompts say, and go on as the world would (docs/evaluation.md)."""

    weights: Annotated[Positional[Path | None], arg(metavar="WEIGHTS")] = None
    """The folder of another model than the one that comes with lumora."""
    report: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Where to write the figures as a page (index.html) and as report.json."""
    clips: int = 200
    """How many held-out captions."""
    preset: Preset = "simple"
    """The world whose captions they are."""
    length: Literal["short", "sentence", "paragraph"] = "sentence"
    steps: int = 30
    guidance: float = 4.0
    beyond: int = 100
    """How many combinations that training never saw; and, if any, all words outside of the world's vocabulary."""
    physics: int = 100
    """How many real clips to begin, for the model to go on with."""
    probe: File = None
    """The weights of another probe than the one that comes with lumora."""
    workers: int = 2
    """Processes that make the videos; 0: none but this one, as is best on a GPU."""

    def run(self) -> None:
        from lumora.evaluate.measure import PROBE, Plan, measure
        from lumora.evaluate.report import on_screen, write_report

        plan = Plan(self.clips, self.preset, self.length, self.steps, self.guidance, self.beyond, self.physics)
        figures = measure(plan, self.weights, self.probe or PROBE, workers=self.workers)
        print(on_screen(figures))
        if self.report is not None:
            write_report(self.report, plan, figures)
            print(f"Open {self.report / 'index.html'}.")


@runtime_checkable
class Verb(Protocol):
    def run(self) -> None: ...


VERBS: dict[str, Callable[..., Verb]] = {
    "generate": Generate,
    "world sample": WorldSample,
    "world sheet": WorldSheet,
    "world cache": WorldCache,
    "train all": TrainAll,
    "train codec": TrainCodec,
    "train transformer": TrainTransformer,
    "evaluate": Evaluate,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the verb and returns the exit code: 0, 2 after one sentence for a user's mistake, or 130 after Ctrl-C."""
    try:
        _parse(list(sys.argv[1:] if argv is None else argv)).run()
    except (ValueError, OSError) as error:
        print(f"lumora: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _parse(words: list[str]) -> Verb:
    if " ".join(words[:2]) in VERBS:
        words = [" ".join(words[:2]), *words[2:]]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.extras.subcommand_cli_from_dict(VERBS, prog="lumora", description=ABOUT, args=words)
    except SystemExit as leaving:
        if leaving.code:
            raise ValueError(_one_sentence(said.getvalue())) from None
        raise


def _one_sentence(box: str) -> str:
    """What tyro says in a box: a title, the mistake, a rule, advice; in ASCII where the terminal knows no more."""
    _, *lines = box.replace("│", " ").splitlines() or [""]
    body = re.split(r"^[ ]*[─-]{9,}[ ]*$", "\n".join(lines).lstrip(" -\n"), maxsplit=1, flags=re.MULTILINE)[0]
    explained = " " * 10  # what a missing flag is for stands under it, further in
    text = " ".join(line.strip() for line in body.splitlines() if not line.startswith(explained))
    hint = re.search(r"lumora[\w ]* --help", box)
    return f"{text.strip().rstrip('.')}. See {hint[0] if hint else 'lumora --help'}."


def _shape(seconds: float, size: tuple[int, int], fps: float) -> VideoShape:
    from lumora.config import VideoShape

    width, height = size
    if not (0 < seconds <= 60 and 0 < fps <= 60 and min(width, height) >= 16 and max(width, height) <= 4096):
        raise ValueError(
            "A clip of the world has up to 60 seconds and frames a second, and sides of 16 to 4,096 pixels."
        )
    return VideoShape(1 + round(seconds * fps), height, width, fps)


def _say(what: str, progress: Progress) -> None:
    done = "done" if progress.step >= progress.steps else "the same command goes on"
    print(f"{what}: step {progress.step} of {progress.steps}: {done}.")


@contextlib.contextmanager
def _progress(beginning: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, where it is a terminal, that is told (what, done, of how many)."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}")
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(beginning, total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
