"""Samples are read ahead: in order, by several threads, and never more than a few batches."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from worker.ml.training.loader import Loader, Readers
from worker.ml.training.task import Arrays, Source


class Slow(Source):
    """Remembers which threads read what."""

    def __init__(self, seconds: float = 0.0, together: int = 0) -> None:
        """
        Args:
            together: so many first samples are read at the same time or not at all.
        """
        self.seconds, self.read_numbers, self.threads = seconds, [], set()
        self._lock = threading.Lock()
        self._together = threading.Barrier(together, timeout=60) if together else None

    def __len__(self) -> int:
        return 1000

    def read(self, number: int, random: np.random.Generator) -> Arrays:
        time.sleep(self.seconds)
        if self._together is not None and number < self._together.parties:
            self._together.wait()
        with self._lock:
            self.read_numbers.append(number)
            self.threads.add(threading.current_thread().name)
        return {"number": np.int64(number), "chance": random.random(2, np.float32)}


def chance_of(number: int) -> np.random.Generator:
    return np.random.default_rng(number)


def until_read(source: Slow, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(source.read_numbers) < count:
        assert time.monotonic() < deadline, f"{len(source.read_numbers)} of {count} were read"
        time.sleep(0.001)


def test_batches_come_in_order_with_each_sample_in_its_row() -> None:
    batches = [[5, 3, 8], [1, 1, 2], [9]]
    with Readers(4) as readers:
        loaded = list(Loader(readers, Slow(0.001), batches, chance_of))
    assert [batch["number"].tolist() for batch in loaded] == batches
    for batch in loaded:
        expected = [chance_of(int(number)).random(2, np.float32) for number in batch["number"]]
        np.testing.assert_array_equal(batch["chance"].numpy(), expected)


def test_several_threads_read_and_reading_ahead_is_bounded() -> None:
    source = Slow(0.002)
    with Readers(3) as readers:
        loader = Loader(readers, source, [range(first, first + 8) for first in range(0, 800, 8)], chance_of)
        next(loader)
        until_read(source, 8 * 3)
        time.sleep(0.05)
        assert len(source.read_numbers) == 8 * 3  # the one taken, and two ahead
        assert len(source.threads) == 3
        loader.close()
        assert not list(loader)


def test_reading_goes_on_while_the_network_is_busy() -> None:
    source = Slow(0.001)
    batches = [range(first, first + 4) for first in range(0, 48, 4)]
    with Readers(2) as readers:
        loader = Loader(readers, source, batches, chance_of)
        for taken in range(1, 12):
            next(loader)
            until_read(source, 4 * (taken + 1))  # the next batch, which nobody has asked for yet


def test_small_batches_are_read_further_ahead_so_that_all_threads_work() -> None:
    source = Slow(together=8)
    with Readers(8) as readers:
        assert len(list(Loader(readers, source, [[number] for number in range(64)], chance_of))) == 64
    assert len(source.threads) == 8


def test_what_a_sample_raises_is_raised_where_its_batch_is_asked_for() -> None:
    class Broken(Slow):
        def read(self, number: int, random: np.random.Generator) -> Arrays:
            if number == 9:
                raise LookupError("sample 9 is gone")
            return super().read(number, random)

    with Readers(2) as readers:
        loader = Loader(readers, Broken(), [[1, 2], [8, 9], [10, 11]], chance_of)
        assert next(loader)["number"].tolist() == [1, 2]
        with pytest.raises(LookupError, match="sample 9"):
            next(loader)
