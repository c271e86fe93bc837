"""The verbs on any file, quickly: files are read, checked and signed as always, and the networks are left out."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from fake_backend import Allows, moderation

from lumora.backends.base import Plan
from lumora.backends.lumora.backend import LumoraBackend
from lumora.cli import Verb, exit_code
from lumora.cli.edit import Connect, Edit, Extend, Infill, Loop
from lumora.cli.generate import Generate
from lumora.cli.moderate import Moderate
from lumora.cli.provenance import Detect, Verify
from lumora.cli.reproduce import Reproduce
from lumora.config import Resolution
from lumora.media.video import Video
from lumora.safety.verdict import Moderator

READING: dict[str, Callable[[Path], Verb]] = {
    "verify": Verify,
    "detect": Detect,
    "moderate": lambda file: Moderate(video=file),
}
MAKING = ("generate", "extend", "loop", "connect", "infill", "edit")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def is_one_sentence(self) -> bool:
        lines = self.err.splitlines()
        return self.code == 2 and len(lines) == 1 and lines[0].startswith("lumora: ") and lines[0].endswith(".")


def run(verb: Verb) -> Outcome:
    """Runs a verb as the command line does; anything but an exit code is raised."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = exit_code(verb.run)
    return Outcome(code, out.getvalue(), err.getvalue())


def make(verb: str, file: Path, second: Path, output: Path, model: Path) -> Outcome:
    """Runs a verb that makes a video of `file`."""
    common: dict[str, Any] = {"output": output, "model": model, "size": Resolution(48, 32)}
    match verb:
        case "generate":
            images: dict[str, Any] = {"image": file, "last_image": file, "keyframe": ((0.1, file),)}
            return run(Generate(prompt="a ball", seconds=0.25, **images, **common))
        case "extend":
            return run(Extend(clip=file, seconds=0.25, **common))
        case "loop":
            return run(Loop(clip=file, seconds=0.25, **common))
        case "infill":
            return run(Infill(clip=file, from_=0.1, to=0.2, **common))
        case "edit":
            return run(Edit(clip=file, prompt="now at night", **common))
        case _:
            return run(Connect(clip=file, second=second, seconds=0.25, **common))


def make_again(made: Path, inputs: tuple[Path, ...], output: Path, model: Path) -> Outcome:
    """Runs `reproduce`."""
    return run(Reproduce(made, output, inputs, model))


@contextlib.contextmanager
def without_networks(state: Path) -> Iterator[None]:
    """Every check allows, every video is gray, no codec's trace is measured, and `state` is the state folder."""

    def gray(self: LumoraBackend, plan: Plan, *_: object) -> Video:
        return Video(np.full((plan.num_frames, plan.size.height, plan.size.width, 3), 128, np.uint8), plan.fps)

    with (
        patch("lumora.service.moderation.Moderation.load", lambda *_: moderation()),
        patch("lumora.safety.moderators.frame_moderator", lambda _: Moderator([Allows()])),
        patch("lumora.backends.lumora.pipeline.load_codec", lambda: None),
        patch("lumora.provenance.watermark.embed", lambda video, *_: video),
        patch.object(LumoraBackend, "run", gray),
        patch.dict(os.environ, {"LUMORA_STATE": str(state)}),
    ):
        yield
