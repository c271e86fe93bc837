"""Wordings of looks, places and directions; those of motions and events are in `verbs`. The plainest wording is first.

No wording belongs to two values of a category, so facts can be read from a caption (tests/test_world_caption.py).
"""

from __future__ import annotations

KIND: dict[str, tuple[str, ...]] = {
    "ball": (
        "ball", "sphere", "orb", "globe", "round ball", "toy ball", "rubber ball", "spheroid", "spherical object",
        "sphere-shaped object",
    ),
    "cube": (
        "cube", "block", "box", "cuboid", "square block", "cubic block", "toy block", "building block", "solid cube",
        "cube-shaped object",
    ),
    "cylinder": (
        "cylinder", "drum", "can", "barrel", "canister", "tube", "tin", "cylindrical block", "cylindrical object",
        "drum-shaped object",
    ),
    "cone": (
        "cone", "pointed cone", "conical shape", "conical object", "conical block", "cone-shaped object",
        "cone-shaped block", "tapering cone", "pointy cone", "tapered cone",
    ),
    "capsule": (
        "capsule", "pill", "pill-shaped object", "lozenge", "rounded rod", "capsule-shaped object", "oblong pill",
        "pill-shaped block", "medicine capsule", "sausage-shaped object",
    ),
    "ring": (
        "ring", "hoop", "torus", "doughnut", "donut", "wheel", "tyre", "tire", "annulus", "ring-shaped object",
    ),
    "cookie": (
        "cookie", "biscuit", "chocolate-chip cookie", "round cookie", "chocolate-chip biscuit", "baked cookie",
        "crunchy cookie", "sweet biscuit", "round biscuit", "tea biscuit",
    ),
    "crate": (
        "crate", "wooden crate", "packing crate", "shipping crate", "slatted crate", "planked crate", "storage crate",
        "cargo crate", "wooden case", "wooden chest",
    ),
    "robot": (
        "robot", "automaton", "android", "droid", "bot", "toy robot", "robotic figure", "mechanical man",
        "mechanical figure", "machine man",
    ),
    "snowman": (
        "snowman", "snow man", "snow figure", "snow person", "frosty snowman", "round snowman", "cartoon snowman",
        "plump snowman", "snow fellow", "toy snowman",
    ),
    "duck": (
        "duck", "duckling", "rubber duck", "drake", "toy duck", "mallard", "ducky", "plump duck", "cartoon duck",
        "waterfowl",
    ),
    "cat": (
        "cat", "kitty", "kitten", "feline", "pussycat", "tomcat", "house cat", "toy cat", "cartoon cat", "pet cat",
    ),
}  # fmt: skip

COLOR: dict[str, tuple[str, ...]] = {
    "red": (
        "red", "scarlet", "crimson", "ruby", "bright red", "cherry-red", "vermilion", "tomato-red", "cardinal red",
        "ruby-red",
    ),
    "orange": (
        "orange", "tangerine", "bright orange", "pumpkin-orange", "carrot-coloured", "amber", "apricot", "vivid orange",
        "mandarin-orange", "tangerine-coloured",
    ),
    "yellow": (
        "yellow", "lemon", "bright yellow", "lemon-yellow", "canary-yellow", "golden yellow", "butter-yellow",
        "banana-yellow", "daffodil-yellow", "lemon-coloured",
    ),
    "green": (
        "green", "emerald", "bright green", "leaf-green", "jade", "mint-green", "moss-green", "emerald-green",
        "apple-green", "pea-green",
    ),
    "blue": (
        "blue", "azure", "navy", "bright blue", "cobalt", "sapphire", "royal-blue", "cerulean", "deep blue",
        "ultramarine",
    ),
    "purple": (
        "purple", "violet", "lilac", "plum", "lavender", "mauve", "deep purple", "amethyst", "grape-coloured",
        "royal purple",
    ),
    "pink": (
        "pink", "rose", "hot pink", "rosy pink", "bubblegum-pink", "fuchsia", "salmon-pink", "candy-pink",
        "bright pink", "flamingo-pink",
    ),
    "brown": (
        "brown", "chestnut", "chocolate-brown", "coffee-coloured", "dark brown", "umber", "nut-brown", "mahogany",
        "cocoa-brown", "walnut-brown",
    ),
    "black": (
        "black", "ebony", "jet-black", "pitch-black", "coal-black", "inky black", "onyx", "raven-black", "ink-black",
        "soot-black",
    ),
    "white": (
        "white", "ivory", "pure white", "chalk-white", "milky white", "milk-white", "bone-white", "pearl-white",
        "bright white", "alabaster",
    ),
}  # fmt: skip

