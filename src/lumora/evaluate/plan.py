"""What an evaluation measures. Each field is a flag of `lumora evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EvaluationPlan:
    """What is measured and how the videos are sampled. The same plan gives the same figures on the same machine."""

    num_clips: int = 200
    """Number of held-out captions; one video is sampled for each."""
    preset: str = "stage"
    """The preset of the simulated world that the captions come from."""
    length: Literal["short", "sentence", "paragraph"] = "sentence"
    """The length of the captions."""
    language: Literal["en", "cs", "de", "es", "fr", "zh"] = "en"
    """The language of the captions (ISO 639-1 code)."""
    steps: int | None = None
    """Sampling steps of each video; by default the model's own number for the request."""
    guidance_scale: float | None = None
    """Guidance scale of each video; by default the request's own, which depends on its conditions."""
    ood: int = 100
    """Number of held-out combinations of kind, color and motion; if not 0, also all prompts with words outside the
    world's vocabulary."""
    physics: int = 100
    """Number of real clips that the model continues; a quarter of that in each domain beyond training."""
    diversity: int = 12
    """Number of prompts for which four videos are compared with each other."""
    memorization: int = 60
    """Number of videos that are compared with clips of the training set."""
    multi_shot: int = 40
    """Number of films of several shots; and half as many clips with things that leave the picture and come back."""
