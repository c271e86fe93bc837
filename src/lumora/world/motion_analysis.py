"""Verbs, directions, relations and events, measured from a trajectory.

A scene only says how motion starts; contacts change it. So everything here is measured from the simulated states. If
the result is ambiguous it is None, because a caption should not state something that is only partly true.
"""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float

from lumora.world.scene import Direction, EventKind, Kind, Scene, Verb
from lumora.world.trajectory import Contact, Trajectory

ROLLERS: tuple[Kind, ...] = ("ball", "cylinder", "capsule", "ring")
TIPPABLE: tuple[Kind, ...] = ("cube", "crate", "cylinder", "cone", "capsule", "cookie")
TRAVELLING: tuple[Verb, ...] = ("roll", "slide", "walk", "bounce", "jump")

TRAVEL_METERS = 0.3
"""Minimum distance of a motion along the ground."""
REST_METERS = 0.1
HOP_METERS = 0.15
DROP_METERS = 0.35
SLOW, FAST = 0.55, 1.5
"""Meters per second below which motion is slow and above which it is fast; between them it is neither."""


def verb_of(scene: Scene, trajectory: Trajectory, subject: int) -> Verb | None:
    """The verb for the motion of `subject`, or None if it is ambiguous, for example if a push only rocks it."""
    meant = scene.subjects[subject].motion.verb
    kind = scene.subjects[subject].kind
    path = travelled(trajectory, subject)
    height = trajectory.positions[:, subject, 2]
    turn = np.abs(turned(trajectory, subject))
    tumble, twist = float(np.hypot(turn[0], turn[1])), float(turn[2])
    hops = rebounds(height)
    if hops and (meant in ("bounce", "jump") or height[0] - height.min() > DROP_METERS):
        return meant if meant in ("bounce", "jump", "fall") else "bounce"
    if height[0] - height[-1] > DROP_METERS:
        return "fall"
    if meant in ("orbit", "walk") and path > TRAVEL_METERS:
        return meant
    if path > TRAVEL_METERS:
        if kind in ROLLERS and tumble > 0.6:
            return "roll"
        return "slide" if tumble < 0.4 else None
    if twist > 1.2:
        return "spin"
    return "still" if path < REST_METERS and tumble + twist < 0.3 else None


