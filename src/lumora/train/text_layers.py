"""The layers of a trained transformer that read text, adapted to another text encoder.

Both encoders read the same captions. Ridge regression predicts the old encoder's token from the new encoder's token at
the same characters, and the old mean over a caption's tokens from the new one; folded into the layers, a trained
transformer follows the text from its first step on. With layers that start anew it has to learn every word again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

RIDGE = 1e-3
"""Of the mean variance of the inputs."""


@runtime_checkable
class Tokens(Protocol):
    """A text encoder, such as `lumora.text_encoder.TextEncoder`."""

    def encode(self, texts: list[str]) -> list[Tensor]: ...

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int] | None]]: ...


@torch.no_grad()
def transfer_text_layers(
    trained: Mapping[str, Tensor], old: Tokens, new: Tokens, captions: Sequence[str]
) -> dict[str, Tensor]:
    """The parameters of the transformer with weights `trained` that read text, for the text encoder `new`.

    Some thousand different captions are needed: a map has 384 · 384 numbers.
    """
    old_tokens, new_tokens = old.encode(list(captions)), new.encode(list(captions))
    spans = zip(old.token_spans(captions), new.token_spans(captions), strict=True)
    targets = [
        _tokens_at(tokens, old_spans, new_spans)
        for tokens, (old_spans, new_spans) in zip(old_tokens, spans, strict=True)
    ]
    layers: dict[str, Tensor] = {}
    pairs = {
        "text_proj": (torch.cat(new_tokens), torch.cat(targets)),
        "pooled_text_proj": tuple(torch.stack([t.mean(dim=0) for t in tokens]) for tokens in (new_tokens, old_tokens)),
    }
    empty = []
    for name, (x, y) in pairs.items():
        weight, bias = (trained[f"{name}.{kind}"].float() for kind in ("weight", "bias"))
        matrix, offset = _ridge_regression(x.float(), y.float())
        layers[f"{name}.weight"], layers[f"{name}.bias"] = weight @ matrix.T, bias + weight @ offset
        empty.append(weight @ trained["null_text"][0].float() + bias - layers[f"{name}.bias"])
    # The embedding of no text gives both layers the output that it gave before.
    weights = torch.cat([layers[f"{name}.weight"] for name in pairs])
    layers["null_text"] = torch.linalg.lstsq(weights, torch.cat(empty)[:, None], driver="gelsd").solution.T
    return layers


def _tokens_at(
    tokens: Float[Tensor, "old dim"],
    spans: Sequence[tuple[int, int] | None],
    wanted: Sequence[tuple[int, int] | None],
) -> Float[Tensor, "new dim"]:
    """For each span of characters in `wanted` the mean of the tokens that overlap it.

    For None, a token that stands for no characters, and for a span that no token overlaps, it is the first token, or
    the last one in the second half.
    """
    result = []
    for number, span in enumerate(wanted):
        overlapping = [n for n, own in enumerate(spans) if span and own and own[0] < span[1] and span[0] < own[1]]
        end = 0 if number < len(wanted) / 2 else -1
        result.append(tokens[overlapping].mean(dim=0) if overlapping else tokens[end])
    return torch.stack(result)


def _ridge_regression(
    x: Float[Tensor, "n a"], y: Float[Tensor, "n b"]
) -> tuple[Float[Tensor, "a b"], Float[Tensor, " b"]]:
    """Matrix and offset that predict y from x with the least squared error plus the penalty `RIDGE`."""
    centered = (x - x.mean(dim=0)).double()
    covariance = centered.T @ centered
    penalty = RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=covariance.dtype)
    matrix = torch.linalg.solve(covariance + penalty, centered.T @ (y - y.mean(dim=0)).double()).float()
    return matrix, y.mean(dim=0) - x.mean(dim=0) @ matrix
