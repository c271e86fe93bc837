"""What the token embeddings of each text encoder say: facts that ridge regression reads from captions of the world.

    python benchmarks/text_encoders.py [--num-clips 750]

Features are the mean and the maximum over the tokens. A quarter of the clips is held out; of four penalties the best
one counts. Only clips of one subject are used, so that each fact has one value.
"""

from __future__ import annotations

import argparse
from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from lumora.config import TextEncoderName, VideoShape
from lumora.data.captions import captions_from_facts
from lumora.data.shards import ClipRecord
from lumora.text_encoder import load_text_encoder
from lumora.world.clip import make_scene
from lumora.world.facts import facts_of, facts_to_dicts

CATEGORIES = ("color", "kind", "motion", "direction", "place", "light", "size", "camera")
PENALTIES = (30.0, 100.0, 300.0, 1000.0)
FIRST_LINE, LINES = 1, 5
"""Which of a clip's captions are read: a short one, three sentences and a paragraph."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-clips", type=int, default=750)
    count = parser.parse_args().num_clips
    texts, clips, labels = captions(count)
    held_out = torch.tensor(clips) % 4 == 0
    for name in get_args(TextEncoderName):
        tokens = load_text_encoder(name).encode(texts)
        features = torch.stack([torch.cat([t.mean(dim=0), t.amax(dim=0)]) for t in tokens])
        features = (features - features.mean(dim=0)) / (features.std(dim=0) + 1e-6)
        scores = [f"{category} {accuracy(features, labels, category, held_out):.1%}" for category in CATEGORIES]
        print(f"{name}: {', '.join(scores)}", flush=True)


def captions(count: int) -> tuple[list[str], list[int], list[dict[str, str]]]:
    """Captions of clips of `plain` with one subject, the clip of each, and the facts that each states."""
    texts, clips, labels = [], [], []
    for index in range(count):
        facts = facts_of(*make_scene("plain", 0, index, VideoShape(17, 64, 64)))
        if sum(fact.category == "kind" for fact in facts) != 1:
            continue
        record = ClipRecord(index, VideoShape(17, 64, 64), tuple(facts_to_dicts(facts)))
        for line in captions_from_facts(record, 0).captions[FIRST_LINE : FIRST_LINE + LINES]:
            texts.append(line.text)
            clips.append(index)
            labels.append({facts[i].category: facts[i].value for i in line.facts})
    return texts, clips, labels


def accuracy(features: Float[Tensor, "n d"], labels: list[dict[str, str]], category: str, held_out: Tensor) -> float:
    """Share of the held-out captions that state a fact of this category whose value is found."""
    stated = [n for n, facts in enumerate(labels) if category in facts]
    values = sorted({labels[n][category] for n in stated})
    target = torch.tensor([values.index(labels[n][category]) for n in stated])
    x, test = torch.cat([features[stated], torch.ones(len(stated), 1)], dim=1), held_out[stated]
    gram, products = x[~test].T @ x[~test], x[~test].T @ one_hot(target[~test], len(values)).float()
    found = []
    for penalty in PENALTIES:
        weights = torch.linalg.solve(gram + penalty * torch.eye(len(gram)), products)
        found.append(float(((x[test] @ weights).argmax(dim=1) == target[test]).float().mean()))
    return max(found)


if __name__ == "__main__":
    main()
