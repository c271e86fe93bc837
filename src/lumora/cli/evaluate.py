"""`lumora evaluate`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from lumora.cli.flags import GUIDANCE, File, Number, OutputVerb, Preset
from lumora.evaluate.plan import EvaluationPlan
from lumora.terminal import say, warn

if TYPE_CHECKING:
    from lumora.evaluate.report.evaluation_report import PublishVideo
    from lumora.media.video import Video
    from lumora.request.spec import Request


@dataclass(frozen=True)
class Evaluate(OutputVerb, EvaluationPlan):
    """Measure how well a model follows prompts and the physics of its world (docs/evaluation.md)."""

    preset: Preset = "stage"
    """The preset of the simulated world that the captions come from."""
    guidance_scale: Annotated[Number, GUIDANCE] = None
    """Guidance scale of each video."""
    model: Annotated[Positional[Path | None], arg(metavar="MODEL")] = None
    """The folder of a model of lumora's kind; by default the one that comes with lumora."""
    output_dir: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Write the figures to this folder, as a page (index.html) and as report.json."""
    probe: File = None
    """The weights of another probe than the one that comes with lumora."""
    workers: int = 2
    """Processes that sample and read videos; 0 is this one alone, which is best on a GPU."""

    def run(self) -> None:
        from lumora.evaluate.evaluation_data import PROBE
        from lumora.evaluate.report.evaluation_report import format_report, write_report
        from lumora.evaluate.runner import run_evaluation

        if self.model and not (self.model / "model.json").is_file():
            raise ValueError(
                f"There is no model.json in {self.model}: evaluation measures models of lumora's world by their own "
                "codec and shape, so open-weight models and other servers are not measured."
            )
        plan = EvaluationPlan(**{f.name: getattr(self, f.name) for f in dataclasses.fields(EvaluationPlan)})
        if self.output_dir:
            self.check_report_folder(self.output_dir)
        publish = self._publisher() if self.output_dir else None
        evaluation = run_evaluation(plan, self.model, self.probe or PROBE, self.workers)
        say(*format_report(evaluation).splitlines())
        if self.output_dir and publish:
            write_report(self.output_dir, evaluation, publish)
            say(f"Open {self.output_dir / 'index.html'}.")

    def _publisher(self) -> PublishVideo:
        """The videos on the page are moderated, watermarked, signed and registered like every output."""
        from lumora.backends.lumora.backend import LumoraBackend
        from lumora.service.moderation import Moderation, ModerationBlocked, check_texts
        from lumora.service.publish import publish

        moderation, backend = Moderation.load(), LumoraBackend(self.model)

        def publish_video(request: Request, video: Video, file: Path) -> None:
            try:
                check_texts(request, moderation)
                publish(video, backend.prepare(request).request, file, moderation, backend.identity(), overwrite=True)
            except ModerationBlocked as blocked:
                warn(f"{file.name} is not published: {blocked}")

        return publish_video
