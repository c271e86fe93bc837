"""The visible share of each subject in each frame: ground truth for subjects that disappear and come back."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float

from lumora.world.sample.framing import project
from lumora.world.scene import Scene
from lumora.world.trajectory import Trajectory

POINTS = 48
"""Sample points for each subject."""
SEEN = 0.5
"""A subject of which more than this share is visible is seen."""
GONE = 0.05
"""A subject of which at most this share is visible is gone."""


def visibility(scene: Scene, trajectory: Trajectory, aspect: float = 1.0) -> Float[np.ndarray, "t n"]:
    """The share of each subject that is inside a picture of width / height = `aspect` and not behind another subject.

    Subjects are approximated by discs with the radius of their half extent.
    """
    centres, scale = project(
        scene.camera, trajectory.camera_positions, trajectory.camera_targets, trajectory.positions.astype(np.float64)
    )
    extents = np.array([subject.half_extent for subject in scene.subjects])
    radii = np.where(np.isfinite(scale), scale, 0.0) * extents
    distance = np.linalg.norm(trajectory.positions - trajectory.camera_positions[:, None], axis=-1)
    points = np.where(np.isfinite(centres), centres, 1e9)[:, :, None] + radii[..., None, None] * _disc()
    shown = (np.abs(points) < [max(aspect, 1.0), max(1 / aspect, 1.0)]).all(-1)
    for other in range(len(extents)):
        covered = (
            np.linalg.norm(points - points[:, other].mean(-2)[:, None, None], axis=-1) < radii[:, other, None, None]
        )
        nearer = distance[:, other, None] < distance - 1e-9
        shown &= ~(covered & nearer[..., None])
    return shown.mean(-1)


def comes_back(shown: Float[np.ndarray, " t"]) -> bool:
    """Whether a subject of these visible shares is seen first, gone for at least two frames, and seen at the end."""
    return bool(shown[0] > SEEN and shown[-1] > SEEN and absences(shown).sum() > 1)


def absences(shown: Float[np.ndarray, " t"]) -> Bool[np.ndarray, " t"]:
    """The frames in which a subject is gone, between frames in which it is seen."""
    seen = np.flatnonzero(shown > SEEN)
    absent = shown <= GONE
    if len(seen) == 0:
        return np.zeros_like(absent)
    absent[: seen[0]] = absent[seen[-1] :] = False
    return absent


def _disc() -> Float[np.ndarray, "points 2"]:
    """Points spread evenly over the unit disc (Vogel's spiral), with mean 0."""
    number = np.arange(POINTS)
    radius, angle = np.sqrt((number + 0.5) / POINTS), number * math.pi * (3 - math.sqrt(5))
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return points - points.mean(0)
