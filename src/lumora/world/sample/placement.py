"""Random positions and speeds of subjects for which all of their motion is visible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lumora.world.physics.subject_motion import DIRECTION_VECTORS
from lumora.world.sample.camera_setup import USUAL_SECONDS
from lumora.world.scene import Subject, Verb

DISTANCES: dict[Verb, tuple[float, float]] = {
    "roll": (1.4, 2.3),
    "slide": (1.4, 2.3),
    "walk": (1.3, 2.0),
    "bounce": (1.0, 1.7),
    "jump": (1.0, 1.7),
}
"""Range of the distance in meters that a subject moves during a clip."""
DEPTH_FACTOR = 1.3
"""Factor of distances toward and away from the camera, which perspective shortens."""
DROP = (2.0, 2.35)
"""Range of the initial height in meters of the center of subjects that fall or bounce."""
MIN_DROP = 0.7
"""Minimum height in meters of the fall."""


def place_subject(
    rng: np.random.Generator, subject: Subject, seconds: float, spread: float, size: float = 1.0, widening: float = 1.0
) -> Subject:
    """The subject within `spread` meters left and right of the middle, with a speed that suits the length of the clip.

    `size` scales positions and distances, but not the bodies; `widening` scales them to the sides, for wide pictures.
    """
    motion, height = subject.motion, subject.half_extent
    middle = size * np.array([widening * rng.uniform(-spread, spread), rng.uniform(-0.6, 0.9)])
    start = 0.0
    if motion.verb in ("fall", "bounce"):
        height = max(size * rng.uniform(*DROP), height + MIN_DROP)
    if motion.verb == "fall" and seconds >= USUAL_SECONDS:
        start = rng.uniform(0.0, 0.4)
    speed = motion.speed
    if motion.verb == "spin":
        speed = rng.uniform(2.0, 4.0) * (1 if rng.random() < 0.5 else -1)
    if motion.direction is not None:
        sideways = motion.direction in ("right", "left")
        distance = size * rng.uniform(*DISTANCES[motion.verb]) * (widening if sideways else DEPTH_FACTOR)
        speed = distance / max(seconds, USUAL_SECONDS)
        middle -= np.array(DIRECTION_VECTORS[motion.direction]) * speed * seconds / 2
    position = (float(middle[0]), float(middle[1]), float(height))
    return replace(subject, position=position, motion=replace(motion, speed=speed, start=start))
