"""`LumoraBackend`: lumora's own model behind the interface of all backends. It loads nothing before `run`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumora.backends.base import Cancel, Capabilities, Plan, Preview, Progress, own_plan
from lumora.backends.lumora import planning
from lumora.backends.lumora.planning import LumoraPlan
from lumora.backends.lumora.weights import model_hash, read_config
from lumora.media.video import Video
from lumora.request.spec import Request

if TYPE_CHECKING:
    from lumora.backends.lumora.pipeline import Pipeline


MAX_READ_CHARACTERS = 100
"""Texts up to this length fit into the text encoder's 128 tokens, whatever they say."""


class LumoraBackend:
    """The model in `folder`, by default the one that comes with lumora. Raises ValueError if there is none."""

    def __init__(self, folder: Path | None = None, device: str | None = None) -> None:
        self.folder, self.device = folder, device
        self.config = read_config(folder)

    def capabilities(self) -> Capabilities:
        return planning.capabilities(self.config)

    def prepare(self, request: Request) -> LumoraPlan:
        plan = planning.prepare(request, self.config)
        plan = replace(plan, warnings=(*plan.warnings, *self._unread_texts(plan)))
        if all(video.latents is None for video in request.videos()):
            return plan
        from lumora.backends.lumora.latent_reuse import drop_unused_latents
        from lumora.backends.lumora.pipeline import codec_hash, latent_shape

        shape = latent_shape(self.config, plan.size)
        reduced = drop_unused_latents(plan.request, plan.segments, shape, codec_hash(self.folder))
        return replace(plan, request=reduced)

    def run(
        self,
        plan: Plan,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        resume_path: Path | None = None,
        on_preview: Preview | None = None,
    ) -> Video:
        return self.run_batch([plan], progress, cancel, resume_path, on_preview)[0]

    def run_batch(
        self,
        plans: Sequence[Plan],
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        resume_path: Path | None = None,
        on_preview: Preview | None = None,
    ) -> list[Video]:
        own = [own_plan(plan, LumoraPlan) for plan in plans]
        return self.pipeline.run(own, progress, cancel, resume_path, on_preview=on_preview)

    def identity(self) -> dict[str, Any]:
        return {"sha256": model_hash(self.folder), "sampling": planning.SAMPLER_VERSION}

    def unload(self) -> None:
        self.__dict__.pop("pipeline", None)

    def _unread_texts(self, plan: LumoraPlan) -> Iterator[str]:
        """A warning for each text that is longer than what the text encoder reads."""
        texts = [plan.request.negative_prompt]
        for segment in plan.segments:
            texts += [segment.source_caption, *(prompt for prompt, _ in segment.shot_ends)]
        for text in dict.fromkeys(texts):
            if len(text) > MAX_READ_CHARACTERS:
                from lumora.text_encoder import TextEncoder

                if end := TextEncoder.unread(text):
                    yield f"The prompt is longer than the text encoder reads; this end of it has no effect: {end}"

    @cached_property
    def pipeline(self) -> Pipeline:
        """The networks, loaded on first use."""
        from lumora.backends.lumora.pipeline import Pipeline

        return Pipeline.from_pretrained(self.folder, self.device)
