"""Trains the prompt check's classifier, in half an hour of a processor; two of them are used.

    python -m lumora.safety.training [--out prompts.npz] [--seed 0] [--extra FILE]

It is fit on one trained part and its operating point is set on the other, and the other way round; then it is fit
once more on both. The held-out part plays no role here (`lumora redteam` measures on it).
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import logit, logsumexp

from lumora.config import VideoShape
from lumora.safety.classifier import BUCKETS, Classifier, features, weighted_words
from lumora.safety.corpus import GOOD, TRAINED, Part, Sentence, categories, groups, sentences, terms
from lumora.safety.finetune import taught
from lumora.safety.labeled import read_labeled
from lumora.safety.multi_turn import chains
from lumora.safety.named_entities import EntityMatcher
from lumora.safety.policy import Policy
from lumora.safety.prompt_check import WEIGHTS, PromptCheck, combined_prompts
from lumora.safety.verdict import Verdict
from lumora.text_encoder.encoder import TextEncoder
from lumora.world.caption import caption
from lumora.world.clip import make_scene
from lumora.world.facts import facts_of

Draw: TypeAlias = Callable[[], list[Sentence]]
"""Gives new sentences, each time it is asked."""
PENALTY = 1.0
"""On half the sum of squared weights of words, beside the summed cross entropy."""
STEPS = 80
SHARE = 0.65
"""Of the meanings in the logits; words have the rest. From .5 to .8 as many were found."""
FALSE_ALARMS = {"benign": 0.02, "hard": 0.05}
"""What share of the good sentences of each group may be refused where the operating point is set."""
COUNTS = {"benign": 1_600, "hard": 1_800}
PER_CATEGORY = 400
CHAINS, GOOD_CHAINS = 12, 60
"""Requests in pieces, in each way: of each category, and of each group of good ones."""
SCENES = 80
"""Of lumora's own world, whose captions must not be refused: as many for each part."""
SLIPS, BURIED = 6, 7
"""Every so manieth sentence is misspelt, or stands behind a harmless one: as people write, and as they hide."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--extra", type=Path, help="further sentences, as `lumora review --export` writes them")
    options = parser.parse_args()
    extra = read_labeled(options.extra) if options.extra else []
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawned, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        whole = pool.submit(fit_to_both, options.seed, extra)
        points = [pool.submit(found_point, options.seed, extra, half) for half in range(2)]
        classifier = whole.result().with_point(float(np.mean([point.result() for point in points])))
    classifier.save(options.out)
    print(f"{options.out}: {options.out.stat().st_size / 2**20:.2f} MiB")


def fit_to_both(seed: int, extra: Sequence[Sentence]) -> Classifier:
    """What is fit to both trained parts, without an operating point."""
    generator = np.random.default_rng([seed, 2])
    first, second = (draw_of(part, extra[half::2], generator) for half, part in enumerate(TRAINED))
    return trained(lambda: [*first(), *second()], TextEncoder.load(), generator)


def draw_of(part: Part, extra: Sequence[Sentence], generator: np.random.Generator) -> Draw:
    return lambda: [*corpus(part, generator), *extra]


def found_point(seed: int, extra: Sequence[Sentence], half: int) -> float:
    """The operating point, in log odds, of what is fit to one part, for the whole check on sentences of the other."""
    generator, encoder = np.random.default_rng([seed, half]), TextEncoder.load()
    fit, other = (draw_of(TRAINED[part], extra[part::2], generator) for part in (half, 1 - half))
    classifier, examples, policy = trained(fit, encoder, generator), other(), Policy.load()
    check = PromptCheck(policy, classifier, EntityMatcher.load(policy.names), classifier.reader(encoder))
    odds = np.array([check_odds(verdict, policy) for verdict in check.check_all([e.text for e in examples])])
    point = operating_point(odds, examples)
    print(f"found on the other part: {share_found(odds >= point, examples)}, log odds {point:.2f}", flush=True)
    return point


def check_odds(verdict: Verdict, policy: Policy) -> float:
    """By how much the log odds of a prompt are above what the policy lets pass: below 0 it passes, and a listed name's
    are infinite. With all readings and windows, which find more, and refuse more for nothing, than the bare text."""
    with np.errstate(divide="ignore"):
        return max(
            float(logit(score.value) - logit(policy.categories[name].threshold))
            for name, score in verdict.scores.items()
        )


def corpus(part: Part, generator: np.random.Generator) -> list[Sentence]:
    """Sentences and chains of one part, half of the terms, and captions of the world."""
    counts = {group: COUNTS.get(group, PER_CATEGORY) for group in groups()}
    found = [sentence for group, count in counts.items() for sentence in sentences(group, (part,), count, generator)]
    found = roughened(found, generator) + in_pieces(part, generator)
    half = TRAINED.index(part)
    found += [Sentence(text, "benign", text) for text in captions(half, SCENES, generator)]
    return found + [Sentence(term, group, term) for group in groups() for term in terms(group)[half::2]]


def in_pieces(part: Part, generator: np.random.Generator) -> list[Sentence]:
    """Chains of one part, each as the check reads all of its steps together, in one of the two ways."""
    found = []
    for group in groups():
        for chain in chains(group, (part,), GOOD_CHAINS if group in GOOD else CHAINS, generator):
            text = combined_prompts(chain.steps)[int(generator.integers(2))]
            found.append(Sentence(text, group, text))
    return found


def roughened(found: Sequence[Sentence], generator: np.random.Generator) -> list[Sentence]:
    """The same sentences, some with slips of the pen and some behind a harmless one of the same part."""
    harmless = [sentence.bare for sentence in found if sentence.group == "benign"]
    rough: list[Sentence] = []
    for place, sentence in enumerate(found):
        text = sentence.text
        if place % BURIED == 0 and sentence.group != "hard":
            before = harmless[int(generator.integers(len(harmless)))]
            text = before + (", then ", ". ", " while ", " and ")[int(generator.integers(4))] + text
        if place % SLIPS == 0:
            text = re.sub(r"[A-Za-z]{5,}", lambda match: slip(match[0], generator), text)
        rough.append(replace(sentence, text=text))
    return rough


def slip(word: str, generator: np.random.Generator) -> str:
    """Half of the time the word as it is, else with a letter left out, written twice, or another in its place."""
    place, kind = int(generator.integers(1, len(word))), int(generator.integers(6))
    other = chr(ord("a") + int(generator.integers(26)))
    written = (word[:place], word[:place] + word[place], word[:place] + other)
    return written[kind] + word[place + (kind != 1) :] if kind < 3 else word


def captions(seed: int, scenes: int, generator: np.random.Generator) -> list[str]:
    """Short, long and longest captions of so many scenes of the `full` world."""
    shape, found = VideoShape(17, 64, 64), []
    for index in range(scenes):
        facts = facts_of(*make_scene("full", seed, index, shape))
        found += [caption(facts, length, generator).text for length in ("short", "sentence", "paragraph")]
    return found


def trained(draw: Draw, encoder: TextEncoder, generator: np.random.Generator) -> Classifier:
    """Words and meanings, each fit for itself, so that meanings, which fit best, don't leave the words unlearnt."""
    examples = draw()
    texts = [example.text for example in examples]
    idf = inverse_frequency(texts)
    labels = np.array([(*categories(), example.group).index(example.group) for example in examples])
    words, bias = softmax(word_matrix(texts, idf), labels)
    meaning = taught(encoder, draw, (*categories(), "good"), generator)
    bias = (1 - SHARE) * bias + SHARE * meaning.bias
    vocabulary = frozenset(word for text in texts for word in re.findall(r"[^\W\d_]{3,}", text.casefold()))
    return Classifier(categories(), idf, (1 - SHARE) * words, SHARE * meaning.weights, bias, vocabulary, meaning.layers)


