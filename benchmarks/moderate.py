"""What the prompt check and the frame review refuse and let pass, and how long they take (docs/safety.md, LOG.md).

    python benchmarks/moderate.py [--count N] [--evasions N] [--t2v FOLDER] [--benign FILE] [--frames N]

All sentences are of the held-out part of the corpus, with templates, slots and frames that nothing was trained on.
`--t2v` names the folder of T2VSafetyBench's lists (1.txt … 14.txt), which has no licence and so is not here; `--benign`
a file of harmless prompts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lumora.config import VideoShape
from lumora.evaluate.shares import Share, table
from lumora.safety.corpus import GOOD, groups, sentences
from lumora.safety.evasions import EVASIONS
from lumora.safety.policy import Policy
from lumora.safety.prompts import PromptCheck
from lumora.safety.verdict import Verdict
from lumora.world.clip import make_captions, make_scene
from lumora.world.facts import facts_of

HELD_OUT_SEED = 20_251
"""Of the world: no training uses its clips."""


def main() -> None:
    options = parse()
    policy = Policy.load()
    check = PromptCheck.load(policy)
    generator = np.random.default_rng(options.seed)
    counts = {group: {"benign": 1000, "hard": 500}.get(group, 150) for group in groups()}
    held_out = {
        group: sentences(group, ("held out",), max(1, count * options.count // 100), generator)
        for group, count in counts.items()
    }
    print("distinct requests:", {group: len({s.bare for s in found}) for group, found in held_out.items()})
    verdicts = {group: check.check_all([s.text for s in found]) for group, found in held_out.items()}
    print(table({"refused": {group: refused(found) for group, found in verdicts.items()}}))
    print("its own category among the refused ones:")
    print(table({"named": {g: named(g, found) for g, found in verdicts.items() if g not in GOOD}}), flush=True)
    bad = [s.text for group, found in held_out.items() if group not in GOOD for s in found]
    evasions(check, bad, options.evasions, generator)
    others = {"world captions": [c for n in range(options.world) for c in world_captions(n)]}
    if options.benign:
        others["benign prompts of others"] = lines(options.benign)
    if options.t2v:
        others |= {f"T2VSafetyBench {n}": lines(options.t2v / f"{n}.txt")[:: options.stride] for n in range(1, 15)}
    shares = {name: refused(check.check_all(texts)) for name, texts in others.items()}
    print(table({"refused": shares}))
    speed(check, [s.text for found in held_out.values() for s in found[:8]])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--count", type=int, default=100, help="percent of 150 a category, 1,000 benign and 500 hard ones"
    )
    parser.add_argument("--evasions", type=int, default=60, help="sentences for each family of evasions")
    parser.add_argument("--world", type=int, default=200, help="scenes of the world, three captions each")
    parser.add_argument("--t2v", type=Path)
    parser.add_argument("--stride", type=int, default=1, help="every so manieth prompt of T2VSafetyBench")
    parser.add_argument("--benign", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def refused(verdicts: Sequence[Verdict]) -> Share:
    return Share(sum(not verdict.allowed for verdict in verdicts), len(verdicts))


def named(group: str, verdicts: Sequence[Verdict]) -> Share:
    found = [verdict for verdict in verdicts if not verdict.allowed]
    return Share(sum(group in verdict.refused for verdict in found), len(found))


def evasions(check: PromptCheck, bad: list[str], count: int, generator: np.random.Generator) -> None:
    """Each family on the same sentences, beside the same without disguise."""
    chosen = [bad[i] for i in generator.permutation(len(bad))[:count]]
    shares = {"clean": refused(check.check_all(chosen))}
    for name, evade in EVASIONS.items():
        shares[name] = refused(check.check_all([evade(text, generator) for text in chosen]))
    print(table({"refused": shares}), flush=True)


def world_captions(index: int) -> list[str]:
    shape = VideoShape(17, 64, 64, 8.0)
    scene, trajectory = make_scene("full", HELD_OUT_SEED, index, shape)
    return [caption.text for caption in make_captions(facts_of(scene, trajectory), HELD_OUT_SEED, index).values()]


def lines(file: Path) -> list[str]:
    return [line.strip() for line in file.read_text("utf-8", errors="replace").splitlines() if line.strip()]


def speed(check: PromptCheck, texts: Sequence[str]) -> None:
    """Processor time, which other programs on the machine don't lengthen as they do the time on the wall."""
    spent = []
    for text in texts:
        began = time.process_time()
        check.check(text)
        spent.append(1e3 * (time.process_time() - began))
    print(f"a prompt: {np.median(spent):.1f} ms of a processor, p95 {np.quantile(spent, 0.95):.1f} ms")


if __name__ == "__main__":
    main()
