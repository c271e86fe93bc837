"""Trains the prompt check's classifier, in some fifteen minutes of one CPU core.

    python -m lumora.safety.training [--out prompts.npz] [--seed 0] [--extra FILE]

1. Split the sentences written in ten languages, and captions of the world, into folds of different ideas. For each
   fold, fit a classifier to the other folds and to one half of the English templates. Set the operating points, for
   English and for other languages, on what the fits do not know: where they refuse no more than FALSE_ALARMS of the
   good sentences of the fold, and in English ENGLISH_FALSE_ALARMS of these and those of the other half of the
   templates.
2. Fit a classifier to everything and give it these operating points.

The held-out part is not used here; `lumora redteam` measures on it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import get_args

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.cluster.vq import kmeans2
from scipy.special import logit

from lumora.config import VideoShape
from lumora.safety.classifier import Classifier, centered
from lumora.safety.corpus import (
    GOOD_GROUPS,
    TRAINING_PARTS,
    Part,
    Sentence,
    categories,
    covering_sentences,
    groups,
    sample_sentences,
    training_terms,
    written_sentences,
)
from lumora.safety.embedding_classifier import fit_networks
from lumora.safety.labeled import read_labeled
from lumora.safety.multi_turn import sample_multi_turn
from lumora.safety.named_entities import EntityMatcher
from lumora.safety.normalize import without_accents
from lumora.safety.policy import Policy
from lumora.safety.prompt_check import WEIGHTS, PromptCheck, combined_prompts
from lumora.safety.prompt_embedding import PromptEmbedder
from lumora.safety.verdict import Verdict
from lumora.safety.word_classifier import fit_idf, fit_softmax, tfidf_matrix
from lumora.terminal import say
from lumora.world.caption import Length, caption
from lumora.world.clip import make_scene
from lumora.world.facts import facts_of
from lumora.world.languages import LANGUAGES as WORLD_LANGUAGES
from lumora.world.languages import caption_in

EMBEDDING_SHARE = 0.6
"""Weight of the embedding networks' logits; the word classifier has the rest. From .5 to .8 recall is the same."""
FALSE_ALARMS = {"benign": 0.01, "hard": 0.04}
"""Maximum share of the good sentences of each group that an operating point refuses; one point below the goals."""
ENGLISH_FALSE_ALARMS = {"benign": 0.02, "hard": 0.05}
"""The same in English; the goals themselves, because the fits that judge know half of the templates."""
JUDGED_TEMPLATES = {"benign": 125, "hard": 150}
JUDGED_TEMPLATES_PER_CATEGORY = 20
"""Sentences of templates that each fold judges. The good ones set the English operating point; the recall of the others
is printed."""
SENTENCES_PER_CATEGORY = 130
SENTENCES_PER_GOOD_GROUP = {"benign": 500, "hard": 700}
NUM_FOLDS, NUM_IDEAS = 4, 240
"""The written sentences are clustered by their embeddings, and each cluster is in one fold: translations of a sentence,
and sentences much like it, are not known to the fit that judges it."""
WRITTEN_COPIES = 2
"""How often a written sentence counts; the last copy has no accents, as many people type."""
MULTI_TURN_PER_CATEGORY, MULTI_TURN_PER_GOOD_GROUP = 4, 24
"""Requests in several prompts, of each kind."""
WORLD_SCENES, JUDGED_WORLD_SCENES, JUDGED_WORLD_SEED = 20, 24, 100
"""Scenes of lumora's own world whose captions must not be refused: for each part, and for the operating points."""
LENGTHS: tuple[Length, ...] = get_args(Length)
MISSPELL_EVERY, BURY_EVERY = 6, 7
"""One in so many sentences is misspelled; one in so many stands behind a harmless one."""
MAX_CACHED = 200_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--extra", type=Path, help="more sentences, as `lumora review --export` writes them")
    options = parser.parse_args()
    embedder = PromptEmbedder.load(MAX_CACHED)
    drawn = [
        training_examples(part, np.random.default_rng([options.seed, index]))
        for index, part in enumerate(TRAINING_PARTS)
    ]
    extra = read_labeled(options.extra) if options.extra else []
    result = fit_with_operating_points(drawn, extra, embedder)
    result.save(options.out)
    say(f"{options.out}: {options.out.stat().st_size / 2**20:.2f} MiB")


