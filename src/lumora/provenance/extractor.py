"""The network that removes the content of a video and leaves its watermark.

For a reader without the original, the content of the video is the strongest noise. The extractor removes it in two
steps. A fixed rule subtracts the temporal median, which is what stands still, and attenuates pixels around which much
moves. A small network then corrects the result, and weighs the sign of each DCT coefficient. The key is no input of the
network, and training used other keys (`train_watermark.py`), so the key's signs stay fair coin flips for everything
that the network computes: the p-values of `watermark.py` do not rely on it.

The embedder uses the same extractor: where the watermark's sign is already read, nothing is added.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from lumora.provenance.dct import NUM_TIME_FREQUENCIES, ReducedVideo, watermark_band

WEIGHTS = Path(__file__).parent / "watermark_extractor.safetensors"
"""10,787 parameters, 44 kB, made by `train_watermark.py` (docs/experiments)."""
CHANNELS = 12
MEDIAN_REACH, MEDIAN_STEP = 2.0, 0.5
"""The temporal median spans this many seconds to either side, and is computed this often."""
CHUNK_FRAMES, CHUNK_MARGIN = 48, 8
"""Frames that the network sees at once, which bounds the memory, and further ones on either side, more than its
receptive field has."""


class Extractor(nn.Module):
    """Untrained, it is the fixed rule alone: the last layers are zero. Pixels are grey levels from 0 to 255."""

    def __init__(self):
        super().__init__()
        self.log_motion = nn.Parameter(torch.tensor(math.log(8.0**2)))
        """Logarithm of the mean square motion, in grey levels, at which a pixel is attenuated to a half."""
        self.conv1 = nn.Conv3d(6, CHANNELS, 3, padding=1)
        self.conv2 = nn.Conv3d(CHANNELS, CHANNELS, 3, padding=(2, 1, 1), dilation=(2, 1, 1))
        self.conv3 = nn.Conv3d(CHANNELS, CHANNELS, 3, padding=1)
        self.head = nn.Conv3d(CHANNELS, 2, 1)
        frequencies = int(watermark_band(2)[1].sum())
        self.space_params = nn.Parameter(torch.zeros(2, frequencies))
        self.time_params = nn.Parameter(torch.zeros(2, NUM_TIME_FREQUENCIES))
        """Logarithms of the scale and of the weight (see `soft_weights`), by frequency in space and in time."""
        self.profile_hidden = nn.Linear(NUM_TIME_FREQUENCIES, 16)
        self.profile_head = nn.Linear(16, 2 * NUM_TIME_FREQUENCIES)
        for parameter in (*self.head.parameters(), *self.profile_head.parameters()):
            nn.init.zeros_(parameter)

    def extract(
        self, luma: Float[Tensor, "b t h w"], median: Float[Tensor, "b t h w"]
    ) -> Float[Tensor, "b t half_h half_w"]:
        """The residual of a video, given its luma and its `temporal_median`, at half the resolution."""
        difference = (luma - median)[:, None]
        motion = F.avg_pool3d(F.pad(difference.square(), (1,) * 6, mode="replicate"), 3, 1)
        rule = _halved(difference / (1 + motion * torch.exp(-self.log_motion)))
        x = F.silu(self.conv1(_features(difference, motion, median[:, None], rule)))
        x = x + F.silu(self.conv2(x))
        x = x + F.silu(self.conv3(x))
        log_gain, correction = self.head(x).unbind(1)
        return rule[:, 0] * torch.exp(log_gain) + correction

    def soft_weights(self, coefficients: Float[Tensor, "b q n"]) -> Float[Tensor, "b q n"]:
        """Each coefficient's sign times its weight, w·z/(1 + z²) with z the coefficient over its scale.

        The scales and weights depend on the frequency and on how the video's energy is distributed over time.
        """
        sizes = coefficients.abs()
        median = sizes.flatten(1).median(dim=1).values[:, None, None] + 1e-6
        profile = torch.log(sizes.median(dim=2).values / median[..., 0] + 0.05)
        adapted = self.profile_head(torch.tanh(self.profile_hidden(profile))).view(-1, 2, NUM_TIME_FREQUENCIES)
        log_scale, log_weight = (adapted + self.time_params).unbind(1)
        z = coefficients / median * torch.exp(-log_scale[..., None] - self.space_params[0])
        return torch.exp(log_weight[..., None] + self.space_params[1]) * z / (1 + z.square())


@cache
def load_extractor() -> Extractor:
    """The trained extractor that comes with lumora."""
    extractor = Extractor()
    extractor.load_state_dict(load_file(WEIGHTS))
    return extractor.eval()


def watermark_residual(clip: ReducedVideo, extractor: Extractor | None = None) -> Float[np.ndarray, "t h w"]:
    """What `extractor` (default: the trained one) leaves of a video, at half the resolution of `clip`.

    An image has no temporal median; its luma is returned as it is.
    """
    luma = clip.luma
    if len(luma) == 1:
        return luma
    median, extractor = temporal_median(clip), extractor or load_extractor()
    chunks = []
    for begin in range(0, len(luma), CHUNK_FRAMES):
        first, last = max(0, begin - CHUNK_MARGIN), begin + CHUNK_FRAMES + CHUNK_MARGIN
        luma_part, median_part = (torch.from_numpy(x[None, first:last].astype(np.float32)) for x in (luma, median))
        with torch.inference_mode():
            residual = extractor.extract(luma_part, median_part)
        chunks.append(residual[0, begin - first :][:CHUNK_FRAMES].numpy())
    return np.concatenate(chunks)


def soft_weights(coefficients: Float[np.ndarray, "p q n"]) -> Float[np.ndarray, "p q n"]:
    """The sign of each coefficient of a residual, times its weight.

    Small coefficients weigh little because noise changes their sign, large ones because they come from the content.
    z/(1 + z²) is the locally optimal detector of a weak signal in Cauchy-distributed noise (Kassam, "Signal detection
    in non-Gaussian noise", 1988). For a video the network sets the scale of z; for an image it is the median.
    """
    if coefficients.shape[1] == 1:
        z = coefficients / np.maximum(np.median(np.abs(coefficients), axis=(1, 2), keepdims=True), 1e-9)
        return z / (1 + np.square(z))
    with torch.inference_mode():
        return load_extractor().soft_weights(torch.from_numpy(coefficients.astype(np.float32))).numpy().astype(float)


def temporal_median(clip: ReducedVideo) -> Float[np.ndarray, "t h w"]:
    """Each pixel's median over ±MEDIAN_REACH seconds, computed every MEDIAN_STEP seconds and interpolated linearly, in
    single precision."""
    times = clip.times
    centers = np.arange(math.ceil(times[-1] / MEDIAN_STEP) + 1) * MEDIAN_STEP
    windows = (np.abs(times - center) <= MEDIAN_REACH + 1e-6 for center in centers)
    medians = np.stack([np.median(clip.luma[window], axis=0) for window in windows])
    before = np.minimum((times / MEDIAN_STEP).astype(int), len(centers) - 2)
    fraction = (times / MEDIAN_STEP - before)[:, None, None]
    median = np.empty(clip.luma.shape, np.float32)
    for frame in range(len(median)):  # all at once would take four times the memory of the video
        below, above = medians[before[frame]], medians[before[frame] + 1]
        median[frame] = (1 - fraction[frame]) * below + fraction[frame] * above
    return median


def _features(difference: Tensor, motion: Tensor, median: Tensor, rule: Tensor) -> Float[Tensor, "b 6 t half_h half_w"]:
    """The network's input, each of size one or so: the residual by the rule, the difference to the median, how much
    moves, how sharp the median is, the change to the next frame, and the variance within squares of two pixels."""
    across = F.pad((median[..., 1:] - median[..., :-1]).abs(), (0, 1))
    down = F.pad((median[..., 1:, :] - median[..., :-1, :]).abs(), (0, 0, 0, 1))
    halved, sharpness = _halved(difference), _halved(across.square()) + _halved(down.square())
    change = F.pad((halved[:, :, 1:] - halved[:, :, :-1]).clamp(-8, 8), (0, 0, 0, 0, 0, 1))
    variance = (_halved(difference.square()) - halved.square()).clamp(min=0)
    return torch.cat(
        [
            rule / 2,
            torch.tanh(halved / 8),
            torch.log1p(_halved(motion)) / 2 - 0.5,
            torch.log1p(sharpness) / 2 - 0.5,
            change / 3,
            torch.log1p(variance) / 2 - 0.3,
        ],
        dim=1,
    )


def _halved(x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t half_h half_w"]:
    """Means of squares of two pixels a side; the squares overlap where the number of pixels is odd."""
    time, height, width = x.shape[2:]
    if height % 2 == 0 and width % 2 == 0:
        return F.avg_pool3d(x, (1, 2, 2))
    return F.adaptive_avg_pool3d(x, (time, (height + 1) // 2, (width + 1) // 2))
