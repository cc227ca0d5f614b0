"""Reads samples ahead of the network: a few threads, a few batches, in a fixed order.

Threads and not processes: what samples cost is reading files, decoding pictures and arithmetic in numpy, all of which
leave the interpreter's lock. Every sample is written straight into its row of a batch, in pinned memory where a GPU
waits for it, so batches are put together by those who read them and nothing is copied twice. Which thread reads what
changes nothing: a sample's chance comes from its place.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch

from worker.ml.training.task import Arrays, Source

Numbers = Sequence[int] | npt.NDArray[np.int64]
ChanceOf = Callable[[int], np.random.Generator]
_CHUNKS_A_THREAD = 2  # smaller pieces of work even out slow samples, and cost more to hand out
_BATCHES_AHEAD = 2


class Batches(Protocol):
    """The numbers of the samples of each batch, in order: a list, or worked out when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: int, /) -> Numbers: ...


class Readers:
    """The threads that read, shared by all loaders of a training."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="reader")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)


class Loader:
    """Batches of a source, in order. Reading starts at once and is never more than a few batches ahead."""

    def __init__(
        self,
        readers: Readers,
        source: Source,
        batches: Batches,
        chance_of: ChanceOf,
        *,
        pin: bool = False,
    ) -> None:
        """
        Args:
            batches: numbers of the samples of each, asked for as they are read; none is larger than the first.
            chance_of: the generator of a sample.
            pin: for a GPU.
        """
        self._readers, self._source, self._chance_of, self._pin = readers, source, chance_of, pin
        self._batches, self._next, self._end = batches, 0, len(batches)
        self._under_way: deque[_Batch] = deque()
        # Small batches are read further ahead, so that every thread has something to do.
        self._ahead = _BATCHES_AHEAD + (_CHUNKS_A_THREAD * readers.threads) // (
            len(batches[0]) if batches else 1
        )
        self._read_ahead()

    def __iter__(self) -> Iterator[Mapping[str, torch.Tensor]]:
        return self

    def __next__(self) -> Mapping[str, torch.Tensor]:
        """The next batch, `[B, ...]` by name.

        Raises:
            Whatever the source raised.
        """
        if not self._under_way:
            raise StopIteration
        batch = self._under_way.popleft()
        self._read_ahead()
        return batch.whole.result()

    @property
    def all_under_way(self) -> bool:
        """Whether the last batch is being read, so that another loader may begin."""
        return self._next == self._end

    def close(self) -> None:
        """Read no further. Threads in the middle of a sample finish it."""
        self._end = self._next
        for batch in self._under_way:
            batch.unwanted = True
        self._under_way.clear()

    def _read_ahead(self) -> None:
        while self._next < self._end and len(self._under_way) < self._ahead:
            batch = _Batch(self._batches[self._next], self._pin)
            self._next += 1
            self._under_way.append(batch)
            for places in batch.chunks(_CHUNKS_A_THREAD * self._readers.threads):
                self._readers.pool.submit(self._read, batch, places)

    def _read(self, batch: _Batch, places: range) -> None:
        try:
            for place in places:
                if batch.unwanted:
                    return
                number = int(batch.numbers[place])
                batch.put(place, self._source.read(number, self._chance_of(number)))
            batch.finish(len(places))
        except BaseException as failure:  # noqa: BLE001 - it is raised where the batch is asked for
            batch.fail(failure)


class _Batch:
    """A batch in the making."""

    def __init__(self, numbers: Numbers, pin: bool) -> None:
        self.numbers, self.unwanted = numbers, False
        self.whole: Future[Mapping[str, torch.Tensor]] = Future()
        self._pin, self._missing = pin, len(numbers)
        self._tensors: dict[str, torch.Tensor] = {}
        self._rows: dict[str, npt.NDArray[Any]] | None = None
        self._lock = threading.Lock()

    def chunks(self, most: int) -> Iterator[range]:
        size = max(1, len(self.numbers) // most)
        for first in range(0, len(self.numbers), size):
            yield range(first, min(first + size, len(self.numbers)))

    def put(self, place: int, sample: Arrays) -> None:
        rows = self._rows if self._rows is not None else self._make_rows(sample)
        if sample.keys() != rows.keys():
            raise ValueError(
                f"Sample {self.numbers[place]} has {sorted(sample)} and others have {sorted(rows)}."
            )
        for name, value in sample.items():
            row = rows[name]
            value = np.asarray(value)
            if value.shape != row.shape[1:] or value.dtype != row.dtype:
                raise ValueError(
                    f"{name} of sample {self.numbers[place]} is {value.dtype} {list(value.shape)}, "
                    f"and of others {row.dtype} {list(row.shape[1:])}."
                )
            row[place] = value

    def finish(self, count: int) -> None:
        with self._lock:
            self._missing -= count
            whole = self._missing == 0
        if whole and not self.whole.done():
            self.whole.set_result(self._tensors)

    def fail(self, failure: BaseException) -> None:
        with self._lock:
            self.unwanted = True
            if not self.whole.done():
                self.whole.set_exception(failure)

    def _make_rows(self, sample: Arrays) -> dict[str, npt.NDArray[Any]]:
        with self._lock:
            if self._rows is None:
                for name, value in sample.items():
                    value = np.asarray(value)
                    kind = torch.from_numpy(np.empty(0, value.dtype)).dtype
                    self._tensors[name] = torch.empty(
                        (len(self.numbers), *value.shape), dtype=kind, pin_memory=self._pin
                    )
                self._rows = {name: tensor.numpy() for name, tensor in self._tensors.items()}
            return self._rows


def to_device(batch: Mapping[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """The batch on the device. From pinned memory the copy runs beside whatever the GPU is at."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
