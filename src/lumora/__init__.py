"""lumora: an open, self-hosted Sora.

from lumora import Pipeline, Request
Pipeline.load().generate(Request("a red ball bounces on a meadow")).save("ball.mp4")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lumora.backends.lumora.pipeline import Pipeline
    from lumora.backends.lumora.segments import Condition, Shot
    from lumora.media.video import Video
    from lumora.request.spec import Request

__all__ = ["Condition", "Pipeline", "Request", "Shot", "Video"]


def __getattr__(name: str) -> Any:
    """Imports on first use: torch takes seconds, and most commands and `--help` need none of it."""
    from importlib import import_module

    homes = {
        "Pipeline": "backends.lumora.pipeline",
        "Request": "request.spec",
        "Condition": "backends.lumora.segments",
        "Shot": "backends.lumora.segments",
        "Video": "media.video",
    }
    if name not in homes:
        raise AttributeError(f"module 'lumora' has no attribute {name!r}")
    return getattr(import_module(f"lumora.{homes[name]}"), name)
