"""Physics: a model is given the beginning of a real clip, and what it makes of it is held against what happened.

The simulator's own continuation is the truth. Things are followed by their colours (`tracking`); the same instrument on
the real clip gives the floor, and two rules that know no physics give figures to beat: a thing stays where it was, a
thing goes on as it went (after "How far is video generation from world model", arXiv:2411.02385).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from lumora.backends.lumora.weights import read_config
from lumora.evaluate.instruments.color_tracker import ColorTables, tracked
from lumora.evaluate.metrics.collisions import Hit, held_out_hits, momentum_errors
from lumora.evaluate.metrics.estimates import Estimate, Table, estimate, mean
from lumora.evaluate.metrics.kinematics import laws
from lumora.evaluate.metrics.proportions import Proportion
from lumora.evaluate.sampling import begun, given_frames
from lumora.evaluate.suites.continuations import DOMAINS, Domain, Start, held_out_starts
from lumora.service.batch import make_videos
from lumora.world.scene import Verb


@dataclass(frozen=True)
class Course:
    """How far from the truth things are, each frame after the given ones."""

    seconds: Float[np.ndarray, " t"]
    """Since the last given frame."""
    distance: tuple[Estimate, ...]
    """Mean distance in shares of the picture's width, of what was found."""
    found: tuple[Proportion, ...]
    """How many of the clips with the thing in sight it was found in."""


@dataclass(frozen=True)
class Physics:
    """What becomes of clips that a model goes on with."""

    courses: dict[str, Course]
    """`model`, `floor` (the instrument on the real clips), `still` and `straight`, in the usual domain."""
    laws: dict[Domain, Table]
    """Errors by what is measured, see `laws.laws`."""
    momentum: Table
    """Errors around a hit, see `contact.momentum_errors`; empty where the world has no hits."""


def measure_physics(
    tables: ColorTables,
    preset: str,
    clips: int,
    steps: int,
    guidance: float | None,
    weights: Path | None = None,
    workers: int = 0,
) -> Physics | None:
    """On as many held-out clips of the usual domain, and on a quarter of that in each of the others and of hits.

    None for a model whose clips are no longer than what is given.
    """
    config = read_config(weights)
    shape, given = config.shape, given_frames(config.codec.temporal_compression)
    if shape.num_frames <= given:
        return None
    counts: dict[Domain, int] = {domain: clips if domain == "usual" else max(1, clips // 4) for domain in DOMAINS}
    starts: dict[Domain, list[Start]] = {d: held_out_starts(preset, count, shape, d) for d, count in counts.items()}
    hits = held_out_hits(preset, max(1, clips // 4), shape, given)
    requests = [
        begun(start.prompt, start.frames, config, seed, steps, guidance)
        for some in (*starts.values(), hits)
        for seed, start in enumerate(some)
    ]
    made = make_videos(requests, weights, workers)
    physics, first = Physics({}, {}, _momentum(tables, hits, made[len(made) - len(hits) :])), 0
    for domain, some in starts.items():
        ways = {
            "model": _ways(tables, made[first : first + len(some)], some),
            "floor": _ways(tables, [start.frames for start in some], some),
        }
        first += len(some)
        truths = [start.truth for start in some]
        verbs: list[Verb] = [start.verb for start in some]
        physics.laws[domain] = laws(ways["model"], ways["floor"], truths, verbs, given, shape.fps)
        if domain == "usual":
            ways["still"] = [stays(truth, given) for truth in truths]
            ways["straight"] = [goes_on(truth, given) for truth in truths]
            physics.courses.update({n: course(places, truths, given, shape.fps) for n, places in ways.items()})
    return physics


def _momentum(tables: ColorTables, hits: Sequence[Hit], made: Sequence[UInt8[np.ndarray, "t h w 3"]]) -> Table:
    model, real = ([tracked(tables, f)[2] for f in videos] for videos in (made, [hit.frames for hit in hits]))
    return momentum_errors(hits, model, real) if hits else {}


def _ways(
    tables: ColorTables, videos: Sequence[UInt8[np.ndarray, "t h w 3"]], starts: Sequence[Start]
) -> list[Float[np.ndarray, "t 2"]]:
    """Where the instrument sees the things that move."""
    return [tracked(tables, f)[2][start.color].places for f, start in zip(videos, starts, strict=True)]


def course(
    places: Sequence[Float[np.ndarray, "t 2"]], truths: Sequence[Float[np.ndarray, "t 2"]], given: int, fps: float
) -> Course:
    """How far these places are from the true ones, frame by frame, after the given ones."""
    apart = np.linalg.norm(np.stack(places) - np.stack(truths), axis=-1)[:, given:]
    seen = ~np.isnan(np.stack(truths)[:, given:, 0])
    found = seen & ~np.isnan(apart)
    frames = range(apart.shape[1])
    return Course(
        (1 + np.arange(len(frames))) / fps,
        tuple(estimate(mean, apart[found[:, t], t]) for t in frames),
        tuple(Proportion(int(found[:, t].sum()), int(seen[:, t].sum())) for t in frames),
    )


def stays(truth: Float[np.ndarray, "t 2"], given: int) -> Float[np.ndarray, "t 2"]:
    """Where it would be if it stayed where it was last seen among the given frames."""
    known = truth[:given][~np.isnan(truth[:given, 0])]
    return np.concatenate([truth[:given], np.repeat(known[-1:], len(truth) - given, axis=0)])


def goes_on(truth: Float[np.ndarray, "t 2"], given: int) -> Float[np.ndarray, "t 2"]:
    """Where it would be if it went on as it went between the last two given frames in which it is seen."""
    known = np.flatnonzero(~np.isnan(truth[:given, 0]))
    last, before = known[-1], known[-2]
    speed = (truth[last] - truth[before]) / (last - before)
    ahead = np.arange(given, len(truth))[:, None] - last
    return np.concatenate([truth[:given], truth[last] + ahead * speed])
