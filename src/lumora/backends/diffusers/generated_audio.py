"""Audio that a model makes with its frames, joined with the audio of given clips."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from scipy.signal import resample_poly

from lumora.backends.diffusers.diffusers_planning import DiffusersPlan
from lumora.backends.timeline.soundtrack import soundtrack
from lumora.media.audio import SAMPLE_RATE, AudioSamples, cut, num_samples, silence


def to_samples(waveform: Float[np.ndarray, "channels n"], rate: int) -> AudioSamples:
    """A waveform of a model, in [-1, 1], as samples of `SAMPLE_RATE`; one channel becomes two."""
    resampled = resample_poly(waveform.astype(np.float64), SAMPLE_RATE, rate, axis=1)
    stereo = np.repeat(resampled, 2, axis=0) if len(resampled) == 1 else resampled[:2]
    return (stereo.T * 32767).round().clip(-32768, 32767).astype(np.int16)


def join_audio(plan: DiffusersPlan, made: Mapping[tuple[int, int], AudioSamples]) -> AudioSamples | None:
    """The audio of a video: that of its conditions, and what windows (segment, window) made where frames were made.

    None if neither has any.
    """
    request, fps = plan.request, plan.fps
    audio = soundtrack(plan.segments, request.conditions, fps, request.loop)
    if not made:
        return audio
    audio = silence(plan.num_frames / fps) if audio is None else audio.copy()
    for (segment, number), samples in made.items():
        window, first_frame = plan.windows[segment][number], plan.segments[segment].first_frame
        for frame, source in window.targets.items():
            begin, end = (num_samples((first_frame + n) / fps) for n in (frame, frame + 1))
            start = num_samples(source / fps)
            audio[begin:end] = cut(samples, start, start + end - begin)[: len(audio[begin:end])]
    return audio
