"""A backend without networks, and a moderation of given checks, for tests of the service layer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lumora.backends.base import Cancel, Capabilities, Plan, Preview, Progress
from lumora.backends.lumora import planning
from lumora.config import ModelConfig, Resolution
from lumora.media.video import Video
from lumora.request.spec import Request
from lumora.safety.policy import Policy
from lumora.safety.verdict import Moderator, Verdict
from lumora.service.moderation import Moderation


class FakeBackend:
    """Makes what `make` returns for a request."""

    def __init__(self, make: Callable[[Request], Video]) -> None:
        self.make = make

    def capabilities(self) -> Capabilities:
        return planning.capabilities(ModelConfig())

    def prepare(self, request: Request) -> Plan:
        return Plan(request, Resolution(64, 64), 8.0, 17, ())

    def run(
        self,
        plan: Plan,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        resume_path: Path | None = None,
        on_preview: Preview | None = None,
    ) -> Video:
        return self.make(plan.request)

    def run_batch(
        self,
        plans: Sequence[Plan],
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        resume_path: Path | None = None,
        on_preview: Preview | None = None,
    ) -> list[Video]:
        return [self.run(plan) for plan in plans]

    def unload(self) -> None:
        pass

    def identity(self) -> dict[str, Any]:
        return {"sha256": "00", "sampling": 0}


class Allows:
    def check(self, content: Any, /) -> Verdict:
        return Verdict({})


def moderation(texts: Moderator[str] | None = None, frames: Moderator[Any] | None = None) -> Moderation:
    """The default policy under the version "test"; checks that are not given allow everything."""
    policy = replace(Policy.load(), version="test")
    return Moderation(policy, texts or Moderator([Allows()]), frames or Moderator([Allows()]))
