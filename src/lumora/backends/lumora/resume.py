"""Unfinished work in a file, so that an interrupted video is continued.

Generated latents are known like given ones, so of finished windows the clean latents and the denoise mask are all there
is to keep; of the window that is sampled, the state of the sampler.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from lumora.atomic_io import atomic_write
from lumora.backends.lumora.planning import SAMPLER_VERSION
from lumora.diffusion.condition import LatentState
from lumora.diffusion.sampler import SamplerState
from lumora.request.serialization import to_recipe
from lumora.request.spec import Request
from lumora.weights_io import weights_hash

SAVE_SECONDS = 10.0
"""The state within a window is kept this often."""


def request_fingerprint(requests: Sequence[Request], networks: Sequence[nn.Module]) -> str:
    """A hash of the requests that are made together, the pixels of their conditions, the weights and the version of the
    sampler."""
    digest = hashlib.sha256(repr((SAMPLER_VERSION, *map(to_recipe, requests))).encode())
    for network in networks:
        digest.update(weights_hash(network.state_dict().values()).encode())
    return digest.hexdigest()


class ResumeFile:
    """The unfinished work of one call of the pipeline: the latents of its segments, and where sampling is.

    Without a path, nothing is kept and nothing is known.
    """

    def __init__(self, path: Path | None, fingerprint: Callable[[], str]) -> None:
        """`fingerprint` identifies the work; it is slow for large models, and called when it is needed."""
        self._path, self._fingerprint = path, cache(fingerprint)
        self._saved_at = time.monotonic()

    def load(self, states: Sequence[LatentState]) -> tuple[list[LatentState], SamplerState | None]:
        """`states` with what the file knows, and the state of the sampler in the first window that is not finished.

        There is no state (None) if the file does not exist, if it is of other work, or between two windows. Raises
        ValueError, in one sentence, for a file that is something else, because it would be replaced.
        """
        if self._path is None or not self._path.exists():
            return list(states), None
        try:
            with safe_open(self._path, "pt") as content:
                facts = content.metadata() or {}
                if facts.get("fingerprint") != self._fingerprint():
                    return list(states), None
                tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118, it is no dict
        except SafetensorError:
            sentence = "is not unfinished work of lumora; move it, because that is kept there."
            raise ValueError(f"{self._path} {sentence}") from None
        known = [
            replace(state, clean_latent=tensors[f"{n}.clean_latent"], denoise_mask=tensors[f"{n}.denoise_mask"])
            for n, state in enumerate(states)
        ]
        if "latent" not in tensors:
            return known, None
        return known, SamplerState(int(facts["num_steps"]), tensors["latent"], tensors.get("velocity"))

    def save(self, states: Sequence[LatentState], point: SamplerState | None = None) -> None:
        """Writes with mode 0600, because nothing of it was moderated. Raises OSError, in one sentence, if it cannot."""
        if self._path is None:
            return
        tensors, facts = {}, {"fingerprint": self._fingerprint()}
        for index, state in enumerate(states):
            tensors[f"{index}.clean_latent"] = state.clean_latent.contiguous()
            tensors[f"{index}.denoise_mask"] = state.denoise_mask.contiguous()
        if point is not None:
            facts["num_steps"] = str(point.num_steps)
            tensors["latent"] = point.latent.contiguous()
            if point.velocity is not None:
                tensors["velocity"] = point.velocity.contiguous()
        with atomic_write(self._path) as part:
            part.touch(0o600)
            save_file(tensors, part, facts)
        self._saved_at = time.monotonic()

    def save_sometimes(self, states: Sequence[LatentState], point: SamplerState) -> None:
        """Saves if SAVE_SECONDS have passed since the last time."""
        if time.monotonic() - self._saved_at > SAVE_SECONDS:
            self.save(states, point)
