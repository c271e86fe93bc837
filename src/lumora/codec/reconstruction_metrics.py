"""PSNR and SSIM of two videos with pixels in [−1, 1]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

RANGE = 2.0
"""Difference between the largest and the smallest pixel value."""
WINDOW, SIGMA = 11, 1.5
"""Width in pixels and standard deviation of the Gaussian window of SSIM (Wang et al. 2004, §III.C)."""


def psnr(a: Float[Tensor, "b 3 T H W"], b: Float[Tensor, "b 3 T H W"]) -> Float[Tensor, " b"]:
    """Peak signal-to-noise ratio of each clip in decibels; infinite for equal clips."""
    return 10 * torch.log10(RANGE**2 / ((a - b) ** 2).flatten(1).mean(dim=1))


def ssim(a: Float[Tensor, "b 3 T H W"], b: Float[Tensor, "b 3 T H W"]) -> Float[Tensor, " b"]:
    """Structural similarity of each clip: the mean over frames, channels and pixels.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment", IEEE Trans. Image Processing 13(4), 2004,
    equation 13, with population moments and no padding, so height and width must be at least 11 pixels (ValueError).
    """
    if min(a.shape[-2:]) < WINDOW:
        raise ValueError(f"SSIM needs images of at least {WINDOW}×{WINDOW} pixels, not {a.shape[-1]}×{a.shape[-2]}.")
    x, y = (v.movedim(1, 2).flatten(0, 2)[:, None].float() for v in (a, b))
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return similarity.flatten(1).mean(dim=1).view(a.shape[0], -1).mean(dim=1)


def _blur(x: Float[Tensor, "n 1 H W"]) -> Float[Tensor, "n 1 h w"]:
    offset = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    window = torch.exp(-(offset**2) / (2 * SIGMA**2))
    window = window / window.sum()
    return F.conv2d(F.conv2d(x, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1))
