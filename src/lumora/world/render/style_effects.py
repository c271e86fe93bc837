"""Visual styles: what is done to a plain picture, in the values that are shown (0 to 1, gamma 2).

All is a function of the picture, of which surface each pixel sees, and of the clip's seed: so a style holds through a
clip, and through all shots of a film.
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
"""Of brightness in a cartoon and in pixel art."""
TONE = 0.6
"""Where in its band of brightness a shade lies."""
VIVID = 1.35
"""How much more colour they have."""
PIXELS = 32
"""Of pixel art along the shorter side."""
GRAIN, GRAINS = 0.022, 96
"""Deviation of film grain, and how many grains there are along the shorter side at most."""
VIGNETTE = 0.45
"""Share of light that film lacks in the corners."""
LUMINANCE = (0.30, 0.59, 0.11)


def stylise(
    color: Tensor, surface: Tensor, subject: Tensor, scenes: Sequence[Scene], clip: Tensor, times: Sequence[float]
) -> None:
    """Redraws the frames (3, F, H, W) of clips in another style than the plain one, in place.

    `surface` and `subject` (F, H, W) say what each pixel sees, −1 being the backdrop; `clip` (F,) is the scene of each
    frame and `times` its second.
    """
    clips = clip.tolist()
    for number, scene in enumerate(scenes):
        if scene.style == "plain":
            continue
        some = [frame for frame, c in enumerate(clips) if c == number]
        part = slice(some[0], some[-1] + 1)  # the frames of a clip lie side by side
        if scene.style == "toon":
            color[:, part] = _toon(color[:, part], surface[part], subject[part])
        elif scene.style == "pixel art":
            color[:, part] = _pixel_art(color[:, part])
        else:
            color[:, part] = _old_film(color[:, part], scene.texture_seed, times[part])


def _toon(color: Tensor, surface: Tensor, subject: Tensor) -> Tensor:
    """Few shades, vivid colours, and ink around things and along their edges."""
    smooth = torch.where(subject >= 0, color, F.avg_pool2d(color, 3, 1, 1, count_include_pad=False))
    wide = max(1, round(min(color.shape[-2:]) / 96))
    ink = torch.maximum(0.9 * _outline(subject, wide), 0.5 * _outline(surface, max(1, wide // 2)))
    return _shaded(smooth, SHADES) * (1 - ink)


def _shaded(color: Tensor, shades: int) -> Tensor:
    """Of so many shades of brightness alone, and of more vivid hues."""
    bright = _grey(color)
    flat = ((bright * shades).floor().clamp(max=shades - 1) + TONE) / shades
    drawn = color * (flat / bright.clamp(min=1e-3))
    return (flat + VIVID * (drawn - flat)).clamp(0, 1)


def _outline(number: Tensor, wide: int) -> Tensor:
    """1 in the pixels (F, H, W) of things from which something else of a lower number is less than `wide` away."""
    shown = number.float()[:, None]
    size = 2 * wide + 1
    nearby = -F.max_pool2d(-F.pad(shown, (wide,) * 4, mode="replicate"), size, 1)
    return ((nearby < shown) & (shown >= 0))[:, 0].float()


def _old_film(color: Tensor, seed: int, times: Sequence[float]) -> Tensor:
    """Grey, of more contrast, darker to the corners, with grain that is another one in each frame."""
    height, width = color.shape[-2:]
    grey = _grey(color)
    grey = grey + 0.5 * (grey * grey * (3 - 2 * grey) - grey)
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
    return (grey * vignette + GRAIN * grain).clamp(0, 1).expand_as(color)


def _pixel_art(color: Tensor) -> Tensor:
    """Large pixels of few shades."""
    height, width = color.shape[-2:]
    side = pixel_side(height, width)
    padded = F.pad(color, (0, -width % side, 0, -height % side), mode="replicate")
    coarse = _shaded(F.avg_pool2d(padded, side), LEVELS)
    return coarse.repeat_interleave(side, -2).repeat_interleave(side, -1)[..., :height, :width]


def pixel_side(height: int, width: int) -> int:
    """Of pixel art's large pixels, in pixels of the picture."""
    return max(2, round(min(height, width) / PIXELS))


def _grey(color: Tensor) -> Tensor:
    """Brightness (F, H, W)."""
    return torch.einsum("c,cfhw->fhw", color.new_tensor(LUMINANCE), color)