SIZE: dict[str, tuple[str, ...]] = {
    "small": (
        "small", "little", "tiny", "miniature", "mini", "petite", "pint-sized", "smallish", "wee", "small-sized",
    ),
    "large": (
        "large", "big", "huge", "oversized", "giant", "great big", "massive", "hefty", "sizeable", "enormous",
    ),
}  # fmt: skip

MATERIAL: dict[str, tuple[str, ...]] = {
    "matte": ("matte", "matt", "dull", "unpolished", "chalky", "velvety", "powdery"),
    "shiny": ("shiny", "glossy", "polished", "gleaming", "lacquered", "glazed", "lustrous", "varnished"),
    "metal": ("metal", "metallic", "steel", "chrome", "iron", "aluminium", "brushed-metal"),
}
MATERIAL_AFTER: dict[str, tuple[str, ...]] = {
    "matte": ("with a matte surface", "with a dull finish", "with a matte finish", "without any shine"),
    "shiny": ("with a shiny surface", "with a glossy finish", "with bright highlights", "with a polished surface"),
    "metal": ("made of metal", "made of steel", "with a metallic surface", "made from shining metal"),
}

EMOTION: dict[str, tuple[str, ...]] = {
    "happy": ("happy", "cheerful", "smiling", "joyful", "merry", "delighted", "grinning", "beaming"),
    "sad": ("sad", "unhappy", "gloomy", "tearful", "glum", "sorrowful", "downcast", "miserable"),
    "angry": ("angry", "furious", "grumpy", "cross", "irate", "mad", "scowling", "enraged"),
    "surprised": ("surprised", "astonished", "amazed", "startled", "wide-eyed", "stunned", "shocked", "astounded"),
}
EMOTION_AFTER: dict[str, tuple[str, ...]] = {
    "happy": ("with a happy face", "with a big smile", "that looks happy"),
    "sad": ("with a sad face", "with a tear on its face", "that looks sad"),
    "angry": ("with an angry face", "with an angry look", "that looks angry"),
    "surprised": ("with a surprised face", "with its mouth wide open", "that looks surprised"),
}

PLACE: dict[str, tuple[str, ...]] = {
    "meadow": (
        "on a meadow", "in a meadow", "on the grass", "in a grassy meadow", "in a grassy field", "on a lawn",
        "in a flowery meadow", "on a pasture", "on grassy ground", "in a field of grass", "in the fields",
    ),
    "desert": (
        "in the desert", "in a desert", "on the dunes", "among sand dunes", "on desert sand", "in a sandy desert",
        "in the middle of a desert", "on a desert plain", "on sand dunes", "in a dry desert",
    ),
    "snow": (
        "in the snow", "on snow", "on a snowy field", "in a snowy landscape", "on fresh snow", "on snowy ground",
        "in a winter landscape", "on snow-covered ground", "on a snow-covered plain", "in a wintry landscape",
    ),
    "beach": (
        "on the beach", "on a beach", "at the seaside", "by the sea", "on a sandy beach", "on the shore",
        "at the seashore", "by the ocean", "on the sand by the sea", "at the beach",
    ),
    "street": (
        "on a street", "in a street", "on the road", "on a road", "in a city street", "on the asphalt",
        "in the middle of the road", "on a paved road", "on a town road", "in the city",
    ),
    "room": (
        "in a room", "indoors", "inside a room", "on a wooden floor", "inside a house", "in a living room",
        "on the floor of a room", "in a house", "on an indoor floor", "in a room with a wooden floor",
    ),
}  # fmt: skip

