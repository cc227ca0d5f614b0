"""Objects fetched a little ahead of whoever sends them on, so that a download does not wait for the store each time.

What is ahead is bounded, in objects and in bytes: memory stays flat however slowly somebody reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from core.errors import NotFound
from core.store import Store

Thing = TypeVar("Thing")

_THREADS = 8
_MOST_AHEAD = 16
_MOST_BYTES_AHEAD = 8 * 2**20


def fetched_ahead(
    store: Store, wanted: Iterable[tuple[Thing, str | None, int]]
) -> Iterator[tuple[Thing, bytes | None]]:
    """The same things in the same order, each with the content of its object.

    Args:
        wanted: each with a key, or None where there is nothing to fetch, and its size in bytes.

    Yields:
        None for the content where there is no key, or no such object.

    Raises:
        StorageUnavailable: the store cannot be reached.
    """
    waiting: deque[tuple[Thing, Future[bytes | None] | None, int]] = deque()
    ahead = 0
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="prefetch") as threads:
        try:
            for thing, key, size in wanted:
                future = threads.submit(_get, store, key) if key is not None else None
                waiting.append((thing, future, size))
                ahead += size
                while len(waiting) > _MOST_AHEAD or (ahead > _MOST_BYTES_AHEAD and waiting):
                    thing, future, size = waiting.popleft()
                    ahead -= size
                    yield thing, future.result() if future else None
            while waiting:
                thing, future, size = waiting.popleft()
                yield thing, future.result() if future else None
        finally:
            # Whoever stops reading in the middle leaves nothing to be fetched for nobody.
            threads.shutdown(wait=False, cancel_futures=True)


def _get(store: Store, key: str) -> bytes | None:
    try:
        return store.get(key)
    except NotFound:
        return None
