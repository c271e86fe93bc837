"""Scenes and trajectories as flat tables, with a row for every primitive in every frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lumora.world.render.body_parts import BodyPart, parts_of
from lumora.world.render.cameras import Cameras
from lumora.world.render.faces import NEUTRAL
from lumora.world.render.paint import PLAIN
from lumora.world.render.primitives import COOKIE
from lumora.world.scene import CHARACTERS, EMOTIONS, MATERIALS, SOLIDS, Scene, Subject
from lumora.world.trajectory import Trajectory

_BOB = 0.08
"""Height by which a walking character rises in a step, in half extents."""
_LOOK = 0.9
"""Largest rotation of a head towards the camera in radians."""


@dataclass(frozen=True)
class PrimitiveTable:
    """P primitives of F frames of C clips, sorted by shape. Vectors have their components on the first axis."""

    cameras: Cameras
    """One for each frame."""
    clip: Tensor
    """(F,) the clip of each frame."""
    frame: Tensor
    subject: Tensor
    part: Tensor
    """(P,) each: the frame, the subject's number in its scene, the row in the tables of parts."""
    shape_counts: tuple[int, ...]
    """How many of the P primitives have each shape."""
    to_unit: Tensor
    """(3, 3, P) world directions to unit space."""
    to_world: Tensor
    """(3, 3, P) unit space to world directions; the columns are the half axes in metres."""
    centre: Tensor
    """(3, P) metres."""
    k: Tensor
    """(P,) the shape's parameter."""
    color: Tensor
    second: Tensor
    """(3, Q) tones of the parts."""
    paint: Tensor
    material: Tensor
    emotion: Tensor
    """(Q,) numbers."""
    bounding_spheres: Tensor
    """(4, F, N) bounding spheres (x, y, z, radius) of the subjects, radius 0 where a scene has fewer than N."""


def build_primitive_table(
    scenes: Sequence[Scene], trajectories: Sequence[Trajectory], height: int, width: int, device: torch.device
) -> PrimitiveTable:
    """The table of all frames of all clips on `device`."""
    most = max(len(scene.subjects) for scene in scenes)
    tables: list[dict[str, np.ndarray]] = []
    parts: list[tuple[BodyPart, Subject]] = []
    bounding_spheres, clip, first_frame = [], [], 0
    for number, (scene, trajectory) in enumerate(zip(scenes, trajectories, strict=True)):
        frames = len(trajectory.times)
        for index, subject in enumerate(scene.subjects):
            body = parts_of(subject)
            plain = scene.unpainted and subject.kind in SOLIDS
            body = [replace(part, paint=PLAIN) for part in body] if plain else body
            tables.append(_subject_rows(subject, index, body, trajectory, first_frame, len(parts)))
            parts.extend((part, subject) for part in body)
        bounding_spheres.append(_bounding_spheres(scene, trajectory, most))
        clip.append(np.full(frames, number))
        first_frame += frames
    rows = {key: np.concatenate([t[key] for t in tables]) for key in tables[0]} if tables else _EMPTY
    order = np.argsort(rows["shape"], kind="stable")
    rows = {key: value[order] for key, value in rows.items()}

    def real(x: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)).to(device)

    def integer(x: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x, dtype=np.int64)).to(device)

    clips = np.concatenate(clip)
    return PrimitiveTable(
        cameras=_cameras(scenes, trajectories, real, clips, height, width),
        clip=integer(clips),
        frame=integer(rows["frame"]),
        subject=integer(rows["subject"]),
        part=integer(rows["part"]),
        shape_counts=tuple(np.bincount(rows["shape"], minlength=COOKIE + 1).tolist()),
        to_unit=real(rows["to_unit"].transpose(1, 2, 0)),
        to_world=real(rows["to_world"].transpose(1, 2, 0)),
        centre=real(rows["centre"].T),
        k=real(rows["k"]),
        color=real(np.array([p.color for p, _ in parts]).reshape(-1, 3).T),
        second=real(np.array([p.second for p, _ in parts]).reshape(-1, 3).T),
        paint=integer(np.array([p.paint for p, _ in parts])),
        material=integer(np.array([MATERIALS.index(s.material) if p.own_material else 0 for p, s in parts])),
        emotion=integer(np.array([EMOTIONS.index(s.emotion) if s.emotion else NEUTRAL for _, s in parts])),
        bounding_spheres=real(np.concatenate(bounding_spheres).transpose(2, 0, 1)),
    )


def _cameras(
    scenes: Sequence[Scene],
    trajectories: Sequence[Trajectory],
    real: Callable[[np.ndarray], Tensor],
    clips: np.ndarray,
    height: int,
    width: int,
) -> Cameras:
    origin = real(np.concatenate([t.camera_positions for t in trajectories]).T)
    target = real(np.concatenate([t.camera_targets for t in trajectories]).T)
    view = real(np.array([scene.camera.field_of_view for scene in scenes])[clips])
    return Cameras.look_at(origin, target, view, height, width)


