"""`lumora moderate`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from lumora.cli.flags import File, Text
from lumora.cli.progress import progress_bar
from lumora.terminal import say, warn

if TYPE_CHECKING:
    from lumora.safety.policy import Policy
    from lumora.safety.verdict import Verdict

REFUSED = 1
BATCH_FRAMES = 8
"""Frames that are checked at a time."""


@dataclass(frozen=True)
class Moderate:
    """Check a prompt, a video or both against the policy. Exit code 0: allowed, 1: refused (docs/safety.md)."""

    text: Positional[Text] = None
    """The prompt to check."""
    video: File = None
    """The video or image to check."""
    policy: File = None
    """TOML file that changes lumora's policy. Default: the file that $LUMORA_POLICY names."""
    json: bool = False
    """Print JSON with the score, threshold and source of every category."""

    def run(self) -> int:
        from lumora.safety.policy import Policy

        if self.text is None and self.video is None:
            raise ValueError("There is nothing to check; give a text or --video FILE.")
        policy = Policy.load(self.policy)
        verdict = self._verdict(policy)
        say(*(as_json(policy, verdict) if self.json else as_text(policy, verdict)).splitlines())
        return 0 if verdict.allowed else REFUSED

    def _verdict(self, policy: Policy) -> Verdict:
        from lumora.safety.moderators import text_moderator
        from lumora.safety.verdict import combine_verdicts

        verdicts = [] if self.text is None else [text_moderator(policy).check(self.text)]
        return combine_verdicts(verdicts if self.video is None else [*verdicts, *_frame_verdicts(policy, self.video)])


def _frame_verdicts(policy: Policy, file: Path) -> Iterator[Verdict]:
    """Verdicts of a few frames at a time, so that a long video needs no more memory than a short one."""
    import numpy as np

    from lumora.media.reader import FrameReader
    from lumora.safety.frame_sampling import sampled_frames
    from lumora.safety.moderators import frame_moderator

    with progress_bar("Loading the checks") as report, FrameReader(file) as reader:
        moderator = frame_moderator(policy)
        frames = sampled_frames(reader)
        while batch := tuple(islice(frames, BATCH_FRAMES)):
            yield moderator.check(np.stack(batch))
            if reader.duration:
                report("Checking the frames", round(reader.position), round(reader.duration))
        warnings = reader.warnings
    for warning in warnings:
        warn(f"lumora: {warning}")


def as_text(policy: Policy, verdict: Verdict) -> str:
    definitions = (f"  {policy.categories[n].title}: {policy.categories[n].definition}" for n in verdict.refused)
    return "\n".join([verdict.reason, *definitions])


def as_json(policy: Policy, verdict: Verdict) -> str:
    import json

    scores = {
        name: {"score": round(score.value, 4), "threshold": policy.categories[name].threshold, "source": score.source}
        for name, score in verdict.scores.items()
    }
    result = {
        "allowed": verdict.allowed,
        "refused": verdict.refused,
        "failure": verdict.failure,
        "policy": policy.version,
        "scores": scores,
    }
    return json.dumps(result, indent=2)
