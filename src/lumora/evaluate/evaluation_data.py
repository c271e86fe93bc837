"""The data that metrics are computed from: videos of a model, real clips, and what the instruments read in both."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from lumora.config import ModelConfig, VideoShape
from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.color_tables import ColorTables
from lumora.evaluate.instruments.color_tracker import ColorReading, read_clips
from lumora.evaluate.instruments.emotions import EmotionReader
from lumora.evaluate.instruments.features import ClipFeatures, clip_features
from lumora.evaluate.instruments.probe import Probe, ProbeReading
from lumora.evaluate.metrics.proportions import FactReader, FactVerdict
from lumora.evaluate.plan import EvaluationPlan
from lumora.evaluate.sampling import INSTRUMENTS, model_config, through_codec
from lumora.evaluate.suites.corruptions import corrupted
from lumora.evaluate.suites.held_out import EvaluationCase, held_out_captions
from lumora.request import Request
from lumora.service.batch import BATCH_SIZE, make_videos
from lumora.terminal import warn
from lumora.world.sample import PRESETS
from lumora.world.scene import CHARACTERS

PROBE = INSTRUMENTS / "probe.safetensors"
COLOR_TABLES = INSTRUMENTS / "tables.npz"
EMOTION_READER = INSTRUMENTS / "faces.npz"


@dataclass(frozen=True)
class EvaluationData:
    """Everything that several metrics share. Each property is computed when a metric first uses it, then kept."""

    plan: EvaluationPlan
    model: Path | None
    """The folder of the model; None is the one that comes with lumora."""
    probe: Probe
    color_tables: ColorTables
    emotion_reader: EmotionReader | None
    """None if the preset has no characters."""
    workers: int = 0
    """Processes that sample, render and read; 0 is this one alone."""

    @classmethod
    def load(cls, plan: EvaluationPlan, model: Path | None, probe: Path, workers: int) -> EvaluationData:
        """Loads the instruments. Raises ValueError if there is no probe at `probe`."""
        facts = Probe.load(probe)  # first, as it is what a user may have named
        has_characters = not set(CHARACTERS).isdisjoint(PRESETS[plan.preset].kinds)
        emotion_reader = EmotionReader.load(EMOTION_READER) if has_characters else None
        return cls(plan, model, facts, ColorTables.load(COLOR_TABLES), emotion_reader, workers)

    @cached_property
    def config(self) -> ModelConfig:
        return model_config(self.model)

    @property
    def shape(self) -> VideoShape:
        return self.config.shape

    @cached_property
    def cases(self) -> list[EvaluationCase]:
        """The held-out captions. Case n is sampled with seed n."""
        plan = self.plan
        with timed("rendering real clips", plan.num_clips):
            return held_out_captions(
                plan.preset, plan.num_clips, plan.length, self.shape, workers=self.workers, language=plan.language
            )

    @cached_property
    def requests(self) -> list[Request]:
        return [self.request(case.prompt, seed) for seed, case in enumerate(self.cases)]

    @cached_property
    def videos(self) -> list[Frames]:
        """The model's video of each case."""
        with timed("sampling", len(self.requests)):
            return self.make_videos(self.requests)

    @cached_property
    def real_clips(self) -> list[Frames]:
        """The real clip of each case."""
        return [case.real for case in self.cases if case.real is not None]

    @cached_property
    def corrupted_clips(self) -> dict[str, list[Frames]]:
        """The real clips through the model's `codec`, with `blur`, and with `noise`."""
        with timed("encoding and decoding", len(self.real_clips)):
            return {"codec": through_codec(self.real_clips, self.model), **corrupted(self.real_clips)}

    @cached_property
    def probe_readings(self) -> list[ProbeReading]:
        """What the probe reads in the videos."""
        return self.read_with_probe(self.videos)

    @cached_property
    def real_probe_readings(self) -> list[ProbeReading]:
        """What the probe reads in the real clips."""
        return self.read_with_probe(self.real_clips)

    @cached_property
    def color_readings(self) -> list[ColorReading]:
        """What the color tracker reads in the videos."""
        return self.read_with_colors(self.videos)

    @cached_property
    def real_color_readings(self) -> list[ColorReading]:
        """What the color tracker reads in the real clips."""
        return self.read_with_colors(self.real_clips)

    @cached_property
    def features(self) -> ClipFeatures:
        return clip_features(self.probe, self.videos)

    @cached_property
    def real_features(self) -> ClipFeatures:
        return clip_features(self.probe, self.real_clips)

    @cached_property
    def probe_verdicts(self) -> list[FactVerdict]:
        """The probe's answer to each fact of the prompts, for the videos."""
        return verdicts(self.probe_readings, self.cases)

    def request(self, prompt: str, seed: int) -> Request:
        """A request for a video of the model's own shape."""
        shape, plan = self.shape, self.plan
        return Request(
            prompt,
            seconds=(shape.num_frames - 1) / shape.fps,
            size=shape.resolution,
            fps=shape.fps,
            seed=seed,
            num_inference_steps=plan.steps,
            guidance_scale=plan.guidance_scale,
        )

    def make_videos(self, requests: Sequence[Request], batch_size: int = BATCH_SIZE) -> list[Frames]:
        """Samples a video for each request."""
        return make_videos(requests, self.model, self.workers, batch_size)

    def read_with_probe(self, clips: Sequence[Frames]) -> list[ProbeReading]:
        with timed("reading with the probe", len(clips)):
            return self.probe.read_clips([torch.from_numpy(frames) for frames in clips])

    def read_with_colors(self, clips: Sequence[Frames]) -> list[ColorReading]:
        with timed("reading with the color tracker", len(clips)):
            return read_clips(self.color_tables, clips, self.workers, self.emotion_reader)


def verdicts(readings: Sequence[FactReader], cases: Sequence[EvaluationCase]) -> list[FactVerdict]:
    """What each reading says about the facts that its case asks for."""
    pairs = zip(readings, cases, strict=True)
    return [FactVerdict.of(reading, case.asked, case.stated) for reading, case in pairs]


@contextmanager
def timed(activity: str, num_clips: int) -> Iterator[None]:
    """Prints on stderr how long an activity takes per clip."""
    start = time.perf_counter()
    yield
    milliseconds = 1000 * (time.perf_counter() - start) / max(1, num_clips)
    warn(f"{activity}: {milliseconds:.0f} ms per clip")
