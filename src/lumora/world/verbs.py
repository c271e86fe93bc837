"""Wordings of the actions of subjects and cameras, as pairs (third person, participle), the plainest first."""

from __future__ import annotations

from typing import TypeAlias

Verbs: TypeAlias = tuple[tuple[str, str], ...]

MOTION: dict[str, Verbs] = {
    "roll": (
        ("rolls", "rolling"), ("trundles", "trundling"), ("rolls along", "rolling along"), ("keeps rolling", "rolling"),
        ("is rolling", "rolling"), ("goes rolling", "going rolling"),
        ("rolls over the ground", "rolling over the ground"),
        ("rolls across the ground", "rolling across the ground"), ("moves by rolling", "moving by rolling"),
        ("rolls smoothly", "rolling smoothly"),
    ),
    "slide": (
        ("slides", "sliding"), ("glides", "gliding"), ("skids", "skidding"), ("slips along", "slipping along"),
        ("slides along", "sliding along"), ("is sliding", "sliding"), ("skates", "skating"),
        ("slides over the ground", "sliding over the ground"), ("slides smoothly", "sliding smoothly"),
        ("glides along", "gliding along"),
    ),
    "bounce": (
        ("bounces", "bouncing"), ("bounces along", "bouncing along"), ("keeps bouncing", "bouncing"),
        ("is bouncing", "bouncing"), ("goes bouncing", "bouncing"), ("bounces repeatedly", "bouncing repeatedly"),
        ("bounces and bounces", "bouncing and bouncing"), ("bounces merrily along", "bouncing merrily along"),
        ("moves in bounces", "moving in bounces"), ("bounces again and again", "bouncing again and again"),
    ),
    "fall": (
        ("falls", "falling"), ("drops", "dropping"), ("falls down", "falling down"), ("plunges down", "plunging down"),
        ("drops to the ground", "dropping to the ground"), ("falls to the ground", "falling to the ground"),
        ("falls from above", "falling from above"), ("drops from the air", "dropping from the air"),
        ("plummets", "plummeting"), ("comes falling down", "falling down"),
    ),
    "jump": (
        ("jumps", "jumping"), ("leaps", "leaping"), ("hops", "hopping"), ("is jumping", "jumping"),
        ("jumps along", "jumping along"), ("keeps jumping", "jumping"), ("leaps along", "leaping along"),
        ("hops along", "hopping along"), ("jumps again and again", "jumping again and again"),
        ("goes hopping", "hopping"),
    ),
    "walk": (
        ("walks", "walking"), ("strolls", "strolling"), ("strides", "striding"), ("marches", "marching"),
        ("wanders", "wandering"), ("ambles", "ambling"), ("walks along", "walking along"), ("is walking", "walking"),
        ("paces", "pacing"), ("goes on foot", "going on foot"),
    ),
    "still": (
        ("stands still", "standing still"), ("stays still", "staying still"), ("does not move", "not moving"),
        ("is motionless", "resting motionless"), ("stays put", "staying put"),
        ("remains in place", "remaining in place"),
        ("keeps still", "keeping still"), ("rests on the spot", "resting on the spot"),
        ("is at rest", "remaining at rest"),
        ("stands motionless", "standing motionless"), ("sits still", "sitting still"),
    ),
    "spin": (
        ("spins", "spinning"), ("twirls", "twirling"), ("spins on the spot", "spinning on the spot"),
        ("spins around", "spinning around"), ("whirls around", "whirling around"),
        ("turns in place", "turning in place"), ("rotates", "rotating"),
        ("is spinning", "spinning"), ("turns round and round", "turning round and round"),
        ("rotates in place", "rotating in place"), ("spins like a top", "spinning like a top"),
    ),
    "orbit": (
        ("circles", "circling"), ("orbits", "orbiting"), ("goes around", "going around"),
        ("moves in a circle around", "moving in a circle around"), ("circles around", "circling around"),
        ("loops around", "looping around"), ("travels around", "travelling around"),
        ("revolves around", "revolving around"), ("runs rings around", "running rings around"),
        ("moves around", "moving around"),
    ),
}  # fmt: skip
"""`still`, `spin` and `orbit` have no direction; `orbit` is followed by its center."""

IN_PLACE: dict[str, Verbs] = {
    "bounce": (
        ("bounces up and down", "bouncing up and down"), ("bounces on the spot", "bouncing on the spot"),
        ("bounces off the ground", "bouncing off the ground"), ("drops and bounces", "dropping and bouncing"),
    ),
    "jump": (
        ("jumps up and down", "jumping up and down"), ("jumps into the air", "jumping into the air"),
        ("leaps into the air", "leaping into the air"), ("hops on the spot", "hopping on the spot"),
    ),
}  # fmt: skip
"""Additional wordings for motions without a direction."""