def direction_of(trajectory: Trajectory, subject: int, frame: int | None = None) -> Direction | None:
    """Direction of the motion of `subject` relative to the camera in the middle frame, or at `frame`.

    If it has moved before its first contact, only that part counts.
    """
    start, stop = 0, len(trajectory.times) - 1
    touched = [c.time for c in trajectory.contacts if subject in (c.a, c.b)]
    if touched:
        before = int(np.searchsorted(trajectory.times, min(touched))) - 1
        if before > 0 and np.linalg.norm(_step(trajectory, subject, 0, before)) > TRAVEL_METERS:
            stop = before
    step = _step(trajectory, subject, start, stop)
    if np.linalg.norm(step) < TRAVEL_METERS:
        return None
    right, forward = view_axes(trajectory, len(trajectory.times) // 2 if frame is None else frame)
    across, along = float(step @ right), float(step @ forward)
    if abs(across) > 1.5 * abs(along):
        return "right" if across > 0 else "left"
    if abs(along) > 1.5 * abs(across):
        return "away" if along > 0 else "toward"
    return None


def speed_of(trajectory: Trajectory, subject: int) -> str | None:
    """`slow` or `fast` by the mean ground speed while moving, None between them."""
    speeds = np.linalg.norm(trajectory.velocities[:, subject, :2], axis=-1)
    moving = speeds[speeds > REST_METERS]
    if len(moving) < 3:
        return None
    mean = float(moving.mean())
    return "slow" if mean < SLOW else "fast" if mean > FAST else None


def relation_of(scene: Scene, trajectory: Trajectory, a: int, b: int) -> tuple[str, int, int] | None:
    """(relation, subject, other) of two subjects in the first frame, relative to the camera; None if it is
    ambiguous."""
    subjects, start = scene.subjects, trajectory.positions[0]
    for upper, lower in ((a, b), (b, a)):
        if rests_on(scene, trajectory, upper, lower):
            return "on top of", upper, lower
    distances, bearings = zip(*(_relative_to_camera(trajectory, i) for i in (a, b)), strict=True)
    nearer = float(distances[1][0] - distances[0][0])
    apart = float(bearings[0][0] - bearings[1][0])
    widths = [subjects[i].half_extent / max(float(d[0]), 1e-6) for i, d in zip((a, b), distances, strict=True)]
    if abs(apart) > sum(widths):  # There is a gap between them in the picture.
        return ("right of" if apart > 0 else "left of"), a, b
    reach = subjects[a].half_extent + subjects[b].half_extent
    if abs(nearer) > reach and abs(start[a, 2] - start[b, 2]) < reach:
        return ("in front of" if nearer > 0 else "behind"), a, b
    return None


def events_of(scene: Scene, trajectory: Trajectory) -> list[tuple[EventKind, int, int | None]]:
    """(kind, actor or bitten subject, target) of all events, in order of time."""
    found: list[tuple[EventKind, int, int | None]] = []
    for i in range(len(scene.subjects)):
        if trajectory.bites[0, i] < 0.5 <= trajectory.bites[-1, i]:
            found.append(("bite", i, None))
    for contact in sorted(trajectory.contacts, key=lambda c: c.time):
        found += _contact_events(scene, trajectory, contact)
    for actor, target in itertools.permutations(range(len(scene.subjects)), 2):
        if passes_behind(scene, trajectory, actor, target):
            found.append(("hide", actor, target))
    return list(dict.fromkeys(found))


def rests_on(scene: Scene, trajectory: Trajectory, upper: int, lower: int) -> bool:
    """Whether `upper` stands on `lower` in the first frame."""
    offset = trajectory.positions[0, upper] - trajectory.positions[0, lower]
    reach = scene.subjects[upper].half_extent + scene.subjects[lower].half_extent
    aside = float(np.linalg.norm(offset[:2]))
    return abs(float(offset[2]) - reach) < 0.25 * reach and aside < 0.8 * scene.subjects[lower].half_extent


def passes_behind(scene: Scene, trajectory: Trajectory, actor: int, target: int) -> bool:
    """Whether `actor` is hidden behind `target` and reappears on the other side."""
    distance, bearing = _relative_to_camera(trajectory, actor)
    target_distance, target_bearing = _relative_to_camera(trajectory, target)
    apart = bearing - target_bearing
    cover = scene.subjects[target].half_extent / target_distance
    width = scene.subjects[actor].half_extent / distance
    hidden = (np.abs(apart) < 0.5 * cover) & (distance > target_distance + scene.subjects[target].half_extent)
    clear = np.abs(apart) > 0.8 * (cover + width)
    low = trajectory.positions[:, actor, 2] < 2.5 * scene.subjects[target].half_extent
    return bool((hidden & low).any() and clear[0] and clear[-1] and apart[0] * apart[-1] < 0)


def travelled(trajectory: Trajectory, subject: int) -> float:
    """Length in meters of the path along the ground."""
    return float(np.linalg.norm(np.diff(trajectory.positions[:, subject, :2], axis=0), axis=-1).sum())


def turned(trajectory: Trajectory, subject: int) -> Float[np.ndarray, " 3"]:
    """Rotation in radians about each world axis, accumulated over the frames."""
    q = trajectory.rotations[:, subject].astype(np.float64)
    w0, v0, w1, v1 = q[:-1, :1], q[:-1, 1:], q[1:, :1], q[1:, 1:]
    # The rotation between two frames is q1 times the conjugate of q0.
    w = w1 * w0 + (v1 * v0).sum(-1, keepdims=True)
    v = w0 * v1 - w1 * v0 - np.cross(v1, v0)
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    angle = 2 * np.arctan2(length, np.abs(w)) * np.sign(np.where(w == 0, 1.0, w))
    return (angle * v / np.maximum(length, 1e-12)).sum(0)


def rebounds(height: Float[np.ndarray, " t"]) -> int:
    """Number of times that the height rises by more than HOP_METERS from a minimum."""
    count, low, high, rising = 0, float(height[0]), float(height[0]), False
    for z in map(float, height):
        low, high = min(low, z), max(high, z)
        if not rising and z - low > HOP_METERS:
            count, rising, high = count + 1, True, z
        elif rising and high - z > HOP_METERS:
            rising, low = False, z
    return count


def view_axes(trajectory: Trajectory, frame: int) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"]]:
    """Horizontal unit vectors to the right of the picture and away from the camera at `frame`."""
    look = (trajectory.camera_targets[frame] - trajectory.camera_positions[frame])[:2].astype(np.float64)
    forward = look / max(float(np.linalg.norm(look)), 1e-9)
    return np.array([forward[1], -forward[0]]), forward


def _step(trajectory: Trajectory, subject: int, start: int, stop: int) -> Float[np.ndarray, " 2"]:
    return (trajectory.positions[stop, subject] - trajectory.positions[start, subject])[:2].astype(np.float64)


def _relative_to_camera(
    trajectory: Trajectory, subject: int
) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, " t"]]:
    """Horizontal distance in meters and bearing in radians (positive to the right) from the camera in each frame."""
    ray = (trajectory.positions[:, subject] - trajectory.camera_positions)[:, :2].astype(np.float64)
    look = (trajectory.camera_targets - trajectory.camera_positions)[:, :2].astype(np.float64)
    across = ray[:, 0] * look[:, 1] - ray[:, 1] * look[:, 0]
    return np.linalg.norm(ray, axis=-1), np.arctan2(across, (ray * look).sum(-1))


