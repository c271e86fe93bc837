"""Facts of hand-made trajectories, and of mirrored scenes."""

from dataclasses import replace

import numpy as np
import pytest

from lumora.config import VideoShape
from lumora.world.clip import make_scene
from lumora.world.facts import Fact, facts_of, mirror_fact, value_of
from lumora.world.scene import Camera, Event, Motion, Scene, Subject
from lumora.world.trajectory import Contact, Trajectory

TIMES = np.arange(17) / 8.0
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


def scene_of(*subjects: Subject, event: Event | None = None) -> Scene:
    return Scene(subjects, "meadow", "noon", Camera((0.0, -5.5, 1.5), (0.0, 0.0, 0.4)), 2.0, event)


def make_subject(kind="cube", color="red", position=(0.0, 0.0, 0.5), motion: Motion | None = None) -> Subject:
    return Subject(kind, color, "matte", "large", position, motion=motion or Motion())  # type: ignore[arg-type]


def still(subject: Subject) -> np.ndarray:
    return np.tile(np.array(subject.position), (17, 1))


def turning(axis, radians) -> np.ndarray:
    """Quaternions of a rotation that grows to `radians` at the end."""
    half = 0.5 * np.linspace(0, radians, 17)[:, None]
    return np.concatenate([np.cos(half), np.sin(half) * np.asarray(axis, dtype=float)], axis=1)


def trajectory_of(paths, rotations=None, contacts=(), bites=None) -> Trajectory:
    positions = np.stack(paths, axis=1)
    turns = rotations if rotations is not None else [np.tile(UPRIGHT, (17, 1))] * len(paths)
    none = np.zeros((17, len(paths)))
    camera = Camera((0.0, -5.5, 1.5), (0.0, 0.0, 0.4))
    return Trajectory(
        TIMES,
        positions,
        np.stack(turns, axis=1),
        np.gradient(positions, TIMES, axis=0),
        none if bites is None else bites,
        none,
        np.tile(np.array(camera.position), (17, 1)),
        np.tile(np.array(camera.target), (17, 1)),
        contacts,
    )


def moving(step, start=(0.0, 0.0, 0.5)) -> np.ndarray:
    """A path from `start` to `start` + `step`."""
    return np.asarray(start) + np.linspace(0, 1, 17)[:, None] * np.asarray(step, dtype=float)


@pytest.mark.parametrize(
    ("step", "direction"),
    [
        ((1.5, 0, 0), "right"),
        ((-1.5, 0, 0), "left"),
        ((0, -1.5, 0), "toward"),
        ((0, 1.5, 0), "away"),
        ((1, 1, 0), None),
    ],
)
def test_rolling_and_sliding_have_a_direction(step, direction):
    ball, cube = make_subject("ball"), make_subject("cube")
    axis = np.cross((0, 0, 1), step) / np.linalg.norm(step)
    rolled = facts_of(scene_of(ball), trajectory_of([moving(step)], [turning(axis, 3.0)]))
    slid = facts_of(scene_of(cube), trajectory_of([moving(step)]))
    assert value_of(rolled, "motion", 0) == "roll" and value_of(slid, "motion", 0) == "slide"
    assert value_of(rolled, "direction", 0) == value_of(slid, "direction", 0) == direction


def test_falling_bouncing_and_jumping():
    hop = np.abs(np.sin(np.linspace(0, 3 * np.pi, 17)))[:, None] * np.array([0, 0, 1.0])
    fall = np.maximum(1 - 1.5 * np.linspace(0, 1, 17) ** 2, 0)[:, None] * np.array([0, 0, 1.5])
    low = np.array([0, 0, 0.5])
    for path, meant, seen in (
        (hop, "jump", "jump"),
        (hop, "bounce", "bounce"),
        (fall, "fall", "fall"),
        (fall, "bounce", "fall"),
    ):
        subject = make_subject("ball", motion=Motion(meant))  # type: ignore[arg-type]
        assert value_of(facts_of(scene_of(subject), trajectory_of([path + low])), "motion", 0) == seen


def test_spinning_and_standing_still():
    cube = make_subject()
    spun = trajectory_of([still(cube)], [turning((0, 0, 1), 7.0)])
    assert value_of(facts_of(scene_of(cube), spun), "motion", 0) == "spin"
    assert value_of(facts_of(scene_of(cube), trajectory_of([still(cube)])), "motion", 0) == "still"


def test_a_planned_motion_that_does_not_happen_is_not_a_fact():
    cube = make_subject(motion=Motion("slide", "right", 1.0))
    facts = facts_of(scene_of(cube), trajectory_of([still(cube)]))
    assert value_of(facts, "motion", 0) == "still" and value_of(facts, "direction", 0) is None