EVENT: dict[str, Verbs] = {
    "hit": (
        ("hits {}", "hitting {}"), ("bumps into {}", "bumping into {}"), ("collides with {}", "colliding with {}"),
        ("knocks into {}", "knocking into {}"), ("strikes {}", "striking {}"), ("runs into {}", "running into {}"),
        ("crashes into {}", "crashing into {}"), ("bangs into {}", "banging into {}"),
        ("smacks into {}", "smacking into {}"), ("slams into {}", "slamming into {}"),
    ),
    "push": (
        ("pushes {}", "pushing {}"), ("shoves {}", "shoving {}"), ("pushes {} along", "pushing {} along"),
        ("nudges {} along", "nudging {} along"), ("shoves {} aside", "shoving {} aside"),
        ("gives {} a push", "giving {} a push"), ("gives {} a shove", "giving {} a shove"),
        ("pushes against {} and moves it", "pushing against {} and moving it"), ("shoves {} along", "shoving {} along"),
        ("pushes {} forward", "pushing {} forward"),
    ),
    "topple": (
        ("topples {}", "toppling {}"), ("knocks {} over", "knocking {} over"), ("tips {} over", "tipping {} over"),
        ("knocks {} down", "knocking {} down"), ("brings {} down", "bringing {} down"),
        ("overturns {}", "overturning {}"), ("makes {} topple over", "making {} topple over"),
        ("bowls {} over", "bowling {} over"), ("sends {} toppling", "sending {} toppling"),
        ("makes {} tumble down", "making {} tumble down"),
    ),
    "hide": (
        ("passes behind {}", "passing behind {}"), ("goes behind {} and reappears", "going behind {} and reappearing"),
        ("disappears behind {} and comes out again", "disappearing behind {} and coming out again"),
        ("is hidden by {} for a moment", "hidden by {} for a moment"),
        ("slips behind {} and out on the other side", "slipping behind {} and out on the other side"),
        ("moves behind {} and emerges again", "moving behind {} and emerging again"),
        ("vanishes behind {} for a moment", "vanishing behind {} for a moment"),
        ("hides behind {} and comes back out", "hiding behind {} and coming back out"),
        ("passes out of sight behind {}", "passing out of sight behind {}"),
        ("crosses behind {}", "crossing behind {}"),
    ),
    "leave": (
        ("goes out of view and comes back", "going out of view and coming back"),
        ("leaves the picture and returns", "leaving the picture and returning"),
        ("is out of sight for a while and comes back into view", "out of sight for a while and then back in view"),
        ("disappears from the picture and reappears", "disappearing from the picture and reappearing"),
        ("drops out of view and is seen again", "dropping out of view and seen again"),
        ("leaves the frame and comes back into it", "leaving the frame and coming back into it"),
        ("vanishes off screen and returns", "vanishing off screen and returning"),
        ("is lost from sight and found again", "lost from sight and found again"),
        ("goes off screen and comes back", "going off screen and coming back"),
        ("is gone for a moment and then back in the picture", "gone for a moment and then back in the picture"),
    ),
}  # fmt: skip
BITE: tuple[str, ...] = (
    "a bite is taken out of {}", "a bite disappears from {}", "a piece of {} is bitten off", "{} loses a bite",
    "a chunk is bitten out of {}", "{} gets bitten", "a mouthful is taken out of {}", "something bites into {}",
    "a bite goes missing from {}", "a bit of {} is bitten off",
)  # fmt: skip

