"""One process, or as many as torchrun started: the few collective operations that the loop needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class DistContext:
    """This process's place among `size` equal ones, and the device it computes on."""

    rank: int
    size: int
    device: torch.device

    @property
    def main(self) -> bool:
        return self.rank == 0

    def share(self, module: nn.Module) -> None:
        """Every process takes the parameters and buffers of the first one."""
        if self.size > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def average(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, in one message."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([t.detach().flatten().float() for t in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in at least one process: a decision that all must take together."""
        if self.size == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags)

    def first(self, number: float) -> float:
        """The first process's number, for all."""
        if self.size == 1:
            return number
        numbers = torch.tensor(number, device=self.device, dtype=torch.float64)
        dist.broadcast(numbers, 0)
        return float(numbers)


@contextmanager
def dist_context(device: str | None = None) -> Iterator[DistContext]:
    """Joins the group that torchrun announces in the environment, if any; `device` None takes a GPU if there is one."""
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield DistContext(0, 1, torch.device(kind))
        return
    place = torch.device(kind, int(os.environ["LOCAL_RANK"])) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(place)
    # Optimizers import PyTorch's compiler, which keeps a group that is there by then. It would outlive its end, and its
    # threads, still running when Python stops, now and then abort the process.
    import_module("torch._dynamo")
    dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        yield DistContext(dist.get_rank(), size, place)
    finally:
        dist.destroy_process_group()
