"""Czech captions."""

from __future__ import annotations

from lumora.world.facts import Category
from lumora.world.languages.grammar import GrammaticalCase, Language, Noun

_ENDINGS = {
    "nominative": {"m": "ý", "a": "ý", "f": "á", "n": "é"},
    "accusative": {"m": "ý", "a": "ého", "f": "ou", "n": "é"},
}
"""Of the hard adjectives; `a` are animate masculine nouns."""


def _inflect(stem: str, gender: str, case: GrammaticalCase) -> str:
    return stem + _ENDINGS[case][gender]


def _phrase(noun: Noun, case: GrammaticalCase, adjectives: list[tuple[Category, str]], position: str) -> str:
    word = noun.object if case == "accusative" and noun.object else noun.word
    return " ".join([*(a for _, a in adjectives), word, *([position] if position else [])])


CZECH = Language(
    nouns={
        "ball": (Noun("míč", "m"), Noun("koule", "f", "kouli"), Noun("balón", "m")),
        "cube": (Noun("krychle", "f", "krychli"), Noun("kostka", "f", "kostku")),
        "cylinder": (Noun("válec", "m"), Noun("plechovka", "f", "plechovku")),
        "cone": (Noun("kužel", "m"),),
        "capsule": (Noun("kapsle", "f", "kapsli"), Noun("pilulka", "f", "pilulku")),
        "ring": (Noun("prstenec", "m"), Noun("kruh", "m")),
        "cookie": (Noun("sušenka", "f", "sušenku"), Noun("keks", "m")),
        "crate": (Noun("bedna", "f", "bednu"), Noun("přepravka", "f", "přepravku")),
        "robot": (Noun("robot", "a", "robota"),),
        "snowman": (Noun("sněhulák", "a", "sněhuláka"),),
        "duck": (Noun("kachna", "f", "kachnu"), Noun("kachnička", "f", "kachničku")),
        "cat": (Noun("kočka", "f", "kočku"), Noun("kocour", "a", "kocoura")),
    },
    adjectives={
        "color": {
            "red": ("červen", "rud", "šarlatov"), "orange": ("oranžov", "pomerančov"), "yellow": ("žlut", "citronov"),
            "green": ("zelen", "smaragdov"), "blue": ("modr", "azurov"), "purple": ("fialov", "šeříkov"),
            "pink": ("růžov",), "brown": ("hněd", "kaštanov"), "black": ("čern", "uhlově čern"),
            "white": ("bíl", "sněhobíl"),
        },
        "size": {"small": ("mal", "maličk", "drobn"), "large": ("velk", "obrovsk")},
        "material": {"matte": ("matn",), "shiny": ("leskl", "naleštěn"), "metal": ("kovov", "ocelov")},
        "emotion": {
            "happy": ("vesel", "šťastn", "radostn"), "sad": ("smutn", "uplakan"), "angry": ("rozzloben", "naštvan"),
            "surprised": ("překvapen", "udiven"),
        },
    },
    inflect=_inflect,
    phrase=_phrase,
    motion={
        "still": ("stojí na místě", "se nehýbe", "nehybně stojí"), "roll": ("se kutálí", "se valí"),
        "slide": ("klouže", "se sune"), "bounce": ("se odráží od země", "poskakuje jako míček"),
        "fall": ("padá", "padá na zem"), "jump": ("skáče", "vyskakuje"), "spin": ("se otáčí", "se točí dokola"),
        "walk": ("jde", "kráčí"), "orbit": ("obíhá {}", "obchází dokola {}"),
    },
    visible="je vidět",
    event={
        "hit": ("zasáhne {}", "trefí {}"), "push": ("tlačí {}", "postrčí {}"), "topple": ("převrhne {}", "shodí {}"),
        "bite": ("přijde o kousek", "ztratí kus po kousnutí"),
        "hide": ("zajde za {} a zase se objeví", "zmizí za {} a znovu se vynoří"),
        "leave": ("zmizí ze záběru a vrátí se",),
    },
    direction={
        "right": ("doprava", "zleva doprava"), "left": ("doleva", "zprava doleva"),
        "toward": ("ke kameře", "směrem k nám"), "away": ("od kamery", "do dálky"),
    },
    speed={"slow": ("pomalu", "zvolna"), "fast": ("rychle", "svižně")},
    position={
        "left": ("vlevo", "na levé straně"), "right": ("vpravo", "na pravé straně"), "front": ("v popředí",),
        "back": ("v pozadí",), "top": ("nahoře",), "bottom": ("dole",),
    },
    place={
        "meadow": ("na louce", "v trávě"), "desert": ("v poušti", "mezi dunami"),
        "snow": ("na sněhu", "v zimní krajině"), "beach": ("na pláži", "u moře"),
        "street": ("na ulici", "na silnici ve městě"), "room": ("v pokoji", "v místnosti"),
    },
    light={
        "noon": ("v poledne", "za slunečného dne"), "sunset": ("při západu slunce", "večer"),
        "night": ("v noci", "pod hvězdnou oblohou"), "overcast": ("za oblačného dne", "pod zamračenou oblohou"),
    },
    camera={
        "static": ("kamera stojí", "kamera se nehýbe"), "pan left": ("kamera se otáčí doleva",),
        "pan right": ("kamera se otáčí doprava",), "tilt up": ("kamera se zvedá vzhůru",),
        "tilt down": ("kamera se sklání dolů",), "move in": ("kamera se přibližuje", "kamera najíždí blíž"),
        "move out": ("kamera se vzdaluje", "kamera couvá"),
        "orbit": ("kamera obíhá scénu", "kamera krouží kolem scény"), "follow": ("kamera sleduje pohyb",),
        "glance left": ("kamera se podívá doleva a zpět",), "glance right": ("kamera se podívá doprava a zpět",),
    },
    style={
        "toon": ("jako kreslený film", "v komiksovém stylu"), "black and white": ("černobíle", "v odstínech šedi"),
        "pixel art": ("v pixelové grafice", "jako stará počítačová hra"),
    },
    clause="{subject} {verb} {speed} {way}",
    then=" a ",
    joints=(" a ", ", zatímco ", "; "),
    settings=("{story} {setting}", "{setting} {story}"),
    tail=", ",
    stop=".",
)  # fmt: skip
