"""Orders that are worked out instead of kept."""

from __future__ import annotations

import numpy as np
import pytest

from worker.ml import permutations
from worker.ml.permutations import shuffled, shuffled_many
from worker.ml.training import seeds
from worker.ml.training.seeds import Order


@pytest.mark.parametrize("length", [1, 2, 3, 5, 64, 1000])
def test_every_number_comes_once_and_many_at_once_come_as_one_by_one(length: int) -> None:
    numbers = np.arange(length)
    many = shuffled_many(numbers, length, (7, length))
    assert sorted(many) == list(range(length))
    assert many.tolist() == [shuffled(number, length, (7, length)) for number in range(length)]
    if length > 5:
        assert many.tolist() != shuffled_many(numbers, length, (8, length)).tolist()


def test_neighbours_are_sent_far_apart() -> None:
    length = 100_000
    sent = shuffled_many(np.arange(length), length, (3,))
    assert abs(np.corrcoef(np.arange(length), sent)[0, 1]) < 0.02
    assert abs(np.diff(sent)).mean() == pytest.approx(length / 3, rel=0.05)


def test_an_epoch_of_more_samples_than_memory_has_an_order_all_the_same() -> None:
    count = 10**15
    order = Order(1, 0, 0, count)
    some = order.stretch(count - 1000, 4096)
    assert len(set(some.tolist())) == 1000, "the epoch ends there"
    assert some.min() >= 0 and some.max() < count
    assert order.stretch(count - 500, 100).tolist() == some[500:600].tolist()
    assert Order(1, 0, 1, count).stretch(0, 4).tolist() != order.stretch(0, 4).tolist()


def test_an_order_that_is_not_drawn_is_a_permutation_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Order(1, 0, 0, 500).stretch(0, 500)
    monkeypatch.setattr(seeds, "_DRAWN_AT_MOST", 100)
    order = Order(1, 0, 0, 500)
    stretches = np.concatenate([order.stretch(first, 64) for first in range(0, 500, 64)])
    assert sorted(stretches) == sorted(drawn) == list(range(500))
    assert permutations.mixed(1, 2) != permutations.mixed(2, 1)
