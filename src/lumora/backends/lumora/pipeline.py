"""`Pipeline`: the codec, the transformer and the text encoder of one model; requests in, videos out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from safetensors.torch import load_file
from torch import Tensor

from lumora.backends.base import Cancel, Cancelled, Preview, Progress
from lumora.backends.lumora.latent_reuse import latents_of_segments, reusable_latents
from lumora.backends.lumora.planning import LumoraPlan, is_unguided, prepare, resolve_guidance_scale
from lumora.backends.lumora.resume import ResumeFile, request_fingerprint
from lumora.backends.lumora.weights import model_folder, read_config, read_few_steps
from lumora.backends.lumora.window_sampling import SegmentBatch, SegmentInputs, WindowSampler
from lumora.backends.lumora.windows import CONTEXT_LATENTS, Window, default_window_frames, plan_windows
from lumora.backends.timeline.compositing import ConditionFrames
from lumora.backends.timeline.soundtrack import soundtrack
from lumora.codec import Codec
from lumora.config import ModelConfig, Resolution
from lumora.diffusion.condition import LatentState, concat, init_state, make_denoise_mask, short_gaps
from lumora.diffusion.defaults import FEW_STEPS
from lumora.media.video import Video
from lumora.model.lora_layers import merge_lora
from lumora.model.noise_experts import Transformers, load_transformers
from lumora.precision import choose_device, fast_dtype
from lumora.request.spec import Request
from lumora.text_encoder import TextEncoder
from lumora.weights_io import Module, load_weights, unseeded, weights_hash

SHORT_GAP_STRENGTH = 0.7
"""Denoise mask of the latent frames of a short gap, which start from a cross-fade of both ends: still parts are right
from the beginning then."""
MAX_CODEC_POSITIONS = 1024
"""Latent positions that are encoded or decoded together, so that a long clip needs no more memory than a short one."""


@dataclass(frozen=True)
class Pipeline:
    folder: Path
    config: ModelConfig
    codec: Codec
    transformers: Transformers
    text_encoder: TextEncoder
    few_steps: int = 0
    """The number of steps that `few_step_transformers` are for; 0 if there are none."""

    @classmethod
    def from_pretrained(cls, folder: Path | None = None, device: str | torch.device | None = None) -> Pipeline:
        """The model in `folder`, by default the one that comes with lumora; on a GPU if there is one.

        Raises ValueError, in one sentence, if its files are missing or broken.
        """
        config, device, files = read_config(folder), choose_device(device), model_folder(folder)
        return cls(
            files,
            config,
            load_codec(folder, device),
            _for_inference(load_transformers(config, files), device),
            TextEncoder.load(device=device),
            read_few_steps(folder),
        )

    @property
    def device(self) -> torch.device:
        return self.text_encoder.device

    @cached_property
    def few_step_transformers(self) -> Transformers:
        """The transformers with the adapters for few steps (`lumora.train.distillation`), loaded when first used."""
        transformers = load_transformers(self.config, self.folder)
        merge_lora(transformers, self.folder / FEW_STEPS)
        return _for_inference(transformers, self.device)

    @cached_property
    def codec_hash(self) -> str:
        """Hash of the codec whose latents can be reused."""
        return weights_hash(self.codec.state_dict().values())

    def generate(self, request: Request, progress: Progress | None = None, resume_path: Path | None = None) -> Video:
        """The video of a request; the same request gives the same pixels on the same kind of machine.

        The video carries its latents. Raises ValueError, in one sentence, for what this model cannot make.
        """
        return self.run([prepare(request, self.config)], progress, resume_path=resume_path)[0]

    def generate_batch(
        self, requests: Sequence[Request], progress: Progress | None = None, window_frames: int | None = None
    ) -> list[Video]:
        """As `generate` for requests that differ in prompt, seed and conditions alone; faster than one by one."""
        plans = [prepare(request, self.config) for request in requests]
        return self.run(plans, progress, window_frames=window_frames)

    @torch.inference_mode()
    def run(
        self,
        plans: Sequence[LumoraPlan],
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        resume_path: Path | None = None,
        window_frames: int | None = None,
        on_preview: Preview | None = None,
    ) -> list[Video]:
        """Makes the videos of plans together; each is what it would be alone but for rounding.

        At most `window_frames` latent frames are sampled at a time (default: about as many as the model was trained
        on); a longer video is made in windows, each of which continues the latents of the one before. The
        state is kept in `resume_path` after each of several windows, and within one that takes long, and continued
        from it.
        Raises ValueError for plans that cannot be made together, and Cancelled.
        """
        _check_same_settings(plans)
        requests = [plan.request for plan in plans]
        sampler, batches, states = self._sampler(requests[0]), [], []
        for inputs in zip(*(_segment_inputs(plan) for plan in plans), strict=True):
            state = self._init_state(plans, inputs)
            windows = self._plan_windows(inputs[0], state, window_frames)
            batches.append(SegmentBatch(inputs, windows, state.clean_latent))
            states.append(state)
        num_windows = sum(len(batch.windows) for batch in batches)
        work = ResumeFile(resume_path, lambda: request_fingerprint(requests, [self.codec, sampler.transformers]))
        states, start = work.load(states)
        show = on_preview and partial(self._show_previews, on_preview)
        num_done = 0
        for index, batch in enumerate(batches):
            for window in batch.windows:
                if states[index].denoise_mask[:, window.frames.start : window.frames.stop].any():
                    report = _window_progress(progress, cancel, num_done, num_windows)
                    keep = partial(work.save_sometimes, states)
                    sampled = sampler.sample(batch, states[index], window, requests[0], report, show, start, keep)
                    states[index], start = sampled, None
                    if num_windows > 1:
                        work.save(states)
                num_done += 1
        return [
            self._assemble(plan, [batch.inputs[n] for batch in batches], [state.clean_latent[n] for state in states])
            for n, plan in enumerate(plans)
        ]

    def _sampler(self, request: Request) -> WindowSampler:
        """With the distilled transformers if there are some for the request's number of steps."""
        is_few_step = request.num_inference_steps == self.few_steps and is_unguided(request)
        transformers = self.few_step_transformers if is_few_step else self.transformers
        return WindowSampler(self.config, self.codec, transformers, self.text_encoder, is_few_step)

    def _show_previews(self, on_preview: Preview, latents: Float[Tensor, "b c t h w"]) -> None:
        """A frame of the middle of each estimate, decoded alone."""
        middle = latents.shape[2] // 2
        for index, latent in enumerate(latents[:, :, middle : middle + 1].split(1)):
            on_preview(index, next(self._decode(latent.cpu()))[-1])

    def _init_state(self, plans: Sequence[LumoraPlan], inputs: Sequence[SegmentInputs]) -> LatentState:
        """The state of one segment of each plan: noise where frames are generated, and latents of the conditions."""
        states = []
        for plan, part in zip(plans, inputs, strict=True):
            stride = part.segment.grid.stride
            mask = make_denoise_mask(torch.from_numpy(part.segment.frame_strengths()).float(), stride)
            mask[short_gaps(mask, default_window_frames(self.config) - CONTEXT_LATENTS)] = SHORT_GAP_STRENGTH
            positions = torch.arange(part.segment.num_latents) * (stride / plan.fps)
            generator = torch.Generator().manual_seed(plan.request.seed)  # on the CPU: the same noise on every device
            latents = self._encode_conditions(part, plan, mask)
            states.append(init_state(latents[None], mask[None], positions[None], generator))
        return concat(states)

    def _plan_windows(self, inputs: SegmentInputs, state: LatentState, window_frames: int | None) -> list[Window]:
        """The windows of a segment, which all requests of a batch must share."""
        segment = inputs.segment
        most = window_frames or default_window_frames(self.config, segment.multi_shot)
        ends = [segment.num_latents] if segment.multi_shot else [end for _, end in segment.shot_ends]
        planned = [plan_windows(mask.double().numpy(), ends, most) for mask in state.denoise_mask]
        if any(other != planned[0] for other in planned):
            raise ValueError("Videos that are made together must have the same windows; make these one by one.")
        return planned[0]

    def _encode_conditions(
        self, inputs: SegmentInputs, plan: LumoraPlan, mask: Float[Tensor, " t"]
    ) -> Float[Tensor, "c t h w"]:
        """Latents of the conditions of a segment; 0 where nothing is given."""
        shape = latent_shape(self.config, plan.size)
        channels, height, width = shape
        segment, latents = inputs.segment, torch.zeros(channels, len(mask), height, width)
        to_encode = torch.nonzero(mask < 1).flatten().tolist()
        for number, _, data in reusable_latents(segment, plan.request.conditions, shape, self.codec_hash):
            latents[:, number] = torch.from_numpy(data)
            to_encode.remove(number)
        chunk = max(1, MAX_CODEC_POSITIONS // (height * width))
        for numbers in (to_encode[i : i + chunk] for i in range(0, len(to_encode), chunk)):
            groups = [[inputs.condition_frames.draft_frame(f) for f in segment.grid.frames_of(n)] for n in numbers]
            groups = [group * segment.grid.stride if len(group) == 1 else group for group in groups]
            # The codec's first latent frame holds a single frame, so the run begins with one that is thrown away.
            pixels = torch.from_numpy(np.stack([groups[0][0], *(frame for group in groups for frame in group)]))
            signed = rearrange(pixels.to(self.device), "t h w c -> 1 c t h w") / 127.5 - 1
            latents[:, numbers] = self.codec.encode(signed)[0, :, 1:].float().cpu()
        return latents

    def _assemble(
        self, plan: LumoraPlan, inputs: Sequence[SegmentInputs], latents: Sequence[Float[Tensor, "c _ h w"]]
    ) -> Video:
        """Decodes all segments, restores kept frames pixel by pixel, and adds their audio."""
        segments, size = plan.segments, plan.size
        # The frames that a segment decodes beyond the shown ones lie where the next segment is written.
        room = max(segment.first_frame + segment.num_decoded_frames for segment in segments)
        frames = np.empty((room, size.height, size.width, 3), np.uint8)
        for part, latent in zip(inputs, latents, strict=True):
            segment = part.segment
            target = frames[segment.first_frame : segment.first_frame + segment.num_decoded_frames]
            start = segment.grid.offset
            for chunk in self._decode(latent[None]):
                target[start : start + len(chunk)] = chunk
                start += len(chunk)
            part.condition_frames.restore_kept_frames(segment, target)
        audio = soundtrack(segments, plan.request.conditions, plan.fps, plan.request.loop)
        shown = frames[: sum(segment.num_frames for segment in segments)]
        video = Video(shown, plan.fps, audio, latents_of_segments(segments, latents, self.codec_hash))
        return video.drop_frames({s.first_frame + frame for s in segments for frame in s.dropped_frames})

    def _decode(self, latent: Float[Tensor, "1 c t h w"]) -> Iterator[UInt8[np.ndarray, "_ H W 3"]]:
        chunk = max(1, MAX_CODEC_POSITIONS // (latent.shape[-2] * latent.shape[-1]))
        chunks = (part.to(self.device) for part in latent.split(chunk, dim=2))
        for pixels in self.codec.stream(chunks, clamp=True):
            yield rearrange((127.5 * (pixels + 1)).round().byte(), "1 c t h w -> t h w c").cpu().numpy()


def latent_shape(config: ModelConfig, size: Resolution) -> tuple[int, int, int]:
    """Channels, height and width of a latent frame."""
    codec = config.codec
    return codec.latent_channels, size.height // codec.spatial_compression, size.width // codec.spatial_compression


def codec_hash(folder: Path | None = None) -> str:
    """`Pipeline.codec_hash` of a model from its file, without making the network."""
    with unseeded():
        names = list(Codec(read_config(folder).codec).state_dict())
    weights = load_file(model_folder(folder) / "codec.safetensors")
    return weights_hash(weights[name] for name in names)


def load_codec(folder: Path | None = None, device: str | torch.device | None = None) -> Codec:
    """The codec alone of a model; arguments and errors as in `Pipeline.from_pretrained`."""
    config = read_config(folder)
    with unseeded():
        codec = Codec(config.codec)
    file = model_folder(folder) / "codec.safetensors"
    codec = _for_inference(load_weights(codec, file), choose_device(device))
    return codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _for_inference(network: Module, device: torch.device) -> Module:
    """`network` on the device, in its fastest dtype."""
    return network.to(device, fast_dtype(device)).eval().requires_grad_(False)


def _segment_inputs(plan: LumoraPlan) -> list[SegmentInputs]:
    conditions, mode = plan.request.conditions, plan.request.resize_mode
    return [
        SegmentInputs(segment, ConditionFrames.from_segment(segment, conditions, plan.size, mode))
        for segment in plan.segments
    ]


def _window_progress(
    progress: Progress | None, cancel: Cancel | None, num_done: int, num_windows: int
) -> Progress | None:
    """Reports the steps of one window as steps of all windows, and raises Cancelled if asked to."""
    if progress is None and cancel is None:
        return None

    def report(done: int, steps: int) -> None:
        if progress:
            progress(num_done * steps + done, num_windows * steps)
        if cancel and cancel.is_set():
            raise Cancelled

    return report


def _check_same_settings(plans: Sequence[LumoraPlan]) -> None:
    first = plans[0].request
    if any(
        replace(first, prompt=r.prompt, seed=r.seed, conditions=r.conditions) != r
        for r in (plan.request for plan in plans)
    ):
        raise ValueError("Videos that are made together must agree in everything but prompt, seed and conditions.")

    def guidance(request: Request) -> tuple[float, bool]:
        return resolve_guidance_scale(request), is_unguided(request)

    if any(guidance(plan.request) != guidance(first) for plan in plans):
        raise ValueError(
            "Videos that are made together must all keep a condition, or none, unless the guidance scale is given."
        )
