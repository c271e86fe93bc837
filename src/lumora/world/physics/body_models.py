"""MuJoCo models of subjects: collision shapes, joints and surfaces.

A body either has a free joint or stays upright, with three slide joints and a hinge about z. Subjects that slide, hop,
walk or spin stay upright, and so do characters, whose feet have no collision shapes.
"""

from __future__ import annotations

import math

from lumora.world.scene import CHARACTERS, Kind, Material, Scene, Verb

STIFFNESS = 1e4
"""Stiffness of contacts in 1/s²: a body at rest sinks by g / STIFFNESS = 1 mm; a contact lasts π/√STIFFNESS = 31 ms."""

RESTITUTION: dict[Verb, float] = {
    "still": 0.3,
    "roll": 0.75,
    "slide": 0.75,
    "bounce": 0.82,
    "fall": 0.3,
    "jump": 0.05,
    "spin": 0.1,
    "walk": 0.05,
    "orbit": 0.1,
}
"""Coefficient of restitution with the ground; two bodies in contact share their damping."""
DENSITY: dict[Material, float] = {"matte": 100.0, "shiny": 100.0, "metal": 200.0}
"""Kilograms per cubic meter."""
TOPPLING_DENSITY_FACTOR = 2.7
"""Factor of the density of a body that is to topple another."""
FRICTIONLESS: tuple[Verb, ...] = ("slide", "bounce", "jump", "walk", "orbit", "spin")
UPRIGHT: tuple[Verb, ...] = ("slide", "bounce", "jump", "spin", "walk", "orbit")
LYING_RADIUS: dict[Kind, float] = {"cylinder": 0.75, "capsule": 0.55}
"""Radius in half extents of the kinds that roll lying on their side."""

_SHAPES: dict[Kind, tuple[str, ...]] = {
    "ball": ('type="sphere" size="1"',),
    "cube": ('type="box" size=".95 .95 1"',),
    "crate": ('type="box" size=".95 .95 1"',),
    # A round base would rock on its three contact points, so it contains a square foot.
    "cylinder": ('type="cylinder" size=".75 .995" pos="0 0 .005"', 'type="box" size=".53 .53 .05" pos="0 0 -.95"'),
    # Three stacked discs stand and tip like a cone, and need no mesh.
    "cone": (
        'type="cylinder" size=".85 .05" pos="0 0 -.94"',
        'type="box" size=".6 .6 .05" pos="0 0 -.95"',
        'type="cylinder" size=".6 .25" pos="0 0 -.65"',
        'type="cylinder" size=".3 .7" pos="0 0 .3"',
    ),
    "capsule": ('type="capsule" size=".55 .45"', 'type="box" size=".21 .21 .03" pos="0 0 -.97"'),
    "ring": ('type="cylinder" size="1 .2" euler="1.5707963 0 0"',),
    "cookie": ('type="cylinder" size="1 .22" euler="1.5707963 0 0"',),
    "robot": ('type="box" size=".65 .5 1"',),
    "snowman": ('type="cylinder" size=".7 1"',),
    "duck": ('type="box" size=".6 .75 1"',),
    "cat": ('type="box" size=".55 .75 1"',),
}
"""Geoms of a body of half extent 1, from z = −1 to 1."""

_LENGTHS = ("size", "pos")


def rest_height(kind: Kind, verb: Verb, half_extent: float) -> float:
    """Height in meters of the center of a body on the ground; some kinds lie on their side to roll."""
    return half_extent * (LYING_RADIUS.get(kind, 1.0) if verb == "roll" else 1.0)


def keeps_upright(scene: Scene, index: int) -> bool:
    subject = scene.subjects[index]
    if subject.kind in CHARACTERS:
        return True
    if subject.kind == "ball":
        return False
    pushed = scene.event is not None and scene.event.kind == "push" and scene.event.target == index
    return pushed or subject.motion.verb in UPRIGHT


def model_xml(scene: Scene, timestep: float) -> str:
    """The MJCF description of a scene with all bodies at the origin; `simulate` moves them to their positions."""
    bodies = "".join(_body_xml(scene, index) for index in range(len(scene.subjects)))
    return (
        '<mujoco><compiler angle="radian"/>'
        f'<option timestep="{timestep:.9g}" cone="elliptic" integrator="implicitfast"/>'
        '<worldbody><geom type="plane" size="0 0 1" condim="1" friction="0 0 0" solmix="1e-6"/>'
        f"{bodies}</worldbody></mujoco>"
    )


def _body_xml(scene: Scene, index: int) -> str:
    subject = scene.subjects[index]
    upright = keeps_upright(scene, index)
    joints = (
        '<joint type="slide" axis="1 0 0"/><joint type="slide" axis="0 1 0"/><joint type="slide" axis="0 0 1"/>'
        '<joint type="hinge" axis="0 0 1"/>'
        if upright
        else "<freejoint/>"
    )
    surface = _surface(scene, index)
    shapes = _SHAPES[subject.kind]
    if subject.motion.verb == "roll":
        shapes = shapes[:1]  # The foot would make it wobble.
    geoms = "".join(f"<geom {_scaled(shape, subject.half_extent)} {surface}/>" for shape in shapes)
    return f'<body name="{index}">{joints}{geoms}</body>'


def _scaled(shape: str, scale: float) -> str:
    """The attributes of a geom of half extent 1, at half extent `scale`."""
    words = []
    for attribute in shape.split('" '):
        name, value = attribute.rstrip('"').split('="')
        if name in _LENGTHS:
            value = " ".join(f"{float(number) * scale:.6g}" for number in value.split())
        words.append(f'{name}="{value}"')
    return " ".join(words)


def _surface(scene: Scene, index: int) -> str:
    subject = scene.subjects[index]
    verb = subject.motion.verb
    is_hit = scene.event is not None and scene.event.kind == "hit" and scene.event.target == index
    restitution = RESTITUTION["roll" if is_hit else verb]
    damping = 2 * damping_ratio(restitution) * math.sqrt(STIFFNESS)
    density = DENSITY[subject.material] * (TOPPLING_DENSITY_FACTOR if _topples(scene, index) else 1.0)
    contact = f'condim="3" friction="{_friction(scene, index):g} 0 0"'
    if verb in FRICTIONLESS:
        contact = 'condim="1" friction="0 0 0"'
    return f'{contact} solref="{-STIFFNESS:g} {-damping:.6g}" solimp=".98 .98 .001" density="{density:g}"'


def _topples(scene: Scene, index: int) -> bool:
    event = scene.event
    return event is not None and event.kind == "topple" and event.actor == index


def _friction(scene: Scene, index: int) -> float:
    """Sliding friction: low for targets of pushes and hits, high for targets that topple, which would slide
    otherwise."""
    event, verb = scene.event, scene.subjects[index].motion.verb
    if event is None or verb != "still":
        return 0.7
    return {"push": 0.3, "hit": 0.12, "topple": 1.0}.get(event.kind, 0.7)


def damping_ratio(restitution: float) -> float:
    """Damping ratio ζ of a linear spring and damper with this restitution: e = exp(−πζ/√(1 − ζ²)), solved for ζ."""
    decay = -math.log(restitution)
    return decay / math.hypot(math.pi, decay)