CAMERA: dict[str, Verbs] = {
    "static": (
        ("is static", "static"), ("stays still", "staying still"), ("does not move", "not moving"),
        ("is fixed", "fixed"), ("holds still", "holding still"), ("remains static", "remaining static"),
        ("keeps still", "keeping still"), ("stays in place", "staying in place"), ("is locked off", "locked off"),
        ("rests on a tripod", "resting on a tripod"),
    ),
    "pan left": (
        ("pans left", "panning left"), ("pans to the left", "panning to the left"), ("turns left", "turning left"),
        ("turns to the left", "turning to the left"), ("swings left", "swinging left"),
        ("sweeps to the left", "sweeping to the left"), ("swivels left", "swivelling left"),
        ("rotates to the left", "rotating to the left"), ("pans leftwards", "panning leftwards"),
        ("looks over to the left", "looking over to the left"),
    ),
    "pan right": (
        ("pans right", "panning right"), ("pans to the right", "panning to the right"),
        ("turns right", "turning right"),
        ("turns to the right", "turning to the right"), ("swings right", "swinging right"),
        ("sweeps to the right", "sweeping to the right"), ("swivels right", "swivelling right"),
        ("rotates to the right", "rotating to the right"), ("pans rightwards", "panning rightwards"),
        ("looks over to the right", "looking over to the right"),
    ),
    "tilt up": (
        ("tilts up", "tilting up"), ("tilts upwards", "tilting upwards"), ("looks up", "looking up"),
        ("turns upwards", "turning upwards"), ("swings up", "swinging up"), ("angles up", "angling up"),
        ("pitches up", "pitching up"), ("tips up", "tipping up"), ("turns up to the sky", "turning up to the sky"),
        ("tilts upward", "tilting upward"),
    ),
    "tilt down": (
        ("tilts down", "tilting down"), ("tilts downwards", "tilting downwards"), ("looks down", "looking down"),
        ("turns downwards", "turning downwards"), ("swings down", "swinging down"), ("angles down", "angling down"),
        ("pitches down", "pitching down"), ("tips down", "tipping down"),
        ("turns down to the ground", "turning down to the ground"), ("tilts downward", "tilting downward"),
    ),
    "move in": (
        ("moves in", "moving in"), ("moves closer", "moving closer"), ("dollies in", "dollying in"),
        ("pushes in", "pushing in"), ("zooms in", "zooming in"), ("moves forward", "moving forward"),
        ("draws nearer", "drawing nearer"), ("comes closer", "coming closer"), ("glides in", "gliding in"),
        ("travels forward", "travelling forward"),
    ),
    "move out": (
        ("moves out", "moving out"), ("pulls back", "pulling back"), ("dollies out", "dollying out"),
        ("backs away", "backing away"), ("zooms out", "zooming out"), ("moves back", "moving back"),
        ("draws back", "drawing back"), ("pulls away", "pulling away"), ("retreats", "retreating"),
        ("travels backward", "travelling backward"),
    ),
    "orbit": (
        ("orbits the scene", "orbiting the scene"), ("circles the scene", "circling the scene"),
        ("moves around the scene", "moving around the scene"), ("arcs around the scene", "arcing around the scene"),
        ("circles around", "circling around"), ("revolves around the scene", "revolving around the scene"),
        ("swings around the scene", "swinging around the scene"),
        ("travels around the scene", "travelling around the scene"),
        ("goes around the scene", "going around the scene"), ("orbits around", "orbiting around"),
    ),
    "glance left": (
        ("looks away to the left and back", "looking away to the left and back"),
        ("glances to the left and returns", "glancing to the left and returning"),
        ("turns away to the left and comes back", "turning away to the left and coming back"),
        ("swings left and back again", "swinging left and back again"),
        ("pans left and back", "panning left and back"), ("looks left and back again", "looking left and back again"),
        ("takes a look to the left and returns", "taking a look to the left and returning"),
        ("whips around to the left and back", "whipping around to the left and back"),
        ("pans to the left and then back", "panning to the left and then back"),
        ("turns leftwards and back again", "turning leftwards and back again"),
    ),
    "glance right": (
        ("looks away to the right and back", "looking away to the right and back"),
        ("glances to the right and returns", "glancing to the right and returning"),
        ("turns away to the right and comes back", "turning away to the right and coming back"),
        ("swings right and back again", "swinging right and back again"),
        ("pans right and back", "panning right and back"),
        ("looks right and back again", "looking right and back again"),
        ("takes a look to the right and returns", "taking a look to the right and returning"),
        ("whips around to the right and back", "whipping around to the right and back"),
        ("pans to the right and then back", "panning to the right and then back"),
        ("turns rightwards and back again", "turning rightwards and back again"),
    ),
    "follow": (
        ("follows {}", "following {}"), ("tracks {}", "tracking {}"), ("moves along with {}", "moving along with {}"),
        ("keeps up with {}", "keeping up with {}"), ("stays with {}", "staying with {}"),
        ("keeps {} in view", "keeping {} in view"), ("travels along with {}", "travelling along with {}"),
        ("accompanies {}", "accompanying {}"), ("goes along with {}", "going along with {}"),
        ("keeps {} in the middle", "keeping {} in the middle"),
    ),
}  # fmt: skip
