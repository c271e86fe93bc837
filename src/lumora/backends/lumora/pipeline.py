"""The default model, or another one, awake: requests in, videos out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from lumora.backends.lumora.compositing import ConditionFrames
from lumora.backends.lumora.latent_reuse import latents_of_segments, reusable_latents
from lumora.backends.lumora.resume import load_resume_state, request_fingerprint, save_resume_state, weights_hash
from lumora.backends.lumora.segments import Segment
from lumora.backends.lumora.soundtrack import soundtrack
from lumora.backends.lumora.weights import model_folder, read_config
from lumora.backends.lumora.windows import CONTEXT_LATENTS, Window, default_window_frames, plan_windows
from lumora.codec import Codec
from lumora.config import ModelConfig
from lumora.diffusion.condition import (
    EditSource,
    LatentState,
    concat,
    init_state,
    make_denoise_mask,
    short_gaps,
    unbind,
)
from lumora.diffusion.flow import log_shift
from lumora.diffusion.guidance import Guidance, X0Correction, make_denoiser
from lumora.diffusion.sampler import sample, time_schedule
from lumora.media.video import Video
from lumora.model.packing import Span
from lumora.model.token_layout import num_video_tokens
from lumora.model.transformer import Transformer
from lumora.precision import fast_dtype
from lumora.request.spec import Request
from lumora.text_encoder.encoder import TextEncoder
from lumora.weights_io import Module, load_weights

Progress = Callable[[int, int], None]
"""Told (steps done, steps in all) after each step of the sampler."""

GUIDANCE_INTERVAL = (0.2, 0.93)
"""Times at which guidance acts (arXiv:2404.07724): nearer to noise it drives what holds for the whole picture beyond
what the words say, nearer to data it adds contrast and flicker alone; and it costs as much everywhere (LOG.md)."""
EDIT_GUIDANCE_INTERVAL = (0.2, 1.0)
"""The same of edits: what holds for the whole picture is what most of them change."""
SHORT_GAP_STRENGTH = 0.7
"""The mask of latent frames between given ones, which start from these cross-faded: what stands still is there then."""
JUMP_T_BETWEEN = 0.95
"""The time from which sampling leaps to data where both ends are given. Little is open there, and what the network
expects is nearer to what happened than what it would make up on the way (LOG.md)."""
JUMP_T_BESIDE = 0.5
"""The same where something given is gone on from: later it gets harsh, and from .8 on what moves fades."""
MAX_CODEC_POSITIONS = 1024
"""Positions of a latent that are decoded together: a long clip then needs no more memory than a short one."""


@dataclass(frozen=True)
class Pipeline:
    config: ModelConfig
    codec: Codec
    transformer: Transformer
    text_encoder: TextEncoder

    @classmethod
    def from_pretrained(cls, folder: Path | None = None, device: str | torch.device | None = None) -> Pipeline:
        """The model in `folder`, else the one that comes with lumora; on a GPU where there is one.

        Raises ValueError, in a sentence, where its files are missing or broken.
        """
        config, device = read_config(folder), _device(device)
        with torch.device("meta"):
            transformer = Transformer(config.transformer)
        return cls(
            config,
            load_codec(folder, device),
            _for_inference(load_weights(transformer, model_folder(folder) / "transformer.safetensors"), device),
            TextEncoder.load(device=device),
        )

    @cached_property
    def codec_hash(self) -> str:
        """Which codec's latents it can go on from."""
        return weights_hash(self.codec)

    def drop_unused_latents(self, request: Request) -> Request:
        """`request`, with latents only at those given videos that it goes on from by them: the pixels are the same."""
        takes = request.segments(self.config)
        shape = self._latent_shape(request)
        used = {
            given
            for take in takes
            for _, given, _ in reusable_latents(take, request.conditions, shape, self.codec_hash)
        }
        plain = [replace(thing, video=thing.video.without_latents()) for thing in request.conditions]
        return replace(
            request, conditions=tuple(request.conditions[n] if n in used else plain[n] for n in range(len(plain)))
        )

    def generate(self, request: Request, progress: Progress | None = None, resume_path: Path | None = None) -> Video:
        """The video that is asked for; the same request gives the same pixels on the same kind of machine.

        It has its latents with it, and a given video that has them is gone on from where its latent frames lie.
        What is made in several pieces is kept in the file `work`, if one is named, and goes on from it; whoever names
        it removes it. Raises ValueError, in a sentence, for what this model can't make.
        """
        return self.generate_batch([request], progress, resume_path)[0]

    @torch.inference_mode()
    def generate_batch(
        self,
        requests: Sequence[Request],
        progress: Progress | None = None,
        resume_path: Path | None = None,
        window_frames: int | None = None,
    ) -> list[Video]:
        """The videos of requests that differ in prompt, seed and given things alone, made together, which is quicker.

        Each is what `generate` makes of it but for rounding. At most `at_once` latent frames are made at a time (None:
        about as many as the model was trained on): a longer video is made piece by piece, each going on from the
        latents of the one before. Raises ValueError, in a sentence, for requests that differ in more, and for what this
        model can't make.
        """
        _check_alike(requests)
        for request in requests:
            request.check(self.config)
        scripts = list(zip(*(prepare_segments(request, self.config) for request in requests), strict=True))
        states = [self._init_state(requests, parts) for parts in scripts]
        pieces = [
            (take, window)
            for take, job in enumerate(zip(scripts, states, strict=True))
            for window in self._windows(*job, window_frames)
        ]
        begun = [state.clean_latent for state in states]
        mark = (
            request_fingerprint(requests[0], [self.codec, self.transformer]) if resume_path and len(pieces) > 1 else ""
        )
        if resume_path and mark:
            states = load_resume_state(resume_path, states, mark)
        for done, (take, window) in enumerate(pieces):
            if not states[take].denoise_mask[:, window.frames.start : window.frames.stop].any():
                continue  # made before an interruption
            tick = _ticking(progress, done, len(pieces))
            states[take] = self._sample_window(states[take], begun[take], scripts[take], window, requests[0], tick)
            if resume_path and mark:
                save_resume_state(resume_path, states, mark)
        return [
            self._assemble(request, [parts[n] for parts in scripts], [s.clean_latent[n] for s in states])
            for n, request in enumerate(requests)
        ]

    def _init_state(self, requests: Sequence[Request], parts: Sequence[SegmentInputs]) -> LatentState:
        """Noise wherever something is to be made of one take of each request, and the latents of what is given."""
        states = []
        for request, part in zip(requests, parts, strict=True):
            mask = make_denoise_mask(
                torch.from_numpy(part.segment.frame_strengths()).float(), part.segment.temporal_compression
            )
            mask[short_gaps(mask, default_window_frames(self.config) - CONTEXT_LATENTS)] = SHORT_GAP_STRENGTH
            seconds = torch.arange(part.segment.num_latents) * (part.segment.temporal_compression / request.fps)
            noise = torch.Generator().manual_seed(request.seed)  # on the CPU, so that a GPU starts from the same
            states.append(init_state(self._encode(part, request, mask)[None], mask[None], seconds[None], noise))
        return concat(states)

    def _windows(self, parts: Sequence[SegmentInputs], state: LatentState, at_once: int | None) -> list[Window]:
        """Of one take of each request, which must be made in the same pieces."""
        take = parts[0].segment
        most = at_once or default_window_frames(self.config, take.multi_shot)
        ends = [take.num_latents] if take.multi_shot else [end for _, end in take.shot_ends]
        planned = [plan_windows(mask.double().numpy(), ends, most) for mask in state.denoise_mask]
        if any(other != planned[0] for other in planned):
            raise ValueError("Videos that are made together must be made in the same pieces; make these one by one.")
        return planned[0]

    def _sample_window(
        self,
        state: LatentState,
        begun: Float[Tensor, "b c t h w"],
        parts: Sequence[SegmentInputs],
        window: Window,
        request: Request,
        tick: Progress | None,
    ) -> LatentState:
        """`state` of one take of each request, with the latent frames of `window` known; `begun` is what was given."""
        frames, device = window.frames, self.text_encoder.device
        seen = slice(frames.start, frames.stop)
        leaps = [
            _final_jump_time(part.segment, mask, frames)
            for part, mask in zip(parts, state.denoise_mask[:, seen], strict=True)
        ]
        if len(set(leaps)) > 1:  # each at its own times
            each = zip(unbind(state), begun.split(1), parts, strict=True)
            return concat([self._sample_window(one, was, [part], window, request, tick) for one, was, part in each])
        latent, clean, mask = state.latent[:, :, seen], state.clean_latent[:, :, seen], state.denoise_mask[:, seen]
        # What a piece goes on from was noise at first.
        latent = torch.where(mask[:, None, :, None, None] > 0, latent, clean)
        piece = LatentState(*(x.to(device) for x in (latent, clean, mask, state.positions[:, : len(frames)])))
        text, spans = self._encode_prompts([part.segment.prompts_for(frames, window.shot) for part in parts])
        source = self._source(begun[:, :, seen], parts, frames)
        goes_on = not source and bool((piece.denoise_mask == 0).any())
        guidance = Guidance(
            request.resolve_guidance_scale(goes_on), EDIT_GUIDANCE_INTERVAL if source else GUIDANCE_INTERVAL
        )
        amend = self._pixel_replacement(parts, frames)
        denoise = make_denoiser(
            self.transformer, piece, text, guidance, spans=spans, x0_correction=amend, edit_source=source
        )
        shift = log_shift(num_video_tokens(latent.shape[2:], self.transformer.patch), self.config.flow)
        times = time_schedule(request.num_inference_steps, shift, max(self.config.flow.t_min, leaps[0]))
        clean, mask = state.clean_latent.clone(), state.denoise_mask.clone()
        clean[:, :, seen], mask[:, seen] = sample(denoise, piece, times, progress=tick).cpu(), 0
        return LatentState(state.latent, clean, mask, state.positions)

    def _source(
        self, begun: Float[Tensor, "b c t h w"], parts: Sequence[SegmentInputs], frames: range
    ) -> EditSource | None:
        """What is edited in these latent frames, if anything is; those that are made already are seen as they were."""
        followed = torch.tensor([[part.segment.is_edited(frame) for frame in frames] for part in parts])
        if not followed.any():
            return None
        text, _ = self._encode_prompts([[(part.segment.source_caption, len(frames))] for part in parts])
        return EditSource(begun.to(self.text_encoder.device), followed.to(self.text_encoder.device), text)

    def _pixel_replacement(self, parts: Sequence[SegmentInputs], frames: range) -> X0Correction | None:
        """Pastes given pictures into what is predicted of latent frames of which only some frames are given; None where
        there are none among these. So the network sees at every step what is known of them, and the rest follows.

        It adds what pasting changes of the latent: decoding and encoding change it too.
        """
        kept = [set().union(*map(part.segment.partially_kept, frames)) for part in parts]
        if not any(kept):
            return None
        device, take = self.text_encoder.device, parts[0].segment
        run = range(take.frames_of_latent(frames.start)[-1], take.frames_of_latent(frames.stop - 1)[-1] + 1)
        pixels = torch.from_numpy(np.array([[part.condition_frames.draft_frame(f) for f in run] for part in parts])).to(
            device
        )
        given = rearrange(pixels, "b t h w c -> b c t h w") / 127.5 - 1
        known = torch.tensor([[f in some for f in run] for some in kept], device=device)[:, None, :, None, None]

        def amend(latent: Tensor) -> Tensor:
            made = self.codec.decode(latent)
            return latent + self.codec.encode(torch.where(known, given, made)) - self.codec.encode(made)

        return amend

    def _encode_prompts(self, said: list[list[tuple[str, int]]]) -> tuple[list[Tensor], list[tuple[Span, ...]]]:
        """The words of each clip, and which belong to which of its shots."""
        prompts = [prompt for shots in said for prompt, _ in shots]
        encoded = zip(prompts, self.text_encoder.encode(prompts), strict=True)
        words = iter([tokens if prompt.strip() else tokens[:0] for prompt, tokens in encoded])
        text = [[next(words) for _ in shots] for shots in said]
        spans = [
            tuple(Span(len(tokens), frames) for tokens, (_, frames) in zip(clip, shots, strict=True))
            for clip, shots in zip(text, said, strict=True)
        ]
        return [torch.cat(clip) for clip in text], spans

    def _encode(self, part: SegmentInputs, request: Request, mask: Float[Tensor, " t"]) -> Float[Tensor, "c t h w"]:
        """The latents of what is given of a take; 0 where nothing is."""
        channels, height, width = self._latent_shape(request)
        take, latent = part.segment, torch.zeros(channels, len(mask), height, width)
        some = torch.nonzero(mask < 1).flatten().tolist()
        for number, _, numbers in reusable_latents(
            take, request.conditions, (channels, height, width), self.codec_hash
        ):
            latent[:, number] = torch.from_numpy(numbers)
            some.remove(number)
        at_once = max(1, MAX_CODEC_POSITIONS // (latent.shape[-2] * latent.shape[-1]))
        for numbers in (some[i : i + at_once] for i in range(0, len(some), at_once)):
            # A picture of its own before each run of latent frames, because the first has but one.
            groups = [[part.condition_frames.draft_frame(f) for f in take.frames_of_latent(n)] for n in numbers]
            groups = [group * take.temporal_compression if len(group) == 1 else group for group in groups]
            pixels = torch.from_numpy(np.stack([groups[0][0], *(f for group in groups for f in group)]))
            signed = rearrange(pixels.to(self.text_encoder.device), "t h w c -> 1 c t h w") / 127.5 - 1
            latent[:, numbers] = self.codec.encode(signed)[0, :, 1:].float().cpu()
        return latent

    def _assemble(
        self, request: Request, script: Sequence[SegmentInputs], latents: Sequence[Float[Tensor, "c _ h w"]]
    ) -> Video:
        """All takes one after the other; what was given to be kept is put back pixel by pixel, and with its sound."""
        space, takes = self.config.codec.spatial_compression, [part.segment for part in script]
        height, width = (side * space for side in latents[0].shape[-2:])
        # The frames that a take has behind the shown ones lie where the next take comes.
        room = max(take.first_frame + take.num_decoded_frames for take in takes)
        video = np.empty((room, height, width, 3), np.uint8)
        for part, latent in zip(script, latents, strict=True):
            frames = video[part.segment.first_frame : part.segment.first_frame + part.segment.num_decoded_frames]
            frame = part.segment.grid_offset
            for piece in self._decode(latent[None]):
                frames[frame : frame + len(piece)] = piece
                frame += len(piece)
            part.condition_frames.restore_kept_frames(part.segment, frames)
        sound = soundtrack(takes, request.conditions, request.fps, request.loop)
        shown = video[: sum(take.num_frames for take in takes)]
        whole = Video(shown, request.fps, sound, latents_of_segments(takes, latents, self.codec_hash))
        return whole.drop_frames({take.first_frame + frame for take in takes for frame in take.dropped_frames})

    def _latent_shape(self, request: Request) -> tuple[int, int, int]:
        """Channels, height and width of a latent frame."""
        height, width = request.size(self.config)
        return (
            self.config.codec.latent_channels,
            height // self.config.codec.spatial_compression,
            width // self.config.codec.spatial_compression,
        )

    def _decode(self, latent: Float[Tensor, "1 c t h w"]) -> Iterator[UInt8[np.ndarray, "_ H W 3"]]:
        at_once = max(1, MAX_CODEC_POSITIONS // (latent.shape[-2] * latent.shape[-1]))
        pieces = (piece.to(self.text_encoder.device) for piece in latent.split(at_once, dim=2))
        for pixels in self.codec.stream(pieces, clamp=True):
            yield rearrange((127.5 * (pixels + 1)).round().byte(), "1 c t h w -> t h w c").cpu().numpy()


def load_codec(folder: Path | None = None, device: str | torch.device | None = None) -> Codec:
    """The codec alone of the model in `folder`, else of the one that comes with lumora; as in `Pipeline.load`."""
    config = read_config(folder)
    with torch.device("meta"):
        codec = Codec(config.codec)
    file = model_folder(folder) / "codec.safetensors"
    codec = _for_inference(load_weights(codec, file), _device(device))
    return codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _for_inference(module: Module, device: torch.device) -> Module:
    """`module` on `device` and in its fastest dtype, without gradients."""
    return module.to(device, fast_dtype(device)).eval().requires_grad_(False)


@dataclass(frozen=True)
class SegmentInputs:
    """One take of a request, and the pictures that are given of it."""

    segment: Segment
    condition_frames: ConditionFrames


def _final_jump_time(take: Segment, mask: Float[Tensor, " t"], frames: range) -> float:
    """The time from which sampling leaps in these latent frames: late, where it goes on from what was made before."""
    if all(mask[end] == 0 or take.partially_kept(frames[end]) for end in (0, -1)):
        return JUMP_T_BETWEEN
    kept = take.kept_frames()
    known = [frame for frame, open_ in zip(frames, mask.tolist(), strict=True) if open_ == 0]
    given = all(frame in kept for latent in known for frame in take.frames_of_latent(latent))
    return JUMP_T_BESIDE if known and given else 0.0


def _ticking(progress: Progress | None, pieces: int, planned: int) -> Progress | None:
    """Tells of the steps of one piece as of those of all `planned` ones, of which so many `pieces` are done."""
    if progress is None:
        return None
    return lambda done, steps: progress(pieces * steps + done, planned * steps)


def prepare_segments(request: Request, config: ModelConfig) -> list[SegmentInputs]:
    size = request.size(config)
    return [
        SegmentInputs(take, ConditionFrames.from_segment(take, request.conditions, *size, request.resize_mode))
        for take in request.segments(config)
    ]


def _check_alike(requests: Sequence[Request]) -> None:
    first = requests[0]
    if any(replace(first, prompt=r.prompt, seed=r.seed, conditions=r.conditions) != r for r in requests):
        raise ValueError("Videos that are made together must agree in all but prompt, seed and what is given.")
    if any(r.resolve_guidance_scale() != first.resolve_guidance_scale() for r in requests):
        raise ValueError("Videos that are made together must all keep something that is given, or none; or say how far "
                         "to lean to the prompt.")  # fmt: skip


def _device(named: str | torch.device | None) -> torch.device:
    return torch.device(named or ("cuda" if torch.cuda.is_available() else "cpu"))
