"""What fails of a worker's machine, told apart from what a recording does wrong: the work may yet succeed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import Retryable
from worker.ml.device_failures import is_lost_device, is_out_of_memory


class NoMemory(Retryable):
    """The worker got no memory for what it does; no recording is at fault."""

    code = "no_memory"


class DeviceLost(Retryable):
    """The worker's GPU failed; no recording is at fault, and this process can draw nothing more."""

    code = "device_lost"


@contextmanager
def shortage_told() -> Iterator[None]:
    """Says `NoMemory` or `DeviceLost` for whatever means that; also a decorator."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_lost_device(error):
            reason = str(error).partition("\n")[0]
            raise DeviceLost(
                f"The worker's GPU failed ({reason}). Look into the log of its driver."
            ) from error
        if not is_out_of_memory(error):
            raise
        raise NoMemory("The worker has no memory left. Give it more, or fewer neighbours.") from error
