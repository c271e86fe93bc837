"""A contact sheet of videos of free prompts in four languages, many with words that no caption has; not selected.

    python benchmarks/free_prompts.py docs/free-prompts.png

Prompt n has seed n.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from lumora import Pipeline, Request
from lumora.media.contact_sheet import contact_sheet

PROMPTS = (
    "crimson sphere",
    "a grumpy automaton in the dunes",
    "a huge emerald boulder tumbling across the prairie",
    "something yellow drops out of the sky over the ocean shore",
    "two toys in a living room, one blue and one red",
    "winter night, a lonely violet pillar",
    "the rubber ball goes boing, boing, boing on the lawn",
    "a snow-white doughnut rolling leftwards under a grey sky",
    "someone has eaten a bit of the brown biscuit",
    "a delighted kitty strolls over the grass",
    "an astronaut rides a horse on the moon",
    "a stylish woman walks down a Tokyo street",
)
TRANSLATED = {
    "ein roter Ball springt auf einer Wiese": "in German: a red ball bounces on a meadow",
    "ein trauriger grüner Roboter steht im Schnee": "in German: a sad green robot stands in the snow",
    "ein blauer Würfel links von einem gelben Kegel in der Wüste": (
        "in German: a blue cube left of a yellow cone in the desert"
    ),
    "eine wütende Katze läuft nachts nach rechts": "in German: an angry cat walks to the right at night",
    "červený míč leží na louce": "in Czech: a red ball lies on a meadow",
    "veselý sněhulák skáče na sněhu při západu slunce": "in Czech: a happy snowman jumps on snow at sunset",
    "modrá kostka padá na silnici": "in Czech: a blue cube falls onto a road",
    "zelený válec se valí doleva": "in Czech: a green cylinder rolls to the left",
    "草地上有一个红色的球": "in Chinese: a red ball is on a meadow",
    "一个快乐的机器人在雪地里走": "in Chinese: a happy robot walks in the snow",
    "夜晚，一个黄色的立方体掉下来": "in Chinese: at night, a yellow cube falls down",
    "沙滩上有一只蓝色的猫": "in Chinese: a blue cat is on a beach",
}
"""Prompts in other languages with their labels: the font of contact sheets has ASCII only."""


def main(out: Path) -> None:
    pipeline = Pipeline.from_pretrained()
    videos = [pipeline.generate(Request(prompt, seed=seed)) for seed, prompt in enumerate((*PROMPTS, *TRANSLATED))]
    labels = [*PROMPTS, *TRANSLATED.values()]
    Image.fromarray(contact_sheet(videos, columns=2, pictures=6, labels=labels, height=96)).save(out, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
