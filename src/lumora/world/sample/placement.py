"""Where subjects stand and how fast they go, so that all of what they do is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lumora.world.physics.subject_motion import WAYS
from lumora.world.sample.camera_setup import USUAL_SECONDS
from lumora.world.scene import Subject, Verb

DISTANCES: dict[Verb, tuple[float, float]] = {
    "roll": (1.4, 2.3),
    "slide": (1.4, 2.3),
    "walk": (1.3, 2.0),
    "bounce": (1.0, 1.7),
    "jump": (1.0, 1.7),
}
"""Metres that a subject goes during a clip."""
DEPTH = 1.3
"""Ways toward and away are this much longer: foreshortening hides them."""
DROP = (2.0, 2.35)
"""Height in metres of the centre of what falls or bounces."""
LEAST_DROP = 0.7
"""Metres that it has below it at least."""


def placed(
    rng: np.random.Generator, subject: Subject, seconds: float, spread: float, size: float = 1.0, room: float = 1.0
) -> Subject:
    """The subject somewhere within `spread` metres left and right of the middle, with a speed that suits the clip.

    `size` scales the stage, places and ways, but not the bodies; `room` stretches it to the sides, in a wide picture.
    """
    motion, height = subject.motion, subject.half_extent
    middle = size * np.array([room * rng.uniform(-spread, spread), rng.uniform(-0.6, 0.9)])
    start = 0.0
    if motion.verb in ("fall", "bounce"):
        height = max(size * rng.uniform(*DROP), height + LEAST_DROP)
    if motion.verb == "fall" and seconds >= USUAL_SECONDS:
        start = rng.uniform(0.0, 0.4)
    speed = motion.speed
    if motion.verb == "spin":
        speed = rng.uniform(2.0, 4.0) * (1 if rng.random() < 0.5 else -1)
    if motion.direction is not None:
        sideways = motion.direction in ("right", "left")
        distance = size * rng.uniform(*DISTANCES[motion.verb]) * (room if sideways else DEPTH)
        speed = distance / max(seconds, USUAL_SECONDS)
        middle -= np.array(WAYS[motion.direction]) * speed * seconds / 2
    position = (float(middle[0]), float(middle[1]), float(height))
    return replace(subject, position=position, motion=replace(motion, speed=speed, start=start))