@pytest.mark.parametrize(
    ("place", "relation"),
    [
        ((1.6, 0.2, 0.5), "left of"),
        ((-1.6, 0.2, 0.5), "right of"),
        ((0.1, 2.0, 0.5), "in front of"),
        ((0.0, -2.0, 0.5), "behind"),
    ],
)
def test_relations_are_relative_to_the_camera(place, relation):
    a, b = make_subject(), make_subject(color="blue", position=place)
    assert Fact("relation", relation, 0, 1) in facts_of(scene_of(a, b), trajectory_of([still(a), still(b)]))


def test_on_top_of():
    low, high = make_subject(), make_subject(color="blue", position=(0.1, 0.0, 1.5))
    assert Fact("relation", "on top of", 1, 0) in facts_of(
        scene_of(low, high), trajectory_of([still(low), still(high)])
    )


def test_contacts_give_hit_push_and_topple_events():
    ball, cube = make_subject("ball", position=(-2.0, 0.0, 0.5)), make_subject(color="blue")
    scene, contact = scene_of(ball, cube), (Contact(0.75, 0, 1),)
    coming = moving((2.8, 0, 0), ball.position)

    stopped = np.minimum(coming, [-1.0, 0.0, 0.5])
    after = np.maximum(TIMES - 0.75, 0)[:, None]
    flung = still(cube) + after * np.array([1.2, 0, 0])
    assert Fact("event", "hit", 0, 1) in facts_of(scene, trajectory_of([stopped, flung], contacts=contact))

    pushed = np.maximum(still(cube), coming + np.array([0.95, 0, 0]))
    assert Fact("event", "push", 0, 1) in facts_of(scene, trajectory_of([coming, pushed], contacts=contact))

    tipped = turning((0, 1, 0), np.pi / 2)
    toppled = trajectory_of([stopped, still(cube)], [np.tile(UPRIGHT, (17, 1)), tipped], contact)
    assert Fact("event", "topple", 0, 1) in facts_of(scene, toppled)

    resting = trajectory_of([still(ball), still(cube)], contacts=contact)
    assert not [f for f in facts_of(scene, resting) if f.category == "event"]


def test_bite_and_hide_events():
    cookie = make_subject("cookie", "brown")
    bites = (TIMES > 1.0).astype(float)[:, None]
    assert Fact("event", "bite", 0) in facts_of(scene_of(cookie), trajectory_of([still(cookie)], bites=bites))

    cat, ball = make_subject("cat"), make_subject("ball", "blue", (-2.5, 1.5, 0.5))
    behind = trajectory_of([still(cat), moving((5, 0, 0), ball.position)])
    before = trajectory_of([still(cat), moving((5, 0, 0), (-2.5, -1.5, 0.5))])
    assert Fact("event", "hide", 1, 0) in facts_of(scene_of(cat, ball), behind)
    assert Fact("event", "hide", 1, 0) not in facts_of(scene_of(cat, ball), before)


def test_a_single_frame_has_no_facts_of_motion():
    scene, trajectory = make_scene("simple", 1, 0, VideoShape(num_frames=1))
    assert {f.category for f in facts_of(scene, trajectory)} <= {
        "count", "kind", "color", "size", "material", "emotion", "place", "light", "relation",
    }  # fmt: skip


@pytest.mark.parametrize("index", range(12))
def test_a_mirrored_scene_has_mirrored_facts(index):
    scene, there = make_scene("full" if index % 2 else "simple", 4, index, VideoShape())
    flip, turn = np.array([-1.0, 1.0, 1.0]), np.array([1.0, 1.0, -1.0, -1.0])
    swap = {"pan left": "pan right", "pan right": "pan left"}
    camera = replace(scene.camera, move=swap.get(scene.camera.move, scene.camera.move))
    mirrored = replace(
        there,
        positions=there.positions * flip,
        velocities=there.velocities * flip,
        rotations=there.rotations * turn,
        camera_positions=there.camera_positions * flip,
        camera_targets=there.camera_targets * flip,
    )
    expected = {mirror_fact(f) for f in facts_of(scene, there)}
    assert set(facts_of(replace(scene, camera=camera), mirrored)) == expected


def test_in_simple_scenes_planned_motions_are_facts():
    agreed = total = 0
    for index in range(25):
        scene, trajectory = make_scene("simple", 11, index, VideoShape())
        facts = facts_of(scene, trajectory)
        for i, subject in enumerate(scene.subjects):
            agreed += value_of(facts, "motion", i) == subject.motion.verb
            agreed += value_of(facts, "direction", i) == subject.motion.direction
            total += 2
    assert agreed / total > 0.95
