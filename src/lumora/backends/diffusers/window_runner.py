"""Runs the windows of plans one after another, and joins their frames and audio to videos."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from lumora.backends.base import Cancel, Cancelled, Preview, Progress
from lumora.backends.diffusers.catalog import CatalogEntry
from lumora.backends.diffusers.clip_windows import ClipWindow
from lumora.backends.diffusers.denoising import DenoisingLoop, DenoisingState, noised_start
from lumora.backends.diffusers.diffusers_planning import DiffusersPlan, guidance_scale
from lumora.backends.diffusers.generated_audio import join_audio, to_samples
from lumora.backends.diffusers.loaded_model import LoadedModel, free_memory
from lumora.backends.diffusers.lora import LoraFile
from lumora.backends.diffusers.memory_planning import GIB, MemoryLevel, MemoryPlan, plan_memory
from lumora.backends.diffusers.pipeline_calls import WindowCall, call_arguments, encode_clip, pipeline_name
from lumora.backends.diffusers.preview_decoder import PreviewDecoder
from lumora.backends.diffusers.unfinished_work import UnfinishedWork
from lumora.backends.timeline.compositing import ConditionFrames
from lumora.backends.timeline.segments import Segment
from lumora.media.video import Video
from lumora.precision import choose_device
from lumora.request.serialization import to_recipe


@dataclass(frozen=True)
class Job:
    """A window, and where it belongs."""

    plan_index: int
    segment_index: int
    window_index: int
    plan: DiffusersPlan

    @property
    def segment(self) -> Segment:
        return self.plan.segments[self.segment_index]

    @property
    def window(self) -> ClipWindow:
        return self.plan.windows[self.segment_index][self.window_index]

    @property
    def name(self) -> str:
        """Of the segment's frames in the unfinished work."""
        return f"frames.{self.plan_index}.{self.segment_index}"

    @property
    def audio_name(self) -> str:
        return f"audio.{self.plan_index}.{self.segment_index}.{self.window_index}"