def softmax(
    inputs: csr_matrix, labels: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "d k"], Float[np.ndarray, " k"]]:
    """Weights and bias of the most likely softmax under a Gaussian prior of weights: multinomial logistic regression,
    by L-BFGS."""
    wanted = np.eye(labels.max() + 1, dtype=np.float32)[labels]
    columns = inputs.T.tocsr()

    def loss(flat: Float[np.ndarray, " all"]) -> tuple[float, Float[np.ndarray, " all"]]:
        weights = flat.astype(np.float32).reshape(-1, wanted.shape[1])
        logits = inputs @ weights[:-1] + weights[-1]
        logits -= logsumexp(logits, axis=1, keepdims=True)
        error = np.exp(logits) - wanted
        slope = np.concatenate([columns @ error, error.sum(0, keepdims=True)])
        slope[:-1] += PENALTY * weights[:-1]
        value = -np.sum(logits * wanted) + PENALTY / 2 * np.sum(weights[:-1] ** 2)
        return float(value), slope.ravel().astype(np.float64)

    (_, width), kinds = inputs.get_shape(), wanted.shape[1]
    start = np.zeros((width + 1) * kinds)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS, "ftol": 1e-5})
    weights = found.x.astype(np.float32).reshape(-1, kinds)
    return weights[:-1], weights[-1]


def operating_point(odds: Float[np.ndarray, " n"], examples: Sequence[Sentence]) -> float:
    """The log odds from which on no more than `FALSE_ALARMS` of the good examples are refused.

    Raises ValueError where listed names, whose odds are infinite, refuse more than that by themselves.
    """
    group = np.array([example.group for example in examples])
    points = [np.quantile(odds[group == name], 1 - share, method="higher") for name, share in FALSE_ALARMS.items()]
    if not np.isfinite(points).all():
        raise ValueError("Listed names alone refuse too many good sentences: mend the corpus, or the lists.")
    return float(max(points))


def share_found(refused: Bool[np.ndarray, " n"], examples: Sequence[Sentence]) -> str:
    """How much of each group is refused, to choose features and penalties by."""
    group = np.array([example.group for example in examples])
    return ", ".join(f"{name} {refused[group == name].mean():.3f}" for name in groups())


def inverse_frequency(texts: Sequence[str]) -> Float[np.ndarray, " buckets"]:
    """1 + ln(n / how many texts have the bucket), smoothed; never seen buckets weigh as much as ones seen once."""
    counts = np.zeros(BUCKETS)
    for text in texts:
        counts[np.unique(features(text)[0])] += 1
    return (1 + np.log((1 + len(texts)) / (1 + np.maximum(counts, 1)))).astype(np.float32)


def word_matrix(texts: Sequence[str], idf: Float[np.ndarray, " buckets"]) -> csr_matrix:
    rows = [weighted_words(text, idf) for text in texts]
    ends = np.cumsum([0, *(len(buckets) for buckets, _ in rows)])
    columns, values = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    matrix = csr_matrix((values, columns, ends), shape=(len(texts), BUCKETS))
    matrix.sum_duplicates()
    return matrix


if __name__ == "__main__":
    main()
