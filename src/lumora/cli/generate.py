"""`lumora generate`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from lumora.cli.flags import OF_THE_MODEL, File, Number, Output, Size
from lumora.cli.progress import progress_bar

if TYPE_CHECKING:
    from lumora.config import ModelConfig
    from lumora.generate.request import Request
    from lumora.provenance.manifest import Parent


@dataclass(frozen=True)
class Generate:
    """Make a video of a prompt."""

    prompt: Annotated[Positional[str], arg(metavar="PROMPT")]
    """What the video shall show."""
    output: Output
    """Where to write it: .mp4, .gif, .webp, or a still as .png."""
    seconds: Annotated[Number, arg(help_behavior_hint="(default: 2, and 0 for a .png)")] = None
    """Duration; 0 makes a picture."""
    size: Annotated[Size, OF_THE_MODEL] = None
    """Width and height in pixels."""
    fps: Annotated[Number, OF_THE_MODEL] = None
    """Frames a second."""
    seed: int = 0
    """Another number makes another video; the same one makes the same."""
    steps: int = 30
    """Steps of the sampler: more take longer and look better."""
    guidance: float = 4.0
    """How far to lean to the prompt; 1 samples the model as it is."""
    image: File = None
    """A picture to begin with."""
    weights: File = None
    """The folder of another model than the one that comes with lumora."""

    def run(self) -> None:
        from lumora.generate.weights import read_config
        from lumora.video import check_destination

        began = time.monotonic()
        check_destination(self.output)
        config = read_config(self.weights)
        request = self._request(config)
        request.check(config)
        from lumora.provenance.manifest import Parent

        parents = [Parent(self.image, "inputTo")] if self.image else []
        make_and_deliver(request, self.output, self.weights, parents)
        frames, (height, width) = request.frames(config), request.size(config)
        print(f"{self.output}: {frames} frames of {width}x{height}, made in {time.monotonic() - began:.1f} s.")

    def _request(self, config: ModelConfig) -> Request:
        from lumora.generate.request import Request
        from lumora.video import Video

        width, height = self.size or (None, None)
        usual_seconds = 0.0 if self.output.suffix.lower() == ".png" else Request.seconds
        return Request(
            prompt=self.prompt,
            seconds=usual_seconds if self.seconds is None else self.seconds,
            width=width,
            height=height,
            fps=config.shape.fps if self.fps is None else self.fps,
            seed=self.seed,
            steps=self.steps,
            guidance=self.guidance,
            beginning=Video.load(self.image, max_frames=1) if self.image else None,
        )


def make_and_deliver(
    request: Request, output: Path, weights: Path | None, parents: Sequence[Parent], record: str | None = None
) -> None:
    """Wakes the model, makes the video, and lets it out by the only road."""
    from lumora.cli import checks

    with progress_bar("Waking the model") as report:
        from lumora.deliver import deliver
        from lumora.generate.pipeline import Pipeline
        from lumora.generate.recipe import model_digest

        pipeline = Pipeline.load(weights)
        deliver(
            request,
            output,
            lambda request: pipeline.generate(request, lambda done, steps: report("Making the video", done, steps)),
            checks.check_prompt,
            checks.review_frames,
            {"model": {"sha256": model_digest(weights)}, "policy": checks.POLICY},
            parents,
            record,
        )