def _subject_rows(
    subject: Subject, index: int, body: Sequence[BodyPart], trajectory: Trajectory, first_frame: int, first_part: int
) -> dict[str, np.ndarray]:
    """Rows of all parts of one subject in all frames, (parts × frames), part-major."""
    frames, count = len(trajectory.times), len(body)
    h = subject.half_extent
    gait = trajectory.gait[:, index] if subject.kind in CHARACTERS else np.zeros(frames)
    pose = _rotation(trajectory.rotations[:, index])
    position = trajectory.positions[:, index] + np.stack([0 * gait, 0 * gait, _BOB * h * np.abs(np.sin(gait))], -1)

    turn = np.stack([_euler(part.turn) for part in body])
    centre = np.array([part.centre for part in body], dtype=float)
    sizes = np.array([part.sizes for part in body], dtype=float)
    move, pivot = _moves(body, gait, np.einsum("tij,ti->tj", pose, trajectory.camera_positions - position))
    moved = pivot[:, None] + np.einsum("qtij,qj->qti", move, centre - pivot)

    axes = np.einsum("tij,qtjk,qkl->qtil", pose, move, turn)
    scale = (h * sizes)[:, None, None, :]
    to_world = axes * scale
    to_unit = np.swapaxes(axes, -1, -2) / np.swapaxes(scale, -1, -2)
    world = position + h * np.einsum("tij,qtj->qti", pose, moved)
    k = np.array([part.k for part in body])[:, None] + np.zeros(frames)
    if subject.kind == "cookie":
        k = k + trajectory.bites[:, index]
    return {
        "shape": np.repeat([part.shape for part in body], frames),
        "frame": np.tile(first_frame + np.arange(frames), count),
        "subject": np.full(count * frames, index),
        "part": np.repeat(first_part + np.arange(count), frames),
        "to_world": to_world.reshape(-1, 3, 3),
        "to_unit": to_unit.reshape(-1, 3, 3),
        "centre": world.reshape(-1, 3),
        "k": k.reshape(-1),
    }


def _moves(body: Sequence[BodyPart], gait: np.ndarray, viewer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Motion of parts in the body: rotations (parts, T, 3, 3) about pivots (parts, 3); `viewer` (T, 3) is the camera.

    Legs swing with the gait. Heads turn towards the camera so that the emotion is visible, in proportion to the sine of
    the angle, which is continuous for spinning characters.
    """
    sideways = viewer[:, 0] / np.hypot(viewer[:, 0], viewer[:, 1]).clip(1e-6)
    looking, still = _turn_z(_LOOK * sideways), np.broadcast_to(np.eye(3), (len(gait), 3, 3))
    moves, pivots = [], []
    for part in body:
        if part.neck is not None:
            moves.append(looking)
            pivots.append((0.0, part.neck, 0.0))
        else:
            moves.append(_turn_x(part.swing * np.sin(gait)) if part.swing else still)
            pivots.append((part.centre[0], part.centre[1], part.centre[2] + part.sizes[2]))
    return np.stack(moves), np.array(pivots, dtype=float)


_EMPTY = {
    **{key: np.zeros(0, dtype=np.int64) for key in ("shape", "frame", "subject", "part")},
    **{key: np.zeros((0, 3, 3)) for key in ("to_world", "to_unit")},
    "centre": np.zeros((0, 3)),
    "k": np.zeros(0),
}


def _bounding_spheres(scene: Scene, trajectory: Trajectory, most: int) -> np.ndarray:
    """(T, most, 4)."""
    table = np.zeros((len(trajectory.times), most, 4))
    for index, subject in enumerate(scene.subjects):
        table[:, index, :3] = trajectory.positions[:, index]
        table[:, index, 3] = subject.half_extent
    return table


def _rotation(q: np.ndarray) -> np.ndarray:
    """Matrices (…, 3, 3) of quaternions (…, 4) in the order (w, x, y, z)."""
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def _turn_x(angle: np.ndarray) -> np.ndarray:
    c, s, one, zero = np.cos(angle), np.sin(angle), np.ones_like(angle), np.zeros_like(angle)
    return np.moveaxis(np.array([[one, zero, zero], [zero, c, -s], [zero, s, c]]), (0, 1), (-2, -1))


def _turn_z(angle: np.ndarray) -> np.ndarray:
    c, s, one, zero = np.cos(angle), np.sin(angle), np.ones_like(angle), np.zeros_like(angle)
    return np.moveaxis(np.array([[c, -s, zero], [s, c, zero], [zero, zero, one]]), (0, 1), (-2, -1))


def _euler(turn: tuple[float, float, float]) -> np.ndarray:
    """Rotation matrix of turns about x, then y, then z."""
    c, s = np.cos(turn[1]), np.sin(turn[1])
    about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return _turn_z(np.array(turn[2])) @ about_y @ _turn_x(np.array(turn[0]))
