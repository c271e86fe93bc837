"""The learned eye of the mark: what of a video is not the video.

What hides a mark from whoever has no unmarked copy is the video itself, so the eye takes it off: what stands still, by
a median in time, and what moves strongly, by how much moves around a pixel. A small network then corrects both, and
says how much each slow wave of what is left counts. It has no part of the key and was learnt with other keys
(`learning.py`), so the key's signs stay fair coins for whatever it sees, and a p-value needs no trust in it.

The same eye looks at a video before it is marked: where the mark's sign is seen there already, nothing is added.
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

from lumora.media.video import Video
from lumora.provenance.dct import TIMES, reduced, used_waves

WEIGHTS = Path(__file__).parent / "mark.safetensors"
"""43 kB; `learning.py` makes them, LOG.md (2026-11-26) says how these were made."""
CHANNELS = 12
REACH, STEP = 2.0, 0.5
"""Seconds around a moment whose median stands for what is still, and between two such moments."""
FRAMES, MARGIN = 240, 8
"""So many frames are looked at at once, and so many beside them, which is farther than the network sees."""


def watermark_residual(video: Video, eye: Extractor | None = None) -> Float[np.ndarray, "t h w"]:
    """What is seen of a mark, by the eye that comes with lumora or another one: of a video half as many pixels a side
    as `reduced` has; a picture's luma as it is."""
    luma = reduced(video)
    if len(luma) == 1:
        return luma
    calm, eye = still(luma, video.fps), eye or learned()
    parts = []
    for begin in range(0, len(luma), FRAMES):
        first, last = max(0, begin - MARGIN), begin + FRAMES + MARGIN
        with torch.inference_mode():
            seen = eye.extract(*(torch.from_numpy(x[None, first:last].astype(np.float32)) for x in (luma, calm)))
        parts.append(seen[0, begin - first :][:FRAMES].numpy())
    return np.concatenate(parts)


def counting(waves: Float[np.ndarray, "p q n"]) -> Float[np.ndarray, "p q n"]:
    """How much each wave of what is seen counts, with its sign: little of a small one, which noise turns over, and
    little of a large one, where the picture speaks and not the mark. So weighs the best detector of a faint sign under
    Cauchy's law; how large is large, the network says of a video's waves."""
    if waves.shape[1] == 1:
        sizes = waves / np.maximum(np.median(np.abs(waves), axis=(1, 2), keepdims=True), 1e-9)
        return sizes / (1 + np.square(sizes))
    with torch.inference_mode():
        return learned().soft_weights(torch.from_numpy(waves.astype(np.float32))).numpy().astype(float)


@cache
def learned() -> Extractor:
    eye = Extractor()
    eye.load_state_dict(load_file(WEIGHTS))
    return eye.eval()


def still(luma: Float[np.ndarray, "t h w"], fps: float) -> Float[np.ndarray, "t h w"]:
    """What stands still for a while: medians of some seconds, and between these in straight lines."""
    times = np.arange(len(luma)) / fps
    moments = np.arange(math.ceil(times[-1] / STEP) + 1) * STEP
    medians = np.stack([np.median(luma[np.abs(times - moment) <= REACH + 1e-6], axis=0) for moment in moments])
    before = np.minimum((times / STEP).astype(int), len(moments) - 2)
    share = (times / STEP - before)[:, None, None]
    return (1 - share) * medians[before] + share * medians[before + 1]


class Extractor(nn.Module):
    """Untaught it is the rule alone: less the median, and less where much moves. Pixels are grey levels to 255."""

    def __init__(self):
        super().__init__()
        self.much = nn.Parameter(torch.tensor(math.log(8.0**2)))
        """Logarithm of the square of how much is much, in grey levels."""
        self.near = nn.Conv3d(6, CHANNELS, 3, padding=1)
        self.later = nn.Conv3d(CHANNELS, CHANNELS, 3, padding=(2, 1, 1), dilation=(2, 1, 1))
        self.wider = nn.Conv3d(CHANNELS, CHANNELS, 3, padding=1)
        self.said = nn.Conv3d(CHANNELS, 2, 1)
        waves = int(used_waves(2)[1].sum())
        self.of_space, self.of_time = nn.Parameter(torch.zeros(2, waves)), nn.Parameter(torch.zeros(2, TIMES))
        """Logarithms of how large is large, and of a weight, for each wave in space and in time."""
        self.hidden, self.adapted = nn.Linear(TIMES, 16), nn.Linear(16, 2 * TIMES)
        for parameter in (*self.said.parameters(), *self.adapted.parameters()):
            nn.init.zeros_(parameter)

    def extract(
        self, luma: Float[Tensor, "b t h w"], calm: Float[Tensor, "b t h w"]
    ) -> Float[Tensor, "b t half_h half_w"]:
        """What is left of a video's luma beside what is `still` in it."""
        left = (luma - calm)[:, None]
        around = F.avg_pool3d(F.pad(left.square(), (1,) * 6, mode="replicate"), 3, 1)
        rule = _halved(left / (1 + around * torch.exp(-self.much)))
        x = F.silu(self.near(_features(left, around, calm[:, None], rule)))
        x = x + F.silu(self.later(x))
        x = x + F.silu(self.wider(x))
        gain, more = self.said(x).unbind(1)
        return rule[:, 0] * torch.exp(gain) + more

    def soft_weights(self, waves: Float[Tensor, "b q n"]) -> Float[Tensor, "b q n"]:
        sizes = waves.abs()
        median = sizes.flatten(1).median(dim=1).values[:, None, None] + 1e-6
        profile = torch.log(sizes.median(dim=2).values / median[..., 0] + 0.05)
        large, weight = (self.adapted(torch.tanh(self.hidden(profile))).view(-1, 2, TIMES) + self.of_time).unbind(1)
        z = waves / median * torch.exp(-large[..., None] - self.of_space[0])
        return torch.exp(weight[..., None] + self.of_space[1]) * z / (1 + z.square())


def _features(left: Tensor, around: Tensor, calm: Tensor, rule: Tensor) -> Float[Tensor, "b 6 t half_h half_w"]:
    """What the network looks at: what is left, by the rule and as it is, how much of it moves, how sharp the picture
    is, the change to the next frame, and what pixels side by side differ by; each of size one or so."""
    across = F.pad((calm[..., 1:] - calm[..., :-1]).abs(), (0, 1))
    down = F.pad((calm[..., 1:, :] - calm[..., :-1, :]).abs(), (0, 0, 0, 1))
    halved, sharp = _halved(left), _halved(across.square()) + _halved(down.square())
    change = F.pad((halved[:, :, 1:] - halved[:, :, :-1]).clamp(-8, 8), (0, 0, 0, 0, 0, 1))
    uneven = (_halved(left.square()) - halved.square()).clamp(min=0)
    return torch.cat(
        [
            rule / 2,
            torch.tanh(halved / 8),
            torch.log1p(_halved(around)) / 2 - 0.5,
            torch.log1p(sharp) / 2 - 0.5,
            change / 3,
            torch.log1p(uneven) / 2 - 0.3,
        ],
        dim=1,
    )


def _halved(x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t half_h half_w"]:
    """Means of squares of two pixels a side, of an odd number of pixels of squares that overlap."""
    time, height, width = x.shape[2:]
    if height % 2 == 0 and width % 2 == 0:
        return F.avg_pool3d(x, (1, 2, 2))
    return F.adaptive_avg_pool3d(x, (time, (height + 1) // 2, (width + 1) // 2))