class WindowRunner:
    """One model; it is loaded when the first window is made."""

    def __init__(
        self,
        entry: CatalogEntry,
        folder: Path,
        loras: Sequence[LoraFile],
        device: str | None,
        level: MemoryLevel | None,
        digest: str,
        transformer_file: Path | None = None,
        step_cache: float | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.entry, self.folder, self.loras, self.digest = entry, folder, loras, digest
        self.device = choose_device(device)
        self.memory: MemoryPlan | None = None
        self._level: MemoryLevel | None = level
        self._say, self._transformer_file, self._step_cache = say, transformer_file, step_cache
        self._model: LoadedModel | None = None

    def run(
        self,
        plans: Sequence[DiffusersPlan],
        progress: Progress | None,
        cancel: Cancel | None,
        resume_path: Path | None,
        on_preview: Preview | None,
    ) -> list[Video]:
        """As `Backend.run_batch`."""
        jobs = list(_jobs_of(plans))
        work = UnfinishedWork()
        fingerprint = self._fingerprint(plans) if resume_path else ""
        if resume_path:
            work = UnfinishedWork.load(resume_path, fingerprint)
        self._begin_frames(plans, work)
        total = sum(job.plan.request.num_inference_steps or 1 for job in jobs)
        for number, job in enumerate(jobs):
            if number < work.num_done:
                continue
            if cancel is not None and cancel.is_set():
                raise Cancelled
            before = sum(other.plan.request.num_inference_steps or 1 for other in jobs[:number])
            report = progress and (lambda done, before=before: progress(before + done, total))
            keep = resume_path and (lambda state: self._keep(work, state, resume_path, fingerprint))
            preview = on_preview and (lambda frame, job=job: on_preview(job.plan_index, frame))
            self._make_window(job, work, report or None, cancel, keep or None, preview or None)
            work.num_done, work.state = number + 1, None
            if resume_path and number + 1 < len(jobs):
                self.save(work, resume_path, fingerprint)
        return [self._assemble(index, plan, work) for index, plan in enumerate(plans)]

    def unload(self) -> None:
        self._model = None
        free_memory()

    def _fingerprint(self, plans: Sequence[DiffusersPlan]) -> str:
        """Of the requests, the pixels of their conditions, and the model."""
        said = [to_recipe(plan.request) for plan in plans]
        loras = [(lora.sha256, lora.strength) for lora in self.loras]
        return hashlib.sha256(
            json.dumps([said, self.digest, loras, self._level, self._step_cache]).encode()
        ).hexdigest()

    def _keep(self, work: UnfinishedWork, state: DenoisingState, path: Path, fingerprint: str) -> None:
        work.state = state
        self.save(work, path, fingerprint)

    def save(self, work: UnfinishedWork, path: Path, fingerprint: str) -> None:
        work.save(path, fingerprint)

    def _begin_frames(self, plans: Sequence[DiffusersPlan], work: UnfinishedWork) -> None:
        """The frames of each segment, with the given ones in their places."""
        for plan_index, plan in enumerate(plans):
            for segment_index, segment in enumerate(plan.segments):
                name = f"frames.{plan_index}.{segment_index}"
                if name in work.arrays:
                    continue
                count = max(segment.num_frames, max(segment.frame_sources, default=0) + 1)
                frames = np.zeros((count, plan.size.height, plan.size.width, 3), np.uint8)
                request = plan.request
                given = ConditionFrames.from_segment(segment, request.conditions, plan.size, request.resize_mode)
                for number, picture in given.frames.items():
                    frames[number] = picture
                work.arrays[name] = frames

    def _make_window(
        self,
        job: Job,
        work: UnfinishedWork,
        report: Callable[[int], None] | None,
        cancel: Cancel | None,
        keep: Callable[[DenoisingState], None] | None,
        preview: Callable[[UInt8[np.ndarray, "h w 3"]], None] | None,
    ) -> None:
        call = self._call_of(job, work)
        output = self._denoise_within_memory(job, call, work.state, report, cancel, keep, preview)
        if output is None:
            self.take_smaller_plan(job)
            output = self._denoise_within_memory(job, call, work.state, report, cancel, keep, preview)
        if output is None:
            raise MemoryError(too_large(job, self.memory))
        made = (255 * np.asarray(output.frames[0])).round().clip(0, 255).astype(np.uint8)
        _write_frames(work.arrays[job.name], made, job.window)
        if getattr(output, "audio", None) is not None:
            pipe = self._loaded(job).pipeline(pipeline_name(call, self.entry.calls))
            rate = pipe.vocoder.config.output_sampling_rate
            work.arrays[job.audio_name] = to_samples(output.audio[0].float().cpu().numpy(), rate)

    def take_smaller_plan(self, job: Job) -> None:
        """Unloads the model, so that it is loaded by the next smaller plan. Raises MemoryError if there is none."""
        smaller = self.memory.smaller() if self.memory else None
        if smaller is None:
            raise MemoryError(too_large(job, self.memory))
        self._say(f"The GPU has too little memory for the plan {self.memory and self.memory.level!r}.")
        self.unload()
        self._level = smaller

    def _denoise_within_memory(self, *arguments: Any) -> Any:
        """As `_denoise`; None if the memory is not enough. The error is dropped here, because its frames hold the
        model."""
        try:
            return self._denoise(*arguments)
        except torch.OutOfMemoryError:
            return None

    def _denoise(
        self,
        job: Job,
        call: WindowCall,
        state: DenoisingState | None,
        report: Callable[[int], None] | None,
        cancel: Cancel | None,
        keep: Callable[[DenoisingState], None] | None,
        preview: Callable[[UInt8[np.ndarray, "h w 3"]], None] | None,
    ) -> Any:
        family, model = self.entry.calls, self._loaded(job)
        pipe = model.pipeline(pipeline_name(call, family))
        generator = torch.Generator("cpu").manual_seed(job.plan.request.seed + job.window_index)
        pipe.scheduler.generator = generator  # of a FewStepScheduler; others do not read it
        resumes = family.resumes and self._step_cache is None  # what the cache holds is not kept
        loop = DenoisingLoop(call.num_inference_steps, generator, report, cancel, keep if resumes else None)
        if preview is not None and self._has_room_for_previews:
            loop.on_latents = PreviewDecoder(pipe, family, preview)
        if state is not None:
            loop.start, loop.start_step = state, state.step
        elif call.is_edit and (first := _first_step(call)):
            with torch.no_grad():
                latents = encode_clip(pipe, [call.given[n] for n in range(call.window.num_frames)], family)
            loop.start = lambda scheduler: noised_start(scheduler, latents, first, generator)
            loop.start_step = first
        try:
            return loop.run(pipe, call_arguments(pipe, call, family))
        except BaseException:
            model.release()
            raise

    def _call_of(self, job: Job, work: UnfinishedWork) -> WindowCall:
        request, window, plan = job.plan.request, job.window, job.plan
        frames = work.arrays[job.name]
        given = {number: frames[source] for number, source in window.given.items()}
        return WindowCall(
            window,
            given,
            plan.size,
            plan.fps,
            request.negative_prompt,
            request.num_inference_steps or self.entry.num_inference_steps,
            float(guidance_scale(request, self.entry)),
            self.entry.guidance_scale_2 if request.guidance_scale is None else request.guidance_scale,
            self._references(job, work),
        )

    def _references(self, job: Job, work: UnfinishedWork) -> list[UInt8[np.ndarray, "h w 3"]]:
        """The first frame of the first shot, for the shots after a cut that are given nothing."""
        if not self.entry.calls.takes_references or not job.segment_index or job.window_index:
            return []
        return [] if job.segment.frame_sources else [work.arrays[f"frames.{job.plan_index}.0"][0]]

    def _loaded(self, job: Job) -> LoadedModel:
        if self._model is None:
            if self.device.type == "cuda":
                self.memory = self._plan_memory(job)
                self._say(self.memory.sentence())
            self._model = self.load_model()
        return self._model

    def load_model(self) -> LoadedModel:
        return LoadedModel(
            self.entry,
            self.folder,
            self.device,
            self.loras,
            self.memory,
            self._transformer_file,
            self._step_cache,
        )

    def free_bytes(self) -> int:
        """Free memory of the GPU."""
        return torch.cuda.mem_get_info(self.device)[0]

    @property
    def _has_room_for_previews(self) -> bool:
        """Whether the decoder lies beside the transformer, so that a preview moves no weights."""
        return self.memory is None or self.memory.level == "full"

    def _plan_memory(self, job: Job) -> MemoryPlan:
        family = self.entry.calls
        window, size = job.window, job.plan.size
        return plan_memory(
            self.free_bytes() / GIB,
            self.entry.parameters,
            size,
            window.num_frames,
            family.size_step,
            family.frame_step,
            self._level,
        )

    def _assemble(self, index: int, plan: DiffusersPlan, work: UnfinishedWork) -> Video:
        parts = []
        for number, segment in enumerate(plan.segments):
            parts.append(work.arrays[f"frames.{index}.{number}"][: segment.num_frames])
        frames = np.concatenate(parts)
        made = {
            (segment, window): work.arrays[name]
            for segment, windows in enumerate(plan.windows)
            for window in range(len(windows))
            if (name := f"audio.{index}.{segment}.{window}") in work.arrays
        }
        return Video(frames, plan.fps, join_audio(plan, made))


def _jobs_of(plans: Sequence[DiffusersPlan]) -> Iterator[Job]:
    for index, plan in enumerate(plans):
        for segment, windows in enumerate(plan.windows):
            yield from (Job(index, segment, window, plan) for window in range(len(windows)))


def _first_step(call: WindowCall) -> int:
    """The step at which an edit begins; at least the first is skipped, and at least one is made."""
    steps, strength = call.num_inference_steps, call.window.strength or 1.0
    return min(max(1, steps - round(steps * strength)), steps - 1) if steps > 1 else 0


def _write_frames(frames: UInt8[np.ndarray, "t h w 3"], made: UInt8[np.ndarray, "n h w 3"], window: ClipWindow) -> None:
    """Puts the frames of a call where they belong; those that two windows of an edit share are cross-faded."""
    for number, source in window.targets.items():
        picture = made[source]
        if number in window.blend:
            weight = (window.blend.index(number) + 1) / (len(window.blend) + 1)
            picture = _mixed(frames[number], picture, weight)
        frames[number] = picture


def _mixed(
    old: UInt8[np.ndarray, "h w 3"], new: UInt8[np.ndarray, "h w 3"], weight: float
) -> UInt8[np.ndarray, "h w 3"]:
    mixed: Float[np.ndarray, "h w 3"] = (1 - weight) * old.astype(np.float32) + weight * new.astype(np.float32)
    return mixed.round().astype(np.uint8)


def too_large(job: Job, memory: MemoryPlan | None) -> str:
    plan = f" with the plan {memory.level!r}" if memory else ""
    return (
        f"{job.window.num_frames} frames of {job.plan.size} need more memory than there is{plan}; "
        "ask for a smaller or shorter video."
    )