def fit_with_operating_points(
    drawn: Sequence[Sequence[Sentence]], extra: Sequence[Sentence], embedder: PromptEmbedder
) -> Classifier:
    """A classifier that is fit to the examples drawn for each training part, extra ones and all written sentences."""
    captions = world_captions(JUDGED_WORLD_SEED, JUDGED_WORLD_SCENES, np.random.default_rng(JUDGED_WORLD_SEED))
    written = [*written_sentences("train"), *captions]
    fold_of = folds_of(written, embedder)
    asked: list[Sentence] = []
    log_odds: list[Float[np.ndarray, " n"]] = []
    for fold in range(NUM_FOLDS):
        sentences, judged = judge_fold(fold, drawn, extra, written, fold_of, embedder)
        asked += sentences
        log_odds.append(judged)
        say(f"fold {fold + 1} of {NUM_FOLDS}: {len(sentences)} sentences judged")
    points = operating_points(np.concatenate(log_odds), asked)
    classifier = fit_classifier([*chain(*drawn), *extra, *copies_of(written)], embedder)
    return replace(classifier, operating_points=np.array(points, np.float32))


def judge_fold(
    fold: int,
    drawn: Sequence[Sequence[Sentence]],
    extra: Sequence[Sentence],
    written: Sequence[Sentence],
    fold_of: Int[np.ndarray, " n"],
    embedder: PromptEmbedder,
) -> tuple[list[Sentence], Float[np.ndarray, " n"]]:
    """Sentences of one part of the templates and the written ones of this fold, and what a fit to the other part and
    the other folds says about them."""
    known = [sentence for sentence, other in zip(written, fold_of, strict=True) if other != fold]
    part = fold % len(TRAINING_PARTS)
    policy = Policy.load()
    classifier = fit_classifier([*drawn[1 - part], *extra, *copies_of(known)], embedder)
    check = PromptCheck(policy, classifier, EntityMatcher.load(policy.names), embedder)
    generator = np.random.default_rng([JUDGED_WORLD_SEED, fold])
    counts = {group: JUDGED_TEMPLATES.get(group, JUDGED_TEMPLATES_PER_CATEGORY) for group in groups()}
    asked = [
        sentence
        for group, count in counts.items()
        for sentence in sample_sentences(group, (TRAINING_PARTS[part],), count, generator)
    ]
    asked += [sentence for sentence, other in zip(written, fold_of, strict=True) if other == fold]
    return asked, check_log_odds(check, asked)


def operating_points(log_odds: Float[np.ndarray, " n"], sentences: Sequence[Sentence]) -> tuple[float, float]:
    """The operating points, in log odds, in English and in other languages."""
    is_english = np.array([sentence.language == "en" for sentence in sentences])
    points = []
    for name, mask, false_alarms in (
        ("English", is_english, ENGLISH_FALSE_ALARMS),
        ("other languages", ~is_english, FALSE_ALARMS),
    ):
        some = [sentence for sentence, chosen in zip(sentences, mask, strict=True) if chosen]
        points.append(operating_point(log_odds[mask], some, false_alarms))
        say(f"{name}, operating point {points[-1]:.2f}: {format_recall(log_odds[mask] >= points[-1], some)}")
    return points[0], points[1]


def check_log_odds(check: PromptCheck, asked: Sequence[Sentence]) -> Float[np.ndarray, " n"]:
    """What the whole check says about sentences (`excess_log_odds`)."""
    verdicts = check.check_all([sentence.text for sentence in asked])
    return np.array([excess_log_odds(verdict, check.policy) for verdict in verdicts])


def folds_of(sentences: Sequence[Sentence], embedder: PromptEmbedder) -> Int[np.ndarray, " n"]:
    """The fold of each sentence."""
    embeddings = embedder.embed([sentence.text.casefold() for sentence in sentences])
    ideas = kmeans2(centered(embeddings, embeddings.mean(axis=0)), NUM_IDEAS, rng=0, minit="++")[1]
    return ideas.astype(np.int64) % NUM_FOLDS


def fit_classifier(examples: Sequence[Sentence], embedder: PromptEmbedder) -> Classifier:
    """Fits words and embeddings separately: fit together, the embeddings, which fit best, leave the words untrained."""
    texts = [example.text.casefold() for example in examples]
    classes = (*categories(), "good")
    labels = np.array([classes.index(example.group if example.group in classes else "good") for example in examples])
    idf = fit_idf(texts)
    word_weights, word_bias = fit_softmax(tfidf_matrix(texts, idf), labels)
    embeddings = embedder.embed(texts)
    mean = embeddings.mean(axis=0)
    networks = fit_networks(centered(embeddings, mean), labels, len(classes))
    english = (text for text, example in zip(texts, examples, strict=True) if example.language == "en")
    return Classifier(
        categories(),
        idf,
        (1 - EMBEDDING_SHARE) * word_weights,
        mean,
        networks.hidden_weights,
        networks.hidden_bias,
        EMBEDDING_SHARE * networks.weights,
        (1 - EMBEDDING_SHARE) * word_bias + EMBEDDING_SHARE * networks.bias,
        frozenset(word for text in english for word in re.findall(r"[^\W\d_]{3,}", text)),
    )


