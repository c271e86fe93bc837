"""Sampling of one window of a segment: text, guidance, conditions and the denoising loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from lumora.backends.base import Progress
from lumora.backends.lumora.planning import resolve_guidance_scale
from lumora.backends.lumora.windows import Window
from lumora.backends.timeline.compositing import ConditionFrames
from lumora.backends.timeline.segments import Segment
from lumora.codec import Codec
from lumora.config import ModelConfig
from lumora.diffusion.condition import EditSource, LatentState, concat, unbind
from lumora.diffusion.defaults import JUMP_T_BESIDE, JUMP_T_BETWEEN
from lumora.diffusion.guidance import Guidance, X0Correction, make_denoiser
from lumora.diffusion.sampler import SamplerState, sample, sampling_times
from lumora.model.noise_experts import Transformers
from lumora.model.packing import Span
from lumora.request.spec import Request
from lumora.text_encoder import TextEncoder

NUM_PREVIEWS = 5
"""About as many estimates of a window are shown, if it has enough steps."""
OnEstimate: TypeAlias = Callable[[Tensor], None]
OnState: TypeAlias = Callable[[SamplerState], None]


@dataclass(frozen=True)
class SegmentInputs:
    """A segment of one request and the pixels of its conditions."""

    segment: Segment
    condition_frames: ConditionFrames


@dataclass(frozen=True)
class SegmentBatch:
    """The same segment of every request of a batch; the requests share its windows."""

    inputs: Sequence[SegmentInputs]
    windows: Sequence[Window]
    source_latents: Float[Tensor, "b c t h w"]
    """Latents of the conditions; 0 where nothing is given."""


@dataclass(frozen=True)
class WindowSampler:
    """Denoises windows of segments with the networks of one model."""

    config: ModelConfig
    codec: Codec
    transformers: Transformers
    text_encoder: TextEncoder
    is_few_step: bool = False
    """Whether the transformers are distilled: they take few Euler steps without guidance."""

    @property
    def device(self) -> torch.device:
        return self.text_encoder.device

    def sample(
        self,
        batch: SegmentBatch,
        state: LatentState,
        window: Window,
        request: Request,
        progress: Progress | None = None,
        on_estimate: OnEstimate | None = None,
        start: SamplerState | None = None,
        on_state: OnState | None = None,
    ) -> LatentState:
        """`state` of the whole segment after the latent frames of `window` were generated.

        `on_state` receives the state of the sampler after each step, and `start` is one of them to continue from.

        `request` decides the number of steps and the guidance of all requests of the batch. `on_estimate` receives the
        predicted clean latents of the window every few steps.
        """
        frames = window.frames
        in_window = slice(frames.start, frames.stop)
        masks = state.denoise_mask[:, in_window]
        jump_times = [
            final_jump_time(inputs.segment, mask, frames) for inputs, mask in zip(batch.inputs, masks, strict=True)
        ]
        if len(set(jump_times)) > 1:  # different schedules: one by one
            return self._sample_separately(batch, state, window, request, progress)  # not shown, not kept
        edit_source = self._edit_source(batch, frames)
        local = self._window_state(state, in_window)
        text, spans = self._encode_prompts([i.segment.prompts_for(frames, window.shot) for i in batch.inputs])
        negative_text = None
        if request.negative_prompt.strip():
            negative_text, _ = self._encode_prompts([[(request.negative_prompt, len(frames))] for _ in batch.inputs])
        continues = edit_source is None and bool((local.denoise_mask == 0).any())
        estimates: list[Tensor] = []
        denoise = make_denoiser(
            self.transformers,
            local,
            text,
            self._guidance(request, continues, edit_source is not None),
            spans=spans,
            x0_correction=observed(self._pixel_replacement(batch.inputs, frames), estimates),
            edit_source=edit_source,
            negative_text=negative_text,
        )
        times = self._times(local, request, jump_times[0])

        def report(done: int, total: int) -> None:
            if progress:
                progress(done, total)
            if on_estimate and done % max(1, total // (NUM_PREVIEWS + 1)) == 0 and done < total:
                on_estimate(estimates[-1])

        clean_latent, denoise_mask = state.clean_latent.clone(), state.denoise_mask.clone()
        method = "euler" if self.is_few_step else "ab2"
        start = start and _moved(start, self.device)
        clean_latent[:, :, in_window] = sample(denoise, local, times, method, report, start, on_state).cpu()
        denoise_mask[:, in_window] = 0
        return LatentState(state.latent, clean_latent, denoise_mask, state.positions)

    def _sample_separately(
        self, batch: SegmentBatch, state: LatentState, window: Window, request: Request, progress: Progress | None
    ) -> LatentState:
        clips = zip(unbind(state), batch.source_latents.split(1), batch.inputs, strict=True)
        return concat(
            [
                self.sample(SegmentBatch([inputs], batch.windows, source), one, window, request, progress)
                for one, source, inputs in clips
            ]
        )

    def _times(self, local: LatentState, request: Request, jump_time: float) -> list[float]:
        steps = request.num_inference_steps
        assert steps is not None, "The backend's plan decides the number of steps."
        return sampling_times(self.config, local.latent.shape[2:], steps, jump_time, self.is_few_step)

    def _guidance(self, request: Request, continues: bool, is_edit: bool) -> Guidance:
        if self.is_few_step:
            return Guidance()
        return Guidance.at_default_times(resolve_guidance_scale(request, continues), self.transformers, is_edit)

    def _window_state(self, state: LatentState, in_window: slice) -> LatentState:
        """The state of a window on the device of the networks; positions begin at 0."""
        latent, clean_latent = state.latent[:, :, in_window], state.clean_latent[:, :, in_window]
        mask = state.denoise_mask[:, in_window]
        # Latent frames that an earlier window generated were noise at first.
        latent = torch.where(mask[:, None, :, None, None] > 0, latent, clean_latent)
        positions = state.positions[:, : mask.shape[1]]
        return LatentState(*(x.to(self.device) for x in (latent, clean_latent, mask, positions)))

    def _encode_prompts(
        self, prompts: list[list[tuple[str, int]]]
    ) -> tuple[list[Float[Tensor, "_ context_dim"]], list[tuple[Span, ...]]]:
        """Token embeddings of each clip, and which of them belong to which of its shots.

        `prompts` holds for each clip the prompt and the number of latent frames of each shot.
        """
        flat = [prompt for shots in prompts for prompt, _ in shots]
        encoded = zip(flat, self.text_encoder.encode(flat), strict=True)
        embeddings = iter([tokens if prompt.strip() else tokens[:0] for prompt, tokens in encoded])
        clips = [[next(embeddings) for _ in shots] for shots in prompts]
        spans = [
            tuple(Span(len(tokens), num_latents) for tokens, (_, num_latents) in zip(clip, shots, strict=True))
            for clip, shots in zip(clips, prompts, strict=True)
        ]
        return [torch.cat(clip) for clip in clips], spans

    def _edit_source(self, batch: SegmentBatch, frames: range) -> EditSource | None:
        """What is edited in these latent frames; latent frames that are finished are seen as they were before."""
        edited = torch.tensor([[inputs.segment.is_edited(frame) for frame in frames] for inputs in batch.inputs])
        if not edited.any():
            return None
        text, _ = self._encode_prompts([[(inputs.segment.source_caption, len(frames))] for inputs in batch.inputs])
        latents = batch.source_latents[:, :, frames.start : frames.stop]
        return EditSource(latents.to(self.device), edited.to(self.device), text)

    def _pixel_replacement(self, inputs: Sequence[SegmentInputs], frames: range) -> X0Correction | None:
        """Replaces, in every predicted clean latent, the pixels of given frames in latent frames that are only partly
        given; None if there are none. The model then sees them at every step.

        It adds only the change of the latent by the replacement, because decoding and encoding change it too.
        """
        kept = [set().union(*map(i.segment.partially_kept, frames)) for i in inputs]
        if not any(kept):
            return None
        grid = inputs[0].segment.grid
        pictures = range(grid.frames_of(frames.start)[-1], grid.frames_of(frames.stop - 1)[-1] + 1)
        drafts = np.array([[i.condition_frames.draft_frame(frame) for frame in pictures] for i in inputs])
        given = rearrange(torch.from_numpy(drafts).to(self.device), "b t h w c -> b c t h w") / 127.5 - 1
        is_given = torch.tensor([[frame in some for frame in pictures] for some in kept], device=self.device)
        is_given = is_given[:, None, :, None, None]

        def correct(latent: Tensor) -> Tensor:
            decoded = self.codec.decode(latent)
            replaced = torch.where(is_given, given, decoded)
            return latent + self.codec.encode(replaced) - self.codec.encode(decoded)

        return correct


def _moved(point: SamplerState, device: torch.device) -> SamplerState:
    velocity = None if point.velocity is None else point.velocity.to(device)
    return SamplerState(point.num_steps, point.latent.to(device), velocity)


def observed(correction: X0Correction | None, estimates: list[Tensor]) -> X0Correction:
    """`correction`, which also leaves the last corrected estimate in `estimates`."""

    def observe(latent: Tensor) -> Tensor:
        estimates[:] = [correction(latent) if correction else latent]
        return estimates[0]

    return observe


def final_jump_time(segment: Segment, denoise_mask: Float[Tensor, " t"], frames: range) -> float:
    """Time from which sampling jumps to the clean latent in these latent frames; 0 if it does not.

    A window that continues generated frames does not jump.
    """
    if all(denoise_mask[end] == 0 or segment.partially_kept(frames[end]) for end in (0, -1)):
        return JUMP_T_BETWEEN
    kept = segment.kept_frames()
    known = [frame for frame, mask in zip(frames, denoise_mask.tolist(), strict=True) if mask == 0]
    all_given = all(frame in kept for latent in known for frame in segment.grid.frames_of(latent))
    return JUMP_T_BESIDE if known and all_given else 0.0