LIGHT_ANYWHERE: dict[str, tuple[str, ...]] = {
    "noon": (
        "at noon", "at midday", "in bright daylight", "in broad daylight", "in full daylight", "on a sunny day",
        "in the middle of the day", "in daylight", "around noon", "on a bright sunny day",
    ),
    "sunset": (
        "at sunset", "at dusk", "in the evening light", "at sundown", "in warm evening light", "in the evening",
        "as the sun goes down", "in the golden hour", "as evening falls", "at twilight",
    ),
    "night": (
        "at night", "in the dark", "after dark", "in the middle of the night", "at midnight", "late at night",
        "at nighttime", "in the darkness of night", "by night", "during the night",
    ),
    "overcast": (
        "on an overcast day", "on a cloudy day", "on a grey day", "in cloudy weather", "in dull grey light",
        "in soft grey light", "on a dull day", "in overcast weather", "on a gray cloudy day", "in grey weather",
    ),
}  # fmt: skip
LIGHT_OUTDOORS: dict[str, tuple[str, ...]] = {
    "noon": ("under the midday sun", "in bright sunshine", "under a clear sky", "beneath a high sun"),
    "sunset": ("under a setting sun", "under an evening sky", "in the glow of the sunset", "below a low evening sun"),
    "night": ("under the stars", "under a starry sky", "by moonlight", "in the moonlight"),
    "overcast": ("under a cloudy sky", "under grey clouds", "beneath an overcast sky", "under heavy clouds"),
}

DIRECTION: dict[str, tuple[str, ...]] = {
    "right": (
        "to the right", "from left to right", "rightwards", "towards the right", "right", "rightward",
        "off to the right", "from the left to the right", "toward the right side", "to the right-hand side",
    ),
    "left": (
        "to the left", "from right to left", "leftwards", "towards the left", "left", "leftward",
        "off to the left", "from the right to the left", "toward the left side", "to the left-hand side",
    ),
    "toward": (
        "towards the camera", "toward us", "towards the viewer", "closer", "nearer", "straight at the camera",
        "in our direction", "towards the foreground", "closer to the camera", "toward the lens",
    ),
    "away": (
        "away from the camera", "away from us", "into the distance", "further away", "off into the background",
        "away from the viewer", "into the background", "towards the horizon", "off into the distance", "away",
    ),
}  # fmt: skip

SPEED: dict[str, tuple[str, ...]] = {
    "slow": (
        "slowly", "gently", "unhurriedly", "lazily", "sluggishly", "at a slow pace", "at a leisurely pace",
        "at low speed", "without hurry", "at a crawl",
    ),
    "fast": (
        "quickly", "swiftly", "rapidly", "speedily", "briskly", "fast", "at high speed", "in a hurry",
        "at a fast pace", "at top speed",
    ),
}  # fmt: skip

RELATION: dict[str, tuple[str, ...]] = {
    "left of": (
        "to the left of", "on the left of", "left of", "on the left side of", "on the left-hand side of",
        "over to the left of",
    ),
    "right of": (
        "to the right of", "on the right of", "right of", "on the right side of", "on the right-hand side of",
        "over to the right of",
    ),
    "in front of": (
        "in front of", "nearer to us than", "closer to the camera than", "further forward than", "nearer than",
        "ahead of",
    ),
    "behind": (
        "behind", "further back than", "further away than", "farther from the camera than", "in back of",
        "to the rear of",
    ),
    "on top of": (
        "on top of", "on", "atop", "upon", "balanced on", "stacked on", "resting on", "up on", "perched on",
        "sitting on top of",
    ),
}  # fmt: skip
"""`OPPOSITE` has the wordings with the two subjects exchanged."""

OPPOSITE: dict[str, tuple[str, ...]] = {
    "left of": RELATION["right of"],
    "right of": RELATION["left of"],
    "in front of": RELATION["behind"],
    "behind": RELATION["in front of"],
    "on top of": ("underneath", "below", "under", "beneath"),
}

STYLE: dict[str, tuple[str, ...]] = {
    "toon": (
        "as a cartoon", "in cartoon style", "drawn as a cartoon", "in the style of a comic", "cel-shaded",
        "as an animated cartoon", "as a toon with bold outlines", "in flat cartoon colours", "like a comic strip",
        "drawn with black outlines", "as a hand-drawn cartoon", "in toon shading",
    ),
    "black and white": (
        "in black and white", "as a black-and-white film", "in black-and-white", "in monochrome", "as an old film",
        "like an old silent film", "on grainy black-and-white film", "without any colour", "as grainy old footage",
        "in shades of grey", "as a monochrome film", "in old-fashioned black and white",
    ),
    "pixel art": (
        "as pixel art", "in pixel art style", "in the style of pixel art", "like an old video game",
        "in coarse pixels", "as a pixelated picture", "as retro pixel art", "in 8-bit style", "in blocky pixels",
        "like a retro computer game", "pixelated", "in chunky pixels",
    ),
}  # fmt: skip
"""Visual styles; the plain style is not mentioned."""

NUMBER: dict[str, str] = {"1": "one", "2": "two", "3": "three"}
