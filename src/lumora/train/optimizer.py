"""Muon for the matrices of the blocks, Adam for the rest, as one optimizer; and the schedule of their rates.

Muon (Keller Jordan, kellerjordan.github.io/posts/muon) replaces a matrix's momentum by the nearest semi-orthogonal one,
so that every direction of the update has the same size. The nearest one is found by the polynomials of Polar Express
(arXiv:2505.16932), evaluated on the Gram matrix, which is never larger than the matrix. All of it is float32: the Gram
matrix has the squares of the singular values, and bfloat16 loses the small ones.

Parameters may be spread over processes (FSDP2): each process updates its part, and gets whole matrices only to
orthogonalise its share of them.
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
from lumora.train.sharded_tensors import local_shards, map_matrices

POLAR_EXPRESS = (
    (8.093369, -23.620430, 17.446152),
    (3.636586, -2.721927, 0.536546),
    (2.661300, -1.977155, 0.452616),
)
"""a, b, c of the odd quintics a·x + b·x³ + c·x⁵, one for each round: the composition of three that maps [0.01, 1]
nearest to 1, with an error of 0.27 at most (arXiv:2505.16932; tests/test_optimizer.py finds them again)."""
MOMENTUM = 0.95


class MuonAdam(torch.optim.Optimizer):
    """`muon` are tensors of two or more dimensions (further ones are folded into the second), `adam` anything."""

    def __init__(self, muon: Iterable[Tensor], adam: Iterable[Tensor], config: OptimizerConfig) -> None:
        # Equal shapes side by side, so that each shape is orthogonalised as one batch.
        matrices = sorted(muon, key=_matrix_shape)
        groups: list[dict[str, Any]] = [
            {"params": matrices, "muon": True, "lr": config.muon_lr, "base_lr": config.muon_lr, "seen": 0},
            {"params": list(adam), "muon": False, "lr": config.adam_lr, "base_lr": config.adam_lr},
        ]
        self.betas, self.weight_decay, self.every = config.betas, config.weight_decay, config.muon_every
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
                torch._foreach_mul_(local_shards(params), 1 - group["lr"] * self.weight_decay)
            if params and group["muon"]:
                group["seen"] += 1
                self._muon(params, self.every * group["lr"], due=group["seen"] % self.every == 0)
            elif params:
                self._adam(params, group["lr"])

    def initialize_state(self) -> None:
        """Makes the state that the first step would make, for a checkpoint to be read into."""
        for group in self.param_groups:
            for name in ("momentum",) if group["muon"] else ("first", "second", "step"):
                self._state(group["params"], name)

    def _muon(self, params: list[Tensor], lr: float, due: bool) -> None:
        """Between two updates that are due only the momentum goes on."""
        grads = _local_gradients(params)
        momenta = self._state(params, "momentum")
        torch._foreach_lerp_(momenta, grads, 1 - MOMENTUM)
        if not due:
            return
        updates = torch._foreach_lerp(grads, momenta, MOMENTUM)  # Nesterov: one look ahead
        for (rows, columns), members in groupby(zip(params, updates, strict=True), lambda m: _matrix_shape(m[0])):
            params_alike, updates_alike = zip(*members, strict=True)
            directions = map_matrices(orthogonalize, params_alike, updates_alike)
            shards = local_shards(params_alike)
            directions = [d.view_as(shard).to(shard) for d, shard in zip(directions, shards, strict=True)]
            torch._foreach_add_(shards, directions, alpha=-lr * (rows / columns) ** 0.5)

    def _adam(self, params: list[Tensor], lr: float) -> None:
        """Kingma and Ba, arXiv:1412.6980, algorithm 1."""
        grads = _local_gradients(params)
        first, second = self._state(params, "first"), self._state(params, "second")
        steps = self._state(params, "step")
        torch._foreach_add_(steps, 1)
        torch._foreach_lerp_(first, grads, 1 - self.betas[0])
        torch._foreach_mul_(second, self.betas[1])
        torch._foreach_addcmul_(second, grads, grads, 1 - self.betas[1])
        for p, m, v, step in zip(local_shards(params), first, second, steps, strict=True):
            count = float(step)
            correction = (1 - self.betas[1] ** count) ** 0.5 / (1 - self.betas[0] ** count)
            p.addcdiv_(m, v.sqrt().add_(1e-8), value=-lr * correction)

    def _state(self, params: list[Tensor], name: str) -> list[Tensor]:
        """This process's part of the state `name` of each parameter; `step` is a number."""
        for p in params:
            if name not in self.state[p]:
                self.state[p][name] = torch.zeros(()) if name == "step" else torch.zeros_like(p)
        return local_shards(self.state[p][name] for p in params)


def orthogonalize(matrices: Float[Tensor, "b n m"]) -> Float[Tensor, "b n m"]:
    """U·Vᵀ of each matrix U·S·Vᵀ, roughly: those of S above a hundredth of √‖G‖ end between 0.73 and 1.27.

    A polynomial of X that is odd in its singular values is Q·X, Q a polynomial of the Gram matrix G = X·Xᵀ; so rounds
    go on with Q and G alone. √‖G‖ (Frobenius) bounds the largest singular value better than ‖X‖ does.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).float()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-20)
    gram = x @ x.mT
    bound = gram.norm(dim=(1, 2), keepdim=True).clamp(min=1e-20)
    gram = gram / bound
    first, *others = POLAR_EXPRESS
    product = factor = _polynomial(gram, first)
    for coefficients in others:
        gram = factor @ gram @ factor
        factor = _polynomial(gram, coefficients)
        product = factor @ product
    x = (product / bound.sqrt()) @ x
    return x.mT if tall else x


def _polynomial(gram: Float[Tensor, "b n n"], coefficients: tuple[float, float, float]) -> Float[Tensor, "b n n"]:
    """a·I + b·G + c·G²."""
    a, b, c = coefficients
    value = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    value.diagonal(dim1=1, dim2=2).add_(a)
    return value


def make_optimizer(module: nn.Module, config: OptimizerConfig, muon: Iterable[Tensor] = ()) -> MuonAdam:
    """Muon for the parameters named in `muon`, Adam for the others of the module; a `muon_lr` of 0 is Adam for all.
    Frozen parameters are left out."""
    chosen = {id(parameter) for parameter in muon} if config.muon_lr else set()
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return MuonAdam([p for p in parameters if id(p) in chosen], [p for p in parameters if id(p) not in chosen], config)


def matrix_parameters(*modules: nn.Module) -> list[Tensor]:
    """Weights of the linear and convolutional layers inside: what Muon is for."""
    layers = (layer for module in modules for layer in module.modules())
    return [layer.weight for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)]


def lr_factor(step: int, steps: int, warmup: float, cooldown: float = 1.0) -> float:
    """The share of the full rate at `step` of `steps`: up within the first share `warmup` of the run, then constant,
    and straight to 0 in the last share `cooldown`, or in all that is left where that is less."""
    rising = max(1.0, warmup * steps)
    falling = max(1.0, min(cooldown * steps, steps - rising))
    return min(1.0, (step + 1) / rising, max(0.0, (steps - step) / falling))


def _matrix_shape(parameter: Tensor) -> tuple[int, int]:
    return parameter.shape[0], parameter.shape[1:].numel()


def _local_gradients(params: list[Tensor]) -> list[Tensor]:
    return local_shards(p.grad for p in params if p.grad is not None)
