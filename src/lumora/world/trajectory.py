"""What happened in a scene, frame by frame: the output of physics and the input of renderer, facts and evaluation."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Contact:
    """The first touch of two subjects: `time` in seconds, indices a < b."""

    time: float
    a: int
    b: int


@dataclass(frozen=True)
class Trajectory:
    """States at T frame times of N subjects. Units: seconds, metres, metres a second; world axes as in `scene`."""

    times: Float[np.ndarray, " t"]
    positions: Float[np.ndarray, "t n 3"]
    """Centres of the bodies (where z = half_extent means resting upright on the ground)."""
    rotations: Float[np.ndarray, "t n 4"]
    """Unit quaternions (w, x, y, z) from body to world axes; an upright body with heading 0 has (1, 0, 0, 0)."""
    velocities: Float[np.ndarray, "t n 3"]
    bites: Float[np.ndarray, "t n"]
    """0 while a subject is whole, 1 once a bite has been taken."""
    gait: Float[np.ndarray, "t n"]
    """Phase in radians of the steps of a walking character; constant 0 for all else."""
    camera_positions: Float[np.ndarray, "t 3"]
    camera_targets: Float[np.ndarray, "t 3"]
    contacts: tuple[Contact, ...] = ()

    def beginning(self, frames: int) -> Trajectory:
        """The first so many frames of it."""
        arrays = {f.name: getattr(self, f.name)[:frames] for f in fields(self) if f.name != "contacts"}
        seen = tuple(contact for contact in self.contacts if contact.time <= arrays["times"][-1])
        return replace(self, **arrays, contacts=seen)
