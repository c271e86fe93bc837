"""French captions."""

from __future__ import annotations

from lumora.world.facts import Category
from lumora.world.languages.grammar import GrammaticalCase, Language, Noun


def _inflect(stem: str, gender: str, case: GrammaticalCase) -> str:
    """A stem is one form, or two with a bar between: masculine|feminine."""
    masculine, _, feminine = stem.partition("|")
    return feminine if gender == "f" and feminine else masculine


def _phrase(noun: Noun, case: GrammaticalCase, adjectives: list[tuple[Category, str]], position: str) -> str:
    before = [a for category, a in adjectives if category == "size"]
    words = [a for category, a in sorted(adjectives, key=lambda pair: pair[0] != "color") if category != "size"]
    after = " et ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    article = "une" if noun.gender == "f" else "un"
    return " ".join(part for part in (article, *before, noun.word, after, position) if part)


FRENCH = Language(
    nouns={
        "ball": (Noun("balle", "f"), Noun("boule", "f"), Noun("ballon", "m")),
        "cube": (Noun("cube", "m"), Noun("bloc", "m")),
        "cylinder": (Noun("cylindre", "m"), Noun("boîte de conserve", "f")),
        "cone": (Noun("cône", "m"),),
        "capsule": (Noun("capsule", "f"), Noun("pilule", "f")),
        "ring": (Noun("anneau", "m"), Noun("cerceau", "m")),
        "cookie": (Noun("biscuit", "m"), Noun("gâteau sec", "m")),
        "crate": (Noun("caisse en bois", "f"), Noun("caisse", "f")),
        "robot": (Noun("robot", "m"),),
        "snowman": (Noun("bonhomme de neige", "m"),),
        "duck": (Noun("canard", "m"), Noun("caneton", "m")),
        "cat": (Noun("chat", "m"), Noun("chaton", "m")),
    },
    adjectives={
        "color": {
            "red": ("rouge", "écarlate"), "orange": ("orange", "orangé|orangée"), "yellow": ("jaune", "jaune citron"),
            "green": ("vert|verte", "vert émeraude"), "blue": ("bleu|bleue", "bleu ciel"),
            "purple": ("violet|violette", "mauve"), "pink": ("rose",), "brown": ("marron", "brun|brune"),
            "black": ("noir|noire",), "white": ("blanc|blanche",),
        },
        "size": {"small": ("petit|petite", "minuscule"), "large": ("grand|grande", "énorme")},
        "material": {"matte": ("mat|mate",), "shiny": ("brillant|brillante", "luisant|luisante"),
                     "metal": ("en métal", "métallique")},
        "emotion": {
            "happy": ("joyeux|joyeuse", "content|contente", "souriant|souriante"), "sad": ("triste", "en larmes"),
            "angry": ("en colère", "furieux|furieuse", "fâché|fâchée"),
            "surprised": ("surpris|surprise", "étonné|étonnée"),
        },
    },
    inflect=_inflect,
    phrase=_phrase,
    motion={
        "still": ("reste immobile", "ne bouge pas", "se tient là"), "roll": ("roule", "avance en roulant"),
        "slide": ("glisse", "avance en glissant"), "bounce": ("rebondit", "avance en rebondissant"),
        "fall": ("tombe", "tombe par terre"), "jump": ("saute", "sautille"),
        "spin": ("tourne sur place", "pivote sur place"), "walk": ("marche", "se promène"),
        "orbit": ("tourne autour d'{}", "fait le tour d'{}"),
    },
    visible="est visible",
    event={
        "hit": ("heurte {}", "percute {}"), "push": ("pousse {}", "bouscule {}"),
        "topple": ("renverse {}", "fait tomber {}"), "bite": ("reçoit un coup de dents", "perd un morceau"),
        "hide": ("passe derrière {} et réapparaît", "disparaît derrière {} et ressort"),
        "leave": ("sort du cadre et revient",),
    },
    direction={
        "right": ("vers la droite", "de gauche à droite"), "left": ("vers la gauche", "de droite à gauche"),
        "toward": ("vers la caméra", "vers nous"), "away": ("en s'éloignant de la caméra", "vers l'horizon"),
    },
    speed={"slow": ("lentement", "doucement"), "fast": ("rapidement", "vite")},
    position={
        "left": ("à gauche", "du côté gauche"), "right": ("à droite", "du côté droit"), "front": ("au premier plan",),
        "back": ("à l'arrière-plan",), "top": ("en haut",), "bottom": ("en dessous",),
    },
    place={
        "meadow": ("dans un pré", "sur l'herbe"), "desert": ("dans le désert", "parmi les dunes"),
        "snow": ("dans la neige", "dans un paysage d'hiver"), "beach": ("sur la plage", "au bord de la mer"),
        "street": ("dans la rue", "sur la route"), "room": ("dans une pièce", "dans la maison"),
    },
    light={
        "noon": ("à midi", "sous un grand soleil"), "sunset": ("au coucher du soleil", "le soir"),
        "night": ("la nuit", "sous les étoiles"), "overcast": ("par temps couvert", "sous un ciel gris"),
    },
    camera={
        "static": ("la caméra est fixe", "en plan fixe"), "pan left": ("la caméra pivote vers la gauche",),
        "pan right": ("la caméra pivote vers la droite",), "tilt up": ("la caméra s'incline vers le haut",),
        "tilt down": ("la caméra s'incline vers le bas",),
        "move in": ("la caméra s'approche", "la caméra avance"),
        "move out": ("la caméra recule", "la caméra s'éloigne"),
        "orbit": ("la caméra tourne autour de la scène", "la caméra contourne la scène"),
        "follow": ("la caméra suit le mouvement",), "glance left": ("la caméra regarde à gauche et revient",),
        "glance right": ("la caméra regarde à droite et revient",),
    },
    style={
        "toon": ("en dessin animé", "dans un style de bande dessinée"), "black and white": ("en noir et blanc",),
        "pixel art": ("en pixel art", "comme un vieux jeu vidéo"),
    },
    clause="{subject} {verb} {speed} {way}",
    then=" et ",
    joints=(" et ", ", tandis qu'", "; "),
    settings=("{story} {setting}", "{setting}, {story}"),
    tail=", ",
    stop=".",
)  # fmt: skip
