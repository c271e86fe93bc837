"""Families of models: pipelines of diffusers that are called alike. Data only; nothing heavy is imported.

A model that is called like one of these needs a line in `catalog.toml`. One that is called differently needs an entry
here, and a function in `pipeline_calls.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lumora.backends.base import Task

Anchor: TypeAlias = Literal["first", "last"]
"""A frame of a window that is given: its first or its last one."""
NOTHING: frozenset[Anchor] = frozenset()
FIRST: frozenset[Anchor] = frozenset({"first"})
LAST: frozenset[Anchor] = frozenset({"last"})
BOTH: frozenset[Anchor] = FIRST | LAST


@dataclass(frozen=True)
class Family:
    """How the models of a family are called, and what they can be given."""

    name: str
    text_pipeline: str | None
    """Class of diffusers for windows of which no frame is given; None if a frame is always needed."""
    given_pipeline: str | None
    """Class of diffusers for windows of which frames are given."""
    accepts: frozenset[frozenset[Anchor]]
    """The frames of a window that can be given together. NOTHING: a window can be made from text alone."""
    size_step: int
    """Width and height are multiples of this many pixels."""
    frame_step: int
    """A window has 1 + n · frame_step frames."""
    max_prompt_tokens: int
    """Tokens of a prompt that the text encoder reads."""
    any_frames: bool = False
    """Whether any frames of a window can be given."""
    edits: bool = False
    """Whether a clip can be noised and denoised by another prompt (SDEdit)."""
    resumes: bool = True
    """Whether denoising can be continued in the middle."""
    any_fps: bool = False
    """Whether the pipeline is told the frame rate."""
    has_audio: bool = False
    caches_steps: bool = False
    """Whether diffusers has a step cache for the transformer, and the pipeline resets it."""
    takes_references: bool = False
    """Whether reference images of a cast can be given."""
    context_parallel: bool = False
    """Whether diffusers can divide a video's tokens among several GPUs."""

    @property
    def tasks(self) -> frozenset[Task]:
        tasks: set[Task] = set()
        if NOTHING in self.accepts or self.any_frames:
            tasks |= {"text", "shots"}
        if FIRST in self.accepts or self.any_frames:
            tasks |= {"image", "extend", "shots"}
        if LAST in self.accepts or self.any_frames:
            tasks |= {"last_image", "extend_backward"}
        if BOTH in self.accepts or self.any_frames:
            tasks |= {"last_image", "keyframes", "infill", "connect", "loop"}
        if self.edits:
            tasks |= {"edit"}
        return frozenset(tasks)


_WAN: Mapping[str, Any] = {
    "size_step": 16,
    "frame_step": 4,
    "max_prompt_tokens": 512,
    "caches_steps": True,
    "context_parallel": True,
}
_LTX: Mapping[str, Any] = {"size_step": 32, "frame_step": 8, "any_fps": True}

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("wan", "WanPipeline", None, frozenset({NOTHING}), edits=True, **_WAN),
        Family("wan-image", None, "WanImageToVideoPipeline", frozenset({FIRST}), **_WAN),
        Family("wan-first-last", None, "WanImageToVideoPipeline", frozenset({BOTH}), **_WAN),
        Family("wan2.2-image", None, "WanImageToVideoPipeline", frozenset({FIRST, BOTH}), **_WAN),
        Family(
            "wan2.2-5b",
            "WanPipeline",
            "WanImageToVideoPipeline",
            frozenset({NOTHING, FIRST}),
            edits=True,
            **{**_WAN, "size_step": 32},
        ),
        Family(
            "wan-vace",
            "WanVACEPipeline",
            "WanVACEPipeline",
            frozenset({NOTHING, FIRST, LAST, BOTH}),
            any_frames=True,
            edits=True,
            takes_references=True,
            **{**_WAN, "context_parallel": False},
        ),
        Family(
            "ltx",
            "LTXPipeline",
            "LTXImageToVideoPipeline",
            frozenset({NOTHING, FIRST}),
            max_prompt_tokens=128,
            edits=True,
            caches_steps=True,
            **_LTX,
        ),
        Family(
            "ltx-condition",
            "LTXConditionPipeline",
            "LTXConditionPipeline",
            frozenset({NOTHING, FIRST, LAST, BOTH}),
            max_prompt_tokens=256,
            any_frames=True,
            edits=True,
            caches_steps=True,
            **_LTX,
        ),
        Family(
            "ltx2",
            "LTX2Pipeline",
            "LTX2ConditionPipeline",
            frozenset({NOTHING, FIRST, LAST, BOTH}),
            max_prompt_tokens=1024,
            resumes=False,
            has_audio=True,
            **_LTX,
        ),
        Family(
            "hunyuan1.5",
            "HunyuanVideo15Pipeline",
            None,
            frozenset({NOTHING}),
            size_step=16,
            frame_step=4,
            max_prompt_tokens=1000,
            resumes=False,
        ),
        Family(
            "cogvideox",
            "CogVideoXPipeline",
            None,
            frozenset({NOTHING}),
            size_step=16,
            frame_step=8,
            max_prompt_tokens=226,
            edits=True,
            caches_steps=True,
        ),
    )
}


def family_of(index: Mapping[str, Any], transformer: Mapping[str, Any]) -> Family:
    """The family of a model, by its model_index.json and the config.json of its transformer.

    Raises ValueError for a pipeline that none of the families calls.
    """
    match index.get("_class_name"):
        case "WanPipeline" | "WanDMDPipeline" | "WanVideoToVideoPipeline":
            return FAMILIES["wan2.2-5b" if index.get("expand_timesteps") else "wan"]
        case "WanImageToVideoPipeline" if index.get("expand_timesteps"):
            return FAMILIES["wan2.2-5b"]
        case "WanImageToVideoPipeline" if transformer.get("image_dim") is None:
            return FAMILIES["wan2.2-image"]
        case "WanImageToVideoPipeline":
            return FAMILIES["wan-first-last" if transformer.get("pos_embed_seq_len") else "wan-image"]
        case "WanVACEPipeline":
            return FAMILIES["wan-vace"]
        case "LTXPipeline" | "LTXImageToVideoPipeline":
            return FAMILIES["ltx"]
        case "LTXConditionPipeline":
            return FAMILIES["ltx-condition"]
        case "LTX2Pipeline" | "LTX2ImageToVideoPipeline" | "LTX2ConditionPipeline":
            return FAMILIES["ltx2"]
        case "HunyuanVideo15Pipeline":
            return FAMILIES["hunyuan1.5"]
        case "CogVideoXPipeline":
            return FAMILIES["cogvideox"]
    known = "Wan, LTX-Video, LTX-2, HunyuanVideo 1.5 and CogVideoX"
    raise ValueError(f"lumora cannot run a pipeline of the class {index.get('_class_name')!r}; it runs {known}.")