def _contact_events(scene: Scene, trajectory: Trajectory, contact: Contact) -> list[tuple[EventKind, int, int | None]]:
    before = max(int(np.searchsorted(trajectory.times, contact.time)) - 1, 0)
    gap = (trajectory.positions[before, contact.b] - trajectory.positions[before, contact.a]).astype(np.float64)
    toward = gap / max(float(np.linalg.norm(gap)), 1e-9)
    # The actor is the subject that approaches the other faster.
    closing_a = float(trajectory.velocities[before, contact.a] @ toward)
    closing_b = -float(trajectory.velocities[before, contact.b] @ toward)
    if max(closing_a, closing_b) < 0.2:
        return []
    actor, target = (contact.a, contact.b) if closing_a >= closing_b else (contact.b, contact.a)
    toppled = [i for i in _stack_on(scene, trajectory, target) if i != actor and _toppled(scene, trajectory, i)]
    if toppled:
        return [("topple", actor, i) for i in toppled]
    return [("push" if _pushed(trajectory, actor, target, contact.time) else "hit", actor, target)]


def _stack_on(scene: Scene, trajectory: Trajectory, base: int) -> list[int]:
    """`base` and all subjects that stand on it in the first frame, directly or indirectly."""
    stack = [base]
    for lower in stack:
        stack += [i for i in range(len(scene.subjects)) if i not in stack and rests_on(scene, trajectory, i, lower)]
    return stack


def _toppled(scene: Scene, trajectory: Trajectory, subject: int) -> bool:
    """Whether an upright subject lies on its side at the end, or has fallen from the subject that it stood on."""
    x, y = trajectory.rotations[:, subject, 1], trajectory.rotations[:, subject, 2]
    upright = 1 - 2 * (x**2 + y**2)  # z component of the body's own z axis
    tipped = scene.subjects[subject].kind in TIPPABLE and upright[0] > 0.8 and upright[-1] < 0.6
    height = trajectory.positions[:, subject, 2]
    others = [i for i in range(len(scene.subjects)) if i != subject]
    stacked = any(rests_on(scene, trajectory, subject, i) for i in others)
    return bool(tipped or (stacked and height[0] - height[-1] > DROP_METERS))


def _pushed(trajectory: Trajectory, actor: int, target: int, time: float) -> bool:
    """Whether the two subjects stay together and move on after their contact, instead of separating."""
    after = (trajectory.times >= time) & (trajectory.times <= time + 0.6)
    if after.sum() < 3:
        return False
    gaps = np.linalg.norm(trajectory.positions[after, actor] - trajectory.positions[after, target], axis=-1)
    moved = np.linalg.norm(trajectory.positions[after, target][-1] - trajectory.positions[after, target][0])
    return bool(gaps[-1] < 1.12 * gaps[0] and moved > 0.2)