def excess_log_odds(verdict: Verdict, policy: Policy) -> float:
    """The highest log odds of any category, minus those of its threshold: negative for an allowed prompt, infinite for
    a listed name."""
    with np.errstate(divide="ignore"):
        return max(
            float(logit(score.value) - logit(policy.categories[name].threshold))
            for name, score in verdict.scores.items()
        )


def operating_point(
    log_odds: Float[np.ndarray, " n"], examples: Sequence[Sentence], false_alarms: Mapping[str, float] = FALSE_ALARMS
) -> float:
    """The log odds from which no more than this share of each group of good examples is refused.

    `log_odds` are those of the whole check with all variants and windows, which refuse more than the text alone.
    Raises ValueError if listed names, whose log odds are infinite, refuse more than that by themselves.
    """
    group = np.array([example.group for example in examples])
    points = [np.quantile(log_odds[group == name], 1 - share, method="higher") for name, share in false_alarms.items()]
    if not np.isfinite(points).all():
        raise ValueError("Listed names alone refuse too many good sentences; correct the corpus or the lists.")
    return float(max(points))


def format_recall(refused: Bool[np.ndarray, " n"], examples: Sequence[Sentence]) -> str:
    group = np.array([example.group for example in examples])
    return ", ".join(f"{name} {refused[group == name].mean():.3f}" for name in groups())


# Training examples


def training_examples(part: Part, generator: np.random.Generator) -> list[Sentence]:
    """Examples of one training part, without the written ones."""
    index = TRAINING_PARTS.index(part)
    return [
        *drawn_examples(part, generator),
        *covering_examples(part, generator.spawn(1)[0]),
        *world_captions(index, WORLD_SCENES, generator),
        *(Sentence(term, group, term) for group in groups() for term in training_terms(group)[index::2]),
    ]


def drawn_examples(part: Part, generator: np.random.Generator) -> list[Sentence]:
    """English sentences and multi-turn requests from templates and slots."""
    counts = {group: SENTENCES_PER_GOOD_GROUP.get(group, SENTENCES_PER_CATEGORY) for group in groups()}
    sentences = [s for group, count in counts.items() for s in sample_sentences(group, (part,), count, generator)]
    return [*augmented(sentences, generator), *multi_turn_examples(part, generator)]


def covering_examples(part: Part, generator: np.random.Generator) -> list[Sentence]:
    """English sentences with every value of every slot."""
    sentences = [sentence for group in groups() for sentence in covering_sentences(group, part, generator)]
    return augmented(sentences, generator)


def copies_of(sentences: Sequence[Sentence]) -> list[Sentence]:
    """The sentences as often as they count."""
    plain = [replace(sentence, text=without_accents(sentence.text)) for sentence in sentences]
    return [*sentences] * (WRITTEN_COPIES - 1) + plain


def multi_turn_examples(part: Part, generator: np.random.Generator) -> list[Sentence]:
    """Multi-turn requests of one part, each in one of the two combinations that the check reads, and every step of the
    good ones, since steps are judged alone too."""
    examples = []
    for group in groups():
        count = MULTI_TURN_PER_GOOD_GROUP if group in GOOD_GROUPS else MULTI_TURN_PER_CATEGORY
        for request in sample_multi_turn(group, (part,), count, generator):
            text = combined_prompts(request.steps)[int(generator.integers(2))]
            texts = [text, *request.steps] if group in GOOD_GROUPS else [text]
            examples += [Sentence(text, group, text) for text in dict.fromkeys(texts)]
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


def world_captions(seed: int, num_scenes: int, generator: np.random.Generator) -> list[Sentence]:
    """Captions of scenes of the `full` world: in English a short, a medium and a long one, in every other language of
    the world one of any length."""
    shape, captions = VideoShape(17, 64, 64), []
    for index in range(num_scenes):
        facts = facts_of(*make_scene("full", seed, index, shape))
        drawn = [("en", caption(facts, length, generator).text) for length in LENGTHS]
        for code, language in WORLD_LANGUAGES.items():
            length = LENGTHS[int(generator.integers(len(LENGTHS)))]
            drawn.append((code, caption_in(language, facts, length, generator).text))
        captions += [Sentence(text, "benign", text, code) for code, text in drawn]
    return captions


if __name__ == "__main__":
    main()
