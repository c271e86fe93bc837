"""German captions."""

from __future__ import annotations

from lumora.world.facts import Category
from lumora.world.languages.grammar import GrammaticalCase, Language, Noun

_ENDINGS = {"nominative": {"m": "er", "f": "e", "n": "es"}, "accusative": {"m": "en", "f": "e", "n": "es"}}
_ARTICLES = {
    "nominative": {"m": "ein", "f": "eine", "n": "ein"},
    "accusative": {"m": "einen", "f": "eine", "n": "ein"},
}


def _inflect(stem: str, gender: str, case: GrammaticalCase) -> str:
    return stem + _ENDINGS[case][gender]


def _phrase(noun: Noun, case: GrammaticalCase, adjectives: list[tuple[Category, str]], position: str) -> str:
    word = noun.object if case == "accusative" and noun.object else noun.word
    return " ".join(
        [_ARTICLES[case][noun.gender], *(a for _, a in adjectives), word, *([position] if position else [])]
    )


GERMAN = Language(
    nouns={
        "ball": (Noun("Ball", "m"), Noun("Kugel", "f")),
        "cube": (Noun("Würfel", "m"), Noun("Block", "m")),
        "cylinder": (Noun("Zylinder", "m"), Noun("Dose", "f"), Noun("Tonne", "f")),
        "cone": (Noun("Kegel", "m"),),
        "capsule": (Noun("Kapsel", "f"), Noun("Pille", "f")),
        "ring": (Noun("Ring", "m"), Noun("Reifen", "m")),
        "cookie": (Noun("Keks", "m"), Noun("Plätzchen", "n")),
        "crate": (Noun("Kiste", "f"), Noun("Holzkiste", "f")),
        "robot": (Noun("Roboter", "m"),),
        "snowman": (Noun("Schneemann", "m"),),
        "duck": (Noun("Ente", "f"),),
        "cat": (Noun("Katze", "f"), Noun("Kater", "m")),
    },
    adjectives={
        "color": {
            "red": ("rot", "knallrot", "scharlachrot"), "orange": ("orangefarben",), "yellow": ("gelb", "zitronengelb"),
            "green": ("grün", "smaragdgrün"), "blue": ("blau", "himmelblau"), "purple": ("violett", "lilafarben"),
            "pink": ("rosafarben", "pinkfarben"), "brown": ("braun", "kastanienbraun"),
            "black": ("schwarz", "pechschwarz"), "white": ("weiß", "schneeweiß"),
        },
        "size": {"small": ("klein", "winzig"), "large": ("groß", "riesig")},
        "material": {
            "matte": ("matt", "stumpf"), "shiny": ("glänzend", "poliert"), "metal": ("metallisch", "stählern"),
        },
        "emotion": {
            "happy": ("fröhlich", "glücklich", "lächelnd"), "sad": ("traurig", "betrübt", "weinend"),
            "angry": ("wütend", "zornig", "verärgert"), "surprised": ("überrascht", "erstaunt", "verblüfft"),
        },
    },
    inflect=_inflect,
    phrase=_phrase,
    motion={
        "still": ("steht still", "bewegt sich nicht", "steht da"), "roll": ("rollt", "kullert"),
        "slide": ("gleitet", "rutscht"), "bounce": ("hüpft wie ein Gummiball", "federt auf und ab"),
        "fall": ("fällt herunter", "fällt zu Boden"), "jump": ("springt", "hüpft"),
        "spin": ("dreht sich", "dreht sich im Kreis"), "walk": ("geht", "läuft", "spaziert"),
        "orbit": ("umkreist {}", "kreist um {}"),
    },
    visible="ist zu sehen",
    event={
        "hit": ("trifft {}", "stößt gegen {}"), "push": ("schiebt {} an", "schiebt {} weiter"),
        "topple": ("wirft {} um", "stößt {} um"), "bite": ("wird angebissen", "verliert ein Stück"),
        "hide": (
            "gerät kurz hinter {} und taucht wieder auf", "gelangt hinter {} und kommt wieder hervor",
        ),
        "leave": ("verlässt das Bild und kommt zurück",),
    },
    direction={
        "right": ("nach rechts", "von links nach rechts"), "left": ("nach links", "von rechts nach links"),
        "toward": ("auf die Kamera zu", "auf uns zu"), "away": ("von der Kamera weg", "in die Ferne"),
    },
    speed={"slow": ("langsam", "gemächlich"), "fast": ("schnell", "rasch")},
    position={
        "left": ("links im Bild", "auf der linken Seite"), "right": ("rechts im Bild", "auf der rechten Seite"),
        "front": ("im Vordergrund",), "back": ("im Hintergrund",), "top": ("obenauf",), "bottom": ("darunter",),
    },
    place={
        "meadow": ("auf einer Wiese", "im Gras"), "desert": ("in der Wüste", "zwischen Sanddünen"),
        "snow": ("im Schnee", "in einer Winterlandschaft"), "beach": ("am Strand", "am Meer"),
        "street": ("auf der Straße", "auf einer Straße in der Stadt"), "room": ("in einem Zimmer", "im Haus"),
    },
    light={
        "noon": ("am Mittag", "bei Sonnenschein", "am helllichten Tag"), "sunset": ("bei Sonnenuntergang", "am Abend"),
        "night": ("in der Nacht", "bei Nacht", "unter dem Sternenhimmel"),
        "overcast": ("bei bewölktem Himmel", "an einem trüben Tag"),
    },
    camera={
        "static": ("die Kamera steht still", "mit fester Kamera"), "pan left": ("die Kamera schwenkt nach links",),
        "pan right": ("die Kamera schwenkt nach rechts",), "tilt up": ("die Kamera neigt sich nach oben",),
        "tilt down": ("die Kamera neigt sich nach unten",),
        "move in": ("die Kamera fährt heran", "die Kamera kommt näher"),
        "move out": ("die Kamera fährt zurück", "die Kamera entfernt sich"),
        "orbit": ("die Kamera fährt um die Szene herum", "die Kamera umrundet die Szene"),
        "follow": ("die Kamera fährt mit",), "glance left": ("die Kamera blickt kurz nach links und zurück",),
        "glance right": ("die Kamera blickt kurz nach rechts und zurück",),
    },
    style={
        "toon": ("als Zeichentrick", "im Comicstil"), "black and white": ("in Schwarzweiß",),
        "pixel art": ("als Pixelgrafik", "in grober Pixelgrafik"),
    },
    clause="{subject} {verb} {speed} {way}",
    then=" und ",
    joints=(" und ", ", und ", "; "),
    settings=("{story} {setting}", "{setting}: {story}"),
    tail=", ",
    stop=".",
)  # fmt: skip
