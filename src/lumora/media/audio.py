"""Audio: 16-bit stereo samples at one rate, read from video files and written into them."""

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
"""Bits a second of the AAC that is written."""
SYNC_SECONDS = 0.01
"""Smaller gaps between time stamps are rounding errors, as in Matroska, and are closed."""

AudioSamples: TypeAlias = Int16[np.ndarray, "_ 2"]


def silence(seconds: float) -> AudioSamples:
    return np.zeros((num_samples(seconds), 2), np.int16)


def num_samples(seconds: float) -> int:
    """The number of samples in this many seconds."""
    return round(seconds * SAMPLE_RATE)


def cut(audio: AudioSamples, begin: int, end: int) -> AudioSamples:
    """The samples from index `begin` up to `end`; indices outside of the audio give silence."""
    piece = np.zeros((end - begin, 2), np.int16)
    first, last = max(begin, 0), min(end, len(audio))
    if first < last:
        piece[first - begin : last - begin] = audio[first:last]
    return piece


def read_audio(container: InputContainer, begin: float, seconds: float) -> AudioSamples | None:
    """The first audio stream that can be decoded, from the time stamp `begin` on; None if there is none.

    Missing and damaged parts are silent.
    """
    stream = next((stream for stream in container.streams.audio if stream.codec_context is not None), None)
    if stream is None:
        return None
    audio, expected, any_decoded = silence(seconds), 0, False
    for frame in _decoded(container, stream):
        at = expected if frame.time is None else num_samples(frame.time - begin)
        if any_decoded and abs(at - expected) < SYNC_SECONDS * SAMPLE_RATE:
            at = expected
        samples = frame.to_ndarray().reshape(-1, 2)
        expected, any_decoded = at + len(samples), True
        first, last = max(at, 0), min(expected, len(audio))
        if first < last:
            audio[first:last] = samples[first - at : last - at]
        elif at >= len(audio):
            break
    return audio if any_decoded else None


def add_track(container: OutputContainer) -> AudioStream:
    """Adds an AAC track to a file that is being written."""
    track = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo", options={"flags": "+bitexact"})
    track.codec_context.bit_rate = BIT_RATE
    return track


def encode_samples(track: AudioStream, audio: AudioSamples, begin: int) -> list[av.Packet]:
    """Packets of samples that begin at the index `begin` of the track."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio).reshape(1, -1), format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, begin, Fraction(1, SAMPLE_RATE)
    return track.encode(frame)


def _decoded(container: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame]:
    resampler = av.AudioResampler("s16", "stereo", SAMPLE_RATE)
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:  # a damaged file ends here
            packet = None
        if packet is None:
            break
        try:
            samples = [piece for frame in packet.decode() for piece in resampler.resample(frame)]
        except (FFmpegError, ValueError):  # damaged, or of another layout than before
            continue
        yield from samples
    yield from resampler.resample(None)
