"""The four kinds of light: sun or moon, sky and haze. Colors are linear light (gamma 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lumora.world.render.body_parts import rgb
from lumora.world.render.vectors import at
from lumora.world.scene import Light, Scene, Vector


@dataclass(frozen=True)
class LightSetup:
    toward: Vector
    """Direction to the key light if it is on the right; it may be mirrored to the left."""
    key: Vector
    above: Vector
    below: Vector
    """Light from the key light, the sky and the ground."""
    zenith: Vector
    horizon: Vector
    haze: float
    """The share of haze at 100 m is 1 − exp(−haze)."""
    disc: Vector
    """Color of the visible sun or moon."""
    disc_height: float
    """Its elevation, radians. It stands nearer the picture's middle than the key light's direction, as on a table."""
    glow: float
    clouds: float
    """Share of the sky that clouds cover."""
    cloud: Vector
    stars: float


LIGHT_SETUPS: dict[Light, LightSetup] = {
    "noon": LightSetup(
        toward=(0.40, -0.52, 0.76), key=(0.76, 0.72, 0.62), above=(0.34, 0.37, 0.42), below=(0.20, 0.19, 0.17),
        zenith=rgb(0.18, 0.46, 0.86), horizon=rgb(0.74, 0.88, 0.97), haze=0.7, disc=(1.2, 1.15, 0.95),
        disc_height=0.155,
        glow=0.12, clouds=0.42, cloud=rgb(0.99, 0.99, 1.0), stars=0.0,
    ),
    "sunset": LightSetup(
        toward=(0.80, -0.42, 0.36), key=(0.96, 0.68, 0.46), above=(0.30, 0.22, 0.27), below=(0.20, 0.13, 0.12),
        zenith=rgb(0.34, 0.30, 0.58), horizon=rgb(1.0, 0.66, 0.36), haze=0.9, disc=(1.3, 1.0, 0.55), disc_height=0.075,
        glow=0.55, clouds=0.45, cloud=rgb(0.98, 0.56, 0.50), stars=0.0,
    ),
    "night": LightSetup(
        toward=(0.45, -0.50, 0.70), key=(0.29, 0.31, 0.38), above=(0.125, 0.14, 0.20), below=(0.07, 0.08, 0.11),
        zenith=rgb(0.03, 0.05, 0.16), horizon=rgb(0.13, 0.19, 0.36), haze=0.35, disc=(0.86, 0.88, 0.80),
        disc_height=0.13,
        glow=0.10, clouds=0.12, cloud=rgb(0.20, 0.24, 0.38), stars=1.0,
    ),
    "overcast": LightSetup(
        toward=(0.20, -0.30, 0.93), key=(0.12, 0.12, 0.12), above=(0.58, 0.60, 0.63), below=(0.30, 0.30, 0.30),
        zenith=rgb(0.58, 0.62, 0.67), horizon=rgb(0.78, 0.80, 0.82), haze=1.8, disc=(0.0, 0.0, 0.0), disc_height=0.5,
        glow=0.0, clouds=0.85, cloud=rgb(0.70, 0.73, 0.76), stars=0.0,
    ),
}  # fmt: skip

DRAWS = 24
"""Number of random values for the decoration of a clip."""


@dataclass(frozen=True)
class Lights:
    """The light of C clips: vectors (3, C), numbers (C,), and random `draws` (DRAWS, C) in [0, 1) for decoration."""

    toward: Tensor
    key: Tensor
    above: Tensor
    below: Tensor
    zenith: Tensor
    horizon: Tensor
    haze: Tensor
    disc: Tensor
    disc_toward: Tensor
    glow: Tensor
    clouds: Tensor
    cloud: Tensor
    stars: Tensor
    draws: Tensor

    @classmethod
    def of(cls, scenes: list[Scene], device: torch.device) -> Lights:
        draws = np.stack([np.random.default_rng([7919, scene.texture_seed]).random(DRAWS) for scene in scenes], 1)
        side = np.where(draws[0] < 0.5, -1.0, 1.0)
        setups = [LIGHT_SETUPS[scene.light] for scene in scenes]

        def table(name: str) -> np.ndarray:
            return np.array([getattr(setup, name) for setup in setups], dtype=np.float64).T

        toward = table("toward")
        toward = toward / np.linalg.norm(toward, axis=0) * np.stack([side, np.ones_like(side), np.ones_like(side)])
        azimuth = side * (0.10 + 0.22 * draws[1])
        height = table("disc_height")
        disc_toward = np.stack([np.sin(azimuth) * np.cos(height), np.cos(azimuth) * np.cos(height), np.sin(height)])
        names = ("key", "above", "below", "zenith", "horizon", "haze", "disc", "glow", "clouds", "cloud", "stars")
        values = {name: table(name) for name in names} | {"toward": toward, "disc_toward": disc_toward, "draws": draws}
        return cls(
            **{k: torch.from_numpy(np.ascontiguousarray(v, dtype=np.float32)).to(device) for k, v in values.items()}
        )

    def select(self, index: Tensor, dims: int) -> Lights:
        """The clips `index` (V,), with `dims` axes of length 1 appended for broadcasting."""
        chosen = {k: at(v, index) for k, v in vars(self).items()}
        return Lights(**{k: v.reshape(*v.shape, *(1,) * dims) for k, v in chosen.items()})

    def sky(self, direction_z: Tensor) -> Tensor:
        """The color (3, …) of the clear sky by the sine of the elevation."""
        up = direction_z.clamp(min=0)
        return self.zenith + (self.horizon - self.zenith) * torch.exp(-4.5 * up)
