"""The arguments of one call of a pipeline, for each family."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from lumora.backends.diffusers.clip_windows import ClipWindow
from lumora.backends.diffusers.families import Family
from lumora.config import Resolution

GRAY = 127
"""Pixels of frames that VACE is not given."""
LTX_DECODE_TIMESTEP, LTX_DECODE_NOISE = 0.05, 0.025
"""Of LTX-Video's decoder, which denoises; the values of its model card."""


@dataclass(frozen=True)
class WindowCall:
    """What a window is made of."""

    window: ClipWindow
    given: Mapping[int, UInt8[np.ndarray, "h w 3"]]
    """Given frames by their number in the call."""
    size: Resolution
    fps: float
    negative_prompt: str
    num_inference_steps: int
    guidance_scale: float
    guidance_scale_2: float | None
    references: Sequence[UInt8[np.ndarray, "h w 3"]] = ()
    """Pictures of the cast."""

    @property
    def is_edit(self) -> bool:
        return self.window.strength is not None


def pipeline_name(call: WindowCall, family: Family) -> str:
    """The class of diffusers that makes a window."""
    if call.given and not call.is_edit:
        assert family.given_pipeline is not None
        return family.given_pipeline
    assert family.text_pipeline is not None
    return family.text_pipeline


def call_arguments(pipe: Any, call: WindowCall, family: Family) -> dict[str, Any]:
    """All arguments but the generator and the callback."""
    arguments: dict[str, Any] = {
        "prompt": call.window.prompt,
        "negative_prompt": call.negative_prompt or None,
        "height": call.size.height,
        "width": call.size.width,
        "num_frames": call.window.num_frames,
        "num_inference_steps": call.num_inference_steps,
        "guidance_scale": call.guidance_scale,
        "output_type": "np",
    }
    given = {} if call.is_edit else _images(call.given)
    return _ARGUMENTS[family.name.partition("-")[0]](pipe, call, given, arguments)


def _wan(pipe: Any, call: WindowCall, given: dict[int, Image.Image], arguments: dict[str, Any]) -> dict[str, Any]:
    if pipe.config.get("boundary_ratio") is not None:
        arguments["guidance_scale_2"] = call.guidance_scale_2
    if type(pipe).__name__ == "WanVACEPipeline":
        return arguments | _vace(call, given)
    if given:
        arguments["image"] = given[0]
        arguments["last_image"] = given.get(call.window.num_frames - 1) if call.window.num_frames > 1 else None
    return arguments


def _vace(call: WindowCall, given: dict[int, Image.Image]) -> dict[str, Any]:
    """Frames and masks; white parts of a mask are made."""
    size = (call.size.width, call.size.height)
    arguments: dict[str, Any] = {}
    if given:
        unknown, black, white = (Image.new("RGB", size, (gray,) * 3) for gray in (GRAY, 0, 255))
        numbers = range(call.window.num_frames)
        arguments["video"] = [given.get(number, unknown) for number in numbers]
        arguments["mask"] = [black if number in given else white for number in numbers]
    if call.references:
        arguments["reference_images"] = [Image.fromarray(picture) for picture in call.references]
    return arguments


def _ltx(pipe: Any, call: WindowCall, given: dict[int, Image.Image], arguments: dict[str, Any]) -> dict[str, Any]:
    arguments["frame_rate"] = call.fps if float(call.fps) != int(call.fps) else int(call.fps)
    if pipe.vae.config.timestep_conditioning:
        arguments |= {"decode_timestep": LTX_DECODE_TIMESTEP, "decode_noise_scale": LTX_DECODE_NOISE}
    if given and type(pipe).__name__ == "LTXConditionPipeline":
        arguments["conditions"] = _ltx_conditions(call, given)
    elif given:
        arguments["image"] = given[0]
    return arguments


def _ltx_conditions(call: WindowCall, given: dict[int, Image.Image]) -> list[Any]:
    """A clip for each run of given frames that fills latent frames, else its first and its last frame."""
    from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

    conditions: list[Any] = []
    for run in _runs(sorted(given)):
        length = 1 + (len(run) - 1) // 8 * 8
        fills_latents = run[0] % 8 == 0 and length > 1
        if fills_latents:
            clip = [given[number] for number in run[:length]]
            conditions.append(LTXVideoCondition(video=clip, frame_index=run[0]))
        else:
            edges = dict.fromkeys((run[0], run[-1]))
            conditions += [LTXVideoCondition(image=given[number], frame_index=number) for number in edges]
    return conditions


def _ltx2(pipe: Any, call: WindowCall, given: dict[int, Image.Image], arguments: dict[str, Any]) -> dict[str, Any]:
    arguments["frame_rate"] = float(call.fps)
    if call.guidance_scale == 1:
        scales = ("audio_guidance_scale", "modality_scale", "audio_modality_scale")
        arguments |= dict.fromkeys(scales, 1.0)
        arguments |= dict.fromkeys(("stg_scale", "audio_stg_scale", "guidance_rescale", "audio_guidance_rescale"), 0.0)
    else:
        arguments["spatio_temporal_guidance_blocks"] = [min(28, pipe.transformer.config.num_layers - 1)]
    if given:
        from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

        last = call.window.num_frames - 1
        index_of = {0: 0} | ({last: -1} if last else {})  # latent frames
        arguments["conditions"] = [
            LTX2VideoCondition(frames=given[number], index=index_of[number]) for number in sorted(given)
        ]
    return arguments


def _hunyuan(pipe: Any, call: WindowCall, given: dict[int, Image.Image], arguments: dict[str, Any]) -> dict[str, Any]:
    """Guidance sits in the pipeline's guider, not in its call."""
    pipe.guider = pipe.guider.new(guidance_scale=arguments.pop("guidance_scale"))
    return arguments


def _cogvideox(pipe: Any, call: WindowCall, given: dict[int, Image.Image], arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


_Arguments = Callable[[Any, WindowCall, dict[int, Image.Image], dict[str, Any]], dict[str, Any]]
_ARGUMENTS: Mapping[str, _Arguments] = {
    "wan": _wan,
    "wan2.2": _wan,
    "ltx": _ltx,
    "ltx2": _ltx2,
    "hunyuan1.5": _hunyuan,
    "cogvideox": _cogvideox,
}
"""By the first part of a family's name."""


def encode_clip(pipe: Any, frames: Sequence[UInt8[np.ndarray, "h w 3"]], family: Family) -> torch.Tensor:
    """The latents of frames as the denoising loop holds them."""
    vae = pipe.vae
    pictures = [Image.fromarray(frame) for frame in frames]
    pixels = pipe.video_processor.preprocess_video(pictures).to(vae.device, vae.dtype)
    latents = vae.encode(pixels).latent_dist.mode().float()
    if family.name.startswith("wan"):
        mean, std = wan_latent_statistics(vae, latents)
        return (latents - mean) / std
    if family.name.startswith("ltx"):
        latents = pipe._normalize_latents(latents, vae.latents_mean, vae.latents_std)
        return pipe._pack_latents(latents, pipe.transformer_spatial_patch_size, pipe.transformer_temporal_patch_size)
    return latents.transpose(1, 2) * vae.config.scaling_factor


def wan_latent_statistics(vae: Any, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each channel of Wan's latents, to be broadcast over `latents`."""
    mean, std = (
        torch.tensor(values).view(1, -1, 1, 1, 1).to(latents)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return mean, std


def _images(given: Mapping[int, UInt8[np.ndarray, "h w 3"]]) -> dict[int, Image.Image]:
    return {number: Image.fromarray(picture) for number, picture in given.items()}


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    """Numbers that follow one another, together."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
