"""A contact sheet of videos of free prompts with words outside the vocabulary of the captions; not selected.

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
    "an orange traffic cone in the middle of the road at dusk",
    "the rubber ball goes boing, boing, boing on the lawn",
    "a snow-white doughnut rolling leftwards under a grey sky",
    "zoom in on a chocolate-coloured box on the sand",
    "a kitten chasing a ball of wool",
    "an astronaut rides a horse on the moon",
    "a stylish woman walks down a Tokyo street",
    "the camera slowly turns to the right; a black dice lies on the tarmac",
    "a pink pill leaping up and down indoors",
    "ein roter Ball auf einer Wiese",
)


def main(out: Path) -> None:
    pipeline = Pipeline.from_pretrained()
    videos = [pipeline.generate(Request(prompt, seed=seed)) for seed, prompt in enumerate(PROMPTS)]
    Image.fromarray(contact_sheet(videos, columns=2, pictures=6, labels=PROMPTS, height=96)).save(out, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
