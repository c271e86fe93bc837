"""`lumora redteam`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from lumora.cli.flags import File, OutputVerb
from lumora.cli.progress import progress_bar
from lumora.terminal import say

if TYPE_CHECKING:
    import numpy as np

    from lumora.redteam.bias import Choice
    from lumora.world.facts import Category

TARGETS_MISSED = 1


@dataclass(frozen=True)
class RedTeam(OutputVerb):
    """Attack the safety checks and count what gets past them; exit code 0: all targets are met, 1: not
    (docs/safety.md)."""

    suite: Annotated[str, arg(metavar="SUITE")] = "full"
    """quick, standard, full, or a file with a line {"text": "…", "category": "…" or null} for each prompt."""
    output_dir: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Write the figures to this folder, as a page (index.html) and as report.json."""
    policy: File = None
    """Changes to lumora's policy, else the file that $LUMORA_POLICY names; the figures are written beside it."""
    num_clips: int = 0
    """Number of videos of each prompt that leaves something open, to measure the model's bias and whether its own
    harmless videos are refused."""
    model: File = None
    """The folder of the model that makes these videos; by default the one that comes with lumora."""

    def run(self) -> int:
        from lumora.redteam.attack_report import RedTeamReport
        from lumora.redteam.attack_suite_runner import OWN_CLIPS, refused_own_clips, run_redteam
        from lumora.redteam.suite import load_suite
        from lumora.safety.policy import Policy, policy_file, write_figures

        if self.num_clips < 0:
            raise ValueError(f"The number of clips must not be negative; it is {self.num_clips}.")
        if self.output_dir is not None:
            self.check_report_folder(self.output_dir)
        policy, suite = Policy.load(self.policy, allow_unmeasured=True), load_suite(self.suite)
        videos = self._sample_videos()
        with progress_bar("Loading the checks") as progress:
            figures = run_redteam(suite, policy, progress)
            if videos:
                own_clips = {OWN_CLIPS: refused_own_clips(videos, policy, progress)}
                figures = dataclasses.replace(figures, symbols=own_clips | figures.symbols)
        report = RedTeamReport(suite, policy, figures, self._count_choices(videos))
        say(*report.as_text().splitlines())
        if self.output_dir is not None:
            report.write(self.output_dir)
            say(f"Open {self.output_dir / 'index.html'}.")
        file = policy_file(self.policy)
        if file is not None:
            figures_file = write_figures(file, policy, report.as_json())
            say(f"{file} can now be used; its figures are in {figures_file}.")
        return 0 if report.targets_met else TARGETS_MISSED

    def _sample_videos(self) -> list[np.ndarray]:
        if not self.num_clips:
            return []
        from lumora.redteam.bias import sample_open_prompts

        return sample_open_prompts(self.num_clips, self.model)

    def _count_choices(self, videos: list[np.ndarray]) -> dict[Category, Choice]:
        if not videos:
            return {}
        from lumora.evaluate.evaluation_data import PROBE
        from lumora.redteam.bias import count_choices

        return count_choices(videos, PROBE)
