"""lumora: an open, self-hosted Sora.

from lumora import Pipeline, Request
Pipeline.from_pretrained().generate(Request("a red ball bounces on a meadow")).save("ball.mp4")
"""

import os
from typing import TYPE_CHECKING, Any

# Read when torch is imported. By default the threads of OpenMP spin while they wait for one another; where other
# programs use the cores, that took ten times the processor time (docs/experiments/speed.md).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from lumora.backends.lumora.pipeline import Pipeline
    from lumora.backends.model_selection import open_backend
    from lumora.media.video import Video
    from lumora.request.conditions import Condition, Shot
    from lumora.request.spec import Request

__all__ = ["Condition", "Pipeline", "Request", "Shot", "Video", "open_backend"]


def __getattr__(name: str) -> Any:
    """Imports on first use: torch takes seconds, and most commands and `--help` need none of it."""
    from importlib import import_module

    homes = {
        "Pipeline": "backends.lumora.pipeline",
        "Request": "request.spec",
        "Condition": "request.conditions",
        "Shot": "request.conditions",
        "Video": "media.video",
        "open_backend": "backends.model_selection",
    }
    if name not in homes:
        raise AttributeError(f"module 'lumora' has no attribute {name!r}")
    return getattr(import_module(f"lumora.{homes[name]}"), name)
