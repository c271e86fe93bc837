"""Tensors that are spread over processes (DTensor), as FSDP2 leaves parameters, gradients and optimizer state.

Every function here also takes plain tensors, which one process has, and then does nothing else than without shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def local_shards(tensors: Iterable[Tensor]) -> list[Tensor]:
    """This process's part of each tensor; changes in place change the tensor. Under `no_grad`."""
    return [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]


def whole_tensor(tensor: Tensor) -> Tensor:
    """All of a tensor, in every process. All processes must call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_like(whole: Tensor, tensor: Tensor) -> Tensor:
    """`whole`, which every process has, spread as `tensor` is. A tensor of another shape, such as a step count of an
    optimizer, stays whole."""
    if not isinstance(tensor, DTensor) or whole.shape != tensor.shape:
        return whole
    whole = whole.to(tensor.device)
    return distribute_tensor(whole, tensor.device_mesh, tensor.placements, src_data_rank=None)


def map_matrices(
    function: Callable[[Tensor], Tensor], params: Sequence[Tensor], shards: Sequence[Tensor]
) -> list[Tensor]:
    """This process's rows of `function` of whole matrices.

    `shards` are its rows of matrices that are spread as `params`, all of one shape; dimensions after the second are
    folded into it. `function` takes and returns a batch (matrices, rows, columns). Each process gets an equal share of
    the matrices, so all work at the same time and none works twice: the rows are exchanged by one all-to-all before and
    one after, as in Dion's Muon (arXiv:2504.05295, github.com/microsoft/dion).
    """
    rows, columns = params[0].shape[0], params[0].shape[1:].numel()
    if not isinstance(params[0], DTensor):
        return list(function(torch.stack([shard.flatten(1) for shard in shards])))
    group = params[0].device_mesh.get_group()
    size = dist.get_world_size(group)
    rows_each, matrices_each = -(-rows // size), -(-len(shards) // size)
    # Padded to equal shares of rows and matrices. Rows are divided as by `torch.chunk`, so all padding is at the end.
    parts = shards[0].new_zeros(size * matrices_each, rows_each, columns)
    for part, shard in zip(parts, shards, strict=False):
        part[: len(shard)] = shard.reshape(len(shard), columns)
    received = _exchange(parts, group).view(size, matrices_each, rows_each, columns)
    whole = received.transpose(0, 1).reshape(matrices_each, size * rows_each, columns)
    whole[:, :rows] = function(whole[:, :rows])
    parts = whole.view(matrices_each, size, rows_each, columns).transpose(0, 1).contiguous()
    results = _exchange(parts, group).view(size * matrices_each, rows_each, columns)
    return [result[: len(shard)] for result, shard in zip(results, shards, strict=False)]


def _exchange(parts: Tensor, group: dist.ProcessGroup) -> Tensor:
    """Sends the n-th equal part to process n; the result has the parts of all processes in their order."""
    received = torch.empty_like(parts)
    dist.all_to_all_single(received, parts, group=group)
    return received
