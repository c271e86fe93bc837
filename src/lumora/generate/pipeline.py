"""The default model, or another one, awake: requests in, videos out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lumora.codec import Codec
from lumora.config import ModelConfig
from lumora.diffusion.condition import State, begin, keep_nothing, keep_prefix, stacked
from lumora.diffusion.flow import log_shift
from lumora.diffusion.guidance import Guidance, denoiser
from lumora.diffusion.sampler import sample, schedule
from lumora.generate.request import Request
from lumora.generate.weights import model_folder, read_config
from lumora.language.text_encoder import TextEncoder
from lumora.model.places import tokens_of
from lumora.model.transformer import Transformer
from lumora.video import Video

Progress = Callable[[int, int], None]
"""Told (steps done, steps in all) after each step of the sampler."""

Network = TypeVar("Network", bound=nn.Module)

DECODED_AT_ONCE = 1024
"""Positions of a latent that are decoded together: a long clip then needs no more memory than a short one."""


@dataclass(frozen=True)
class Pipeline:
    config: ModelConfig
    codec: Codec
    transformer: Transformer
    text_encoder: TextEncoder

    @classmethod
    def load(cls, folder: Path | None = None, device: str | torch.device | None = None) -> Pipeline:
        """The model in `folder`, else the one that comes with lumora; on a GPU where there is one.

        Raises ValueError, in a sentence, where its files are missing or broken.
        """
        config = read_config(folder)
        folder = model_folder(folder)
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        with torch.device("meta"):
            codec, transformer = Codec(config.codec), Transformer(config.transformer)
        return cls(
            config,
            _awake(codec, folder / "codec.safetensors", device).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
            _awake(transformer, folder / "transformer.safetensors", device),
            TextEncoder.load(device=device),
        )

    def generate(self, request: Request, progress: Progress | None = None) -> Video:
        """The video that is asked for; the same request gives the same pixels on the same kind of machine.

        Raises ValueError, in a sentence, for what this model can't make.
        """
        return self.generate_all([request], progress)[0]

    @torch.inference_mode()
    def generate_all(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Video]:
        """The videos of requests that differ in prompt, seed and beginning alone, made together, which is quicker.

        Each is what `generate` makes of it but for rounding. Raises ValueError, in a sentence, for requests that
        differ in more, and for what this model can't make.
        """
        first = requests[0]
        if any(replace(first, prompt=r.prompt, seed=r.seed, beginning=r.beginning) != r for r in requests):
            raise ValueError("Videos that are made together must agree in all but prompt, seed and beginning.")
        for request in requests:
            request.check(self.config)
        state = stacked([self._begin(request) for request in requests])
        text = self.text_encoder.encode([request.prompt for request in requests])
        denoise = denoiser(self.transformer, state, text, Guidance(first.guidance))
        tokens = tokens_of(state.latent.shape[2:], self.transformer.patch)
        times = schedule(first.steps, log_shift(tokens, self.config.flow))
        latents = sample(denoise, state, times, progress=progress)
        return [Video(self._decode(latent[None]), first.fps) for latent in latents]

    def _begin(self, request: Request) -> State:
        """Noise wherever something is to be made; the first latent frames are the request's beginning if it has one."""
        frames, height, width = request.latent_size(self.config)
        clean = torch.zeros(1, self.config.codec.channels, frames, height, width)
        mask = keep_nothing(frames)
        if request.beginning is not None:
            given = self._encode(request.beginning.fitted(*request.size(self.config)))[:, :, :frames]
            clean[:, :, : given.shape[2]] = given
            mask = keep_prefix(frames, given.shape[2])
        seconds = torch.arange(frames) * (self.config.codec.time / request.fps)
        noise = torch.Generator().manual_seed(request.seed)  # on the CPU, so that a GPU starts from the same
        state = begin(clean, mask[None], seconds[None], noise)
        device = self.text_encoder.device
        return State(*(part.to(device) for part in (state.latent, state.clean, state.mask, state.seconds)))

    def _encode(self, video: Video) -> Float[Tensor, "1 c t h w"]:
        """As many of its first frames as make whole latent frames."""
        time = self.config.codec.time
        whole = 1 + (len(video.frames) - 1) // time * time
        pixels = torch.from_numpy(video.frames[:whole].copy()).to(self.text_encoder.device)
        return self.codec.encode(rearrange(pixels, "t h w c -> 1 c t h w") / 127.5 - 1).cpu()

    def _decode(self, latent: Float[Tensor, "1 c t h w"]) -> UInt8[np.ndarray, "T H W 3"]:
        at_once = max(1, DECODED_AT_ONCE // (latent.shape[-2] * latent.shape[-1]))
        pieces = self.codec.stream(latent.split(at_once, dim=2), clamp=True)
        frames = [rearrange((127.5 * (p + 1)).round().byte(), "1 c t h w -> t h w c").cpu() for p in pieces]
        return torch.cat(frames).numpy()


def _awake(network: Network, file: Path, device: torch.device) -> Network:
    """`network` with the weights of `file`, which are kept in bfloat16 wherever that computes faster."""
    try:
        weights = load_file(file, device=str(device))
        network.load_state_dict(weights, strict=True, assign=True)
    except FileNotFoundError:
        raise ValueError(f"The model's file {file} is missing.") from None
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{file} does not hold the weights that its model.json describes: {error}") from error
    return network.to(torch.bfloat16 if _bfloat16_is_faster(device) else torch.float32).eval().requires_grad_(False)


def _bfloat16_is_faster(device: torch.device) -> bool:
    """On a CPU without instructions for it, bfloat16 is emulated and far slower than float32."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return True
