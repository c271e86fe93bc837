"""`lumora redteam`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from lumora.cli.flags import File
from lumora.cli.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np

    from lumora.redteam.bias import Choice
    from lumora.world.facts import Category

TARGETS_MISSED = 1


@dataclass(frozen=True)
class RedTeam:
    """Attack the checks, and count what gets past them; exit code 0: all targets are met, 1: not (docs/safety.md)."""

    suite: Annotated[str, arg(metavar="SUITE")] = "full"
    """What to ask: quick, standard, full, or a file with a {"text": "…", "category": "…" or null} a line."""
    report: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Where to write the figures as a page (index.html) and as report.json."""
    policy: File = None
    """What differs from lumora's policy, else the file that $LUMORA_POLICY names; the figures are put beside it."""
    clips: int = 0
    """How many videos to make of each prompt that leaves something open: how even is the model's choice, and are any of
    its own, harmless clips refused?"""
    weights: File = None
    """The folder of the model that makes them, where that is not the one that comes with lumora."""

    def run(self) -> int:
        from lumora.redteam.redteam_report import as_json, on_screen, write_report
        from lumora.redteam.runner_redteam import OWN, check_targets, review_own, run_redteam
        from lumora.redteam.suite import load_suite
        from lumora.safety.policy import Policy, policy_file, write_figures

        if self.clips < 0:
            raise ValueError(f"The number of clips is 0 or more, not {self.clips}.")
        policy, suite = Policy.load(self.policy, allow_unmeasured=True), load_suite(self.suite)
        videos = self._videos()
        with progress_bar("Waking the checks") as tell:
            figures = run_redteam(suite, policy, tell)
            if videos:
                own = {OWN: review_own(videos, policy, tell)}
                figures = dataclasses.replace(figures, planted=own | figures.planted)
        chosen = self._choices(videos)
        print(on_screen(policy, figures, chosen))
        if self.report is not None:
            write_report(self.report, suite, policy, figures, chosen)
            print(f"Open {self.report / 'index.html'}.")
        file = policy_file(self.policy)
        if file is not None:
            beside = write_figures(file, policy, as_json(suite, policy, figures, chosen))
            print(f"These figures let {file} be used: {beside}.")
        return 0 if all(aim.met for aim in check_targets(figures, policy.targets)) else TARGETS_MISSED

    def _videos(self) -> list[np.ndarray]:
        if not self.clips:
            return []
        from lumora.redteam.bias import open_videos

        return open_videos(self.clips, self.weights)

    def _choices(self, videos: list[np.ndarray]) -> dict[Category, Choice]:
        if not videos:
            return {}
        from lumora.evaluate.runner import PROBE
        from lumora.redteam.bias import choices

        return choices(videos, PROBE)
