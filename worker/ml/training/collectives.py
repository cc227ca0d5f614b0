"""What several processes tell each other in a step; with one process nothing happens.

Gradients are averaged after the backward pass rather than by a wrapper around networks: a step of a GAN or of a
contrastive loss runs networks several times, which such wrappers do not allow for.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from torch import nn

from worker.ml.training.silent_hosts import watch_connections
from worker.ml.training.task import World

_BUCKET_BYTES = 32 << 20  # large enough for the network to be the limit, small beside the weights
# Processes of all hosts were started at one time. One that is gone before it has connected is waited for no longer.
_JOIN_SECONDS = 600.0


def join(device: torch.device) -> World:
    """Join the processes that torchrun started, if it did. Each takes the GPU of its local number.

    Args:
        device: asked for; a CUDA device without a number becomes the process's own.
    """
    with nullcontext() if _on_one_host() else _joining():
        state = PartialState(cpu=device.type == "cpu")
    if device.type == "cuda" and (device.index is None or state.num_processes > 1):
        device = torch.device("cuda", state.local_process_index)
    return World(device, state.process_index, state.num_processes)


def leave() -> None:
    """Take leave of the other processes, so that they do not take a process that ended for one that died."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def gather_with_gradients(tensor: torch.Tensor) -> torch.Tensor:
    """The rows of all processes, in the order of their numbers, for losses that compare across the whole batch.

    Let every process compute the mean loss of its own rows against all gathered ones. Gradients, averaged by the
    engine, are then those of the mean over the whole batch, exactly as one process would have them.

    Args:
        tensor: `[B, ...]`, of the same shape in every process. Every process must call this equally often.

    Returns:
        `[processes · B, ...]`; `tensor` itself where there is one process.
    """
    if _alone():
        return tensor
    gathered: torch.Tensor = _Gather.apply(tensor)  # type: ignore[no-untyped-call]
    return gathered


def broadcast_from_first(tensors: Iterable[torch.Tensor]) -> None:
    """Every process gets what the first has, in place."""
    if _alone():
        return
    for tensor in tensors:
        dist.broadcast(tensor.detach(), 0)


def average(tensors: Sequence[torch.Tensor]) -> None:
    """Means over all processes, in place."""
    if _alone():
        return
    for bucket in _buckets(tensors):
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        _scatter_back(flat, bucket)


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Means of gradients over all processes. One that no process has stays missing; elsewhere missing ones are 0."""
    if _alone():
        return
    here = torch.tensor(
        [parameter.grad is not None for parameter in parameters],
        dtype=torch.int32,
        device=_device(parameters),
    )
    dist.all_reduce(here, dist.ReduceOp.MAX)
    used = [parameter for parameter, somewhere in zip(parameters, here.tolist(), strict=True) if somewhere]
    for parameter in used:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    average([parameter.grad for parameter in used if parameter.grad is not None])


def mean_of_all(values: torch.Tensor) -> torch.Tensor:
    """The mean of a small tensor over all processes."""
    if _alone():
        return values
    values = values.clone()
    dist.all_reduce(values)
    return values / dist.get_world_size()


def any_of_all(flag: bool, device: torch.device) -> bool:
    """Whether it holds in any process. All of them learn the same."""
    if _alone():
        return flag
    said = torch.tensor(int(flag), device=device)
    dist.all_reduce(said, dist.ReduceOp.MAX)
    return bool(said.item())


def all_objects(thing: Any) -> list[Any]:
    """What every process has to say, in the order of their numbers."""
    return list(gather_object([thing])) if not _alone() else [thing]


def from_first(thing: Any) -> Any:
    """What the first process has to say."""
    return broadcast_object_list([thing])[0] if not _alone() else thing


def copy_from_first(path: Path) -> None:
    """Every host gets the file that the first process has; where all are on one host, it is there."""
    if _alone() or _on_one_host():
        return
    is_first = dist.get_rank() == 0
    writes = not is_first and os.environ["LOCAL_RANK"] == "0"
    unfinished = path.with_name(f"{path.name}.part")
    if writes:
        path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb") if is_first else unfinished.open("wb") if writes else nullcontext() as file:
        while piece := from_first(file.read(_BUCKET_BYTES) if is_first and file is not None else None):
            if writes and file is not None:
                file.write(piece)
    if writes:
        unfinished.replace(path)
    all_objects(None)  # nobody reads before it is written


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        ctx.rows = tensor.shape[0]
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        first = dist.get_rank() * ctx.rows
        return total[first : first + ctx.rows]


@contextmanager
def _joining() -> Iterator[None]:
    if dist.is_initialized():
        yield
        return
    watch_connections()
    faulthandler.dump_traceback_later(_JOIN_SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _on_one_host() -> bool:
    return os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE")


def _alone() -> bool:
    return not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1)


def _device(parameters: Sequence[nn.Parameter]) -> torch.device:
    return parameters[0].device if parameters else torch.device("cpu")


def _buckets(tensors: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Runs of tensors of one type, each at most `_BUCKET_BYTES` together or one tensor."""
    bucket: list[torch.Tensor] = []
    size = 0
    for tensor in tensors:
        bytes_of_it = tensor.numel() * tensor.element_size()
        if bucket and (size + bytes_of_it > _BUCKET_BYTES or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += bytes_of_it
    if bucket:
        yield bucket


def _scatter_back(flat: torch.Tensor, bucket: Sequence[torch.Tensor]) -> None:
    first = 0
    for tensor in bucket:
        tensor.detach().copy_(flat[first : first + tensor.numel()].view_as(tensor))
        first += tensor.numel()
