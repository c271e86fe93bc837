"""The layers that read text, adapted to another text encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lumora.text_encoder import load_text_encoder
from lumora.train.text_layers import transfer_text_layers

DIM, WIDTH = 6, 3  # as many outputs of both layers as inputs, so that null_text has a solution


class Words:
    """Each word is `pieces` tokens of one embedding, a linear function of that of the word; [CLS] is a word too."""

    def __init__(self, pieces: int, matrix: Tensor) -> None:
        self.pieces, self.matrix = pieces, matrix

    def encode(self, texts: list[str]) -> list[Tensor]:
        return [torch.stack([self._embedding(w) for w in self._words(text)]) @ self.matrix for text in texts]

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int] | None]]:
        spans: list[list[tuple[int, int] | None]] = []
        for text in texts:
            starts = [text.index(word) for word in text.split()]
            words = [(start, start + len(word)) for start, word in zip(starts, text.split(), strict=True)]
            spans.append([None, *(span for span in words for _ in range(self.pieces))])
        return spans

    def _words(self, text: str) -> list[str]:
        return ["[CLS]", *(word for word in text.split() for _ in range(self.pieces))]

    @staticmethod
    def _embedding(word: str) -> Tensor:
        return torch.randn(DIM, generator=torch.Generator().manual_seed(sum(map(ord, word)) * len(word)))


def test_the_layers_give_the_same_output_for_the_other_encoders_tokens():
    torch.manual_seed(0)
    old, new = Words(1, torch.eye(DIM)), Words(2, torch.linalg.qr(torch.randn(DIM, DIM))[0])
    trained = {
        f"{name}.{kind}": torch.randn((WIDTH, DIM) if kind == "weight" else (WIDTH,))
        for name in ("text_proj", "pooled_text_proj")
        for kind in ("weight", "bias")
    } | {"null_text": torch.randn(1, DIM)}
    captions = [f"a{chr(97 + i)} b{chr(97 + j)} c{chr(97 + i + j)}" for i in range(9) for j in range(9)]
    layers = transfer_text_layers(trained, old, new, captions)

    def output(weights: dict[str, Tensor], tokens: Tensor, name: str = "text_proj") -> Tensor:
        return tokens @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    before, after = output(trained, old.encode(["aq bz cz"])[0]), output(layers, new.encode(["aq bz cz"])[0])
    torch.testing.assert_close(after[1::2], before[1:], atol=0.05, rtol=0.05)
    torch.testing.assert_close(after[2::2], before[1:], atol=0.05, rtol=0.05)
    # The means differ by the share of [CLS], so they are predicted less well.
    null_before, null_after = (output(w, w["null_text"]) for w in (trained, layers))
    torch.testing.assert_close(null_after, null_before, atol=1e-3, rtol=1e-3)
    pooled = [
        output(w, e.encode(captions[:1])[0].mean(0), "pooled_text_proj") for w, e in ((trained, old), (layers, new))
    ]
    torch.testing.assert_close(pooled[1], pooled[0], atol=0.3, rtol=0.3)


def test_spans_of_both_encoders_are_characters_of_the_text():
    text = "a red ball, bouncing"
    for name in ("all-MiniLM-L6-v2", "multilingual-e5-small"):
        encoder = load_text_encoder(name, "cpu")
        (spans,), (tokens,) = encoder.token_spans([text]), encoder.encode([text])
        assert len(spans) == len(tokens) and spans[0] is None and spans[-1] is None
        words = [text[slice(*span)].strip() for span in spans if span]
        assert words[:3] == ["a", "red", "ball"] and "".join(words) == text.replace(" ", "")
