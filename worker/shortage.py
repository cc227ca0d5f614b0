"""What running out of memory looks like, told apart from what a recording does wrong: the work may succeed later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import Retryable

_SAID_BY_TORCH = ("can't allocate memory", "bad_alloc")  # on a CPU; of a GPU it has an exception of its own


class NoMemory(Retryable):
    """The worker got no memory for what it does; no recording is at fault."""

    code = "no_memory"


def is_shortage(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error) for words in _SAID_BY_TORCH)


@contextmanager
def shortage_told() -> Iterator[None]:
    """Says `NoMemory` for whatever means that; also a decorator."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        raise NoMemory("The worker has no memory left. Give it more, or fewer neighbours.") from error
