"""Simulation of a scene: from a `Scene` to a `Trajectory`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from lumora.world.physics.body_models import keeps_upright, model_xml
from lumora.world.physics.camera_motion import camera_path
from lumora.world.physics.subject_motion import Body
from lumora.world.scene import CHARACTERS, Scene
from lumora.world.trajectory import Contact, Trajectory

STEPS_PER_SECOND = 240
"""Minimum number of steps per second; more if needed so that every frame coincides with a step."""
STRIDE = 1.6
"""Length of two steps of a walking character in half extents."""


def simulate(scene: Scene, fps: float, frames: int) -> Trajectory:
    """Simulates `frames` frames at `fps`; the first is at time 0, `scene.begins` seconds after the start of the motion.

    Raises ValueError unless both are positive.
    """
    if fps <= 0 or frames < 1:
        raise ValueError(f"A simulation needs a positive frame rate and at least one frame, not {fps} and {frames}.")
    mujoco = _mujoco()
    substeps = max(1, math.ceil(STEPS_PER_SECOND / fps))
    model = mujoco.MjModel.from_xml_string(model_xml(scene, 1 / (fps * substeps)))
    data = mujoco.MjData(model)
    bodies = _bodies(scene, model)
    for body in bodies:
        body.place(data)
        body.drive(data)
    mujoco.mj_forward(model, data)

    count, skipped = len(bodies), round(scene.begins * fps)
    positions, velocities = np.empty((frames, count, 3)), np.empty((frames, count, 3))
    rotations = np.empty((frames, count, 4))
    speeds = np.array([range(body.v, body.v + 3) for body in bodies], dtype=int).reshape(count, 3)
    first_contacts: dict[tuple[int, int], float] = {}
    for frame in range(-skipped, frames):
        if frame > -skipped:
            _advance(mujoco, model, data, bodies, substeps, first_contacts)
        if frame < 0:
            continue
        positions[frame], rotations[frame] = data.xpos[1:], data.xquat[1:]
        velocities[frame] = data.qvel[speeds]
    times = np.arange(frames) / fps
    follows = scene.camera.follows
    camera_positions, camera_targets = camera_path(
        scene.camera, times, None if follows is None else positions[:, follows]
    )
    return Trajectory(
        times=times,
        positions=positions,
        rotations=rotations,
        velocities=velocities,
        bites=_bites(scene, times),
        gait=_gait(scene, positions),
        camera_positions=camera_positions,
        camera_targets=camera_targets,
        contacts=tuple(
            Contact(time - scene.begins, *pair)
            for pair, time in sorted(first_contacts.items(), key=lambda item: item[1])
            if time >= scene.begins
        ),
    )


def masses(scene: Scene) -> Float[np.ndarray, " n"]:
    """Mass of each subject in kilograms."""
    return _mujoco().MjModel.from_xml_string(model_xml(scene, 1 / STEPS_PER_SECOND)).body_mass[1:].copy()


def _mujoco() -> Any:
    """The mujoco module, imported on first use because the import is slow; type checkers do not know its members."""
    import mujoco

    return mujoco


def _bodies(scene: Scene, model: Any) -> list[Body]:
    bodies = []
    for index, subject in enumerate(scene.subjects):
        joint = model.body_jntadr[index + 1]
        around = subject.motion.around
        bodies.append(
            Body(
                subject,
                keeps_upright(scene, index),
                q=int(model.jnt_qposadr[joint]),
                v=int(model.jnt_dofadr[joint]),
                centre=(0.0, 0.0) if around is None else scene.subjects[around].position[:2],
            )
        )
    return bodies


def _advance(
    mujoco: Any, model: Any, data: Any, bodies: list[Body], substeps: int, first_contacts: dict[tuple[int, int], float]
) -> None:
    """Simulates `substeps` steps and records the time of the first contact of each pair of subjects."""
    driven = [body for body in bodies if body.is_driven]
    if not driven and len(bodies) == 1:
        mujoco.mj_step(model, data, substeps)
    else:
        for _ in range(substeps):
            for body in driven:
                body.drive(data)
            mujoco.mj_step(model, data)
            if len(bodies) > 1 and data.ncon:
                _record_contacts(model, data, first_contacts)
    # A step updates the coordinates, but not the positions of the bodies.
    mujoco.mj_kinematics(model, data)


def _record_contacts(model: Any, data: Any, first_contacts: dict[tuple[int, int], float]) -> None:
    for pair in model.geom_bodyid[data.contact.geom]:
        a, b = sorted((int(pair[0]) - 1, int(pair[1]) - 1))
        if a >= 0:  # body 0 is the ground
            first_contacts.setdefault((a, b), float(data.time))


def _bites(scene: Scene, times: Float[np.ndarray, " t"]) -> Float[np.ndarray, "t n"]:
    bites = np.zeros((len(times), len(scene.subjects)))
    if scene.event is not None and scene.event.kind == "bite":
        bites[times + scene.begins >= scene.event.time, scene.event.target] = 1.0
    return bites


def _gait(scene: Scene, positions: Float[np.ndarray, "t n 3"]) -> Float[np.ndarray, "t n"]:
    """Phase of the steps, from the distance along the actual path, so that feet do not slide."""
    gait = np.zeros(positions.shape[:2])
    for index, subject in enumerate(scene.subjects):
        if subject.motion.verb == "walk" or (subject.motion.verb == "orbit" and subject.kind in CHARACTERS):
            distance = np.linalg.norm(np.diff(positions[:, index, :2], axis=0), axis=-1)
            gait[1:, index] = 2 * math.pi * np.cumsum(distance) / (STRIDE * subject.half_extent)
    return gait
