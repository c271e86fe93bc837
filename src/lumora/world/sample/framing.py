"""Whether the subjects of a scene will be visible, from estimates of their paths without simulation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from lumora.world.physics.camera_motion import camera_path
from lumora.world.physics.subject_motion import GRAVITY, JUMP_HEIGHT, velocity_of
from lumora.world.scene import GLANCES, Camera, Scene, Subject

MOMENTS = 9
"""Number of moments at which visibility is checked."""
FOOTPRINT = 1.2
"""Radius of a body on the ground in half extents, for collisions (the corner of a cube is at 1.34)."""


def planned_paths(scene: Scene, moments: int = MOMENTS) -> Float[np.ndarray, "t n 3"]:
    """Estimated centers at evenly spaced moments. Jumps alternate between low and high; a hit stops the actor."""
    times = scene.begins + np.linspace(0.0, scene.seconds, moments)
    paths = np.stack([_planned_path(scene, subject, times) for subject in scene.subjects], axis=1)
    event = scene.event
    if event is not None and event.kind in ("hit", "push", "topple") and event.actor is not None:
        velocity = np.array([*velocity_of(scene.subjects[event.actor]), 0.0])
        onward = np.maximum(times - event.time, 0.0)[:, None] * velocity
        if event.kind == "push":
            paths[:, event.target] += onward
        else:  # A hit roughly stops the actor.
            paths[:, event.actor] -= onward
    return paths


def _planned_path(scene: Scene, subject: Subject, times: Float[np.ndarray, " t"]) -> Float[np.ndarray, "t 3"]:
    start = np.array(subject.position)
    motion, elapsed = subject.motion, np.maximum(times - subject.motion.start, 0.0)
    path = start + elapsed[:, None] * np.array([*velocity_of(subject), 0.0])
    odd = np.arange(len(times)) % 2 == 1
    match motion.verb:
        case "fall":
            path[:, 2] = np.maximum(start[2] - GRAVITY / 2 * elapsed**2, subject.half_extent)
        case "bounce":
            path[1:, 2] = np.where(odd, subject.half_extent, 0.35 * subject.half_extent + 0.65 * start[2])[1:]
        case "jump":
            path[:, 2] += np.where(odd, JUMP_HEIGHT, 0.0)
        case "orbit" if motion.around is not None:
            centre = np.array(scene.subjects[motion.around].position)
            x, y = start[:2] - centre[:2]
            cos, sin = np.cos(motion.speed * elapsed), np.sin(motion.speed * elapsed)
            path[:, 0], path[:, 1] = centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y
    return path


def project(
    camera: Camera,
    positions: Float[np.ndarray, "t 3"],
    targets: Float[np.ndarray, "t 3"],
    points: Float[np.ndarray, "t n 3"],
) -> tuple[Float[np.ndarray, "t n 2"], Float[np.ndarray, "t n"]]:
    """Positions of points in the picture, and the length of one meter there.

    Both are in half sides of the picture's shorter side, relative to its middle, to the right and up; points behind the
    camera are at infinity.
    """
    forward = targets - positions
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    right = forward[:, [1, 0, 2]] * [1.0, -1.0, 0.0]
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    up = np.cross(right, forward)
    axes = np.stack([right, up, forward], axis=1)
    relative = np.einsum("tij,tnj->tni", axes, points - positions[:, None])
    ahead = relative[..., 2] > 0.1
    scale = 1 / (math.tan(camera.field_of_view / 2) * np.where(ahead, relative[..., 2], 1.0))
    centres = np.where(ahead[..., None], relative[..., :2] * scale[..., None], np.inf)
    return centres, np.where(ahead, scale, np.inf)


def in_view(scene: Scene, aspect: float, overlap: float = 0.2) -> bool:
    """Whether all subjects stay in the picture, and no two overlap by more than the share `overlap` of their width.

    With a glance this holds for the view before and after it.
    """
    paths = planned_paths(scene)
    times = np.linspace(0.0, scene.seconds, len(paths))
    camera = replace(scene.camera, move="static") if scene.camera.move in GLANCES else scene.camera
    follows = camera.follows
    positions, targets = camera_path(camera, times, None if follows is None else paths[:, follows])
    centres, scale = project(camera, positions, targets, paths)
    radii = scale * np.array([subject.half_extent for subject in scene.subjects])
    frame = np.array([max(aspect, 1.0), max(1 / aspect, 1.0)])
    if not (np.abs(centres) + 0.8 * radii[..., None] < frame).all():
        return False
    for b in range(len(scene.subjects)):
        for a in range(b):
            distance = np.linalg.norm(centres[:, a] - centres[:, b], axis=-1)
            if (distance < (1 - overlap) * (radii[:, a] + radii[:, b])).any():
                return False
    return True


def stay_apart(scene: Scene) -> bool:
    """Whether no two subjects touch at any time."""
    paths = planned_paths(scene, 2 * MOMENTS - 1)
    paths[..., 2] = paths[..., 2].min(axis=0)  # A subject must not jump over another.
    for b, second in enumerate(scene.subjects):
        for a, first in enumerate(scene.subjects[:b]):
            clearance = FOOTPRINT * (first.half_extent + second.half_extent)
            if (np.linalg.norm((paths[:, a] - paths[:, b])[:, :2], axis=-1) < clearance).any():
                return False
    return True
