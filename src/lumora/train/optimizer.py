"""Muon for the matrices of the blocks, Adam for the rest, as one optimizer; and the schedule of their rates.

Muon (Keller Jordan, kellerjordan.github.io/posts/muon) replaces a matrix's momentum by the nearest semi-orthogonal one,
so that every direction of the update has the same size. State is float32; only the orthogonalisation may be bfloat16.
"""

# The foreach functions are what torch.optim itself is written with, but they are not declared public.
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lumora.config import OptimizerConfig
from lumora.precision import fast_dtype

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the odd quintic that drives singular values from (0, 1] to about 1 in five rounds (as above)."""
MOMENTUM = 0.95


class MuonAdam(torch.optim.Optimizer):
    """`muon` are tensors of two or more dimensions (further ones are folded into the second), `adam` anything."""

    def __init__(self, muon: Iterable[Tensor], adam: Iterable[Tensor], config: OptimizerConfig) -> None:
        # Equal shapes side by side, so that each shape is orthogonalised as one batch.
        matrices = sorted(muon, key=_matrix_shape)
        groups: list[dict[str, Any]] = [
            {"params": matrices, "muon": True, "lr": config.muon_lr, "base_lr": config.muon_lr},
            {"params": list(adam), "muon": False, "lr": config.adam_lr, "base_lr": config.adam_lr},
        ]
        self.betas, self.weight_decay = config.betas, config.weight_decay
        super().__init__([group for group in groups if group["params"]], {})

    def set_lr_factor(self, factor: float) -> None:
        for group in self.param_groups:
            group["lr"] = group["base_lr"] * factor

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "One loss a step is all there is."
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params and self.weight_decay:
                torch._foreach_mul_(params, 1 - group["lr"] * self.weight_decay)
            if params:
                (self._muon if group["muon"] else self._adam)(params, group["lr"])

    def _muon(self, params: list[Tensor], lr: float) -> None:
        grads = [p.grad for p in params if p.grad is not None]
        momenta = self._state(params, "momentum")
        torch._foreach_lerp_(momenta, grads, 1 - MOMENTUM)
        updates = torch._foreach_lerp(grads, momenta, MOMENTUM)  # Nesterov: one look ahead
        for (rows, columns), members in groupby(zip(params, updates, strict=True), lambda m: _matrix_shape(m[0])):
            params_alike, updates_alike = zip(*members, strict=True)
            directions = orthogonalize(torch.stack([u.flatten(1) for u in updates_alike]))
            directions = [d.view_as(p).to(p) for d, p in zip(directions, params_alike, strict=True)]
            torch._foreach_add_(list(params_alike), directions, alpha=-lr * (rows / columns) ** 0.5)

    def _adam(self, params: list[Tensor], lr: float) -> None:
        """Kingma and Ba, arXiv:1412.6980, algorithm 1."""
        grads = [p.grad for p in params if p.grad is not None]
        first, second = self._state(params, "first"), self._state(params, "second")
        steps = self._state(params, "step", scalar=True)
        torch._foreach_add_(steps, 1)
        torch._foreach_lerp_(first, grads, 1 - self.betas[0])
        torch._foreach_mul_(second, self.betas[1])
        torch._foreach_addcmul_(second, grads, grads, 1 - self.betas[1])
        for p, m, v, step in zip(params, first, second, steps, strict=True):
            count = float(step)
            correction = (1 - self.betas[1] ** count) ** 0.5 / (1 - self.betas[0] ** count)
            p.addcdiv_(m, v.sqrt().add_(1e-8), value=-lr * correction)

    def _state(self, params: list[Tensor], name: str, scalar: bool = False) -> list[Tensor]:
        for p in params:
            if name not in self.state[p]:
                self.state[p][name] = torch.zeros(()) if scalar else torch.zeros_like(p)
        return [self.state[p][name] for p in params]


def orthogonalize(matrices: Float[Tensor, "b n m"], rounds: int = 5) -> Float[Tensor, "b n m"]:
    """U·Vᵀ of each matrix U·S·Vᵀ, roughly: singular values end between 0.7 and 1.2."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).float()
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(fast_dtype(x.device))
    for _ in range(rounds):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def make_optimizer(module: nn.Module, config: OptimizerConfig, muon: Iterable[Tensor] = ()) -> MuonAdam:
    """Muon for the parameters named in `muon`, Adam for the others of the module; a `muon_lr` of 0 is Adam for all."""
    chosen = {id(parameter) for parameter in muon} if config.muon_lr else set()
    parameters = list(module.parameters())
    return MuonAdam([p for p in parameters if id(p) in chosen], [p for p in parameters if id(p) not in chosen], config)


def matrix_parameters(*modules: nn.Module) -> list[Tensor]:
    """Weights of the linear and convolutional layers inside: what Muon is for."""
    layers = (layer for module in modules for layer in module.modules())
    return [layer.weight for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)]


def lr_factor(step: int, steps: int, warmup: float) -> float:
    """The share of the full rate at `step` of `steps`: up within the first `warmup` of the run, then straight to 0."""
    rising = max(1.0, warmup * steps)
    return min(1.0, (step + 1) / rising, max(0.0, (steps - step) / max(1.0, steps - rising)))


def _matrix_shape(parameter: Tensor) -> tuple[int, int]:
    return parameter.shape[0], parameter[0].numel()
