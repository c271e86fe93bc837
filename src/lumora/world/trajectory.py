"""The states of a scene in each frame: the output of physics and the input of renderer, facts and evaluation."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Contact:
    """The first contact of two subjects: `time` in seconds, indices a < b."""

    time: float
    a: int
    b: int


@dataclass(frozen=True)
class Trajectory:
    """States at T frame times of N subjects. Units: seconds, meters, meters per second; axes as in `scene`."""

    times: Float[np.ndarray, " t"]
    positions: Float[np.ndarray, "t n 3"]
    """Centers of the bodies; z = half_extent is upright on the ground."""
    rotations: Float[np.ndarray, "t n 4"]
    """Unit quaternions (w, x, y, z) from body to world axes; an upright body with heading 0 has (1, 0, 0, 0)."""
    velocities: Float[np.ndarray, "t n 3"]
    bites: Float[np.ndarray, "t n"]
    """1 from the frame in which a bite is taken from the subject, 0 before."""
    gait: Float[np.ndarray, "t n"]
    """Phase in radians of the steps of a walking character; 0 for all others."""
    camera_positions: Float[np.ndarray, "t 3"]
    camera_targets: Float[np.ndarray, "t 3"]
    contacts: tuple[Contact, ...] = ()

    def beginning(self, frames: int) -> Trajectory:
        """The first `frames` frames."""
        arrays = {f.name: getattr(self, f.name)[:frames] for f in fields(self) if f.name != "contacts"}
        contacts = tuple(contact for contact in self.contacts if contact.time <= arrays["times"][-1])
        return replace(self, **arrays, contacts=contacts)
