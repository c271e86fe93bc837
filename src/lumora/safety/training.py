"""Trains the prompt check's classifier, in half an hour on two CPU cores.

    python -m lumora.safety.training [--out prompts.npz] [--seed 0] [--extra FILE]

1. Fit a classifier to each of the two training parts of the corpus. Set its operating point on the other part, where
   it refuses no more than FALSE_ALARMS of the good sentences.
2. Fit a classifier to both parts and give it the mean of the two operating points.

The held-out part is not used here; `lumora redteam` measures on it.
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
from jaxtyping import Bool, Float
from scipy.special import logit

from lumora.config import VideoShape
from lumora.safety.classifier import Classifier
from lumora.safety.corpus import (
    GOOD_GROUPS,
    TRAINING_PARTS,
    Part,
    Sentence,
    categories,
    groups,
    sample_sentences,
    training_terms,
)
from lumora.safety.finetune import finetune
from lumora.safety.labeled import read_labeled
from lumora.safety.multi_turn import sample_multi_turn
from lumora.safety.named_entities import EntityMatcher
from lumora.safety.policy import Policy
from lumora.safety.prompt_check import WEIGHTS, PromptCheck, combined_prompts
from lumora.safety.verdict import Verdict
from lumora.safety.word_classifier import fit_idf, fit_softmax, tfidf_matrix
from lumora.terminal import say
from lumora.text_encoder.encoder import TextEncoder
from lumora.world.caption import caption
from lumora.world.clip import make_scene
from lumora.world.facts import facts_of

Draw: TypeAlias = Callable[[], list[Sentence]]
"""Draws a new training set each time it is called."""
EMBEDDING_SHARE = 0.65
"""Weight of the embedding classifier's logits; the word classifier has the rest. From .5 to .8 recall is the same."""
FALSE_ALARMS = {"benign": 0.02, "hard": 0.05}
"""Maximum share of the good sentences of each group that the operating point refuses."""
SENTENCES_PER_CATEGORY = 400
SENTENCES_PER_GOOD_GROUP = {"benign": 1_600, "hard": 1_800}
MULTI_TURN_PER_CATEGORY, MULTI_TURN_PER_GOOD_GROUP = 12, 60
"""Requests in several prompts, of each kind."""
WORLD_SCENES = 80
"""Scenes of lumora's own world whose captions must not be refused, for each part."""
MISSPELL_EVERY, BURY_EVERY = 6, 7
"""One in so many sentences is misspelled; one in so many stands behind a harmless one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--extra", type=Path, help="more sentences, as `lumora review --export` writes them")
    options = parser.parse_args()
    extra = read_labeled(options.extra) if options.extra else []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        classifier = pool.submit(fit_both_parts, options.seed, extra)
        points = [pool.submit(fit_operating_point, options.seed, extra, index) for index in range(2)]
        result = classifier.result().with_operating_point(float(np.mean([point.result() for point in points])))
    result.save(options.out)
    say(f"{options.out}: {options.out.stat().st_size / 2**20:.2f} MiB")


def fit_both_parts(seed: int, extra: Sequence[Sentence]) -> Classifier:
    """A classifier that is fit to both training parts, without an operating point."""
    generator = np.random.default_rng([seed, 2])
    first, second = (make_draw(part, extra[i::2], generator) for i, part in enumerate(TRAINING_PARTS))
    return fit_classifier(lambda: [*first(), *second()], TextEncoder.load(), generator)


def fit_operating_point(seed: int, extra: Sequence[Sentence], index: int) -> float:
    """The operating point, in log odds, of a classifier fit to training part `index`, set on the other part."""
    generator, encoder = np.random.default_rng([seed, index]), TextEncoder.load()
    fit, validation = (make_draw(TRAINING_PARTS[part], extra[part::2], generator) for part in (index, 1 - index))
    classifier, examples, policy = fit_classifier(fit, encoder, generator), validation(), Policy.load()
    check = PromptCheck(policy, classifier, EntityMatcher.load(policy.names), classifier.fine_tuned(encoder))
    verdicts = check.check_all([example.text for example in examples])
    log_odds = np.array([excess_log_odds(verdict, policy) for verdict in verdicts])
    point = operating_point(log_odds, examples)
    say(f"on the other part: {format_recall(log_odds >= point, examples)}, log odds {point:.2f}")
    return point


def fit_classifier(draw: Draw, encoder: TextEncoder, generator: np.random.Generator) -> Classifier:
    """Fits words and embeddings separately: fit together, the embeddings, which fit best, leave the words untrained."""
    examples = draw()
    texts = [example.text for example in examples]
    labels = np.array([(*categories(), example.group).index(example.group) for example in examples])
    idf = fit_idf(texts)
    word_weights, word_bias = fit_softmax(tfidf_matrix(texts, idf), labels)
    embedding = finetune(encoder, draw, (*categories(), "good"), generator)
    return Classifier(
        categories(),
        idf,
        (1 - EMBEDDING_SHARE) * word_weights,
        EMBEDDING_SHARE * embedding.weights,
        (1 - EMBEDDING_SHARE) * word_bias + EMBEDDING_SHARE * embedding.bias,
        frozenset(word for text in texts for word in re.findall(r"[^\W\d_]{3,}", text.casefold())),
        embedding.encoder_layers,
    )


def excess_log_odds(verdict: Verdict, policy: Policy) -> float:
    """The highest log odds of any category, minus those of its threshold: negative for an allowed prompt, infinite for
    a listed name."""
    with np.errstate(divide="ignore"):
        return max(
            float(logit(score.value) - logit(policy.categories[name].threshold))
            for name, score in verdict.scores.items()
        )


def operating_point(log_odds: Float[np.ndarray, " n"], examples: Sequence[Sentence]) -> float:
    """The log odds from which no more than FALSE_ALARMS of the good examples are refused.

    `log_odds` are those of the whole check with all variants and windows, which refuse more than the text alone.
    Raises ValueError if listed names, whose log odds are infinite, refuse more than that by themselves.
    """
    group = np.array([example.group for example in examples])
    points = [np.quantile(log_odds[group == name], 1 - share, method="higher") for name, share in FALSE_ALARMS.items()]
    if not np.isfinite(points).all():
        raise ValueError("Listed names alone refuse too many good sentences; correct the corpus or the lists.")
    return float(max(points))


def format_recall(refused: Bool[np.ndarray, " n"], examples: Sequence[Sentence]) -> str:
    group = np.array([example.group for example in examples])
    return ", ".join(f"{name} {refused[group == name].mean():.3f}" for name in groups())


# Training examples


def make_draw(part: Part, extra: Sequence[Sentence], generator: np.random.Generator) -> Draw:
    return lambda: [*training_examples(part, generator), *extra]


def training_examples(part: Part, generator: np.random.Generator) -> list[Sentence]:
    """Sentences, multi-turn requests, half of the terms, and captions of the world, of one training part."""
    index = TRAINING_PARTS.index(part)
    counts = {group: SENTENCES_PER_GOOD_GROUP.get(group, SENTENCES_PER_CATEGORY) for group in groups()}
    sentences = [s for group, count in counts.items() for s in sample_sentences(group, (part,), count, generator)]
    return [
        *augmented(sentences, generator),
        *combined_multi_turn(part, generator),
        *(Sentence(text, "benign", text) for text in world_captions(index, WORLD_SCENES, generator)),
        *(Sentence(term, group, term) for group in groups() for term in training_terms(group)[index::2]),
    ]


def combined_multi_turn(part: Part, generator: np.random.Generator) -> list[Sentence]:
    """Multi-turn requests of one part, each in one of the two combinations that the check reads."""
    examples = []
    for group in groups():
        count = MULTI_TURN_PER_GOOD_GROUP if group in GOOD_GROUPS else MULTI_TURN_PER_CATEGORY
        for request in sample_multi_turn(group, (part,), count, generator):
            text = combined_prompts(request.steps)[int(generator.integers(2))]
            examples.append(Sentence(text, group, text))
    return examples


def augmented(sentences: Sequence[Sentence], generator: np.random.Generator) -> list[Sentence]:
    """The sentences, some misspelled and some behind a harmless sentence."""
    harmless = [sentence.core for sentence in sentences if sentence.group == "benign"]
    result: list[Sentence] = []
    for index, sentence in enumerate(sentences):
        text = sentence.text
        if index % BURY_EVERY == 0 and sentence.group != "hard":
            before = harmless[int(generator.integers(len(harmless)))]
            text = before + (", then ", ". ", " while ", " and ")[int(generator.integers(4))] + text
        if index % MISSPELL_EVERY == 0:
            text = re.sub(r"[A-Za-z]{5,}", lambda match: misspell(match[0], generator), text)
        result.append(replace(sentence, text=text))
    return result


def misspell(word: str, generator: np.random.Generator) -> str:
    """Half of the time the word itself, else with a letter omitted, doubled or replaced."""
    position, kind = int(generator.integers(1, len(word))), int(generator.integers(6))
    letter = chr(ord("a") + int(generator.integers(26)))
    if kind >= 3:
        return word
    head = (word[:position], word[:position] + word[position], word[:position] + letter)[kind]
    return head + word[position if kind == 1 else position + 1 :]


def world_captions(seed: int, num_scenes: int, generator: np.random.Generator) -> list[str]:
    """Short, medium and long captions of scenes of the `full` world."""
    shape, texts = VideoShape(17, 64, 64), []
    for index in range(num_scenes):
        facts = facts_of(*make_scene("full", seed, index, shape))
        texts += [caption(facts, length, generator).text for length in ("short", "sentence", "paragraph")]
    return texts


if __name__ == "__main__":
    main()
