"""Physics: a model is given the beginning of a real clip, and what it makes of it is held against what happened.

The simulator's own continuation is the truth. Things are followed by their colours (`tracking`); the same instrument on
the real clip gives the floor, and two rules that know no physics give figures to beat: a thing stays where it was, a
thing goes on as it went (after "How far is video generation from world model", arXiv:2411.02385).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from lumora.config import VideoShape
from lumora.evaluate.suites import HELD_OUT_SEED, caption_of
from lumora.evaluate.tracking import LEAST, Tables, sight
from lumora.evaluate.videos import make_videos
from lumora.generate.request import Request
from lumora.generate.timeline import Given
from lumora.generate.weights import read_config
from lumora.video import Video
from lumora.world.clip import make_scene
from lumora.world.facts import facts_of
from lumora.world.render import render
from lumora.world.scene import Verb

GIVEN = 2
"""Latent frames that are given: a picture and the frames of one more, so that speed can be seen."""
MOVING: tuple[Verb, ...] = ("roll", "slide", "bounce", "fall", "jump")


@dataclass(frozen=True)
class Start:
    """A real clip whose beginning is given, and where its moving thing really is."""

    prompt: str
    color: str
    frames: UInt8[np.ndarray, "t h w 3"]
    truth: Float[np.ndarray, "t 2"]
    """Column and row of the thing's middle, as shares of width and height; NaN where it is out of sight."""


@dataclass(frozen=True)
class Course:
    """How far from the truth things are, each frame after the given ones."""

    seconds: Float[np.ndarray, " t"]
    """Since the last given frame."""
    distance: Float[np.ndarray, " t"]
    """Mean distance in shares of the picture's width, of what was found."""
    found: Float[np.ndarray, " t"]
    """Share of the clips with the thing in sight in which it was found."""


def measure_physics(
    tables: Tables, preset: str, clips: int, steps: int, guidance: float, weights: Path | None = None, workers: int = 0
) -> dict[str, Course]:
    """`model`, `floor` (the instrument on the real clips), `still` and `straight` on as many held-out clips.

    Nothing for a model whose clips are no longer than what is given.
    """
    config = read_config(weights)
    shape, given = config.shape, 1 + config.codec.time * (GIVEN - 1)
    if shape.frames <= given:
        return {}
    starts = held_out_starts(preset, clips, shape)
    seconds = (shape.frames - 1) / shape.fps
    requests = [
        Request(
            start.prompt, seconds, shape.width, shape.height, shape.fps, seed, steps, guidance,
            (Given(Video(start.frames[:given], shape.fps)),),
        )
        for seed, start in enumerate(starts)
    ]  # fmt: skip
    made = make_videos(requests, weights, workers)
    courses = {
        "model": [sight(tables, video).tracks[start.color].places for video, start in zip(made, starts, strict=True)],
        "floor": [sight(tables, start.frames).tracks[start.color].places for start in starts],
        "still": [stays(start.truth, given) for start in starts],
        "straight": [goes_on(start.truth, given) for start in starts],
    }
    truths = [start.truth for start in starts]
    return {name: course(places, truths, given, shape.fps) for name, places in courses.items()}


def held_out_starts(preset: str, clips: int, shape: VideoShape, seed: int = HELD_OUT_SEED) -> list[Start]:
    """Clips of a camera that stands still and, first in the cast, a thing that moves and is in sight."""
    starts: list[Start] = []
    for index in itertools.count():
        scene, trajectory = make_scene(preset, seed, index, shape)
        movers = [i for i, subject in enumerate(scene.subjects) if subject.motion.verb in MOVING]
        if scene.camera.move != "static" or not movers:
            continue
        drawn = render([scene], [trajectory], shape.height, shape.width)
        truth = middles(drawn.subject[0].numpy() == movers[0])
        if np.isnan(truth[:2]).any():
            continue
        words = caption_of(facts_of(scene, trajectory), seed, index, "sentence")
        starts.append(Start(words.text, scene.subjects[movers[0]].color, drawn.frames[0].numpy(), truth))
        if len(starts) == clips:
            return starts
    raise AssertionError("The count of scenes has no end.")


def middles(shown: np.ndarray) -> Float[np.ndarray, "t 2"]:
    """Column and row of the middle of what is shown (t, h, w), as shares; NaN where it is too small to be seen."""
    height, width = shown.shape[1:]
    places = np.full((len(shown), 2), np.nan)
    for number, frame in enumerate(shown):
        rows, columns = np.nonzero(frame)
        if len(rows) >= LEAST * height * width:
            places[number] = (columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height
    return places


def course(
    places: Sequence[Float[np.ndarray, "t 2"]], truths: Sequence[Float[np.ndarray, "t 2"]], given: int, fps: float
) -> Course:
    """How far these places are from the true ones, frame by frame, after the given ones."""
    apart = np.linalg.norm(np.stack(places) - np.stack(truths), axis=-1)[:, given:]
    seen = ~np.isnan(np.stack(truths)[:, given:, 0])
    found = seen & ~np.isnan(apart)
    distance = np.where(found, apart, 0).sum(axis=0) / np.maximum(found.sum(axis=0), 1)
    seconds = (1 + np.arange(apart.shape[1])) / fps
    return Course(seconds, distance, found.sum(axis=0) / np.maximum(seen.sum(axis=0), 1))


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
