"""What is heard: the sound of given things where their frames lie, and silence where frames are made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from lumora.backends.lumora.segments import Condition, Segment
from lumora.media.audio import AudioSamples, cut, num_samples, silence

FADE_SECONDS = 0.02
"""In which a sound that is cut off comes and goes: otherwise it would click."""

AudioSource = tuple[int, float]
"""Number of a given thing, and the frame of the video, perhaps a broken one, at which it begins."""


def soundtrack(
    takes: Sequence[Segment], given: Sequence[Condition], fps: float, loop: bool = False
) -> AudioSamples | None:
    """As long as the frames of all takes; None if nothing that is seen has a sound.

    Drafts have theirs too: what is made again of them is what is seen.
    """
    sources = _sources(takes, given, fps)
    if not any(sources):
        return None
    heard = silence(len(sources) / fps)
    for source, run in groupby(range(len(sources)), sources.__getitem__):
        sound = given[source[0]].video.audio if source else None
        if source and sound is not None:
            shown = list(run)
            first, ends = shown[0], shown[-1] + 1
            at, until, begins = num_samples(first / fps), num_samples(ends / fps), num_samples(source[1] / fps)
            piece = cut(sound, at - begins, until - begins)
            heard[at:until] = _faded(piece, first > 0 or loop, ends < len(sources) or loop)
    return heard


def _sources(takes: Sequence[Segment], given: Sequence[Condition], fps: float) -> list[AudioSource | None]:
    """What is heard while each frame of the video is shown; a given picture is heard until the next one of its own."""
    sources: list[AudioSource | None] = [None] * sum(take.num_frames for take in takes)
    for take in takes:
        for frame, place in sorted(take.frame_sources.items()):
            thing, apart = given[place.condition_index].video, fps / given[place.condition_index].video.fps
            if thing.audio is None or place.strength == 1:
                continue
            begins = take.first_frame + place.time - place.frame_index * apart
            stays = range(frame + 1, frame + math.ceil(apart - 1e-6))
            for shown in (frame, *(later for later in stays if later not in take.frame_sources)):
                if shown < take.num_frames:
                    sources[take.first_frame + shown] = (place.condition_index, round(begins, 6))
    return sources


def _faded(sound: AudioSamples, comes: bool, goes: bool) -> AudioSamples:
    length = min(num_samples(FADE_SECONDS), len(sound) // 2)
    ramp = (np.arange(length) + 0.5)[:, None] / max(1, length)
    loud = sound.astype(np.float64)
    if comes:
        loud[:length] *= ramp
    if goes:
        loud[len(loud) - length :] *= ramp[::-1]
    return loud.round().astype(np.int16)
