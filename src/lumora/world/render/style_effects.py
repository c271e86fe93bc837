"""Visual styles: effects on rendered frames in display values (0 to 1, gamma 2).

Effects depend only on the frame, on the surface at each pixel and on the seed of the clip, so a style is consistent
within a clip and across the shots of a film.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lumora.world.scene import Scene

SHADES, LEVELS = 5, 9
"""Number of brightness levels in the styles toon and pixel art."""
TONE = 0.6
"""Relative position of a level in its range of brightness."""
VIVID = 1.35
"""Factor of the saturation."""
PIXELS = 32
"""Number of large pixels along the shorter side in pixel art."""
GRAIN, GRAINS = 0.022, 96
"""Standard deviation of film grain, and maximum number of grains along the shorter side."""
VIGNETTE = 0.45
"""Share of light that is missing in the corners of old film."""
LUMINANCE = (0.30, 0.59, 0.11)


def apply_style(
    color: Tensor, surface: Tensor, subject: Tensor, scenes: Sequence[Scene], clip: Tensor, times: Sequence[float]
) -> None:
    """Applies the style of each scene to its frames in `color` (3, F, H, W), in place.

    `surface` and `subject` (F, H, W) are the indices at each pixel, −1 for the backdrop; `clip` (F,) is the scene and
    `times` the time in seconds of each frame.
    """
    clips = clip.tolist()
    for number, scene in enumerate(scenes):
        if scene.style == "plain":
            continue
        frames = [frame for frame, c in enumerate(clips) if c == number]
        part = slice(frames[0], frames[-1] + 1)  # The frames of a clip are contiguous.
        if scene.style == "toon":
            color[:, part] = _toon(color[:, part], surface[part], subject[part])
        elif scene.style == "pixel art":
            color[:, part] = _pixel_art(color[:, part])
        else:
            color[:, part] = _old_film(color[:, part], scene.texture_seed, times[part])


def _toon(color: Tensor, surface: Tensor, subject: Tensor) -> Tensor:
    """Few brightness levels, saturated colors, and black outlines."""
    smooth = torch.where(subject >= 0, color, F.avg_pool2d(color, 3, 1, 1, count_include_pad=False))
    wide = max(1, round(min(color.shape[-2:]) / 96))
    ink = torch.maximum(0.9 * _outline(subject, wide), 0.5 * _outline(surface, max(1, wide // 2)))
    return _shaded(smooth, SHADES) * (1 - ink)


def _shaded(color: Tensor, shades: int) -> Tensor:
    """The image with quantized brightness and higher saturation."""
    bright = _gray(color)
    flat = ((bright * shades).floor().clamp(max=shades - 1) + TONE) / shades
    drawn = color * (flat / bright.clamp(min=1e-3))
    return (flat + VIVID * (drawn - flat)).clamp(0, 1)


def _outline(number: Tensor, wide: int) -> Tensor:
    """1 in pixels (F, H, W) with an object that are within `wide` pixels of a lower number, 0 elsewhere."""
    shown = number.float()[:, None]
    size = 2 * wide + 1
    nearby = -F.max_pool2d(-F.pad(shown, (wide,) * 4, mode="replicate"), size, 1)
    return ((nearby < shown) & (shown >= 0))[:, 0].float()


def _old_film(color: Tensor, seed: int, times: Sequence[float]) -> Tensor:
    """Gray with more contrast, dark corners, and grain that differs in each frame."""
    height, width = color.shape[-2:]
    gray = _gray(color)
    gray = gray + 0.5 * (gray * gray * (3 - 2 * gray) - gray)
    y = torch.linspace(-1, 1, height, device=color.device)[:, None]
    x = torch.linspace(-1, 1, width, device=color.device)
    vignette = 1 - VIGNETTE * ((x.square() + y.square()) / 2).pow(1.5)
    coarse = math.ceil(min(height, width) / GRAINS)
    rows, columns = -(-height // coarse), -(-width // coarse)
    grains = np.stack(
        [np.random.default_rng([seed, round(1000 * t)]).standard_normal((rows, columns)) for t in times]
    ).astype(np.float32)
    grain = torch.from_numpy(grains).to(color.device)
    grain = grain.repeat_interleave(coarse, -2).repeat_interleave(coarse, -1)[:, :height, :width]
    return (gray * vignette + GRAIN * grain).clamp(0, 1).expand_as(color)


def _pixel_art(color: Tensor) -> Tensor:
    """Large pixels with few brightness levels."""
    height, width = color.shape[-2:]
    side = pixel_side(height, width)
    padded = F.pad(color, (0, -width % side, 0, -height % side), mode="replicate")
    coarse = _shaded(F.avg_pool2d(padded, side), LEVELS)
    return coarse.repeat_interleave(side, -2).repeat_interleave(side, -1)[..., :height, :width]


def pixel_side(height: int, width: int) -> int:
    """Side of the large pixels of pixel art, in pixels."""
    return max(2, round(min(height, width) / PIXELS))


def _gray(color: Tensor) -> Tensor:
    """Brightness (F, H, W)."""
    return torch.einsum("c,cfhw->fhw", color.new_tensor(LUMINANCE), color)
