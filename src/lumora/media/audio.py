"""Sound: 16-bit samples of two channels at one rate, whatever a film has; out of films and into them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TypeAlias

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from jaxtyping import Int16

SAMPLE_RATE = 48_000
"""Samples a second."""
BIT_RATE = 192_000
"""Of the AAC that is written."""
SYNC_SECONDS = 0.01
"""Time stamps that are off by less are rounded ones, as Matroska's are, and samples just follow each other."""

AudioSamples: TypeAlias = Int16[np.ndarray, "_ 2"]


def silence(seconds: float) -> AudioSamples:
    return np.zeros((num_samples(seconds), 2), np.int16)


def num_samples(seconds: float) -> int:
    """How many there are in so many seconds."""
    return round(seconds * SAMPLE_RATE)


def cut(sound: AudioSamples, begins: int, ends: int) -> AudioSamples:
    """Its samples from `begins` on up to `ends`; silent before its own beginning and behind its end."""
    piece = np.zeros((ends - begins, 2), np.int16)
    first, last = max(begins, 0), min(ends, len(sound))
    if first < last:
        piece[first - begins : last - begins] = sound[first:last]
    return piece


def read_audio(container: InputContainer, begins: float, seconds: float) -> AudioSamples | None:
    """The first sound of a film that can be decoded, from the second `begins` of the film on; None if there is none.

    What is missing of it, or broken, is silent.
    """
    stream = next((stream for stream in container.streams.audio if stream.codec_context is not None), None)
    if stream is None:
        return None
    sound, expected, heard = silence(seconds), 0, False
    for frame in _decoded(container, stream):
        at = expected if frame.time is None else num_samples(frame.time - begins)
        if heard and abs(at - expected) < SYNC_SECONDS * SAMPLE_RATE:
            at = expected
        read = frame.to_ndarray().reshape(-1, 2)
        expected, heard = at + len(read), True
        first, last = max(at, 0), min(expected, len(sound))
        if first < last:
            sound[first:last] = read[first - at : last - at]
        elif at >= len(sound):
            break
    return sound if heard else None


def _decoded(container: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame]:
    resampler = av.AudioResampler("s16", "stereo", SAMPLE_RATE)
    for packet in container.demux(stream):
        try:
            read = [piece for frame in packet.decode() for piece in resampler.resample(frame)]
        except (FFmpegError, ValueError):  # broken, or of another kind than those before
            continue
        yield from read
    yield from resampler.resample(None)


def add_track(container: OutputContainer) -> AudioStream:
    """A track of sound in a film that is being written."""
    track = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo", options={"flags": "+bitexact"})
    track.codec_context.bit_rate = BIT_RATE
    return track


def encode(track: AudioStream, sound: AudioSamples, begins: int) -> list[av.Packet]:
    """Packets of the samples from the track's sample `begins` on."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound).reshape(1, -1), format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, begins, Fraction(1, SAMPLE_RATE)
    return track.encode(frame)
