"""Counts the prompts that lose or change a fact when they are expanded, and what the probe reads in videos of prompts
with and without expansion.

    python benchmarks/prompt_expansion.py                 # 1,000 prompts, no model, 25 s
    python benchmarks/prompt_expansion.py --videos 40     # and 40 short prompts, twice, with the default model
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from world_footage import count_facts, describe_difference

import lumora
from lumora.config import VideoShape
from lumora.evaluate.instruments.probe import Probe
from lumora.request.spec import Request
from lumora.service.batch import make_videos
from lumora.service.prompt_expander import WorldExpander
from lumora.world.caption import Caption, caption
from lumora.world.clip import make_scene
from lumora.world.facts import Fact, facts_of, subjects_of
from lumora.world.prompt_expansion import expand_prompt, renumbered
from lumora.world.prompt_reader import in_order, read_prompt

SHAPE = VideoShape(17, 64, 64, 8.0)
SEED = 31_000


def short_caption(index: int, preset: str) -> Caption:
    scene, trajectory = make_scene(preset, SEED, index, SHAPE)
    return caption(facts_of(scene, trajectory), "short", np.random.default_rng([SEED, index]))


def keeps(facts: Sequence[Fact], text: str) -> bool:
    """Whether the text states these facts of a caption, read by the grammar."""
    others = {fact.other for fact in facts if fact.other is not None}
    numbers = {subject: n for n, subject in enumerate(sorted({*subjects_of(facts), *others}))}
    wanted = {
        in_order(replace(f, subject=numbers.get(f.subject or 0) if f.subject is not None else None,
                         other=numbers.get(f.other or 0) if f.other is not None else None))
        for f in facts
        if f.category != "count"
    }  # fmt: skip
    reading = read_prompt(text)
    return not reading.unread and any(wanted <= own for own in renumbered(reading.facts))


def count_changed(count: int) -> None:
    captions = [short_caption(index, "full") for index in range(count)]
    expanded = [expand_prompt(c.text, np.random.default_rng([n, 6])).text for n, c in enumerate(captions)]
    changed = sum(not keeps(c.facts, text) for c, text in zip(captions, expanded, strict=True))
    words = np.percentile([len(text.split()) for text in expanded], [10, 50, 90])
    print(f"{changed} of {count} prompts lost or changed a fact; words: {words}")


def score_videos(first: int, count: int) -> None:
    """The shares of stated facts that the probe finds, and a bootstrap interval of their difference over prompts."""
    captions = [short_caption(index, "plain") for index in range(first, first + count)]
    probe = Probe.load(Path(lumora.__file__).parent / "weights" / "probe.safetensors")
    rows = []
    for expand in (False, True):
        prompts = [WorldExpander().expand(c.text, first + n) if expand else c.text for n, c in enumerate(captions)]
        requests = [
            Request(prompt, seconds=2.0, size=SHAPE.resolution, fps=SHAPE.fps, seed=first + n)
            for n, prompt in enumerate(prompts)
        ]
        rows.append(count_facts(probe, make_videos(requests, None, 0, 8), captions))
        found, total = np.sum(rows[-1], axis=0)
        print(f"{'with' if expand else 'without'} expansion: {found} of {total} facts, {found / total:.1%}", flush=True)
    print(describe_difference(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--videos", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="first prompt of --videos")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.prompts:
        count_changed(options.prompts)
    if options.videos:
        score_videos(options.first, options.videos)
