"""Audio of a video: that of the conditions where their frames lie, and silence where frames are generated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import TypeAlias

import numpy as np

from lumora.backends.timeline.segments import Segment
from lumora.media.audio import AudioSamples, cut, num_samples, silence
from lumora.request.conditions import Condition

FADE_SECONDS = 0.02
"""Duration of the fade where audio begins or ends within the video; without it there would be a click."""

AudioSource: TypeAlias = tuple[int, float]
"""Index of a condition, and the (fractional) frame of the video at which it begins."""


def soundtrack(
    segments: Sequence[Segment], conditions: Sequence[Condition], fps: float, loop: bool = False
) -> AudioSamples | None:
    """Audio as long as all segments; None if no condition that is shown has audio. Edited conditions keep theirs."""
    sources = _audio_sources(segments, conditions, fps)
    if not any(sources):
        return None
    output = silence(len(sources) / fps)
    for source, run in groupby(range(len(sources)), sources.__getitem__):
        audio = conditions[source[0]].video.audio if source else None
        if source and audio is not None:
            frames = list(run)
            first, stop = frames[0], frames[-1] + 1
            start, end, begin = num_samples(first / fps), num_samples(stop / fps), num_samples(source[1] / fps)
            piece = cut(audio, start - begin, end - begin)
            output[start:end] = _faded(piece, first > 0 or loop, stop < len(sources) or loop)
    return output


def _audio_sources(
    segments: Sequence[Segment], conditions: Sequence[Condition], fps: float
) -> list[AudioSource | None]:
    """The source of the audio while each frame is shown; a given frame lasts until the next one of its condition."""
    sources: list[AudioSource | None] = [None] * sum(segment.num_frames for segment in segments)
    for segment in segments:
        for frame, source in sorted(segment.frame_sources.items()):
            video = conditions[source.condition_index].video
            interval = fps / video.fps
            if video.audio is None or source.strength == 1:
                continue
            begin = segment.first_frame + source.time - source.frame_index * interval
            lasting = range(frame + 1, frame + math.ceil(interval - 1e-6))
            for shown in (frame, *(later for later in lasting if later not in segment.frame_sources)):
                if shown < segment.num_frames:
                    sources[segment.first_frame + shown] = (source.condition_index, round(begin, 6))
    return sources


def _faded(audio: AudioSamples, fade_in: bool, fade_out: bool) -> AudioSamples:
    length = min(num_samples(FADE_SECONDS), len(audio) // 2)
    ramp = (np.arange(length) + 0.5)[:, None] / max(1, length)
    faded = audio.astype(np.float64)
    if fade_in:
        faded[:length] *= ramp
    if fade_out:
        faded[len(faded) - length :] *= ramp[::-1]
    return faded.round().astype(np.int16)
