"""Driven motion of subjects: changes to the state of a MuJoCo simulation before its steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lumora.world.physics.body_models import rest_height
from lumora.world.scene import Direction, Kind, Subject

DIRECTION_VECTORS: dict[Direction, tuple[float, float]] = {
    "right": (1.0, 0.0),
    "left": (-1.0, 0.0),
    "toward": (0.0, -1.0),
    "away": (0.0, 1.0),
}
"""Unit vectors on the ground: (x, y)."""

JUMP_HEIGHT = 0.65
"""Height of a jump in meters."""
GRAVITY = 9.81
JUMP_PAUSE = 0.12
"""Seconds on the ground between two jumps."""

Quaternion = tuple[float, float, float, float]


def velocity_of(subject: Subject) -> tuple[float, float]:
    """Initial velocity of a subject along x and y in meters per second."""
    direction = subject.motion.direction
    if direction is None:
        return 0.0, 0.0
    x, y = DIRECTION_VECTORS[direction]
    return x * subject.motion.speed, y * subject.motion.speed


def initial_rotation(subject: Subject) -> Quaternion:
    """(w, x, y, z) of the heading; kinds that roll lying on their side have z across the direction instead."""
    verb, direction = subject.motion.verb, subject.motion.direction
    if verb == "roll" and direction is not None and _lies_down(subject.kind):
        x, y = DIRECTION_VECTORS[direction]
        # A quarter turn about the direction of motion.
        return math.sqrt(0.5), x * math.sqrt(0.5), y * math.sqrt(0.5), 0.0
    return math.cos(subject.heading / 2), 0.0, 0.0, math.sin(subject.heading / 2)


def _lies_down(kind: Kind) -> bool:
    return rest_height(kind, "roll", 1.0) < 1.0


@dataclass
class Body:
    """A subject in the simulation; `q` and `v` are the indices of its first position and velocity coordinate."""

    subject: Subject
    upright: bool
    q: int
    v: int
    centre: tuple[float, float] = (0.0, 0.0)
    """Center of its orbit."""
    _grounded_since: float | None = field(default=None, repr=False)
    _launched: bool = field(default=False, repr=False)

    @property
    def is_driven(self) -> bool:
        """Whether `drive` acts on it after the first step; otherwise only contacts and gravity do."""
        motion = self.subject.motion
        return motion.verb in ("jump", "spin", "walk", "orbit") or (motion.verb != "still" and motion.start > 0)

    def place(self, data: Any) -> None:
        """Sets the initial position and rotation."""
        subject = self.subject
        x, y, z = subject.position
        if subject.motion.verb == "roll":
            z += rest_height(subject.kind, "roll", subject.half_extent) - subject.half_extent
        data.qpos[self.q : self.q + 3] = x, y, z
        if self.upright:
            data.qpos[self.q + 3] = subject.heading
        else:
            data.qpos[self.q + 3 : self.q + 7] = initial_rotation(subject)

    def drive(self, data: Any) -> None:
        """Acts for one step; called before every step, or only before the first if not `is_driven`."""
        motion = self.subject.motion
        if data.time < motion.start - 1e-9:
            self._hold(data)
            return
        match motion.verb:
            case "roll" | "slide" | "bounce" | "fall":
                self._launch(data)
            case "jump":
                self._jump(data)
            case "walk":
                data.qvel[self.v : self.v + 2] = velocity_of(self.subject)
                data.qvel[self.v + 3] = 0.0
            case "spin":
                self._spin(data)
            case "orbit":
                self._orbit(data)

    def _hold(self, data: Any) -> None:
        """Keeps a subject that falls or bounces in the air until its motion starts."""
        if self.subject.motion.verb in ("fall", "bounce"):
            data.qpos[self.q : self.q + 3] = self.subject.position
            data.qvel[self.v : self.v + 3] = 0.0

    def _launch(self, data: Any) -> None:
        if self._launched:
            return
        self._launched = True
        subject = self.subject
        x, y = velocity_of(subject)
        data.qvel[self.v : self.v + 2] = x, y
        if subject.motion.verb == "roll":
            self._set_rolling(data, x, y)

    def _jump(self, data: Any) -> None:
        on_ground = data.qpos[self.q + 2] < self.subject.half_extent + 0.004 and data.qvel[self.v + 2] < 0.3
        if not on_ground:
            self._grounded_since = None
            return
        if self._grounded_since is None:
            first = not self._launched
            self._launched = True
            self._grounded_since = float(data.time) - (JUMP_PAUSE if first else 0.0)
            data.qvel[self.v : self.v + 2] = 0.0
        if data.time >= self._grounded_since + JUMP_PAUSE:
            data.qvel[self.v : self.v + 2] = velocity_of(self.subject)
            data.qvel[self.v + 2] = math.sqrt(2 * GRAVITY * JUMP_HEIGHT)

    def _spin(self, data: Any) -> None:
        speed = self.subject.motion.speed
        if self.upright:
            data.qvel[self.v + 3] = speed
        else:
            data.qvel[self.v + 3 : self.v + 6] = 0.0, 0.0, speed

    def _orbit(self, data: Any) -> None:
        motion = self.subject.motion
        x, y = self.subject.position[0] - self.centre[0], self.subject.position[1] - self.centre[1]
        angle = motion.speed * (data.time - motion.start)
        cos, sin = math.cos(angle), math.sin(angle)
        x, y = cos * x - sin * y, sin * x + cos * y
        data.qpos[self.q : self.q + 2] = self.centre[0] + x, self.centre[1] + y
        data.qvel[self.v : self.v + 2] = -motion.speed * y, motion.speed * x
        if self.upright:
            data.qpos[self.q + 3] = self.subject.heading + angle
            data.qvel[self.v + 3] = motion.speed
        else:
            self._set_rolling(data, -motion.speed * y, motion.speed * x)

    def _set_rolling(self, data: Any, x: float, y: float) -> None:
        """Sets ω = z × velocity / radius, in the axes of the body as MuJoCo expects it."""
        radius = rest_height(self.subject.kind, "roll", self.subject.half_extent)
        angular = np.array([-y, x, 0.0]) / radius
        data.qvel[self.v + 3 : self.v + 6] = to_body_axes(data.qpos[self.q + 3 : self.q + 7], angular)


def to_body_axes(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """A world vector in the axes of a body with this rotation (w, x, y, z)."""
    w, axis = quaternion[0], -quaternion[1:]
    cross = 2 * np.cross(axis, vector)
    return vector + w * cross + np.cross(axis, cross)
