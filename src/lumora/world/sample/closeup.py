"""Close framing: moves the camera of a scene as close as the motion of its subjects allows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lumora.world.physics import simulate
from lumora.world.physics.camera_motion import camera_path
from lumora.world.sample.framing import project
from lumora.world.scene import Camera, Scene

FPS = 8.0
NEAREST, FARTHEST = 2.35, 5.5
"""Meters between the camera and its target. At the smallest distance a large subject has half the picture's height."""
STEP = 1.06
"""Ratio of successive distances that are tried."""
MARGIN = 1.12
"""Radii of a subject, in half extents, that must stay in the picture."""
OFFSET = 0.12
"""Maximum distance in meters between the target and the middle of the motion along each axis."""
HEIGHT = (0.42, 0.52)
"""Height of the target as a share of the highest point that a subject reaches."""


def closeup(rng: np.random.Generator, scene: Scene, aspect: float) -> Scene | None:
    """`scene` with its camera aimed at the middle of the motion from the smallest distance at which everything is in
    the picture at all times; None if that is more than `FARTHEST`. The camera must not follow or glance.
    """
    paths = simulate(scene, FPS, 1 + max(1, round(FPS * scene.seconds))).positions
    times = np.linspace(0.0, scene.seconds, len(paths))
    extents = np.array([subject.half_extent for subject in scene.subjects])
    low, high = (paths - extents[:, None]).min(axis=(0, 1)), (paths + extents[:, None]).max(axis=(0, 1))
    middle = (low + high) / 2 + rng.uniform(-OFFSET, OFFSET, 3)
    target = np.array([middle[0], middle[1], rng.uniform(*HEIGHT) * high[2]])
    offset = np.array(scene.camera.position) - np.array(scene.camera.target)
    distance = float(np.linalg.norm(offset))
    frame = np.array([max(aspect, 1.0), max(1 / aspect, 1.0)])
    nearest = rng.uniform(1.0, 1.08) * NEAREST
    for tried in np.geomspace(nearest, FARTHEST, 1 + int(np.log(FARTHEST / nearest) / np.log(STEP))):
        camera = _placed(scene.camera, target, offset * tried / distance)
        centres, scale = project(camera, *camera_path(camera, times), paths)
        if (np.abs(centres) + MARGIN * (scale * extents)[..., None] < frame).all():
            return replace(scene, camera=camera)
    return None


def _placed(camera: Camera, target: np.ndarray, offset: np.ndarray) -> Camera:
    x, y, z = (target + offset).tolist()
    return replace(camera, position=(x, y, max(z, 0.45)), target=tuple(target.tolist()))
