"""Spanish captions."""

from __future__ import annotations

from lumora.world.facts import Category
from lumora.world.languages.grammar import GrammaticalCase, Language, Noun


def _inflect(stem: str, gender: str, case: GrammaticalCase) -> str:
    """Stems in -o have two forms, all others one."""
    return f"{stem[:-1]}a" if gender == "f" and stem.endswith("o") else stem


def _phrase(noun: Noun, case: GrammaticalCase, adjectives: list[tuple[Category, str]], position: str) -> str:
    words = [a for _, a in sorted(adjectives, key=lambda pair: pair[0] != "color")]
    after = " y ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    article = "una" if noun.gender == "f" else "un"
    return " ".join(part for part in (article, noun.word, after, position) if part)


SPANISH = Language(
    nouns={
        "ball": (Noun("pelota", "f"), Noun("bola", "f"), Noun("balón", "m")),
        "cube": (Noun("cubo", "m"), Noun("bloque", "m")),
        "cylinder": (Noun("cilindro", "m"), Noun("lata", "f")),
        "cone": (Noun("cono", "m"),),
        "capsule": (Noun("cápsula", "f"), Noun("píldora", "f")),
        "ring": (Noun("anillo", "m"), Noun("aro", "m")),
        "cookie": (Noun("galleta", "f"), Noun("galletita", "f")),
        "crate": (Noun("caja de madera", "f"), Noun("cajón de madera", "m")),
        "robot": (Noun("robot", "m"),),
        "snowman": (Noun("muñeco de nieve", "m"),),
        "duck": (Noun("pato", "m"), Noun("patito", "m")),
        "cat": (Noun("gato", "m"), Noun("gatito", "m")),
    },
    adjectives={
        "color": {
            "red": ("rojo", "escarlata"), "orange": ("naranja", "anaranjado"), "yellow": ("amarillo",),
            "green": ("verde", "verde esmeralda"), "blue": ("azul", "azul celeste"), "purple": ("morado", "violeta"),
            "pink": ("rosa", "rosado"), "brown": ("marrón", "castaño"), "black": ("negro",), "white": ("blanco",),
        },
        "size": {"small": ("pequeño", "diminuto"), "large": ("grande", "enorme")},
        "material": {"matte": ("mate",), "shiny": ("brillante", "reluciente"), "metal": ("metálico", "de metal")},
        "emotion": {
            "happy": ("feliz", "alegre", "contento"), "sad": ("triste", "apenado"),
            "angry": ("enfadado", "furioso", "enojado"), "surprised": ("sorprendido", "asombrado"),
        },
    },
    inflect=_inflect,
    phrase=_phrase,
    motion={
        "still": ("está en reposo", "no se mueve", "permanece inmóvil"), "roll": ("rueda", "va rodando"),
        "slide": ("se desliza", "resbala"), "bounce": ("rebota", "va rebotando"), "fall": ("cae", "se cae al suelo"),
        "jump": ("salta", "da saltos"), "spin": ("gira en el sitio", "da vueltas en el sitio"),
        "walk": ("camina", "anda", "pasea"), "orbit": ("gira alrededor de {}", "da vueltas alrededor de {}"),
    },
    visible="está a la vista",
    event={
        "hit": ("choca contra {}", "golpea {}"), "push": ("empuja {}", "da un empujón y mueve {}"),
        "topple": ("derriba {}", "tumba {}"), "bite": ("recibe un mordisco", "pierde un trozo"),
        "hide": ("pasa por detrás de {} y reaparece", "se oculta tras {} y vuelve a salir"),
        "leave": ("sale de la imagen y vuelve",),
    },
    direction={
        "right": ("hacia la derecha", "de izquierda a derecha"),
        "left": ("hacia la izquierda", "de derecha a izquierda"),
        "toward": ("hacia la cámara", "hacia nosotros"), "away": ("alejándose de la cámara", "hacia el horizonte"),
    },
    speed={"slow": ("lentamente", "despacio"), "fast": ("rápidamente", "deprisa")},
    position={
        "left": ("a la izquierda", "en el lado izquierdo"), "right": ("a la derecha", "en el lado derecho"),
        "front": ("en primer plano",), "back": ("en el fondo",), "top": ("arriba",), "bottom": ("debajo",),
    },
    place={
        "meadow": ("en un prado", "sobre la hierba"), "desert": ("en el desierto", "entre las dunas"),
        "snow": ("en la nieve", "en un paisaje nevado"), "beach": ("en la playa", "junto al mar"),
        "street": ("en la calle", "en una calle de la ciudad"), "room": ("en una habitación", "dentro de la casa"),
    },
    light={
        "noon": ("al mediodía", "en un día soleado"), "sunset": ("al atardecer", "con la puesta de sol"),
        "night": ("de noche", "bajo las estrellas"), "overcast": ("en un día nublado", "bajo un cielo gris"),
    },
    camera={
        "static": ("la cámara está fija", "con cámara estática"), "pan left": ("la cámara gira a la izquierda",),
        "pan right": ("la cámara gira a la derecha",), "tilt up": ("la cámara se inclina hacia arriba",),
        "tilt down": ("la cámara se inclina hacia abajo",), "move in": ("la cámara se acerca", "la cámara avanza"),
        "move out": ("la cámara se aleja", "la cámara retrocede"),
        "orbit": ("la cámara rodea la escena", "la cámara da la vuelta a la escena"),
        "follow": ("la cámara sigue el movimiento",), "glance left": ("la cámara mira a la izquierda y vuelve",),
        "glance right": ("la cámara mira a la derecha y vuelve",),
    },
    style={
        "toon": ("como dibujo animado", "en estilo de cómic"), "black and white": ("en blanco y negro",),
        "pixel art": ("en estilo pixelado", "como un videojuego antiguo"),
    },
    clause="{subject} {verb} {speed} {way}",
    then=" y ",
    joints=(" y ", ", mientras ", "; "),
    settings=("{story} {setting}", "{setting}, {story}"),
    tail=", ",
    stop=".",
)  # fmt: skip
