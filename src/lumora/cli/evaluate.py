"""`lumora evaluate`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from lumora.cli.flags import GUIDANCE, File, Number, Preset

if TYPE_CHECKING:
    from lumora.evaluate.report.page import Show
    from lumora.media.video import Video
    from lumora.request.spec import Request


@dataclass(frozen=True)
class Evaluate:
    """Measure a model: whether its videos show what prompts say, and go on as the world would (docs/evaluation.md)."""

    weights: Annotated[Positional[Path | None], arg(metavar="WEIGHTS")] = None
    """The folder of another model than the one that comes with lumora."""
    report: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Where to write the figures as a page (index.html) and as report.json."""
    clips: int = 200
    """How many held-out captions."""
    preset: Preset = "plain"
    """The world whose captions they are."""
    length: Literal["short", "sentence", "paragraph"] = "sentence"
    steps: int = 24
    guidance: Annotated[Number, GUIDANCE] = None
    beyond: int = 100
    """How many combinations that training never saw; and, if any, all words outside of the world's vocabulary."""
    physics: int = 100
    """How many real clips to begin, for the model to go on with; a quarter of that in each domain beyond training."""
    diversity: int = 12
    """How many prompts to make four videos of, to see how unlike they are."""
    copying: int = 60
    """How many videos to hold against clips that the model was trained on."""
    films: int = 40
    """How many films of several shots to make; and half as many clips with things that leave the picture and return."""
    probe: File = None
    """The weights of another probe than the one that comes with lumora."""
    workers: int = 2
    """Processes that make the videos; 0: none but this one, as is best on a GPU."""

    def run(self) -> None:
        from lumora.evaluate.report.evaluation_report import on_screen, write_report
        from lumora.evaluate.runner import PROBE, EvaluationPlan, run_evaluation

        extra = self.beyond, self.physics, self.diversity, self.copying, self.films
        plan = EvaluationPlan(self.clips, self.preset, self.length, self.steps, self.guidance, *extra)
        show = self.road() if self.report else None
        figures = run_evaluation(plan, self.weights, self.probe or PROBE, workers=self.workers)
        print(on_screen(figures))
        if self.report and show:
            write_report(self.report, plan, figures, show)
            print(f"Open {self.report / 'index.html'}.")

    def road(self) -> Show:
        """The clips of a page are seen by people, so they leave as all others do: reviewed, marked, signed,
        registered."""
        from lumora.backends.lumora.backend import LumoraBackend
        from lumora.service.moderation import Moderation, ModerationBlocked, check_texts
        from lumora.service.publish import publish

        moderation, backend = Moderation.load(), LumoraBackend(self.weights)

        def show(request: Request, video: Video, file: Path) -> None:
            try:
                check_texts(request, moderation)
                publish(video, backend.prepare(request).request, file, moderation, backend.identity())
            except ModerationBlocked as refused:
                print(f"{file.name} is not shown: {refused}", file=sys.stderr)

        return show
