"""What is heard: the sound of given things where their frames lie, and silence where frames are made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from lumora.backends.lumora.segments import Given, Take
from lumora.media.audio import Sound, cut, samples, silence

FADE_SECONDS = 0.02
"""In which a sound that is cut off comes and goes: otherwise it would click."""

Source = tuple[int, float]
"""Number of a given thing, and the frame of the video, perhaps a broken one, at which it begins."""


def soundtrack(takes: Sequence[Take], given: Sequence[Given], fps: float, loop: bool = False) -> Sound | None:
    """As long as the frames of all takes; None if nothing that is seen has a sound.

    Drafts have theirs too: what is made again of them is what is seen.
    """
    sources = _sources(takes, given, fps)
    if not any(sources):
        return None
    heard = silence(len(sources) / fps)
    for source, run in groupby(range(len(sources)), sources.__getitem__):
        sound = given[source[0]].video.sound if source else None
        if source and sound is not None:
            shown = list(run)
            first, ends = shown[0], shown[-1] + 1
            at, until, begins = samples(first / fps), samples(ends / fps), samples(source[1] / fps)
            piece = cut(sound, at - begins, until - begins)
            heard[at:until] = _faded(piece, first > 0 or loop, ends < len(sources) or loop)
    return heard


def _sources(takes: Sequence[Take], given: Sequence[Given], fps: float) -> list[Source | None]:
    """What is heard while each frame of the video is shown; a given picture is heard until the next one of its own."""
    sources: list[Source | None] = [None] * sum(take.shown for take in takes)
    for take in takes:
        for frame, place in sorted(take.places.items()):
            thing, apart = given[place.given].video, fps / given[place.given].video.fps
            if thing.sound is None or place.strength == 1:
                continue
            begins = take.begins + place.at - place.picture * apart
            stays = range(frame + 1, frame + math.ceil(apart - 1e-6))
            for shown in (frame, *(later for later in stays if later not in take.places)):
                if shown < take.shown:
                    sources[take.begins + shown] = (place.given, round(begins, 6))
    return sources


def _faded(sound: Sound, comes: bool, goes: bool) -> Sound:
    length = min(samples(FADE_SECONDS), len(sound) // 2)
    ramp = (np.arange(length) + 0.5)[:, None] / max(1, length)
    loud = sound.astype(np.float64)
    if comes:
        loud[:length] *= ramp
    if goes:
        loud[len(loud) - length :] *= ramp[::-1]
    return loud.round().astype(np.int16)
