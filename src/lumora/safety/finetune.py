"""Teaches the text encoder's last layers to tell the categories apart: the prompt check's half that knows meanings.

Fine-tuning as of BERT (arXiv:1810.04805), of the last layers alone: those below stay as they are, without
a gradient. Sentences are drawn anew in each pass, and of each some tokens are left out, so that little can be learnt by
heart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lumora.precision import autocast
from lumora.safety.classifier import MEANING_SCALE, reader
from lumora.safety.corpus import Sentence
from lumora.text_encoder.encoder import CONTEXT_DIM, LAYERS, PackedTexts, TextEncoder

TAUGHT = range(4, LAYERS)
DRAWS = 2
"""Of sentences, until it is done: the second is worth 5 points of recall, a third nothing (LOG.md)."""
RATE, HEAD_RATE, WARM_UP = 2e-4, 2e-3, 0.1
"""AdamW's, of the layers and of the softmax; both rise for the first tenth of all steps and then fall to 0."""
DECAY, SMOOTHING, LEFT_OUT = 0.05, 0.05, 0.1
"""Of matrices; of labels; and the share of tokens that are left out."""


@dataclass(frozen=True)
class Meaning:
    """A softmax on what the taught layers say of a text."""

    layers: dict[str, np.ndarray]
    weights: Float[np.ndarray, "384 k"]
    bias: Float[np.ndarray, " k"]


def taught(
    encoder: TextEncoder, draw: Callable[[], list[Sentence]], kinds: Sequence[str], generator: np.random.Generator
) -> Meaning:
    """Learnt from one draw of sentences after the other; the last of the `kinds` is that of all other groups."""
    learner, losses, draws = Learner(encoder, len(kinds)), [], [draw() for _ in range(DRAWS)]
    seen, total = 0, sum(map(len, draws))
    for sentences in draws:
        for pack, labels in _packed(learner.below, sentences, kinds, generator):
            losses.append(learner.step(pack, labels, seen / total))
            seen += len(labels)
        print(f"{seen} of {total} sentences: loss {np.mean(losses[-100:]):.3f}", flush=True)
    return learner.meaning()


class Learner:
    """The layers below, as they are; those above and the softmax, as they learn."""

    def __init__(self, encoder: TextEncoder, kinds: int):
        self.below = reader(encoder, {})
        self.above = TextEncoder(encoder.weights, encoder.tokenizer)
        names = tuple(f"encoder.layer.{layer}." for layer in TAUGHT)
        kept = {name: weight for name, weight in encoder.weights.items() if name.startswith(names)}
        self.layers = {name: nn.Parameter(weight.float().clone()) for name, weight in kept.items()}
        self.above.weights |= self.layers
        self.head = nn.Linear(CONTEXT_DIM, kinds)
        nn.init.zeros_(self.head.weight)  # so it learns before the layers do, which keeps what they know
        nn.init.zeros_(self.head.bias)
        matrices, others = ([w for w in self.layers.values() if (w.ndim > 1) == wide] for wide in (True, False))
        head = {"params": self.head.parameters(), "peak": HEAD_RATE}
        groups = [{"params": matrices, "peak": RATE}, {"params": others, "peak": RATE, "weight_decay": 0.0}, head]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=DECAY, betas=(0.9, 0.98))

    def step(self, pack: PackedTexts, labels: list[int], done: float) -> float:
        """One step on a pack, after this share of the whole; returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * min(done / WARM_UP, 1 - done)
        loss = F.cross_entropy(self.logits(pack), torch.tensor(labels), label_smoothing=SMOOTHING)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*self.layers.values(), *self.head.parameters()], 1.0)
        self.optimizer.step()
        return float(loss.detach())

    def logits(self, pack: PackedTexts) -> Float[Tensor, "n k"]:
        with torch.no_grad():
            x = self.below.run_layers(range(TAUGHT.start), self.below.embed(pack.ids, pack), pack)
        with autocast(torch.device("cpu")):
            x = self.above.run_layers(TAUGHT, x.float(), pack)
        return self.head(pack.pooled(x) * MEANING_SCALE)

    def meaning(self) -> Meaning:
        layers = {name: weight.detach().numpy() for name, weight in self.layers.items()}
        return Meaning(layers, self.head.weight.detach().numpy().T, self.head.bias.detach().numpy())


def _packed(
    encoder: TextEncoder, sentences: Sequence[Sentence], kinds: Sequence[str], generator: np.random.Generator
) -> Iterator[tuple[PackedTexts, list[int]]]:
    """Packs of the sentences, shuffled and thinned, with the kind of each sentence."""
    shuffled = [sentences[place] for place in generator.permutation(len(sentences))]
    labels = iter([kinds.index(s.group) if s.group in kinds else len(kinds) - 1 for s in shuffled])
    for pack in encoder.packs([sentence.text for sentence in shuffled]):
        stays = torch.from_numpy(generator.random(len(pack.positions)) >= LEFT_OUT)
        yield pack.select(stays | (pack.positions == 0)), [next(labels) for _ in range(int(pack.text_index[-1]) + 1)]
