"""Fine-tunes the last layers of the text encoder to tell the categories apart (as in BERT, arXiv:1810.04805).

The layers below stay frozen. Sentences are drawn anew in each epoch, and some tokens of each are dropped, to limit
overfitting.
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
from lumora.safety.classifier import EMBEDDING_SCALE, with_layers
from lumora.safety.corpus import Sentence
from lumora.terminal import say
from lumora.text_encoder.encoder import CONTEXT_DIM, LAYERS, PackedTexts, TextEncoder

TUNED_LAYERS = range(4, LAYERS)
EPOCHS = 2
"""Each draws new sentences. The second adds 5 points of recall, a third nothing (docs/experiments)."""
LEARNING_RATE, HEAD_LEARNING_RATE, WARMUP_FRACTION = 2e-4, 2e-3, 0.1
"""Peak rates of AdamW for the layers and the softmax; linear warmup, then linear decay to 0."""
WEIGHT_DECAY, LABEL_SMOOTHING, TOKEN_DROPOUT = 0.05, 0.05, 0.1


@dataclass(frozen=True)
class EmbeddingClassifier:
    """A softmax on the embeddings of the fine-tuned encoder."""

    encoder_layers: dict[str, np.ndarray]
    weights: Float[np.ndarray, "384 k"]
    bias: Float[np.ndarray, " k"]


def finetune(
    encoder: TextEncoder, draw: Callable[[], list[Sentence]], classes: Sequence[str], generator: np.random.Generator
) -> EmbeddingClassifier:
    """Trains on one draw of sentences after the other. The last of the `classes` stands for all other groups."""
    trainer, losses, epochs = FinetuneTrainer(encoder, len(classes)), [], [draw() for _ in range(EPOCHS)]
    done, total = 0, sum(map(len, epochs))
    for sentences in epochs:
        for pack, labels in _packs(trainer.frozen, sentences, classes, generator):
            losses.append(trainer.step(pack, labels, done / total))
            done += len(labels)
        say(f"{done} of {total} sentences: loss {np.mean(losses[-100:]):.3f}")
    return trainer.result()


class FinetuneTrainer:
    """The frozen layers, the tuned layers above them, the softmax, and their optimizer."""

    def __init__(self, encoder: TextEncoder, num_classes: int):
        self.frozen = with_layers(encoder, {})
        self.tuned = TextEncoder(encoder.weights, encoder.tokenizer)
        prefixes = tuple(f"encoder.layer.{layer}." for layer in TUNED_LAYERS)
        weights = {name: weight for name, weight in encoder.weights.items() if name.startswith(prefixes)}
        self.layers = {name: nn.Parameter(weight.float().clone()) for name, weight in weights.items()}
        self.tuned.weights |= self.layers
        self.head = nn.Linear(CONTEXT_DIM, num_classes)
        nn.init.zeros_(self.head.weight)  # the head learns first, which preserves what the layers know
        nn.init.zeros_(self.head.bias)
        matrices, vectors = ([w for w in self.layers.values() if (w.ndim > 1) == wide] for wide in (True, False))
        groups = [
            {"params": matrices, "peak": LEARNING_RATE},
            {"params": vectors, "peak": LEARNING_RATE, "weight_decay": 0.0},
            {"params": self.head.parameters(), "peak": HEAD_LEARNING_RATE},
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98))

    def step(self, pack: PackedTexts, labels: list[int], progress: float) -> float:
        """One optimizer step, at this share of the training. Returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * min(progress / WARMUP_FRACTION, 1 - progress)
        loss = F.cross_entropy(self.logits(pack), torch.tensor(labels), label_smoothing=LABEL_SMOOTHING)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*self.layers.values(), *self.head.parameters()], 1.0)
        self.optimizer.step()
        return float(loss.detach())

    def logits(self, pack: PackedTexts) -> Float[Tensor, "n k"]:
        with torch.no_grad():
            x = self.frozen.run_layers(range(TUNED_LAYERS.start), self.frozen.embed(pack.ids, pack), pack)
        with autocast(torch.device("cpu")):
            x = self.tuned.run_layers(TUNED_LAYERS, x.float(), pack)
        return self.head(pack.pooled(x) * EMBEDDING_SCALE)

    def result(self) -> EmbeddingClassifier:
        layers = {name: weight.detach().numpy() for name, weight in self.layers.items()}
        return EmbeddingClassifier(layers, self.head.weight.detach().numpy().T, self.head.bias.detach().numpy())


def _packs(
    encoder: TextEncoder, sentences: Sequence[Sentence], classes: Sequence[str], generator: np.random.Generator
) -> Iterator[tuple[PackedTexts, list[int]]]:
    """Packs of the shuffled sentences with tokens dropped, and the class of each sentence."""
    shuffled = [sentences[index] for index in generator.permutation(len(sentences))]
    labels = iter([classes.index(s.group) if s.group in classes else len(classes) - 1 for s in shuffled])
    for pack in encoder.packs([sentence.text for sentence in shuffled]):
        keep = torch.from_numpy(generator.random(len(pack.positions)) >= TOKEN_DROPOUT)
        yield pack.select(keep | (pack.positions == 0)), [next(labels) for _ in range(int(pack.text_index[-1]) + 1)]
