"""What the processes of a training run do together: one process, or those that torchrun or Ray Train started."""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard


@dataclass(frozen=True)
class DistContext:
    """This process's rank among `world_size` processes, and the device that it computes on."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def broadcast_module(self, module: nn.Module) -> None:
        """Copies the parameters and buffers of rank 0 to all processes."""
        if self.world_size > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def shard(self, module: nn.Module, units: Sequence[nn.Module], dtype: torch.dtype) -> None:
        """Spreads the parameters over the processes by FSDP2, so that each holds an equal part of them.

        The parameters of a unit are gathered, in `dtype`, while it computes; an inner unit comes before an outer one.
        Gradients are averaged over the processes in float32.
        """
        if self.world_size == 1:
            return
        for parameter in module.parameters():
            parameter.data = parameter.data.contiguous()  # FSDP2 takes no channels-last weights
        mesh = init_device_mesh(self.device.type, (self.world_size,))
        atexit.register(_free_process_group)
        policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
        for unit in units:
            fully_shard(unit, mesh=mesh, mp_policy=policy)

    def all_reduce_mean(self, tensors: list[Tensor]) -> None:
        """Replaces each tensor by its mean over the processes, in one message."""
        if self.world_size == 1 or not tensors:
            return
        flat = torch.cat([t.detach().flatten().float() for t in tensors])
        dist.all_reduce(flat)
        flat /= self.world_size
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def wait_for_all(self) -> None:
        """Returns when all processes have called it."""
        if self.world_size > 1:
            dist.barrier()

    def any_rank(self, flag: bool) -> bool:
        """Whether `flag` is true in at least one process, so that all processes decide alike."""
        if self.world_size == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags)

    def broadcast_number(self, number: float) -> float:
        """The number of rank 0, in all processes."""
        if self.world_size == 1:
            return number
        numbers = torch.tensor(number, device=self.device, dtype=torch.float64)
        dist.broadcast(numbers, 0)
        return float(numbers)


@contextmanager
def dist_context(device: str | None = None) -> Iterator[DistContext]:
    """Joins the process group that torchrun describes in the environment, if any.

    `device` is `cpu` or `cuda`; None takes a GPU if there is one. A process group that exists, as in a worker of Ray
    Train, is used and kept.
    """
    device_type = device or ("cuda" if torch.cuda.is_available() else "cpu")
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        yield DistContext(0, 1, torch.device(device_type))
        return
    if device_type == "cuda":
        local_device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(local_device)
    else:
        local_device = torch.device(device_type)
    if dist.is_initialized():
        yield DistContext(dist.get_rank(), world_size, local_device)
        return
    # Optimizers import torch._dynamo, which keeps a reference to a process group that exists at that time. The group
    # would then outlive destroy_process_group. So it is imported before the group is made.
    import_module("torch._dynamo")
    dist.init_process_group("nccl" if device_type == "cuda" else "gloo")
    try:
        yield DistContext(dist.get_rank(), world_size, local_device)
    finally:
        dist.destroy_process_group()


def _free_process_group() -> None:
    """Drops the last references to a destroyed process group, so that its threads end before the interpreter does.

    A thread of Gloo that frees a tensor while the interpreter ends aborts the process. The references are those of
    the sharded modules, which form cycles, and of the meshes, which DTensor keeps in its caches.
    """
    for mesh in gc.get_objects():
        if type(mesh) is DeviceMesh:
            vars(mesh).clear()
    gc.collect()
